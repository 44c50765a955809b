"""What the system reports → the errors that people read: missing, older, damaged, busy, not writable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnsearch.errors import CatalogError

DAMAGE = (sqlite3.Error, ValueError, LookupError, TypeError, OverflowError, OSError)
"""What reading something damaged may raise."""


class MissingError(CatalogError):
    """Nothing was ever committed there."""


class OlderError(CatalogError):
    """The catalog is of an older form, which `migration` brings up to date."""


class DamagedError(CatalogError):
    """Something in the catalog's folder is not what was written."""


def missing(folder: Path) -> MissingError:
    """The error for a folder without a catalog."""
    hint = "'attnsearch list' shows what there is; 'attnsearch index FILE' adds to it"
    return MissingError(f"there is no catalog '{folder.name}'", hint=hint)


def damaged(folder: Path, what: str) -> DamagedError:
    """The error for a catalog of which `what` is damaged."""
    hint = f"'attnsearch check {folder.name} --repair' mends it"
    return DamagedError(f"the catalog is damaged: {what}", where=folder.name, hint=hint)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what SQLite or JSON report of a file that they can't read into a DamagedError."""
    try:
        with _texts(folder):
            yield
    except (sqlite3.Error, ValueError, LookupError, TypeError, OverflowError) as error:
        raise damaged(folder, str(error)) from None


@contextmanager
def writing(folder: Path, deed: str = "written") -> Iterator[None]:
    """Turn what the system reports when it can't write into a CatalogError: busy, damaged, or can't be `deed`."""
    try:
        with _texts(folder):
            yield
    except sqlite3.Error as error:
        if is_busy(error):
            hint = "try again when it is done"
            raise CatalogError("another attnsearch is writing to it", where=folder.name, hint=hint) from None
        if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged(folder, str(error)) from None
        raise CatalogError(f"can't be {deed}: {error}", where=str(folder)) from None
    except OSError as error:
        raise CatalogError(f"can't be {deed}: {error.strerror or error}", where=str(folder)) from None


@contextmanager
def _texts(folder: Path) -> Iterator[None]:
    """Turn Python's error for text in the database that is not UTF-8 into a DamagedError."""
    try:
        yield
    except UnicodeDecodeError:  # even SQLite's own message may quote such text
        raise damaged(folder, "index.sqlite holds text that is not UTF-8") from None


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process holds the lock."""
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
