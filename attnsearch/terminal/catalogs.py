"""Which catalogs a command line names, and which it means when it names none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from attnsearch.errors import CatalogError
from attnsearch.sources.letters import normalize_text
from attnsearch.terminal.completion import complete_catalog

CatalogRef = Annotated[
    str,
    typer.Argument(metavar="NAME|FILE", show_default=False, autocompletion=complete_catalog, help="A catalog."),
]
CatalogRefs = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME|FILE...",
        show_default=False,
        autocompletion=complete_catalog,
        help="One or more catalogs.",
    ),
]


def asked_catalog(ref: str | None) -> str:
    """The catalog that -c names, else the default one. Raises InputError and CatalogError as `default_catalog` does.

    Only people on a terminal are asked to make do with a warning when that is not clear.
    """
    from attnsearch.upkeep.default import default_catalog

    return ref or default_catalog(is_terminal=sys.stdout.isatty())


def indexed_folder(ref: str) -> Path:
    """The folder of a catalog. Raises CatalogError if it is not indexed yet, though it could be."""
    from attnsearch.storage import home
    from attnsearch.storage.files import quoted

    folder, _ = home.find_catalog(ref)
    unnamed = None if normalize_text(ref) == folder.name else home.file_catalog_folder(Path(ref).expanduser())
    if unnamed and unnamed != folder and home.catalog_exists(unnamed):
        hint = f"say {quoted(folder.name)}, or {unnamed.name} for the one without a name"
        raise CatalogError("two catalogs were made from it", where=ref, hint=hint)
    if not home.catalog_exists(folder):
        raise CatalogError(f"'{ref}' is not indexed yet", hint=f"'attnsearch query TEXT -c {quoted(ref)}' indexes it")
    return folder
