"""A hash over the whole of index.sqlite, so that a check finds any damaged byte, even in pages that no query reads.

It is made after a commit, while SQLite's log is empty and the file therefore complete. A run that is killed before, or
a reader that is busy, leaves the catalog unsealed: intact, and sealed by the next commit.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from attnsearch.errors import CatalogError
from attnsearch.storage import checksum, lock
from attnsearch.storage.database import read_info_rows
from attnsearch.storage.files import DATABASE, SEAL, open_to_read, replace_file


class Seal(NamedTuple):
    """The name of the sealed state, the SHA-256 of its database in hexadecimal, and a copy of its table `info`."""

    commit: str
    sha256: str
    info: dict[str, str]

    def to_bytes(self) -> bytes:
        """The seal as JSON, with a checksum of itself."""
        members = self._asdict()
        return json.dumps({**members, "sum": checksum.row_checksum(json.dumps(members))}).encode()


def write_seal(db: sqlite3.Connection, folder: Path, commit: str) -> None:
    """Seal the state `commit`, just committed through `db`. If a reader or the disk prevents it, do nothing.

    By now the folder may be another one: someone removed the catalog, or is about to.
    """
    with suppress(OSError, sqlite3.Error, CatalogError):
        (busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        with lock.guarding(folder, wait=0), closing(lock.connect_to_read(folder)) as named:
            named.execute("BEGIN")  # as long as we read, no writer can empty its log into the file
            info = read_info_rows(named)
            if not busy and json.loads(info["commit"]) == commit:
                replace_file(folder / SEAL, Seal(commit, database_sha256(folder), info).to_bytes())


def read_seal(folder: Path) -> Seal | None:
    """The seal of the catalog in a folder; None if it has none.

    Raises OSError if the file can't be read, ValueError, LookupError or TypeError if it is not what was written.
    """
    try:
        with open_to_read(folder / SEAL) as stream:
            raw = stream.read()
    except FileNotFoundError:
        return None
    members = json.loads(raw)
    seal = Seal(members["commit"], members["sha256"], members["info"])
    if seal.to_bytes() != raw:
        raise ValueError("it is not what was written")
    return seal


def database_sha256(folder: Path) -> str:
    """The SHA-256 of the database file, in hexadecimal. Raises OSError."""
    with open_to_read(folder / DATABASE) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
