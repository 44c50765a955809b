"""Connections to a catalog's database: many that read, and one writer at a time, by a lock which is SQLite's own.

Whoever waits for a writer waits as long as that makes progress: its files grow, or it shows life, see `show_life`.

A damaged database can't be locked. So whoever replaces or removes a whole folder guards the folder itself as well.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attnsearch.storage.failures import (
    MissingError,
    busy,
    is_busy,
    is_full,
    is_of_the_system,
    missing,
    opening,
    writing,
)
from attnsearch.storage.files import DATABASE, SEGMENTS, refuse_link, refuse_links, shown_name, sync

WAIT = 30.0  # seconds to wait for another writer that makes no progress
_ATTEMPTS = 100  # to create a catalog's files while others remove them

_PAUSE = 0.01  # seconds between two attempts, when SQLite itself does not wait
_LOOK = 1.0  # seconds between two looks at whether the other writer makes progress

log = logging.getLogger("attnsearch")


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """Open a read-only connection to a catalog's database, which may be damaged; threads may share it, in turn.

    Raises MissingError if there is no catalog, CatalogError if part of it is a link or the system refuses to open it.
    """
    with opening(folder):
        return _connect(folder, folder / DATABASE)


def _connect(folder: Path, file: Path) -> sqlite3.Connection:
    if not stat.S_ISREG(file.stat().st_mode):
        raise missing(folder)
    refuse_links(folder)
    uri = f"{file.resolve().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA trusted_schema=OFF")  # nothing that a database says may call functions
        db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
            db.close()  # the first writer died while SQLite created an empty database
            raise missing(folder) from None
        # In a folder where we may not write, WAL can't create its index; but nobody else is writing there either.
        log = file.with_name(f"{DATABASE}-wal")
        if not os.access(folder, os.W_OK) and not (log.exists() and log.stat().st_size):
            db.close()
            db = sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA trusted_schema=OFF")
            return db
        if is_of_the_system(error) and not is_busy(error):
            db.close()
            raise
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # SQLite may quote what it can't read
        pass  # not a database; the next statement reports it in our words
    return db


def acquire(folder: Path, wait: float = WAIT, *, create: bool = True) -> sqlite3.Connection:
    """Open a connection that holds the catalog's write lock; `create` its folder and an empty database if need be.

    While we wait, the folder may be removed, or even created anew: what we wrote to the old file would go with it.
    So the lock counts only if the file of that name is still the one that we opened.

    Raises sqlite3.OperationalError (see `is_busy`) if another writer makes no progress for `wait` seconds, CatalogError
    for a link, MissingError if there is no catalog and none is to be created, sqlite3.Error or
    UnicodeDecodeError if the database is damaged, OSError if it can't be created.
    """
    while True:
        if create:
            _create_database(folder)
        else:
            _require_database(folder)
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


def acquire_if_whole(folder: Path, *, create: bool = False) -> sqlite3.Connection | None:
    """Acquire the lock of a catalog; None if its database is too damaged to be locked: nobody can write to it then.

    Raises MissingError if there is no catalog and an empty one is not to be created, and sqlite3.OperationalError if
    the system refuses the lock, unless the disk is full: then removing makes room.
    """
    try:
        return acquire(folder, create=create)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.Error) and is_of_the_system(error) and not is_full(error):
            raise
        return None


def wait_for_writer(folder: Path) -> None:
    """Return as soon as no other process writes to the catalog.

    Raises BusyError if it makes no progress for `WAIT` seconds, CatalogError if we may not lock the catalog.
    """
    with writing(folder), suppress(MissingError):
        acquire(folder, create=False).close()


def show_life(folder: Path) -> None:
    """Let those who wait for us see that we make progress, though no file grows."""
    with suppress(OSError):  # what really can't be written, the next write reports
        os.utime(folder / SEGMENTS)


def _read_signs(folder: Path) -> set[tuple[str, int]]:
    """What changes while a writer makes progress: the files and their sizes, and when it last showed life."""
    signs = set()
    with suppress(OSError):
        for place in (folder, folder / SEGMENTS):
            signs |= {(entry.name, entry.stat(follow_symlinks=False).st_size) for entry in os.scandir(place)}
        signs.add(("", (folder / SEGMENTS).stat().st_mtime_ns))
    return signs


@contextmanager
def guarding(folder: Path, wait: float = WAIT) -> Iterator[None]:
    """Keep others from replacing or removing the folder while the body runs, even if its database can't be locked.

    Every caller does so before it acquires the lock. The system releases the guard when the process ends.

    Raises MissingError if there is no such folder, or if it is removed while we wait; CatalogError for a link, or if it
    is guarded for longer than `wait` seconds; OSError.
    """
    deadline = time.monotonic() + wait
    is_waiting = False
    while (handle := _guard(folder)) is None:
        if time.monotonic() >= deadline:
            raise busy(folder)
        if not is_waiting:
            _warn_of_waiting(folder)
            is_waiting = True
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(handle)


def _guard(folder: Path) -> int | None:
    """An open handle, which guards the folder; None if another one guards it, or it no longer has its name."""
    import fcntl  # which a query does without

    refuse_link(folder)
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        raise missing(folder) from None
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    os.close(handle)
    return None


def _warn_of_waiting(folder: Path) -> None:
    log.warning("waiting for another attnsearch to finish writing to %s", shown_name(folder))


def _require_database(folder: Path) -> None:
    refuse_links(folder)
    if not (folder / DATABASE).exists():
        raise missing(folder)


def _create_database(folder: Path) -> None:
    """Create the catalog's folders and an empty database, durable before anything is put into them."""
    refuse_links(folder)
    home, file = folder.parent, folder / DATABASE
    new = [path.parent for path in (home, *home.parents) if not path.exists()]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # its contents may be private
    segments = folder / SEGMENTS
    failed = 0
    while not (_read_size(file) and segments.is_dir()):
        try:
            segments.mkdir(parents=True, exist_ok=True)
            file.touch()
            for path in (folder, home, *new):
                sync(path)
        except FileNotFoundError:  # removed in between: try again; /proc says so of every new folder
            failed += 1
            if failed == _ATTEMPTS:
                raise
        else:
            if segments.is_dir():  # or a removal put another folder in its place before the file was made
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
            if not is_busy(error) or not wait:
                raise
            _warn_of_waiting(folder)
            db.execute(f"PRAGMA busy_timeout={int(min(wait, _LOOK) * 1000)}")
            _begin_when_free(db, folder, wait)
    except BaseException:
        db.close()
        raise
    return db


def _begin_when_free(db: sqlite3.Connection, folder: Path, wait: float) -> None:
    """Retry until the other writer has made no progress for `wait` seconds.

    Whatever its timeout, SQLite does not wait while another process recovers the log.
    """
    signs, deadline = _read_signs(folder), time.monotonic() + wait
    while True:
        try:
            _begin(db)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            if (new_signs := _read_signs(folder)) != signs:
                signs, deadline = new_signs, time.monotonic() + wait
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _begin(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("BEGIN IMMEDIATE")


def _read_inode(folder: Path) -> int | None:
    try:
        return (folder / DATABASE).stat().st_ino
    except FileNotFoundError:
        return None
