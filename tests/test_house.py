"""The house is one table, in a total order: a file imports only from files before it."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import attnsearch

PACKAGE = Path(attnsearch.__file__).parent

# Folders in reading order, and the files of each in reading order. Files of the root come first.
HOUSE = {
    "errors": (),
    "threads": (),
    "attention": ("products", "projections", "softmax", "memory", "null_key"),
    "syntax": ("values", "names", "nearest", "formats", "languages", "foreign", "yaml12", "strict_json"),
    "readers": (
        "raw_file", "text_file", "json_file", "dialect", "delimited", "binary_tables", "sqlite", "tables", "shapes",
        "records", "documents", "folder",
    ),
    "sources": (
        "letters", "numbers", "dates", "kinds", "markup", "fields", "recognition", "items", "summary", "trec",
        "judgments",
    ),
    "models": ("faults", "trust", "model", "use", "prompts", "record"),
    "tokens": ("tokenizer", "excerpt", "byte_pairs"),
    "networks": (
        "safetensors", "weights", "layers", "network", "kin", "bert", "modernbert", "pooling", "dense", "pipeline",
        "coverage", "table",
    ),
    "encoding": (
        "pieces", "encoder", "passages", "torch_batches", "sbert", "fast", "static", "heads", "loading",
        "trial",
    ),
    "storage": (
        "checksum", "files", "failures", "database", "segment", "lock", "store", "seal", "migration", "learned",
        "home",
    ),
    "teaching": ("notebook", "memory", "feedback"),
    "calibration": ("divergence", "logistic", "shipped", "fitting", "fit_file", "calibrate"),
    "upkeep": ("freshness", "default", "removal"),
    "exports": ("form", "contents", "sink", "json_lines", "arrays", "parquet", "reading"),
    "postings": (
        "conditions", "wordings", "filters", "completion", "stored", "terms", "vocabulary", "facets", "values",
        "field", "cache", "union",
    ),
    "indexing": (
        "numbering", "changes", "checkpoint", "compaction", "writer", "embedding", "target", "supply", "update",
        "check", "salvage", "repair",
    ),
    "engines": ("bias", "pieces", "groups", "covariance", "engine", "scan", "local"),
    "cluster": (
        "packing", "address", "urls", "copies", "part", "remote", "placement", "texts", "encoder", "here", "dask",
        "publication",
    ),
    "postgres": (
        "address", "connection", "schema", "rows", "lock", "mirror", "writer", "check", "store", "place", "engine",
        "postings",
    ),
    "opening": ("freshening", "index", "agreement", "union", "latest", "items", "remote"),
    "search": (
        "self_attention", "readout", "spelling", "memory", "setting", "emptied", "scoring", "result", "ranking",
        "search", "weights", "duplicates",
    ),
    "hints": ("names", "negation"),
    "explanation": (
        "phrases", "following", "steps", "several", "words", "matrix", "reasons", "seriation", "heatmap", "cells",
        "map", "saved",
    ),
    "evaluation": ("metrics", "mass", "report", "significance"),
    "learning": (
        "bilinear", "examples", "self_supervision", "cross_validation", "memory", "calibration", "words",
        "acceptance", "curve", "training",
    ),
    "lesson": ("library", "slide", "story", "steps", "variations", "built_in"),
    "output": (
        "safe_text", "columns", "notes", "table", "ranking", "formats", "items", "duplicates", "evaluation",
        "training", "heatmap", "catalogs",
    ),
    "pictures": ("palette", "letters", "reasons", "walkthrough", "matrix", "heatmap", "lesson"),
    "plots": ("texts", "figure", "grid", "heatmap", "matrix", "map", "evaluation", "training"),
    "pages": ("shades", "page", "grid", "figures", "ranking", "heatmap", "evaluation", "training", "lesson"),
    "api": ("arguments", "items", "arrays", "result", "feedback", "index", "update"),
    "wire": ("requests", "results", "catalogs", "mistakes"),
    "agents": ("words", "tools", "schemas", "portions", "overview", "entries", "calls", "server", "stdio", "clients"),
    "serve": ("failures", "batches", "catalogs", "answers", "limits", "guard", "page", "http", "loop", "server"),
    "terminal": (
        "signals", "environment", "streams", "browser", "requests", "progress", "slides", "argv", "completion",
        "catalogs", "options", "setting_options",
    ),
    "commands": (
        "query", "index", "items", "catalogs", "upkeep", "explain", "heatmap", "eval", "train", "feedback", "guide",
        "serve",
    ),
    "cli": ("help", "defaults", "command", "app", "mistakes"),
}  # fmt: skip
ORDER = [
    file for folder, files in HOUSE.items() for file in ([f"{folder}/{name}" for name in files] if files else [folder])
]
FOLDERS = [folder for folder, files in HOUSE.items() if files]
FACES = [f"{folder}/__init__" for folder in FOLDERS]
ROOT = ["__init__", "__main__"]  # the public names and `python -m attnsearch`
DATA = [
    "catalogs",
    "docs",
    "pages/templates",
    "serve/static",
]  # folders without code; only an installed package has the first two
MAX_LINES, MAX_FILES = 300, 12  # of a file, of a folder


class Guest(NamedTuple):
    """A library and its place: the folders or files that may import it, and whether only inside functions."""

    places: set[str]
    lazy: bool = False


GUESTS = {
    "numpy": Guest({"attention", "tokens", "networks", "encoding", "storage", "teaching", "calibration", "exports",
                    "postings", "indexing", "engines", "cluster", "postgres", "opening", "search", "explanation",
                    "evaluation", "learning", "lesson", "plots", "api"}),
    "sqlite3": Guest({"storage", "postings", "indexing", "postgres", "readers/sqlite"}),
    "python_calamine": Guest({"readers/binary_tables"}, lazy=True),
    "pyarrow": Guest({"readers/binary_tables", "exports/parquet"}, lazy=True),
    "backports": Guest({"readers/raw_file"}, lazy=True),  # `backports.zstd`, until Python 3.14 has it itself
    "compression": Guest({"readers/raw_file"}, lazy=True),
    "jinja2": Guest({"pages"}, lazy=True),
    "matplotlib": Guest({"plots"}, lazy=True),
    "rich": Guest({"output", "pictures", "terminal", "commands"}, lazy=True),
    "typer": Guest({"terminal", "commands", "cli"}),
    "yaml": Guest({"syntax/yaml12"}),
    "lxml": Guest({"sources/markup"}, lazy=True),
    "xxhash": Guest({"storage/checksum"}),
    "huggingface_hub": Guest({"models/model"}, lazy=True),
    "tokenizers": Guest({"tokens", "encoding/fast", "encoding/static"}, lazy=True),
    "torch": Guest({"encoding/torch_batches", "encoding/sbert"}, lazy=True),
    "sentence_transformers": Guest({"encoding/sbert"}, lazy=True),
    "transformers": Guest({"encoding/sbert"}, lazy=True),
    "scipy": Guest({"calibration", "explanation/seriation", "evaluation/significance", "learning"}, lazy=True),
    "pandas": Guest({"api/result"}, lazy=True),
    "Stemmer": Guest({"postings/terms"}, lazy=True),
    "rapidfuzz": Guest({"syntax/nearest"}, lazy=True),
    "threadpoolctl": Guest({"threads"}, lazy=True),
    "dask": Guest({"cluster/dask"}, lazy=True),
    "distributed": Guest({"cluster"}, lazy=True),
    "psutil": Guest({"cluster/here"}, lazy=True),
    "fsspec": Guest({"cluster/urls"}, lazy=True),
    "psycopg": Guest({"postgres"}, lazy=True),
    "pgvector": Guest({"postgres"}, lazy=True),
    "pydantic": Guest({"serve", "wire", "agents"}),
    "fastapi": Guest({"serve/http"}),
    "starlette": Guest({"serve", "agents/server"}),
    "uvicorn": Guest({"serve/server"}),
    "mcp": Guest({"agents/server", "agents/stdio"}),
    "mcp_types": Guest({"agents/server", "agents/stdio"}),
    "anyio": Guest({"agents/stdio"}),
    "asyncio": Guest({"serve", "agents"}),
    "socket": Guest({"serve/server"}),
}  # fmt: skip

# Modules of the standard library that no file imports: those that reach the network, which only huggingface_hub may,
# and those that run code from a file on disk.
BANNED = {"asyncio", "ftplib", "http", "smtplib", "socket", "socketserver", "ssl", "urllib", "xmlrpc"} | {
    "dbm", "marshal", "pickle", "runpy", "shelve",
}  # fmt: skip
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
PRINTS = {"print", *STREAMS}
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
MAY_PRINT = {"terminal", "cli", "__main__"}
MAY_READ_KEYS = {"engines", "storage"}


class Import(NamedTuple):
    """One imported module; of `from attnsearch.FOLDER import FILE`, the file."""

    module: str
    line: int
    in_function: bool
    for_typing: bool


def breaches(package: Path = PACKAGE) -> list[str]:
    """Every breach of the house's rules, a line each."""
    paths = {str(path.relative_to(package)): path for path in sorted(package.rglob("*")) if is_content(package, path)}
    files = {name.removesuffix(".py"): path for name, path in paths.items() if name.endswith(".py")}
    allowed = {"py.typed", *(f"{name}.py" for name in (*ORDER, *FACES, *ROOT))}
    lines = [f"{name} is not in the table" for name in paths if name not in allowed]
    lines += [f"{name} is in the table, but there is no such file" for name in (*ORDER, *FACES) if name not in files]
    for folder in FOLDERS:
        count = sum(name.startswith(f"{folder}/") for name in files if name not in FACES)
        if count > MAX_FILES:
            lines.append(f"{folder} has {count} files")
    for name, path in files.items():
        lines += file_breaches(name, path.read_text())
    return lines


