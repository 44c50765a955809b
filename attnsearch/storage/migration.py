"""A catalog of an older form → one of the present form, in one transaction."""

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

from attnsearch.sources.fields import Fields
from attnsearch.sources.items import key_text
from attnsearch.sources.letters import make_slug
from attnsearch.sources.summary import Summary
from attnsearch.storage import checksum, lock, segment
from attnsearch.storage.database import (
    FORM,
    count_fields,
    read_info_rows,
    upgrade_fields,
    write_fields,
    write_info,
)
from attnsearch.storage.failures import damaged, reading, writing
from attnsearch.storage.files import SEGMENTS

_NEVER_CUT = 254  # characters: as far as we know, they fit the window of every encoder

log = logging.getLogger("attnsearch")


def migrate(folder: Path) -> None:
    """Convert the catalog to the present form, unless another process just did.

    Raises CatalogError as `migrate_locked` does, or if the catalog can't be written.
    """
    with writing(folder), closing(lock.acquire(folder)) as db:
        if db.execute("PRAGMA user_version").fetchone()[0] < FORM:
            migrate_locked(db, folder)


def migrate_locked(db: sqlite3.Connection, folder: Path) -> None:
    """Convert the catalog to the present form, form by form, and commit; `db` holds the lock, before and after.

    Raises CatalogError if the catalog is damaged, or its form is unknown.
    """
    log.warning("%s was made by an older attnsearch; converting it to the present form", folder.name)
    with reading(folder):
        while (form := db.execute("PRAGMA user_version").fetchone()[0]) < FORM:
            if form not in _STEPS:
                raise damaged(folder, f"there is no form {form}")
            convert, next_form = _STEPS[form]
            convert(db, folder)
            db.execute(f"PRAGMA user_version={next_form}")
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")


def _convert_form_1(db: sqlite3.Connection, folder: Path) -> None:
    """Checksums of rows replace hashes of files, bits of segments a table of tombstones, passages whole texts.

    Form 1 cut long texts off. So their hashes are dropped, and the next `index` embeds them as passages.
    """
    info: dict[str, Any] = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM info")}
    for statement in _FORM_2.split(";"):
        db.execute(statement)
    _convert_segments(db, folder, info["d"])
    id_field, title_field, text_fields = info["fields"]
    lengths = _convert_items(db, Fields((id_field,), title_field, tuple(text_fields)))
    for key, item in db.execute("SELECT key, item FROM keys_1").fetchall():
        row = (key, item, 0, lengths[item])
        db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?)", (*row, checksum.row_checksum(*row)))
    for table in ("tombstones", "segments_1", "keys_1", "items_1"):
        db.execute(f"DROP TABLE {table}")
    write_info(db, {**info, "commit": uuid.uuid4().hex, "listing": segment.read_segments(db).checksum})
    if any(length > _NEVER_CUT for length in lengths.values()):
        log.warning("index %s again, so that its long texts are searched to their ends", folder.name)


def _convert_form_2(db: sqlite3.Connection, folder: Path) -> None:  # noqa: ARG001 (what each step gets)
    """The catalog knows its fields: a table of them, and in its info, which of them a user named."""
    info = _read_info(db)
    info |= upgrade_fields(info["fields"])
    titles = db.execute("SELECT id, title FROM items")
    if not info["given"][0] and all(ident == make_slug(title) for ident, title in titles):
        info["fields"][0] = []  # so that the ids stay those of the titles
    db.execute(_FORM_3)
    ident, title, texts = info["fields"]
    fields, known = Fields(tuple(ident), title, tuple(texts)), Summary()
    count_fields(db, known, fields)
    write_fields(db, known, fields)
    write_info(db, {**info, "commit": uuid.uuid4().hex})


def _convert_form_3(db: sqlite3.Connection, folder: Path) -> None:  # noqa: ARG001
    """From form 6 on, an item that changes gets new keys, so that postings belong to segments; nothing else changed.

    Form 4 had several heads, and form 5 prompts or fewer dimensions.
    """
    write_info(db, {**_read_info(db), "commit": uuid.uuid4().hex})


def _read_info(db: sqlite3.Connection) -> dict[str, Any]:
    """The values of the table `info`, but its checksum. Raises ValueError if they are not what was written."""
    info: dict[str, Any] = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM info")}
    if info.pop("sum") != checksum.info_checksum(read_info_rows(db)):
        raise ValueError("the table info is not what was written")
    return info


def _convert_segments(db: sqlite3.Connection, folder: Path, d: int) -> None:
    """Fill the table `segments`. Raises ValueError for a segment that does not have its hash of form 1."""
    dead = np.array([key for (key,) in db.execute("SELECT key FROM tombstones")], np.int64)
    for first, rows, file, sha256 in db.execute("SELECT first, rows, file, sha256 FROM segments_1").fetchall():
        try:
            stream = segment.open_segment(folder / SEGMENTS, file)
        except FileNotFoundError:
            raise ValueError(f"the segment {file} is gone") from None
        with stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                raise ValueError(f"the segment {file} is not what was written")
        bits = np.zeros(rows, bool)
        bits[dead[(dead >= first) & (dead < first + rows)] - first] = True
        packed = np.packbits(bits).tobytes() if bits.any() else None
        sums = segment.segment_checksums(folder / SEGMENTS, file, (rows, d))
        db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, NULL)", (first, rows, file, sums, packed))


def _convert_items(db: sqlite3.Connection, fields: Fields) -> dict[int, int]:
    """Fill the table `items`; return the length of each item's text, in characters, by the item's number."""
    lengths = {}
    rows = db.execute("SELECT item, id, title, description, fields, text_sha256 FROM items_1").fetchall()
    for number, ident, title, description, fields_json, text_sha256 in rows:
        lengths[number] = len(key_text(title, description, json.loads(fields_json), fields))
        text_hash = text_sha256 if lengths[number] <= _NEVER_CUT else b""
        row = (number, ident, title, description, fields_json, text_hash)
        db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, checksum.row_checksum(*row)))
    return lengths


# Each form as it was: what an older form becomes must not change with what `writer` creates.
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
_FORM_3 = """
CREATE TABLE fields (name TEXT PRIMARY KEY, kind TEXT NOT NULL, unread INTEGER NOT NULL, items INTEGER NOT NULL,
                     lists INTEGER NOT NULL, forms TEXT NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL, counts TEXT,
                     sum INTEGER NOT NULL)
"""
_STEPS: dict[int, tuple[Callable[[sqlite3.Connection, Path], None], int]] = {
    1: (_convert_form_1, 2),
    2: (_convert_form_2, 3),
    **dict.fromkeys((3, 4, 5), (_convert_form_3, FORM)),
}
