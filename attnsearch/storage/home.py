"""A name or a file → the folder of its catalog; and which catalogs there are."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from attnsearch.errors import CatalogError, InputError
from attnsearch.sources import letters
from attnsearch.storage import lock
from attnsearch.storage.database import Info, read_fields, read_info
from attnsearch.storage.failures import MissingError, OlderError, missing, reading, unreadable, writing
from attnsearch.storage.files import (
    FEEDBACK,
    LEARNED,
    check_name,
    home_folder,
    is_name,
    is_regular,
    quoted,
    refuse_address,
    sync,
)
from attnsearch.syntax import formats
from attnsearch.syntax.nearest import find_nearest

if TYPE_CHECKING:
    from attnsearch.sources.summary import Field

BUILT_IN = ("library", "kitchen", "toolbox")

_PIPE = ".pipe-"
_PIPE_LASTS = 86_400  # seconds: no pipe is read for so long

Opened = TypeVar("Opened")


class Location(NamedTuple):
    """The folder of a catalog, which may not exist yet, and the file that it must agree with; None if no file."""

    folder: Path
    file: Path | None


def catalog_folder(name: str) -> Path:
    """The folder of the catalog called `name`. Raises InputError for an invalid name."""
    return home_folder() / check_name(name)


def file_catalog_folder(file: Path) -> Path:
    """The folder of the catalog that belongs to a file: no catalog can be given its name, and no two files share it."""
    from hashlib import sha256  # OpenSSL, which a query of a named catalog does without

    path = str(file.resolve())
    stem = "".join(c if c.isalnum() else "-" for c in file.stem)[:40]
    return home_folder() / f"@{stem}-{sha256(path.encode(errors='surrogateescape')).hexdigest()[:12]}"


def pipe_folder() -> Path:
    """A folder for the catalog of what comes through a pipe; those that a killed process left behind are deleted."""
    home = home_folder()
    for leftover in home.glob(f"{_PIPE}*"):
        with suppress(OSError):  # gone by now
            if time.time() - leftover.stat().st_mtime > _PIPE_LASTS:
                forget_pipe(leftover)
    return home / f"{_PIPE}{uuid.uuid4().hex}"


def forget_pipe(folder: Path) -> None:
    """Delete the catalog of a pipe, which nobody else knows; a process that has it open finishes undisturbed."""
    shutil.rmtree(folder, ignore_errors=True)


def built_in_file(name: str) -> Path | None:
    """The file of a built-in catalog: inside the package, or beside it in a checkout. None if it is not built in."""
    if name not in BUILT_IN:
        return None
    package = Path(__file__).resolve().parents[1]
    folders = (package / "catalogs", package.parent / "catalogs")
    return next((file for folder in folders if (file := folder / f"{name}.yaml").is_file()), None)


def catalog_folders() -> list[Path]:
    """The folders of all catalogs, ordered by name. Raises CatalogError if the home can't be read."""
    return [folder for folder in named_folders() if catalog_exists(folder)]


