"""No name → the catalog that is asked, and the file that keeps a user's choice: `.default` in the home.

The file holds the name of a catalog, or the absolute path of a file with one, and a line end.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

from attnsearch.errors import CatalogError, InputError
from attnsearch.sources.fields import first_names
from attnsearch.storage import home
from attnsearch.storage.failures import unreadable, writing
from attnsearch.storage.files import DATABASE, check_name, home_folder, open_to_read, quoted, replace_file, sync

_FILE = ".default"  # no catalog's name begins with a dot
_LONGEST = 8_192  # bytes of a path that anything takes
_LISTED = 5  # catalogs, at most, in a message

log = logging.getLogger("attnsearch")


class Choice(NamedTuple):
    """The catalog that is asked when none is named, None if that is not clear; why it is; and the user's own ones."""

    ref: str | None
    why: str
    own: tuple[str, ...] = ()


def default_catalog(*, is_terminal: bool = False, option: str = "-c NAME") -> str:
    """The catalog to ask when none is named: see `choose_default`.

    Of a user with several catalogs and no choice, the built-in library is asked on a terminal, with a warning. Anywhere
    else that is an InputError: a script would be answered from another catalog after a second one is indexed. `option`
    is how a catalog is named.

    Raises CatalogError if the chosen one is gone, or the choice can't be read.
    """
    choice = choose_default()
    if choice.ref is not None:
        return choice.ref
    names = first_names([*map(quoted, choice.own)], _LISTED)
    hint = f"say {option}, or choose a default: attnsearch use NAME"
    if not is_terminal:
        raise InputError(f"which catalog? you have {names}", hint=hint)
    log.warning("asking the built-in library; you have %s: %s", names, hint)
    return "library"


def choose_default() -> Choice:
    """What $ATTNSEARCH_CATALOG says, else `attnsearch use`, else the only catalog of one's own, else the library.

    Catalogs that belong to a file do not count. Raises CatalogError if the chosen one is gone.
    """
    if ref := os.environ.get("ATTNSEARCH_CATALOG"):
        return Choice(ref, "by $ATTNSEARCH_CATALOG")
    if ref := read_default():
        _check_default(ref)
        return Choice(ref, "by 'attnsearch use'")
    own = home.own_catalogs()
    if len(own) > 1:
        return Choice(None, f"you have {len(own):,} catalogs", tuple(own))
    return Choice(own[0], "the only catalog of your own") if own else Choice("library", "built in")


def read_default() -> str | None:
    """The catalog that `store_default` stored: a name, or the absolute path of a file; None if there is none.

    Raises CatalogError for content that it never writes.
    """
    path = home_folder() / _FILE
    try:
        with open_to_read(path) as stream:
            raw = stream.read(_LONGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    if (ref := _parse_default(raw)) is None:
        raise _unusable(path, "does not name a catalog")
    return ref


def _parse_default(raw: bytes) -> str | None:
    """What the file of a default names; None for content that is never written."""
    try:
        ref, end, rest = raw.decode().partition("\n")
        if len(raw) <= _LONGEST and end and not rest and (Path(ref).is_absolute() or check_name(ref) == ref):
            return ref
    except (UnicodeDecodeError, InputError):
        pass
    return None


def stored_default() -> str | None:
    """What `read_default` returns; None, too, if the choice can't be read, which a query says."""
    try:
        return read_default()
    except CatalogError:
        return None


def store_default(ref: str) -> str:
    """Let the catalog `ref` be asked when none is named; returns it as stored: a name, or the path of a file.

    Raises as `find_catalog` does, and CatalogError if the choice can't be stored.
    """
    folder, file = home.find_catalog(ref)
    name = str(file.resolve()) if file and folder.name.startswith("@") else folder.name
    path = home_folder() / _FILE
    raw = os.fsencode(f"{name}\n")
    if _parse_default(raw) != name:
        hint = "rename it, or give its catalog a name: attnsearch index FILE --name NAME"
        raise InputError("a default can't have such a name", where=ref, hint=hint)
    with writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, raw)
    return name


def forget_default() -> None:
    """Forget what `store_default` stored. Raises CatalogError if it can't be deleted."""
    path = home_folder() / _FILE
    with writing(path, "deleted"):
        if path.is_symlink() or path.exists():
            path.unlink(missing_ok=True)
            sync(path.parent)


def _check_default(ref: str) -> None:
    is_file = Path(ref).is_absolute()
    folder = home.file_catalog_folder(Path(ref)) if is_file else home.catalog_folder(ref)
    if not ((folder / DATABASE).exists() or (Path(ref).exists() if is_file else home.built_in_file(ref))):
        raise CatalogError(
            f"the default catalog '{ref}' is gone",
            hint="choose another: attnsearch use NAME, or none: attnsearch use --none",
        )


def _unusable(path: Path, problem: str) -> CatalogError:
    return CatalogError(problem, where=str(path), hint="choose again: attnsearch use NAME, or attnsearch use --none")
