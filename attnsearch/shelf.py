"""A name or a file → the folder of its catalog; and what catalogs there are."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from attnsearch import catalog, records, store
from attnsearch.errors import CatalogError, InputError
from attnsearch.store import Info, Source, Store

log = logging.getLogger("attnsearch")


def find(ref: str) -> tuple[Path, Path | None]:
    """The folder of the catalog `ref`, and the file that it must agree with, if there is one.

    A name is tried before a file; `./x` is always a file. Raises InputError for a file, CatalogError for a name
    that is not there.
    """
    path = Path(ref)
    try:
        path = path.expanduser()
        is_path = ref.startswith("~") or any(sep in ref for sep in (os.sep, os.altsep) if sep)
        if not is_path and not ref.startswith("."):
            folder, built_in = store.home() / ref, catalog.built_in(ref)
            if store.exists(folder):
                return folder, built_in if built_in and _is_from(folder, built_in) else None
            if built_in:
                return folder, built_in
        if path.is_file():
            return store.folder_of_file(path), path
        there = path.exists()
    except (OSError, RuntimeError):  # a name too long for the file system; a ~user who is none
        there = is_path = False
    if there or is_path or path.suffix.lower() in records.FORMS:
        what = "is a folder" if path.is_dir() else "is no regular file" if there else "no such file"
        raise InputError(what, where=ref, hint="-c takes a file or a name")
    known = [folder.name for folder in store.folders()] + list(catalog.BUILT_IN)
    near = difflib.get_close_matches(ref, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "'attnsearch list' shows what there is"
    raise CatalogError(f"there is no catalog '{ref[:100]}'", hint=hint)


def infos() -> Iterator[tuple[Path, Info | CatalogError]]:
    """Every catalog's folder, with its info, or with what is wrong with it."""
    for folder in store.folders():
        try:
            with Store(folder) as opened:
                yield folder, opened.info
        except CatalogError as error:
            yield folder, error


def default() -> str:
    """The catalog that is meant when none is named: see `Index.open`."""
    if named := os.environ.get("ATTNSEARCH_CATALOG"):
        return named
    own = [
        info.name
        for folder, info in infos()
        if isinstance(info, Info) and not folder.name.startswith("@") and not _is_built_in(info)
    ]
    if len(own) > 1:
        log.warning("asking the built-in library; for another catalog say -c %s", " or -c ".join(own))
    return own[0] if len(own) == 1 else "library"


def source(file: str) -> Source:
    """Where a file lies, and what it holds now. Raises InputError where it can't be read."""
    path = Path(file)
    if file == "-" or not path.is_file():
        return Source(file, None)
    from hashlib import file_digest

    try:
        with path.open("rb") as stream:
            return Source(str(path.resolve()), file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", where=file) from None


def _is_built_in(info: Info) -> bool:
    file = catalog.built_in(info.name)
    return file is not None and [source.path for source in info.sources] == [str(file)]


def _is_from(folder: Path, file: Path) -> bool:
    with Store(folder) as opened:
        return [source.path for source in opened.info.sources] == [str(file)]
