"""The files of postings: each an SQLite database that describes one state of the catalog, named by its commit.

    postings/<label>.<commit>.<checksum>

A file is never changed, and not trusted unless its bytes have the checksum in its name.
"""

from __future__ import annotations

import logging
import mmap
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from attnsearch.storage import checksum
from attnsearch.storage.files import FLAGS_NO_LINK, POSTINGS

_NAME = re.compile(r"((?:terms|field-[0-9a-f]{16})(?:\.v[234])?|words\.v1)\.([0-9a-f]{32})\.([0-9a-f]{16})")

log = logging.getLogger("attnsearch")


class StoredFile(NamedTuple):
    """A file of postings, and the parts of its name."""

    path: Path
    label: str
    commit: str
    checksum: str


def broken_files(folder: Path) -> Iterator[str]:
    """The names of the catalog's files of postings with other bytes than were written.

    A file that is deleted meanwhile held postings of an earlier state.
    """
    for file in stored_files(folder / POSTINGS):
        if _file_checksum(file.path) != file.checksum and file.path.exists():
            yield f"{POSTINGS}/{file.path.name}"


def stored_files(folder: Path) -> Iterator[StoredFile]:
    """The files of postings; none if the folder can't be read."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if match := _NAME.fullmatch(path.name):
                yield StoredFile(path, match[1], match[2], match[3])


def open_stored(folder: Path, label: str, commit: str) -> sqlite3.Connection | None:
    """The stored postings of this label and commit, if an intact file has them."""
    for file in stored_files(folder):
        if (file.label, file.commit) == (label, commit) and (db := open_file(file)):
            return db
    return None


def open_file(file: StoredFile) -> sqlite3.Connection | None:
    """The database in a file; None unless its bytes are what was written."""
    with suppress(OSError, sqlite3.Error):
        if _file_checksum(file.path) == file.checksum:
            uri = f"{file.path.resolve().as_uri()}?mode=ro&immutable=1"
            return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    return None


def _file_checksum(path: Path) -> str:
    """The checksum of a file's bytes; empty if they can't be read."""
    with suppress(OSError, ValueError), os.fdopen(os.open(path, FLAGS_NO_LINK), "rb") as stream:
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as raw:
                return checksum.part_checksums(memoryview(raw), len(raw)).hex()
    return ""


def create_database() -> sqlite3.Connection:
    """A database in a file without a name, which is deleted when it is closed; it can name others by URI."""
    db = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN")
    return db


def store_copy(db: sqlite3.Connection, folder: Path, label: str, commit: str) -> None:
    """Store a copy for the next query, unless the disk is full or read-only."""
    import uuid  # which a query with stored postings does without

    temporary = folder / f".{uuid.uuid4().hex}"
    try:
        folder.mkdir(exist_ok=True)
        db.execute("VACUUM INTO ?", (temporary.absolute().as_uri(),))  # the path may not be text
        temporary.rename(folder / f"{label}.{commit}.{_file_checksum(temporary)}")
    except (OSError, sqlite3.Error) as error:
        log.info("%s can't be stored: %s", label, error)
        with suppress(OSError):
            temporary.unlink()
