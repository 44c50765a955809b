"""A name or a file → the folder of its catalog; and what catalogs there are."""

from __future__ import annotations

import difflib
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from attnsearch.errors import CatalogError, InputError
from attnsearch.sources import records
from attnsearch.storage import lock
from attnsearch.storage.database import Info, Source, connect_to_read, read_info
from attnsearch.storage.failures import MissingError, OlderError, missing, reading, writing
from attnsearch.storage.files import DATABASE, sync

BUILT_IN = ("library", "kitchen", "toolbox")

_NAME = re.compile(r"\w([\w .-]{0,62}\w)?")

Read = TypeVar("Read")

log = logging.getLogger("attnsearch")


def home_folder() -> Path:
    """Where catalogs are kept: $ATTNSEARCH_HOME, else $XDG_DATA_HOME/attnsearch, else ~/.local/share/attnsearch."""
    if own := os.environ.get("ATTNSEARCH_HOME"):
        return Path(own).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "attnsearch"


def catalog_folder(name: str) -> Path:
    """The folder of the catalog called `name`."""
    return home_folder() / check_name(name)


def file_catalog_folder(file: Path) -> Path:
    """The folder of the catalog that a file is by itself: no name can be that, and no two files share it."""
    from hashlib import sha256  # OpenSSL, which a query of a named catalog has no need of

    path = str(file.resolve())
    stem = "".join(c if c.isalnum() else "-" for c in file.stem)[:40]
    return home_folder() / f"@{stem}-{sha256(path.encode(errors='surrogateescape')).hexdigest()[:12]}"


def check_name(name: str) -> str:
    """`name`, when it can be a catalog's: letters, digits, spaces, `.`, `_` and `-`, at most 64, no dot first."""
    if not _NAME.fullmatch(name):
        hint = "use letters, digits, spaces, '.', '_' and '-', at most 64 of them"
        raise InputError(f"{name!r} can't be a catalog's name", hint=hint)
    return name


def built_in_file(name: str) -> Path | None:
    """The file of a catalog that comes with the package: inside it, or beside it in a checkout."""
    if name not in BUILT_IN:
        return None
    package = Path(__file__).resolve().parents[1]
    places = (package / "catalogs", package.parent / "catalogs")
    return next((file for place in places if (file := place / f"{name}.yaml").is_file()), None)


def catalog_folders() -> list[Path]:
    """The folders of all catalogs, by name."""
    try:
        return [folder for folder in sorted(home_folder().glob("[!.]*")) if catalog_exists(folder)]
    except OSError as error:
        raise CatalogError(f"can't be read: {error.strerror}", where=str(home_folder())) from None


def catalog_exists(folder: Path) -> bool:
    """Whether a catalog was ever committed there, whole or damaged since."""
    try:
        _read(folder)
    except MissingError:
        return False
    except CatalogError:
        return True
    return True


def read_catalog_info(folder: Path) -> Info:
    """What the catalog says about itself, without a look at its keys. Raises CatalogError as `Store` does."""
    return open_migrated(folder, _read)


def open_migrated(folder: Path, read: Callable[[Path], Read]) -> Read:
    """What `read` makes of the catalog, which is brought to this form first if it is of an older one."""
    try:
        return read(folder)
    except OlderError:
        from attnsearch.storage import migration

        migration.migrate(folder)
        return read(folder)


def _read(folder: Path) -> Info:
    with closing(connect_to_read(folder)) as db, reading(folder):
        info = read_info(db, folder)
    if info is None:
        raise missing(folder)
    return info


def find_catalog(ref: str) -> tuple[Path, Path | None]:
    """The folder of the catalog `ref`, and the file that it must agree with, if there is one.

    A name is tried before a file; `./x` is always a file. Raises InputError for a file, CatalogError for a name
    that is not there.
    """
    path = Path(ref)
    try:
        path = path.expanduser()
        is_path = ref.startswith("~") or any(sep in ref for sep in (os.sep, os.altsep) if sep)
        if not is_path and not ref.startswith("."):
            folder, own = home_folder() / ref, built_in_file(ref)
            if catalog_exists(folder):
                return folder, own if own and _is_from(folder, own) else None
            if own:
                return folder, own
        if path.is_file():
            return file_catalog_folder(path), path
        there = path.exists()
    except (OSError, RuntimeError):  # a name too long for the file system; a ~user who is none
        there = is_path = False
    if there or is_path or path.suffix.lower() in records.SUFFIXES:
        what = "is a folder" if path.is_dir() else "is no regular file" if there else "no such file"
        raise InputError(what, where=ref, hint="-c takes a file or a name")
    known = [folder.name for folder in catalog_folders()] + list(BUILT_IN)
    near = difflib.get_close_matches(ref, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "'attnsearch list' shows what there is"
    raise CatalogError(f"there is no catalog '{ref[:100]}'", hint=hint)


def catalog_infos() -> Iterator[tuple[Path, Info | CatalogError]]:
    """Every catalog's folder, with its info, or with what is wrong with it."""
    for folder in catalog_folders():
        try:
            yield folder, read_catalog_info(folder)
        except CatalogError as error:
            yield folder, error


def default_catalog() -> str:
    """The catalog that is meant when none is named: see `Index.open`."""
    if named := os.environ.get("ATTNSEARCH_CATALOG"):
        return named
    own = [
        info.name
        for folder, info in catalog_infos()
        if isinstance(info, Info) and not folder.name.startswith("@") and not _is_built_in(info)
    ]
    if len(own) > 1:
        log.warning("asking the built-in library; for another catalog say -c %s", " or -c ".join(own))
    return own[0] if len(own) == 1 else "library"


def fingerprint_source(file: str) -> Source:
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
    file = built_in_file(info.name)
    return file is not None and [source.path for source in info.sources] == [str(file)]


def _is_from(folder: Path, file: Path) -> bool:
    return [source.path for source in read_catalog_info(folder).sources] == [str(file)]


def remove_catalog(folder: Path) -> None:
    """Delete a catalog: at once for every later reader, while those that have it open finish undisturbed."""
    if not (folder / DATABASE).exists():
        raise missing(folder)
    with writing(folder, "removed"):
        taken = lock.acquire_if_whole(folder)
        away = folder.with_name(f".removed-{uuid.uuid4().hex}")
        folder.rename(away)
        sync(folder.parent)  # or a power cut could bring the name back, and not all of the files
        if taken:
            taken.close()
    for left in folder.parent.glob(".removed-*"):
        shutil.rmtree(left, ignore_errors=True)
