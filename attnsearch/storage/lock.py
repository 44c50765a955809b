"""One writer at a time: a catalog's lock, which is SQLite's own."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from attnsearch.storage.failures import is_busy, is_full, is_of_the_system
from attnsearch.storage.files import DATABASE, SEGMENTS, refuse_links, sync

WAIT = 30.0  # seconds to wait for another writer

_PAUSE = 0.01  # seconds between two attempts, when SQLite itself does not wait

log = logging.getLogger("attnsearch")


def acquire(folder: Path, wait: float = WAIT) -> sqlite3.Connection:
    """Open a connection that holds the catalog's write lock; create the folder and an empty database if need be.

    While we wait, the folder may be removed, or even created anew: what we wrote to the old file would go with it.
    So the lock counts only if the file of that name is still the one that we opened.

    Raises sqlite3.OperationalError (see `is_busy`) if another writer works for longer than `wait` seconds, CatalogError
    for a link, sqlite3.Error or UnicodeDecodeError if the database is damaged, OSError if it can't be created.
    """
    while True:
        _create_database(folder)
        opened = _read_inode(folder)
        try:
            db = _connect_and_lock(folder, wait)
        except sqlite3.OperationalError:
            if opened and opened == _read_inode(folder):
                raise
            continue
        if opened and opened == _read_inode(folder):
            return db
        db.close()


def acquire_if_whole(folder: Path) -> sqlite3.Connection | None:
    """Acquire the lock; None if the database is too damaged to be locked, since nobody can be writing to it then.

    Raises sqlite3.OperationalError if the system refuses it, unless the disk is full: then removing makes room.
    """
    try:
        return acquire(folder)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.Error) and is_of_the_system(error) and not is_full(error):
            raise
        return None


def _create_database(folder: Path) -> None:
    """Create the catalog's folders and an empty database, durable before anything is put into them."""
    refuse_links(folder)
    home, file = folder.parent, folder / DATABASE
    new = [path.parent for path in (home, *home.parents) if not path.exists()]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # its contents may be private
    while not _read_size(file):
        with suppress(FileNotFoundError):  # removed in between: try again
            (folder / SEGMENTS).mkdir(parents=True, exist_ok=True)
            file.touch()
            for path in (folder, home, *new):
                sync(path)
            return


def _read_size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _connect_and_lock(folder: Path, wait: float) -> sqlite3.Connection:
    """A connection in the one write transaction, begun at once or as soon as another writer has ended its own."""
    db = sqlite3.connect(folder / DATABASE, timeout=0, isolation_level=None)
    try:
        try:
            _begin(db)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            log.warning("waiting for another attnsearch to finish writing to %s", folder.name)
            db.execute(f"PRAGMA busy_timeout={int(wait * 1000)}")
            _begin_when_free(db, time.monotonic() + wait)
    except BaseException:
        db.close()
        raise
    return db


def _begin_when_free(db: sqlite3.Connection, deadline: float) -> None:
    """Retry until the deadline: whatever its timeout, SQLite does not wait while another process recovers the log."""
    while True:
        try:
            _begin(db)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _begin(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("BEGIN IMMEDIATE")


def _read_inode(folder: Path) -> int | None:
    try:
        return (folder / DATABASE).stat().st_ino
    except FileNotFoundError:
        return None
