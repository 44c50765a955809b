"""What the system reports → the errors that people read: missing, older, damaged, busy, not writable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnsearch.errors import CatalogError
from attnsearch.storage.files import DATABASE

DAMAGE = (sqlite3.Error, ValueError, LookupError, TypeError, OverflowError, OSError)
"""The errors that reading damaged data may raise."""


class MissingError(CatalogError):
    """Nothing was ever committed there."""


class OlderError(CatalogError):
    """The catalog has an older form, which `migration` converts."""


class DamagedError(CatalogError):
    """Something in the catalog's folder is not what was written."""


def missing(folder: Path) -> MissingError:
    """The error for a folder without a catalog."""
    hint = "'attnsearch list' shows what there is; 'attnsearch index FILE' adds to it"
    return MissingError(f"there is no catalog '{folder.name}'", hint=hint)


def damaged(folder: Path, problem: str) -> DamagedError:
    """The error for a damaged catalog; `problem` says which part, and how."""
    hint = f"run 'attnsearch check {folder.name} --repair'"
    return DamagedError(f"the catalog is damaged: {problem}", where=folder.name, hint=hint)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn the errors that parsing damaged data raises into DamagedError.

    An OSError passes, and so does sqlite3.ProgrammingError: using a closed catalog is the caller's mistake, not damage.
    """
    try:
        with _reporting_invalid_text(folder):
            yield
    except sqlite3.ProgrammingError:
        raise
    except (sqlite3.Error, ValueError, LookupError, TypeError, OverflowError) as error:
        raise damaged(folder, str(error)) from None


@contextmanager
def writing(folder: Path, action: str = "written") -> Iterator[None]:
    """Turn the errors of writing into CatalogError: the catalog is busy, damaged, or "can't be `action`"."""
    try:
        with _reporting_invalid_text(folder):
            yield
    except sqlite3.Error as error:
        if is_busy(error):
            hint = "try again when it is done"
            raise CatalogError("another attnsearch is writing to it", where=folder.name, hint=hint) from None
        if _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged(folder, str(error)) from None
        raise CatalogError(f"can't be {action}: {error}", where=str(folder)) from None
    except OSError as error:
        raise CatalogError(f"can't be {action}: {error.strerror or error}", where=str(folder)) from None


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


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
