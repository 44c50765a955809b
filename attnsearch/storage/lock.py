"""One writer at a time: the lock on a catalog, which is SQLite's own."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from attnsearch.storage.failures import is_busy
from attnsearch.storage.files import DATABASE, SEGMENTS, refuse_links, sync

WAIT = 30.0  # seconds to wait for another writer

_PAUSE = 0.01  # seconds between two attempts that SQLite itself does not wait for

log = logging.getLogger("attnsearch")


def acquire(folder: Path, wait: float = WAIT) -> sqlite3.Connection:
    """A connection that holds the catalog's write lock; the file is made if it must be.

    While we wait, the folder may be removed, or even made anew: what we wrote to the old file would go with it.
    So the lock counts only if the file under the name is still the one that we opened.
    """
    while True:
        _make(folder)
        opened = _inode(folder)
        try:
            db = _locked(folder, wait)
        except sqlite3.OperationalError:
            if opened and opened == _inode(folder):
                raise
            continue
        if opened and opened == _inode(folder):
            return db
        db.close()


def acquire_if_whole(folder: Path) -> sqlite3.Connection | None:
    """The same; None where the database is too damaged to be locked, so that nobody works in it either."""
    try:
        return acquire(folder)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.Error) and is_busy(error):
            raise
        return None


def _make(folder: Path) -> None:
    """The catalog's folders and an empty database, durable before anything is put into them."""
    refuse_links(folder)
    home, file = folder.parent, folder / DATABASE
    new = [path.parent for path in (home, *home.parents) if not path.exists()]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is kept here may be nobody else's business
    while not file.exists() or not file.stat().st_size:
        with suppress(FileNotFoundError):  # removed in between: once more
            (folder / SEGMENTS).mkdir(parents=True, exist_ok=True)
            file.touch()
            for path in (folder, home, *new):
                sync(path)
            return


def _locked(folder: Path, wait: float) -> sqlite3.Connection:
    """A connection in the one transaction that writes, begun at once or when another writer has ended its own."""
    db = sqlite3.connect(folder / DATABASE, timeout=0, isolation_level=None)
    try:
        try:
            _begin(db)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            log.warning("waiting for another attnsearch that writes to %s", folder.name)
            db.execute(f"PRAGMA busy_timeout={int(wait * 1000)}")
            _begin_patiently(db, time.monotonic() + wait)
    except BaseException:
        db.close()
        raise
    return db


def _begin_patiently(db: sqlite3.Connection, end: float) -> None:
    """Begin when it can be done: SQLite does not wait, whatever its time-out, while another puts the log in order."""
    while True:
        try:
            _begin(db)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _begin(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("BEGIN IMMEDIATE")


def _inode(folder: Path) -> int | None:
    try:
        return (folder / DATABASE).stat().st_ino
    except FileNotFoundError:
        return None
