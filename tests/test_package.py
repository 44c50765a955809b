"""The package's face: its public names are listed once for running code and once for type checkers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import attnsearch
from tests.documents import ROOT


def names_for_type_checkers() -> dict[str, str]:
    """The re-exports under `if TYPE_CHECKING:`, each name with the module that defines it."""
    tree = ast.parse(Path(attnsearch.__file__).read_text())
    (checking,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in checking.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)  # an explicit re-export
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def test_type_checkers_see_the_public_names():
    expected = {name: f"attnsearch.{module}" for name, module in attnsearch._MODULES.items()}
    assert names_for_type_checkers() == expected
    assert attnsearch.__all__ == sorted(expected)


@pytest.mark.parametrize(("name", "module"), names_for_type_checkers().items())
def test_each_name_comes_from_the_module_that_defines_it(name, module):
    value = getattr(attnsearch, name)
    assert value is getattr(sys.modules[module], name)
    assert value.__module__ == module


def test_dir_lists_the_public_names():
    assert dir(attnsearch) == sorted([*attnsearch.__all__, "__version__"])


def test_no_other_name():
    with pytest.raises(AttributeError, match="module 'attnsearch' has no attribute 'Indx'"):
        _ = attnsearch.Indx


@pytest.mark.slow
def test_names_are_imported_on_first_use():
    code = "import sys, attnsearch; assert 'numpy' not in sys.modules; attnsearch.State; assert 'numpy' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


PROGRAM = """
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from attnsearch import Attention, Field, Hit, Index, Item, Report, Result, attend, query, update

assert_type(update([{"title": "moon", "price": 3}], name="shop", language="de"), Report)
assert_type(update(Path("shop.yaml"), text_field="title"), Report)
assert_type(update(["a.yaml", "b.yaml"], name="both", lexical="auto"), Report)
with Index.open("shop") as index:
    result = index.query("moon", k=3, where=["price > 2"], priors={"price": 1}, lexical=0.3, values="price")
    assert_type(result, Result)
    assert_type(query(index, "moon"), Result)
    assert_type(index.like(["a"], unlike="b"), Result)
    assert_type(index.query_many(("moon", "sea")), list[Result])
    assert_type(index.explain("moon", "a", over="b"), Result)
    assert_type(result[0], Hit)
    assert_type(result[:2], tuple[Hit, ...])
    assert_type([hit.weight for hit in result], list[float])
    assert_type(result.none_of_these, float | None)
    assert_type(index["a"], Item)
    assert_type([item for item in index], list[Item])
    assert_type(index.fields, dict[str, Field])
    assert_type(index.keys, NDArray[np.float32])
    assert_type(index.embed(["moon"]), NDArray[np.float32])
    assert_type(index.attend(["moon"], where="price > 2"), NDArray[np.float64])
    assert_type(index.feedback("moon", good="a"), dict[str, float])
    print(len(index), "a" in index, index.info.name, result.whys[0].semantic, result.values[0].mean)
assert_type(attend(np.eye(2), np.eye(2), np.eye(2)), Attention)
"""

WRONG = """
from attnsearch import Index

index = Index.open("shop")
index.query("moon", k="3")
index.query(["moon"])
index.query("moon", kk=3)
index.query_many(3)
index.like("a", lexical=0.3)
index.keys = 3
"""


@pytest.mark.slow
def test_programs_are_typed(tmp_path):
    """A type checker takes a program that is right, and finds every line of one that is wrong."""
    for name, program in (("right", PROGRAM), ("wrong", WRONG)):
        (tmp_path / f"{name}.py").write_text(program)
    # With the project's own settings, whose cache `make check` has filled, it takes a second.
    options = ["--strict", "--no-error-summary", "--config-file", ROOT / "pyproject.toml"]
    options += ["--cache-dir", ROOT / ".mypy_cache"]
    argv = [sys.executable, "-m", "mypy", *options, "right.py", "wrong.py"]
    checked = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    places = {tuple(line.split(":")[:2]) for line in checked.stdout.splitlines()}
    assert places == {("wrong.py", str(number)) for number in range(5, 11)}, checked.stdout