def is_content(package: Path, path: Path) -> bool:
    """Whether a path is a file that the table must know: all but data and what Python compiled."""
    place = path.relative_to(package)
    is_data = any(place.is_relative_to(folder) for folder in DATA) and path.suffix != ".py"
    return path.is_file() and "__pycache__" not in place.parts and not is_data


@functools.cache
def file_breaches(name: str, source: str) -> list[str]:
    """Every breach in one file, `name` being its place in the house: "opening/index"."""
    tree = ast.parse(source)
    lines = []
    if (count := len(source.splitlines())) > MAX_LINES:
        lines.append(f"{name} has {count} lines")
    if name in FACES and name != "cli/__init__":  # which is the console script
        lines += [f"{name} {breach}" for breach in face_breaches(name.split("/")[0], tree)]
    for statement in imports(tree):
        lines += [f"{name}:{statement.line} {breach}" for breach in import_breaches(name, statement)]
    for node in ast.walk(tree):
        lines += [f"{name}:{node.lineno} {breach}" for breach in use_breaches(name, node)]
    return lines


def face_breaches(folder: str, tree: ast.Module) -> Iterator[str]:
    """What is wrong with a folder's face: it is a docstring, one sentence and then the files in order, a line each."""
    if len(tree.body) != 1:
        yield "has code"
    contents = [line.split()[0] for line in (ast.get_docstring(tree) or "").splitlines()[2:] if line.strip()]
    if contents != list(HOUSE[folder]):
        yield "does not list its files in the order of the table"


