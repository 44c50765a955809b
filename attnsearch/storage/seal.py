"""A hash over the whole of index.sqlite, so that a check can find any damaged byte, also where nothing looks.

It is made after a commit, when SQLite's log is empty and so the file is all there is. A run that ends before, or a
reader that is busy, leaves the catalog unsealed: whole, but for the next commit to seal.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from attnsearch.storage import checksum, files
from attnsearch.storage.database import info_rows
from attnsearch.storage.files import SEAL


class Seal(NamedTuple):
    """Which state was sealed, the SHA-256 of the database that held it, and once more what it says about itself."""

    commit: str
    sha256: str
    info: dict[str, str]

    def to_bytes(self) -> bytes:
        """The bytes of the file."""
        told = self._asdict()
        return json.dumps({**told, "sum": checksum.row_checksum(json.dumps(told))}).encode()


def write_seal(db: sqlite3.Connection, folder: Path, commit: str) -> None:
    """Seal the state `commit`, which was committed through `db`, unless a reader or the disk keeps us from it."""
    with suppress(OSError, sqlite3.Error):
        (busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        db.execute("BEGIN")  # as long as we read, no writer gets past the log
        told = info_rows(db)
        if not busy and json.loads(told["commit"]) == commit:
            files.replace_file(folder / SEAL, Seal(commit, database_sha256(folder), told).to_bytes())
        db.execute("ROLLBACK")


def read_seal(folder: Path) -> Seal | None:
    """The seal, or None where there is none; ValueError where it is not what was written."""
    try:
        raw = (folder / SEAL).read_bytes()
    except FileNotFoundError:
        return None
    told = json.loads(raw)
    seal = Seal(told["commit"], told["sha256"], told["info"])
    if seal.to_bytes() != raw:
        raise ValueError("it is not what was written")
    return seal


def database_sha256(folder: Path) -> str:
    """The SHA-256 of the database, in hexadecimal."""
    with (folder / "index.sqlite").open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