def named_folders() -> list[Path]:
    """All in the home that a catalog may be called, ordered by name. Raises CatalogError if the home can't be read."""
    try:
        folders = sorted(folder for folder in home_folder().iterdir() if not folder.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(home_folder(), error) from None
    return folders


def catalog_exists(folder: Path) -> bool:
    """Whether a catalog was ever committed there, even if it is damaged now."""
    try:
        _read_info(folder)
    except MissingError:
        return False
    except CatalogError:
        return True
    return True


def read_catalog_info(folder: Path) -> Info:
    """The catalog's info, without a look at its keys. Raises CatalogError as `Store` does."""
    return open_migrated(folder, _read_info)


def open_migrated(folder: Path, opener: Callable[[Path], Opened]) -> Opened:
    """What `opener` makes of the catalog; one of an older form is converted first. Raises as `opener` does."""
    try:
        return opener(folder)
    except OlderError:
        from attnsearch.storage import migration

        migration.migrate(folder)
        return opener(folder)


def read_catalog_fields(folder: Path) -> list[Field]:
    """What the catalog knows of its fields, without a look at its keys. Raises CatalogError, also for an older form."""
    with closing(lock.connect_to_read(folder)) as db, reading(folder):
        db.execute("BEGIN")
        if read_info(db, folder) is None:
            raise missing(folder)
        return read_fields(db)


def _read_info(folder: Path) -> Info:
    with closing(lock.connect_to_read(folder)) as db, reading(folder):
        info = read_info(db, folder)
    if info is None:
        raise missing(folder)
    return info


def find_catalog(ref: str) -> Location:
    """Where the catalog `ref` is: `ref` is a name if there is such a catalog, else a file; `./x` is always a file.

    A file that is gone has its catalog still. Raises InputError if `ref` looks like a file but is none, and has no
    catalog, or for an address; CatalogError if there is no catalog of that name.
    """
    refuse_address(ref)
    path = Path(ref)
    try:
        path = path.expanduser()
        is_path = ref.startswith("~") or any(sep in ref for sep in (os.sep, os.altsep) if sep)
        if not is_path and not ref.startswith(".") and (named := find_named(ref)):
            return named
        if path.is_file():
            return Location(_catalog_made_from(path) or file_catalog_folder(path), path)
        exists = path.exists()
        of_gone_file = None if exists else _catalog_of_gone_file(path)
        if of_gone_file:
            return Location(of_gone_file, None)
    except PermissionError as error:
        raise InputError(f"can't be read: {error.strerror}", where=ref) from None
    except (OSError, RuntimeError, UnicodeEncodeError):  # a name too long, or no name at all; an unknown ~user
        exists = is_path = False
    if exists or is_path or path.suffix.lower() in formats.SUFFIXES:
        problem = "is a folder" if path.is_dir() else "is not a regular file" if exists else "no such file"
        hint = "'attnsearch index' makes a catalog of it" if path.is_dir() else _suggest_name(ref)
        raise InputError(problem, where=ref, hint=hint or "name a file or a catalog")
    hint = _suggest_name(ref) or "'attnsearch list' shows what there is"
    raise CatalogError(f"there is no catalog '{ref[:100]}'", hint=hint)


def find_named(name: str) -> Location | None:
    """Where the catalog of this name is, with its file if it is built in; None if there is none.

    The name is no path: the caller sees to that.
    """
    folder, built_in = home_folder() / name, built_in_file(name)
    if not catalog_exists(folder):  # the name may be decomposed, as some systems write it
        folder = home_folder() / letters.normalize_text(name)
    if catalog_exists(folder):
        return Location(folder, built_in if built_in and _is_made_from(folder, built_in) else None)
    return Location(folder, built_in) if built_in else None


def _suggest_name(ref: str) -> str:
    """Which catalog may be meant: one of a name like that, whatever its case, or of a file of that name elsewhere."""
    names = {name.casefold(): name for name in BUILT_IN}
    for folder, info in catalog_infos():
        if not folder.name.startswith("@"):
            names[folder.name.casefold()] = folder.name
        elif isinstance(info, Info) and Path(info.name).name == Path(ref).name:
            return f"did you mean '{info.name}'?"
    near = find_nearest(ref.casefold(), names)
    return f"did you mean '{names[near[0]]}'?" if near else ""


def _catalog_of_gone_file(file: Path) -> Path | None:
    """The folder of the catalog of a file that is not there any more; None if there is none."""
    unnamed = file_catalog_folder(file)
    return _catalog_made_from(file) or (unnamed if catalog_exists(unnamed) else None)


def _catalog_made_from(file: Path) -> Path | None:
    """The folder of the catalog with a name that holds just what the file has; None if there is none.

    Raises CatalogError if there are several.
    """
    path = str(file.resolve())
    folders = []
    for folder in catalog_folders():
        with suppress(CatalogError):  # whatever can't be read, or is of an older form, is not known to be of the file
            info = _read_info(folder)
            if not folder.name.startswith("@") and info.is_exact and [source.path for source in info.sources] == [path]:
                folders.append(folder)
    if len(folders) > 1:
        names = [folder.name for folder in folders]
        message = f"{len(names)} catalogs were made from it: {', '.join(names)}"
        raise CatalogError(message, where=str(file), hint=f"say which: -c {quoted(names[0])}")
    return folders[0] if folders else None


def name_file_catalog(file: Path, folder: Path) -> None:
    """Give the catalog that belongs to a file a name, unless there is one of that name: it moves to `folder`.

    So what a query embedded is not embedded again, and its feedback stays with it, even that of a removed one. Raises
    CatalogError.
    """
    unnamed = file_catalog_folder(file)
    if folder.exists() or not (taught_files(unnamed) or catalog_exists(unnamed)):
        return
    with writing(unnamed, "renamed"), lock.guarding(unnamed):
        held = lock.acquire_if_whole(unnamed, create=True)
        with closing(held) if held else nullcontext():
            unnamed.rename(folder)
            sync(folder.parent)


def taught_files(folder: Path) -> list[str]:
    """Which of the files that people made, with judgments or by training, a catalog's folder has."""
    return [name for name in (FEEDBACK, LEARNED) if is_regular(folder / name)]


def catalog_infos() -> Iterator[tuple[Path, Info | CatalogError]]:
    """The folder of every catalog, with its info, or with the error if that can't be read."""
    for folder in catalog_folders():
        try:
            yield folder, read_catalog_info(folder)
        except MissingError:
            pass  # removed since we looked
        except CatalogError as error:
            yield folder, error


def has_catalog_of(identity: str) -> bool:
    """Whether the home has a catalog that the encoder of this identity made."""
    infos = [info for _, info in catalog_infos() if isinstance(info, Info)]
    return any(identity in (info.identity, *(head.identity for head in info.heads)) for info in infos)


def own_catalogs() -> list[str]:
    """The names of a user's own catalogs, even of those that can't be read now; none of a file, none built in."""
    return [
        folder.name
        for folder, info in catalog_infos()
        if is_name(folder.name)
        and not (_is_built_in(folder, info) if isinstance(info, Info) else folder.name in BUILT_IN)
    ]


def displayed_name(folder: Path, info: Info) -> str:
    """What a catalog is called now: its folder, which may have been renamed; a file's catalog by the file."""
    return info.name if folder.name.startswith("@") else folder.name


def command_to_index(folder: Path, info: Info, *, keep: bool = False) -> str:
    """The command that indexes a catalog again, from the same sources and under the same name; with --keep if asked."""
    import shlex  # which a query does without

    paths = [source.path for source in info.sources]
    name = displayed_name(folder, info)
    names = [] if len(paths) == 1 and Path(paths[0]).stem == name else ["--name", name]
    return shlex.join(["attnsearch", "index", *paths, *names, *["--keep"] * keep])


def _is_built_in(folder: Path, info: Info) -> bool:
    file = built_in_file(folder.name)
    return file is not None and [source.path for source in info.sources] == [str(file)]


def _is_made_from(folder: Path, file: Path) -> bool:
    return [source.path for source in read_catalog_info(folder).sources] == [str(file)]
