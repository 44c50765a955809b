"""The house is one table, in a total order: a file imports only from files before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import attnsearch

PACKAGE = Path(attnsearch.__file__).parent

# Folders in reading order, files in reading order. What stands alone at the root comes first.
HOUSE = {
    "errors": (),
    "threads": (),
    "attention": ("projections", "softmax", "null_key"),
    "sources": ("values", "yaml12", "strict_json", "records", "items", "trec", "judgments"),
    "encoding": (
        "safetensors", "transformer", "model", "pieces", "encoder", "passages", "sbert", "fast", "loading",
    ),
    "storage": (
        "checksum", "files", "failures", "database", "segment", "lock", "store", "seal", "migration", "learned",
        "feedback", "home",
    ),
    "postings": ("filters", "terms", "facets", "cache"),
    "indexing": ("changes", "checkpoint", "compaction", "writer", "update", "check", "repair"),
    "engines": ("bias", "engine", "local"),
    "search": ("index", "readout", "setting", "scoring", "result", "search"),
    "explanation": ("steps", "words", "reasons"),
    "evaluation": ("metrics", "report", "significance"),
    "learning": (
        "bilinear", "examples", "calibration", "self_supervision", "cross_validation", "acceptance", "training",
    ),
    "output": ("safe_text", "notes", "table", "formats", "reasons", "evaluation", "training"),
    "cli": (
        "terminal", "argv", "options", "query", "index", "catalogs", "explain", "eval", "train", "feedback", "docs",
        "app",
    ),
}  # fmt: skip
ORDER = [
    file for folder, files in HOUSE.items() for file in ([f"{folder}/{name}" for name in files] if files else [folder])
]
LINES, FILES = 300, 12  # at most, of a file and in a folder

# Which folders, or files, may import a library; and whether only inside a function.
GUESTS = {
    "numpy": ({"attention", "encoding", "storage", "postings", "indexing", "engines", "search", "explanation",
               "evaluation", "learning"}, False),
    "sqlite3": ({"storage", "postings", "indexing"}, False),
    "rich": ({"output", "cli"}, True),
    "typer": ({"cli"}, False),
    "yaml": ({"sources/yaml12"}, False),
    "xxhash": ({"storage/checksum"}, False),
    "huggingface_hub": ({"encoding/model"}, True),
    "tokenizers": ({"encoding/fast"}, True),
    "torch": ({"encoding/sbert"}, True),
    "sentence_transformers": ({"encoding/sbert"}, True),
    "transformers": ({"encoding/sbert"}, True),
    "scipy": ({"evaluation", "learning"}, True),
    "bm25s": ({"postings/terms"}, True),
    "Stemmer": ({"postings/terms"}, True),
}  # fmt: skip


class Import(NamedTuple):
    module: str
    line: int
    inside: bool  # a function
    typing: bool  # only for a type checker


def python_files(package: Path) -> dict[str, Path]:
    """Every file of the package by its place in the house: "search/index"."""
    paths = (path.relative_to(package).with_suffix("") for path in sorted(package.rglob("*.py")))
    return {str(path): package / path.with_suffix(".py") for path in paths if path.parts[0] != "catalogs"}


def imports(path: Path) -> Iterator[Import]:
    """Everything that a file imports, those for type checkers included."""

    def walk(node: ast.AST, *, inside: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, inside, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f".{alias.name}" for alias in node.names] if node.module and is_folder(node.module) else [""]
            yield from (Import("." * node.level + (node.module or "") + name, node.lineno, inside, typing)
                        for name in names)  # fmt: skip
        inside |= isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and child in node.body
            yield from walk(child, inside=inside, typing=typing or checking)

    yield from walk(ast.parse(path.read_text()), inside=False, typing=False)


def is_folder(module: str) -> bool:
    """Whether a module is the package or a folder of it, whose names are files."""
    first, *rest = module.split(".")
    return first == "attnsearch" and (not rest or (len(rest) == 1 and bool(HOUSE.get(rest[0]))))


def violations(package: Path = PACKAGE) -> list[str]:
    """Each breach of the house's rules, in one line."""
    breaches = []
    files = python_files(package)
    faces = {"__init__", "__main__"} | {f"{folder}/__init__" for folder, names in HOUSE.items() if names}
    breaches += [f"{name} is a file, but not in the table" for name in files if name not in {*ORDER, *faces}]
    breaches += [f"{name} is in the table, but not a file" for name in ORDER if name not in files]
    for folder, names in HOUSE.items():
        if len(names) > FILES:
            breaches.append(f"{folder} has {len(names)} files")
    for name, path in files.items():
        lines = len(path.read_text().splitlines())
        if lines > LINES:
            breaches.append(f"{name} has {lines} lines")
        for imported in imports(path):
            breaches += [f"{name}:{imported.line} {breach}" for breach in import_breaches(name, imported)]
    return breaches


