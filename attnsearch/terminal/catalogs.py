"""Which catalogs a command line names, and which it means when it names none."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.errors import AttnsearchError, CatalogError, InputError
from attnsearch.sources.letters import normalize_text
from attnsearch.storage.files import is_address
from attnsearch.terminal.completion import complete_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from attnsearch.indexing.embedding import Progress
    from attnsearch.opening.index import Index
    from attnsearch.opening.remote import SharedCluster
    from attnsearch.syntax.formats import Reading


def catalog_argument(text: str, metavar: str = "NAME|FILE") -> Any:
    """The argument that names a catalog, with this help."""
    return typer.Argument(metavar=metavar, autocompletion=complete_catalog, help=text)


CatalogRef = Annotated[str, catalog_argument("A catalog.")]
CatalogRefs = Annotated[list[str], catalog_argument("One or more catalogs.", "NAME|FILE...")]


def asked_catalog(ref: str | None, *, option: str = "-c NAME") -> str:
    """The catalog that `option` names, else the default one. Raises as `default_catalog` does.

    When several could be meant, only a terminal is answered, with a warning.
    """
    from attnsearch.upkeep.default import default_catalog

    return ref or default_catalog(is_terminal=sys.stdout.isatty(), option=option)


def taught_catalog(ref: str | None) -> str:
    """The catalog that a command teaches: see `asked_catalog`. Raises InputError for a pipe, of which nothing stays."""
    catalog = asked_catalog(ref)
    if catalog == "-":
        hint = "give its items a name first: attnsearch index - --name NAME"
        raise InputError("what is read from standard input can't be taught", hint=hint)
    return catalog


def open_shared_cluster(on: str | None, deadline: float) -> SharedCluster | None:
    """The cluster at the address `on`, for a server; see `asked_cluster`.

    An answer of it may take `deadline` seconds. Raises as `cluster.dask.Cluster` does.
    """
    on = asked_cluster(on)
    if not on:
        return None
    from attnsearch.opening.remote import SharedCluster

    return SharedCluster(on, deadline=deadline)


def open_index(
    refs: Sequence[str],
    reading: Reading | None = None,
    *,
    on: str | None = None,
    timeout: float = DEADLINE,
    offline: bool,
    progress: Progress | None,
) -> Index:
    """The catalogs that -c names, as one; without any, the default one. Raises as `asked_catalog` and `Index.open` do.

    `reading` is how a file is read that is indexed first, `on` the address of a cluster that is to compare the keys;
    without it, this is the one of the environment. `timeout` is how many seconds an answer of that may take. Raises as
    `use_cluster` does, and InputError for a `timeout` that is not above 0.
    """
    from attnsearch.syntax.formats import AS_FOUND

    reading, on = reading or AS_FOUND, asked_cluster(on)
    if not 0 < timeout < math.inf:  # NaN included
        raise InputError(f"invalid --timeout {timeout:g}", hint="give it seconds above 0, such as 60")
    if on and "-" in refs:
        hint = "give its items a name first: attnsearch index - --name NAME"
        raise InputError("what is read from standard input is on this machine only", hint=hint)
    index: Index
    if len(refs) > 1:
        from attnsearch.opening.union import open_catalogs

        index = open_catalogs(refs, reading=reading, offline=offline, vectors=not on, progress=progress)
    else:
        from attnsearch.opening.index import Index

        ref = asked_catalog(refs[0] if refs else None)
        if on and is_address(ref):
            hint = "ask it without --on; if ATTNSEARCH_ON is set, with --on ''"
            raise InputError("a catalog in a database is compared by its server", hint=hint)
        index = Index.open(ref, reading=reading, offline=offline, vectors=not on, progress=progress)
        index.limit_answers(timeout)
    if on:
        from attnsearch.opening.remote import use_cluster

        try:
            use_cluster(index, on, timeout)
        except BaseException:
            index.close()
            raise
    return index


def asked_cluster(on: str | None) -> str | None:
    """The address of the cluster that --on names, else that of the environment, if there is one; "" names none.

    Raises as `check_address` does, before a model is loaded.
    """
    if on is None:
        on = os.environ.get("ATTNSEARCH_ON")
    if on:
        from attnsearch.cluster.address import check_address

        check_address(on)
    return on


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


def refuse_catalog_file(out: str | None, parameters: Mapping[str, Any]) -> None:
    """Raise InputError if the file of --out is part of a catalog, or one that a catalog of this command was made from.

    Only a regular file that is there already can be one. The catalogs are those that `parameters` name.
    """
    if out is None or not Path(out).is_file():
        return
    from attnsearch.storage import home
    from attnsearch.storage.files import home_folder
    from attnsearch.upkeep.default import choose_default

    target, hint = Path(os.path.realpath(out)), "write to another file"
    base = Path(os.path.realpath(home_folder()))
    if target.is_relative_to(base):
        first, *rest = target.relative_to(base).parts
        if first.startswith(".") or (rest and (home.catalog_exists(base / first) or home.taught_files(base / first))):
            raise InputError("belongs to a catalog", where=out, hint=hint)
    for ref in _named_catalogs(parameters):
        with suppress(AttnsearchError):  # the command itself says so
            folder, _ = home.find_catalog(ref or choose_default().ref or "library")
            info = home.read_catalog_info(folder)
            if str(target) in [source.path for source in info.sources]:
                name = home.displayed_name(folder, info)
                break
    else:
        return
    raise InputError(f"the catalog '{name}' was made from it", where=out, hint=hint)


def _named_catalogs(parameters: Mapping[str, Any]) -> Iterator[str | None]:
    """The catalogs that the parameters of a command name; None stands for the default one."""
    for name in ("catalog", "ref", "refs"):
        if name in parameters:
            value = parameters[name]
            yield from value if isinstance(value, (list, tuple)) and value else [value or None]
