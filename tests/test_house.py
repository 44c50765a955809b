"""The table of rooms is a total order: a room imports only from rooms above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import attnsearch

PACKAGE = Path(attnsearch.__file__).parent
ROOMS = [
    "errors",
    "values",
    "threads",
    "checksum",
    "yaml12",
    "strict_json",
    "records",
    "catalog",
    "judgments",
    "metrics",
    "attention",
    "projections",
    "nothing",
    "transformer",
    "model",
    "shares",
    "sbert",
    "encoder",
    "passages",
    "lexical",
    "filters",
    "facets",
    "segment",
    "learned",
    "ledger",
    "store",
    "lock",
    "postings",
    "migration",
    "draft",
    "comparison",
    "compaction",
    "seal",
    "writer",
    "shelf",
    "feedback",
    "intake",
    "damage",
    "repair",
    "index",
    "bias",
    "readout",
    "scan",
    "search",
    "explain",
    "reasons",
    "evaluation",
    "bilinear",
    "lesson",
    "trial",
    "calibration",
    "gate",
    "spans",
    "training",
    "plain",
    "notes",
    "render",
    "shading",
    "scorecard",
    "cli",
]
# What each heavy or outward library may be imported by; and whether only inside a function.
ALLOWED = {
    "yaml": ({"yaml12"}, False),
    "numpy": ({"attention", "projections", "transformer", "shares", "sbert", "encoder", "passages", "segment", "ledger",
               "store", "migration", "draft", "compaction", "writer", "damage", "repair", "search", "explain",
               "reasons", "metrics", "evaluation", "training", "lexical", "facets", "postings", "bias", "readout",
               "nothing", "scan", "learned", "bilinear", "lesson", "trial", "calibration",
               "gate", "spans"}, False),
    "sqlite3": ({"ledger", "store", "lock", "migration", "comparison", "compaction", "seal", "writer", "damage",
                 "repair", "lexical", "facets", "postings"}, False),
    "xxhash": ({"checksum"}, False),
    "typer": ({"cli"}, False),
    "rich": ({"render", "shading", "cli"}, True),
    "sentence_transformers": ({"sbert"}, True),
    "transformers": ({"sbert"}, True),
    "huggingface_hub": ({"model"}, True),
    "tokenizers": ({"encoder"}, True),
    "scipy": ({"evaluation", "bilinear", "calibration"}, True),
    "torch": ({"sbert"}, True),
    "bm25s": ({"lexical"}, True),
    "Stemmer": ({"lexical"}, True),
}  # fmt: skip
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "catalogs")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every module that a file imports at run time, and whether at its top level."""
    tree = ast.parse(path.read_text())
    found = []

    def walk(node: ast.AST, *, top: bool) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "attnsearch":
                found.extend((f"attnsearch.{alias.name}", top) for alias in node.names)
            else:
                found.append((node.module or "", top))
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            walk(child, top=top and not inside)

    walk(tree, top=True)
    return found


def test_every_file_is_a_room():
    assert {room(path) for path in FILES} - {"__init__", "__main__"} <= set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_above(path):
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] == "attnsearch" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] == here or ROOMS.index(parts[1]) < ROOMS.index(here), f"{here} imports {parts[1]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path):
    for module, top in imports(path):
        library = module.split(".")[0]
        if library in ALLOWED:
            rooms, inside_only = ALLOWED[library]
            assert room(path) in rooms, f"{room(path)} imports {library}"
            assert not (top and inside_only), f"{room(path)} imports {library} at its top"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    if room(path) in ("cli", "__main__"):
        return
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "print" not in names
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"sys.stdout", "sys.stderr", "sys.stdout.write"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_are_small(path):
    assert len(path.read_text().splitlines()) <= 305


@pytest.mark.parametrize("name", ["pickle", "marshal", "shelve", "eval", "exec"])
def test_nothing_on_disk_is_code(name):
    for path in FILES:
        tree = ast.parse(path.read_text())
        assert name not in {module.split(".")[0] for module, _ in imports(path)}
        called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")}
        assert name not in called