def import_breaches(name: str, imported: Import) -> Iterator[str]:
    """What is wrong with one import of the file `name`."""
    if imported.module.startswith("."):
        yield "has a relative import"
    library, *path = imported.module.split(".")
    if library == "attnsearch" and name not in ("__init__", "__main__") and path != ["__version__"]:
        target = "/".join(path)
        if target not in ORDER:
            yield f"imports {imported.module}, which is not a file of the table"
        elif name in ORDER and ORDER.index(target) >= ORDER.index(name):
            yield f"imports {target}, which comes after it"
    if library in GUESTS:
        rooms, inside_only = GUESTS[library]
        if not rooms & {name, name.split("/")[0]}:
            yield f"imports {library}"
        elif inside_only and not imported.inside and not imported.typing:
            yield f"imports {library} outside a function"


def test_the_house_is_the_table():
    assert violations() == []


@pytest.mark.parametrize("folder", [folder for folder, names in HOUSE.items() if names and folder != "cli"])
def test_the_face_of_a_folder_is_its_table_of_contents(folder):
    """A docstring and no code: one sentence, then its files in order, a line each."""
    tree = ast.parse((PACKAGE / folder / "__init__.py").read_text())
    assert len(tree.body) == 1
    contents = [line.split()[0] for line in (ast.get_docstring(tree) or "").splitlines()[2:] if line.strip()]
    assert contents == list(HOUSE[folder])


def test_the_root_has_nothing_but_folders_and_the_words_for_failure():
    there = {path.name for path in PACKAGE.iterdir()} - {"__pycache__", "catalogs", "docs"}
    files = {"errors.py", "threads.py", "__init__.py", "__main__.py", "py.typed"}
    assert there == files | {folder for folder, names in HOUSE.items() if names}


class TestPlanted:
    """Each rule is broken on purpose in a copy of the house, and seen."""

    @pytest.fixture
    def copy(self, tmp_path):
        for name, path in python_files(PACKAGE).items():
            (tmp_path / f"{name}.py").parent.mkdir(exist_ok=True)
            (tmp_path / f"{name}.py").write_bytes(path.read_bytes())
        return tmp_path

    @pytest.mark.parametrize(
        ("file", "line", "breach"),
        [
            ("storage/store", "from attnsearch.search import index", "imports search/index, which comes after it"),
            ("storage/store", "from attnsearch.cli.app import app_for", "imports cli/app, which comes after it"),
            ("cli/terminal", "from attnsearch.cli import app", "imports cli/app, which comes after it"),
            ("sources/values", "if TYPE_CHECKING:\n    from attnsearch.sources import items",
             "imports sources/items, which comes after it"),
            ("sources/items", "import numpy as np", "imports numpy"),
            ("search/index", "import sqlite3", "imports sqlite3"),
            ("output/table", "from rich.table import Table", "imports rich outside a function"),
            ("encoding/encoder", "def f():\n    import torch", "imports torch"),
            ("errors", "from .threads import each", "has a relative import"),
            ("errors", "import attnsearch.nowhere", "imports attnsearch.nowhere, which is not a file of the table"),
        ],
    )  # fmt: skip
    def test_import(self, copy, file, line, breach):
        path = copy / f"{file}.py"
        source = path.read_text().rstrip("\n").splitlines()
        path.write_text("\n".join([*source[:-1], source[-1], line, ""]))
        assert any(found.startswith(f"{file}:") and found.endswith(breach) for found in violations(copy))

    def test_fat_file(self, copy):
        path = copy / "errors.py"
        path.write_text(path.read_text() + "\n" * LINES)
        assert any(breach.startswith("errors has ") for breach in violations(copy))

    def test_file_that_the_table_lacks(self, copy):
        (copy / "sources" / "toml.py").write_text('"""A stranger."""\n')
        assert "sources/toml is a file, but not in the table" in violations(copy)

    def test_file_that_is_gone(self, copy):
        (copy / "sources" / "values.py").unlink()
        assert "sources/values is in the table, but not a file" in violations(copy)


@pytest.mark.parametrize("name", sorted(python_files(PACKAGE)))
def test_only_the_command_line_prints(name):
    if name.split("/")[0] in ("cli", "__main__"):
        return
    tree = ast.parse(python_files(PACKAGE)[name].read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "print" not in names
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"sys.stdout", "sys.stderr", "sys.stdout.write"}


def test_only_engines_and_storage_walk_the_blocks_of_keys():
    for name, path in python_files(PACKAGE).items():
        tree = ast.parse(path.read_text())
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        if any(isinstance(function, ast.Attribute) and function.attr == "blocks" for function in calls):
            assert name.split("/")[0] in ("engines", "storage"), f"{name} calls Store.blocks"


@pytest.mark.parametrize("name", ["pickle", "marshal", "shelve", "eval", "exec"])
def test_nothing_on_disk_is_code(name):
    for path in python_files(PACKAGE).values():
        tree = ast.parse(path.read_text())
        assert name not in {imported.module.split(".")[0] for imported in imports(path)}
        calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")}
        assert name not in calls