def imports(tree: ast.Module) -> Iterator[Import]:
    """All imports of a file: at its top, in functions, for type checkers."""

    def walk(node: ast.AST, *, in_function: bool, for_typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, in_function, for_typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            modules = [f"{module}.{alias.name}" for alias in node.names] if is_folder(module) else [module]
            yield from (Import(module, node.lineno, in_function, for_typing) for module in modules)
        in_function |= isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.iter_child_nodes(node):
            checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and child in node.body
            yield from walk(child, in_function=in_function, for_typing=for_typing or checked)

    yield from walk(tree, in_function=False, for_typing=False)


def is_folder(module: str) -> bool:
    """Whether a module is the package or one of its folders, from which files are imported by name."""
    return module == "attnsearch" or module in {f"attnsearch.{folder}" for folder in FOLDERS}


def import_breaches(name: str, statement: Import) -> Iterator[str]:
    """What is wrong with one import of the file `name`."""
    library, *path = statement.module.split(".")
    if not library:
        yield "has a relative import"
    elif library == "attnsearch":
        yield from order_breaches(name, "/".join(path), for_typing=statement.for_typing)
    elif library in GUESTS:
        places, lazy = GUESTS[library]
        if not places & {name, name.split("/")[0]}:
            yield f"imports {library}"
        elif lazy and not statement.in_function and not statement.for_typing:
            yield f"imports {library} outside a function"
    elif library in BANNED or library not in sys.stdlib_module_names:
        yield f"imports {library}"


def order_breaches(name: str, target: str, *, for_typing: bool) -> Iterator[str]:
    """What is wrong when the file `name` imports the file `target`."""
    if name in ROOT:
        if name == "__init__" and not for_typing:
            yield f"imports {target}, which every process would load"
    elif target not in (*ORDER, "__version__"):
        yield f"imports {target or 'attnsearch'}, which is not a file of the table"
    elif name in ORDER and target in ORDER and ORDER.index(target) >= ORDER.index(name):
        yield f"imports {target}, which does not come before it"


def use_breaches(name: str, node: ast.AST) -> Iterator[str]:
    """What is wrong with one node of the file `name`, apart from imports."""
    folder = name.split("/")[0]
    match node:
        case ast.Name(id=word) | ast.alias(name=word) if word in PRINTS and folder not in MAY_PRINT:
            yield f"uses {word}"
        case ast.Attribute(attr=word) if word in STREAMS and folder not in MAY_PRINT:
            yield f"uses {word}"
        case ast.Attribute(attr="blocks") if folder not in MAY_READ_KEYS:
            yield "walks the blocks of keys"
        case ast.Call(func=ast.Name(id=word)) if word in RUNS_CODE:
            yield f"calls {word}"
        case ast.keyword(arg="allow_pickle"):
            yield "unpickles"


def test_the_house_follows_its_rules():
    assert breaches() == []


def test_the_table_names_each_file_once():
    assert len(ORDER) == len(set(ORDER))


class TestPlanted:
    """Each rule is broken on purpose in a copy of the house, and the breach is seen."""

    @pytest.fixture
    def copy(self, tmp_path):
        for path in PACKAGE.rglob("*.py"):
            target = tmp_path / path.relative_to(PACKAGE)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
        return tmp_path

    @staticmethod
    def append(copy: Path, file: str, code: str) -> None:
        path = copy / f"{file}.py"
        path.write_text(path.read_text() + code + "\n")

    @pytest.mark.parametrize(
        ("file", "code", "breach"),
        [
            # A file imports only from earlier ones ...
            ("storage/seal", "from attnsearch.opening import index", "imports opening/index, {late}"),
            ("storage/seal", "from attnsearch.opening.index import Index", "imports opening/index, {late}"),
            ("storage/seal", "import attnsearch.opening.index as index", "imports opening/index, {late}"),
            ("storage/seal", "from attnsearch.cli.app import app_for", "imports cli/app, {late}"),
            ("terminal/streams", "from attnsearch.cli import app", "imports cli/app, {late}"),
            ("sources/items", "from attnsearch.sources import items", "imports sources/items, {late}"),
            ("storage/seal", "def f():\n    from attnsearch.opening import index", "imports opening/index, {late}"),
            ("syntax/values", "if TYPE_CHECKING:\n    from attnsearch.sources import items",
             "imports sources/items, {late}"),
            ("opening/index", "try:\n    pass\nfinally:\n    from attnsearch.cli import app",
             "imports cli/app, {late}"),
            # ... by their names.
            ("commands/query", "from attnsearch import search", "imports search, {unknown}"),
            ("commands/query", "from attnsearch import query", "imports query, {unknown}"),
            ("commands/query", "import attnsearch", "imports attnsearch, {unknown}"),
            ("commands/query", "import attnsearch.search", "imports search, {unknown}"),
            ("commands/query", "from attnsearch.search import *", "imports search/*, {unknown}"),
            ("commands/query", "from attnsearch.cli import main", "imports cli/main, {unknown}"),
            ("errors", "import attnsearch.nowhere", "imports nowhere, {unknown}"),
            ("errors", "from .threads import each", "has a relative import"),
            ("search/search", "from . import index", "has a relative import"),
            ("__init__", "from attnsearch.opening.index import Index",
             "imports opening/index, which every process would load"),
            # Guests keep to their places.
            ("sources/items", "import numpy as np", "imports numpy"),
            ("sources/items", "if TYPE_CHECKING:\n    import numpy as np", "imports numpy"),
            ("sources/items", "def f():\n    from numpy.linalg import norm", "imports numpy"),
            ("__init__", "import numpy", "imports numpy"),
            ("opening/index", "import sqlite3", "imports sqlite3"),
            ("output/table", "from rich.table import Table", "imports rich outside a function"),
            ("output/table", "class Row:\n    from rich.table import Table", "imports rich outside a function"),
            ("encoding/encoder", "def f():\n    import torch", "imports torch"),
            ("encoding/sbert", "if not TYPE_CHECKING:\n    import torch", "imports torch outside a function"),
            ("postings/terms", "if TYPE_CHECKING:\n    pass\nelse:\n    import Stemmer",
             "imports Stemmer outside a function"),
            ("commands/query", "def f():\n    import requests", "imports requests"),
            ("models/model", "from urllib.request import urlopen", "imports urllib"),
            ("storage/checksum", "import pickle", "imports pickle"),
            # Only `terminal` and `cli` print, only `engines` and `storage` read the keys, nothing on disk is code.
            ("search/search", "print()", "uses print"),
            ("search/search", "import sys as system\nsystem.stdout.write('')", "uses stdout"),
            ("search/search", "from sys import stderr", "uses stderr"),
            ("learning/examples", "def f(store):\n    return store.blocks()", "walks the blocks of keys"),
            ("opening/index", "def f(store):\n    return map(store.blocks, ())", "walks the blocks of keys"),
            ("storage/checksum", "eval('1')", "calls eval"),
            ("storage/segment", "np.load('x', allow_pickle=True)", "unpickles"),
            # A folder's face is a table of contents.
            ("search/__init__", "QUERY = 1", "has code"),
            ("search/__init__", "from attnsearch.search.search import search", "has code"),
        ],
    )  # fmt: skip
    def test_code(self, copy, file, code, breach):
        self.append(copy, file, code)
        expected = breach.format(late="which does not come before it", unknown="which is not a file of the table")
        assert [re.sub(r":\d+ ", " ", line) for line in breaches(copy)] == [f"{file} {expected}"]

    def test_fat_file(self, copy):
        self.append(copy, "errors", "\n" * MAX_LINES)
        (breach,) = breaches(copy)
        assert re.fullmatch(r"errors has \d+ lines", breach)

    @pytest.mark.parametrize(
        "name",
        ["toml.py", "sources/toml.py", "sources/items/__init__.py", "sources/json/parser.py", "catalogs/items.py",
         "helpers/__init__.py", "syntax/values.pyi", "encoding/fast.so", "sources/README.md"],
    )  # fmt: skip
    def test_file_that_the_table_lacks(self, copy, name):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("")
        assert breaches(copy) == [f"{name} is not in the table"]

    def test_folder_with_too_many_files(self, copy):
        (copy / "readers" / "misc.py").write_text("")
        assert f"readers has {MAX_FILES + 1} files" in breaches(copy)

    @pytest.mark.parametrize("name", ["syntax/values", "sources/__init__", "threads"])
    def test_file_that_is_gone(self, copy, name):
        (copy / f"{name}.py").unlink()
        assert breaches(copy) == [f"{name} is in the table, but there is no such file"]

    @pytest.mark.parametrize(
        "face",
        [
            "",
            '"""The road."""',
            '"""The road.\n\nindex  x\nreadout  x\nsetting  x\nscoring  x\nsearch  x\nresult  x\n"""',
        ],
        ids=["empty", "no contents", "another order"],
    )
    def test_face_that_does_not_list_the_files(self, copy, face):
        (copy / "search" / "__init__.py").write_text(face)
        assert "search/__init__ does not list its files in the order of the table" in breaches(copy)

    def test_data_of_an_installed_package(self, copy):
        for name in ("catalogs/library.yaml", "docs/README.md", "py.typed", "search/__pycache__/index.pyc"):
            (copy / name).parent.mkdir(exist_ok=True)
            (copy / name).write_text("")
        assert breaches(copy) == []
