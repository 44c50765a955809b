"""Every command and every line of Python in the README, run as written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import attnsearch
from attnsearch.errors import Exit
from attnsearch.storage import home

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.real
def test_every_command(tmp_path):
    script = f'set -eo pipefail; attnsearch() {{ {sys.executable} -m attnsearch "$@"; }}\n' + "\n".join(blocks("sh"))
    argv = ["bash", "-c", script]
    ran = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(re.findall(r"^attnsearch ", "\n".join(blocks("sh")), re.MULTILINE)) >= 15
    assert re.search(r"^1  Second Wind +[6-9]\d\.\d%", ran.stdout, re.MULTILINE)
    assert re.search(r"^1  Tooth & Nail", ran.stdout, re.MULTILINE)
    assert "nothing is clearly that" in ran.stdout


def test_the_python(small, capsys):
    for block in blocks("python"):
        exec(block, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(re.fullmatch(r"\d+\.\d% .+", line) for line in lines)


def test_the_catalog(write, run, small):
    (block,) = blocks("yaml")
    assert run("index", write("x.yaml", block)).code == 0
    (hit,) = json.loads(run("query", "lamp", "-c", "shop", "--json").out)["hits"]
    assert (hit["id"], hit["fields"]) == ("lamp-7", {"tags": ["light", "desk"], "price": 39.5})


def test_the_json(run, small):
    (block,) = blocks("json")
    shown = json.loads(block)
    told = json.loads(run("query", "science fiction", "--json").out)
    assert list(told) == list(shown)
    assert list(told["hits"][0]) == list(shown["hits"][0])


def test_the_exit_codes():
    listed = [int(code) for code in re.findall(r"^\| (\d+) \| ", README, re.MULTILINE)]
    assert listed == [int(code) for code in Exit]


def test_the_house():
    from tests.test_house import HOUSE

    listed = re.findall(r"^\| \[(\w+)\]\(attnsearch/(\w+)(?:\.py)?\)", README, re.MULTILINE)
    assert [name for name, _ in listed] == list(HOUSE)
    assert all(name == path for name, path in listed)


def test_the_numbers_of_the_library():
    """The one real output and the text name the same catalog that ships."""
    from attnsearch.sources import items, judgments

    library = list(items.read([str(home.built_in("library"))]).items)
    assert f"{len(library)} items · " in README
    judged = judgments.read(str(ROOT / "catalogs" / "library.judgments.yaml"))
    right = sum(bool(one.relevant) for one in judged)
    assert f"{right} requests with an answer, {len(judged) - right} without · library" in README
    assert f"library of {len(library)} books" in (ROOT / "docs" / "attention.md").read_text()


def test_public_names_are_there():
    for name in attnsearch.__all__:
        assert getattr(attnsearch, name).__doc__
    assert set(attnsearch.__all__) <= set(dir(attnsearch))
    with pytest.raises(AttributeError, match="no attribute 'nobody'"):
        _ = attnsearch.nobody
