"""A catalog of an older form → one of this form, in one transaction."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from attnsearch.sources.items import Fields, key_text
from attnsearch.storage import checksum, lock, segment
from attnsearch.storage.database import FORM, read_segments, write_info
from attnsearch.storage.failures import damaged, reading, writing

_UNCUT = 254  # characters that no encoder's window is too short for, as far as we know

log = logging.getLogger("attnsearch")


def migrate(folder: Path) -> None:
    """Bring the catalog to this form. Raises CatalogError as `upgrade` does, or where nothing can be written."""
    with writing(folder), closing(lock.acquire(folder)) as db:
        if db.execute("PRAGMA user_version").fetchone()[0] < FORM:  # nobody did it while we waited
            migrate_locked(db, folder)


def migrate_locked(db: sqlite3.Connection, folder: Path) -> None:
    """Bring the catalog to this form, form by form, and commit that. `db` holds the lock, and holds it again after.

    Raises CatalogError for a form that never was, or for a catalog that is damaged.
    """
    log.warning("%s was made by an older attnsearch and is brought to its present form", folder.name)
    with reading(folder):
        while (form := db.execute("PRAGMA user_version").fetchone()[0]) != FORM:
            if form not in _STEPS:
                raise damaged(folder, f"there is no form {form}")
            _STEPS[form](db, folder)
            db.execute(f"PRAGMA user_version={form + 1}")
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")


def _from_1(db: sqlite3.Connection, folder: Path) -> None:
    """Checksums of rows for hashes of files, bits of segments for a table of tombstones, passages for whole texts.

    What was too long was cut, in form 1. So the hashes of longer texts are taken away, and the next `index` embeds them
    as passages.
    """
    info: dict[str, Any] = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM info")}
    for statement in _FORM_2.split(";"):
        db.execute(statement)
    dead = np.array([key for (key,) in db.execute("SELECT key FROM tombstones")], np.int64)
    for first, rows, file, sha256 in db.execute("SELECT first, rows, file, sha256 FROM segments_1").fetchall():
        path = folder / "segments" / file
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                raise ValueError(f"the segment {file} is not what was written")
        bits = np.zeros(rows, bool)
        bits[dead[(dead >= first) & (dead < first + rows)] - first] = True
        packed = np.packbits(bits).tobytes() if bits.any() else None
        sums = segment.segment_checksums(path.parent, file, (rows, info["d"]))
        db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, NULL)", (first, rows, file, sums, packed))
    ident, title_field, text_fields = info["fields"]
    fields = Fields(ident, title_field, tuple(text_fields))
    lengths = {}
    for number, *cells in db.execute(
        "SELECT item, id, title, description, fields, text_sha256 FROM items_1"
    ).fetchall():
        _, title, description, rest, text_sha256 = cells
        lengths[number] = len(key_text(title, description, json.loads(rest), fields))
        row = (number, *cells[:4], text_sha256 if lengths[number] <= _UNCUT else b"")
        db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, checksum.row_checksum(*row)))
    for key, item in db.execute("SELECT key, item FROM keys_1").fetchall():
        row = (key, item, 0, lengths[item])
        db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?)", (*row, checksum.row_checksum(*row)))
    for table in ("tombstones", "segments_1", "keys_1", "items_1"):
        db.execute(f"DROP TABLE {table}")
    write_info(db, {**info, "commit": uuid.uuid4().hex, "listing": read_segments(db)[1]})
    if any(length > _UNCUT for length in lengths.values()):
        log.warning("index %s again, so that its long texts are searched to their ends", folder.name)


# Form 2 as it was: the tables that `writer` makes may go on to another form, these may not.
_FORM_2 = """
ALTER TABLE segments RENAME TO segments_1;
ALTER TABLE keys RENAME TO keys_1;
ALTER TABLE items RENAME TO items_1;
DROP INDEX keys_by_item;
CREATE TABLE segments (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, file TEXT NOT NULL UNIQUE, sums BLOB NOT NULL,
                       dead BLOB, joined BLOB);
CREATE TABLE items (item INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL,
                    fields TEXT NOT NULL, text_sha256 BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE keys (key INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items, start INTEGER NOT NULL,
                   stop INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX keys_by_item ON keys (item)
"""
_STEPS: dict[int, Callable[[sqlite3.Connection, Path], None]] = {1: _from_1}
