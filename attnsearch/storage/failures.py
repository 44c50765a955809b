"""What the system reports → the errors that people read: missing, older, damaged, closed, busy, forbidden.

Damage is only what a checksum, a parser or SQLite says of bytes. A file that can't be opened may be intact.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attnsearch.errors import AttnsearchError, CatalogError, InputError
from attnsearch.storage.files import (
    DATABASE,
    FEEDBACK,
    LEARNED,
    LONGEST_NAME,
    POSTINGS,
    SEAL,
    SEGMENTS,
    open_to_read,
    quoted,
    shown_name,
)

_LONGEST_PATH = 500  # bytes of a path that SQLite takes, with room for the ends of its own files' names

# What SQLite reports about the system rather than about the bytes of a database.
_SYSTEM = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_ABORT,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_AUTH,
}

DAMAGE = (sqlite3.Error, ValueError, LookupError, TypeError, OverflowError, OSError)
"""The errors that reading damaged data may raise."""


class MissingError(CatalogError):
    """Nothing was ever committed there."""


class OlderError(CatalogError):
    """The catalog has an older form, which `migration` converts."""


class BusyError(CatalogError):
    """Another process is changing the catalog."""


class DamagedError(CatalogError):
    """Something in the catalog's folder is not what was written."""


class ChangedError(CatalogError):
    """A file of the state that is open is gone, since a commit made another: only who opens that one can go on."""


class ClosedError(InputError, ValueError):
    """The catalog was closed before it was asked: the caller's mistake, as Python says it of a file."""


def missing(folder: Path) -> MissingError:
    """The error for a folder without a catalog."""
    hint = "'attnsearch list' shows what there is; 'attnsearch index FILE' adds to it"
    return MissingError(f"there is no catalog '{folder.name}'", hint=hint)


def closed(folder: Path) -> ClosedError:
    """The error for asking a catalog that was closed."""
    return ClosedError("the index is closed", where=folder.name, hint="open it again")


def changed(name: str) -> ChangedError:
    """The error for a catalog whose files are others by now than those of the state that is open."""
    return ChangedError("the catalog changed while it was asked", where=name, hint="ask again")


def damaged(folder: Path, problem: str) -> DamagedError:
    """The error for a damaged catalog; `problem` says which part, and how."""
    hint = f"run 'attnsearch check {quoted(folder.name)} --repair'"
    return DamagedError(f"the catalog is damaged: {problem}", where=folder.name, hint=hint)


def unreadable(folder: Path, error: OSError | sqlite3.Error, action: str = "read") -> CatalogError:
    """The error for a catalog that the system does not let us read, whatever its bytes are."""
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
    elif _primary_code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        reason = _why_not_opened(folder / DATABASE) or str(error)
    else:
        reason = str(error)
    hint = whose(folder) if reason == os.strerror(errno.EACCES) else ""
    return CatalogError(f"can't be {action}: {reason}", where=str(folder), hint=hint)


def whose(path: Path) -> str:
    """What to do about a path that this user may not open: whose it is, or whose the folder is that hides it."""
    for place in (path, *path.parents):
        with suppress(OSError, KeyError, NotImplementedError):  # hidden; a user without a name; a system without users
            return f"it belongs to {place.owner()}; set ATTNSEARCH_HOME to a folder of your own"
    return ""


def _why_not_opened(file: Path) -> str:
    """Why SQLite, which does not say, could not open a file; empty if we don't know either."""
    if len(os.fsencode(file.absolute())) > _LONGEST_PATH:
        return f"its path is longer than the {_LONGEST_PATH} bytes that SQLite takes"
    try:
        with file.open("rb"):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def refuse_forbidden(folder: Path) -> None:
    """Raise CatalogError if we may not read a file of the catalog: whether it is damaged can't be known then."""
    paths = [folder / name for name in (DATABASE, f"{DATABASE}-wal", SEAL, LEARNED, FEEDBACK)]
    try:
        for subfolder in (folder / SEGMENTS, folder / POSTINGS):
            paths += subfolder.iterdir() if subfolder.is_dir() else ()
        for path in paths:
            with suppress(FileNotFoundError):
                open_to_read(path, follow_links=True).close()
    except PermissionError as error:
        raise unreadable(Path(str(error.filename)), error) from None
    except OSError:
        pass  # the check of that file says what is wrong


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to open something of a catalog into CatalogError; MissingError if it is gone."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if not _exists(folder / DATABASE):
            raise missing(folder) from None
        raise unreadable(folder, error, "opened") from None


def _exists(file: Path) -> bool:
    """Whether there is such a file, as far as we may know."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return len(os.fsencode(file.parent.name)) <= LONGEST_NAME
    return True


def busy(folder: Path) -> BusyError:
    """The error for a catalog that another process is changing."""
    hint = "try again when it is done"
    return BusyError("another attnsearch is writing to it", where=shown_name(folder), hint=hint)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn the errors that parsing damaged data raises into DamagedError.

    What SQLite reports of the system becomes CatalogError. An OSError passes, and so does sqlite3.ProgrammingError:
    using a closed catalog is the caller's mistake, not damage.
    """
    try:
        with _reporting_invalid_text(folder):
            yield
    except (AttnsearchError, sqlite3.ProgrammingError):
        raise
    except (sqlite3.Error, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        if isinstance(error, sqlite3.Error) and is_of_the_system(error):
            raise unreadable(folder, error) from None
        raise damaged(folder, str(error)) from None


@contextmanager
def writing(folder: Path, action: str = "written") -> Iterator[None]:
    """Turn the errors of writing into CatalogError: the catalog is busy, damaged, or "can't be `action`"."""
    try:
        with _reporting_invalid_text(folder):
            yield
    except sqlite3.Error as error:
        if is_busy(error):
            raise busy(folder) from None
        if _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged(folder, str(error)) from None
        raise unreadable(folder, error, action) from None
    except OSError as error:
        raise unreadable(folder, error, action) from None


@contextmanager
def _reporting_invalid_text(folder: Path) -> Iterator[None]:
    """Turn Python's error for text in the database that is not UTF-8 into DamagedError."""
    try:
        yield
    except UnicodeDecodeError:  # even SQLite's own message may quote such text
        raise damaged(folder, f"{DATABASE} holds text that is not UTF-8") from None


def is_busy(error: sqlite3.Error) -> bool:
    """Whether SQLite reports that another process holds the lock."""
    return _primary_code(error) == sqlite3.SQLITE_BUSY


def is_full(error: sqlite3.Error) -> bool:
    """Whether SQLite reports a disk that takes nothing more; some of its files it only fails to extend."""
    return _primary_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def is_of_the_system(error: sqlite3.Error) -> bool:
    """Whether SQLite reports a refusal or a limit of the system, and nothing about the database's bytes."""
    return _primary_code(error) in _SYSTEM


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
