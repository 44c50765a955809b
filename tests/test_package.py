"""The package's face: its public names are listed once for running code and once for type checkers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import attnsearch


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
