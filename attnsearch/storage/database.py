"""index.sqlite → a catalog's info, its list of segments, its keys and items; each row verified by its checksum.

The form on disk: docs/storage.md; `writer` creates it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Precision
from attnsearch.errors import CatalogError
from attnsearch.sources.items import Fields, Item, key_text
from attnsearch.storage import checksum
from attnsearch.storage.failures import OlderError, damaged, is_busy, is_of_the_system, missing, opening
from attnsearch.storage.files import DATABASE, SEAL, refuse_links

FORM = 2
APPLICATION = 0x61_74_74_6E  # "attn", in the SQLite file's header

ITEM = "item, id, title, description, fields, text_sha256, items.sum"  # the columns for `read_item`
KEY = "key, item, start, stop, keys.sum"  # the columns for `read_key`


class Source(NamedTuple):
    """A file that a catalog was made from, and its SHA-256 then; None for a pipe, which can't be read again."""

    path: str
    sha256: str | None


class Info(NamedTuple):
    """A catalog's record of itself. Times are ISO 8601, UTC.

    `precision` is the lowest that any of its texts was embedded with. `quick` says whether its encoder's fast path may
    be taken. `lexical` is the λ of a query that names none (see `bias`).
    """

    name: str
    description: str
    sources: tuple[Source, ...]
    fields: Fields
    model: str
    sha256: str
    stamp: str
    d: int
    temperature: float
    precision: Precision = "float32"
    quick: bool = True
    items: int = 0
    keys: int = 0
    created: str = ""
    updated: str = ""
    commit: str = ""  # a random name for this state
    listing: int = 0  # the checksum of the list of segments
    lexical: float = 0.0


class KeyRow(NamedTuple):
    """A key, the number of its item, and the characters of that item's text that it stands for: [start, stop)."""

    key: int
    item: int
    start: int
    stop: int


class SegmentRow(NamedTuple):
    """A segment as the database lists it: its first key, its rows, its file, and the checksums of that.

    `dead` (rows,) marks rows that are no longer anyone's key, `joined` (rows,) rows of the same item as the row before;
    None if no row is marked.
    """

    first: int
    rows: int
    file: str
    sums: bytes
    dead: NDArray[np.bool_] | None
    joined: NDArray[np.bool_] | None

    def next_item(self, row: int) -> int:
        """That row if it begins an item, else the next row that does; `rows` if none does."""
        row = min(max(row, 0), self.rows)
        while self.joined is not None and row < self.rows and self.joined[row]:
            row += 1
        return row


class SegmentList(NamedTuple):
    """The segments, ordered by their first keys, and the checksum of the list."""

    segments: list[SegmentRow]
    checksum: int


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """Open a read-only connection to a catalog's database, which may be damaged.

    Threads may share it, one statement at a time.

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
        db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
            db.close()  # the first writer died while SQLite created an empty database
            raise missing(folder) from None
        # In a folder where we may not write, WAL can't create its index; but nobody else is writing there either.
        if not os.access(folder, os.W_OK) and not file.with_name(f"{DATABASE}-wal").exists():
            db.close()
            return sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None, check_same_thread=False)
        if is_of_the_system(error) and not is_busy(error):
            db.close()
            raise
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # SQLite may quote what it can't read
        pass  # not a database; the next statement reports it in our words
    return db


def read_info(db: sqlite3.Connection, folder: Path) -> Info | None:
    """The catalog's info; None if nothing was ever committed.

    Raises OlderError, CatalogError for a newer form, DamagedError, and what `parse_info` raises.
    """
    (form,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if form == 0 and application == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        if (folder / SEAL).exists():
            raise damaged(folder, f"{DATABASE} is empty")
        return None
    if application != APPLICATION:
        raise damaged(folder, f"{DATABASE} was not made by attnsearch")
    if form > FORM:
        hint = "upgrade attnsearch, or remove the catalog and index it again"
        raise CatalogError(f"was made by a newer attnsearch (form {form}, not {FORM})", where=folder.name, hint=hint)
    if form < FORM:
        raise OlderError(f"was made by an older attnsearch (form {form})", where=folder.name)
    return parse_info(read_info_rows(db))


def read_info_rows(db: sqlite3.Connection) -> dict[str, str]:
    """The rows of the table `info` as they are: each name, and its value as JSON."""
    return dict(db.execute("SELECT name, value FROM info ORDER BY name").fetchall())


def parse_info(rows: Mapping[str, str]) -> Info:
    """The info in the rows of the table `info`.

    Raises ValueError, LookupError or TypeError if they are not what was written.
    """
    info: dict[str, Any] = {name: json.loads(value) for name, value in rows.items()}
    if info.pop("sum") != _checksum_info(rows):
        raise ValueError("the table info is not what was written")
    return _make_info(info)


def parse_info_1(rows: Mapping[str, str]) -> Info:
    """The info of a catalog of form 1, which has no checksum. Raises as `parse_info` does."""
    info = _make_info({name: json.loads(value) for name, value in rows.items()})
    texts = (info.name, info.model, info.sha256, *info.fields[:2], *info.fields.text)
    if not all(isinstance(text, str) for text in texts) or not isinstance(info.items, int):
        raise TypeError("the table info is not what was written")
    return info


def _make_info(info: dict[str, Any]) -> Info:
    id_field, title_field, text_fields = info.pop("fields")
    sources = tuple(Source(*source) for source in info.pop("sources"))
    return Info(fields=Fields(id_field, title_field, tuple(text_fields)), sources=sources, **info)


def write_info(db: sqlite3.Connection, info: Mapping[str, Any]) -> None:
    """Fill the table `info` with these values, as JSON."""
    rows = {name: json.dumps(value) for name, value in info.items()}
    rows["sum"] = str(_checksum_info(rows))
    db.execute("DELETE FROM info")
    db.executemany("INSERT INTO info VALUES (?, ?)", rows.items())


def _checksum_info(rows: Mapping[str, str]) -> int:
    return checksum.row_checksum(*(cell for row in sorted(rows.items()) if row[0] != "sum" for cell in row))


def read_key(row: Sequence[Any]) -> KeyRow:
    """A key from the columns `KEY` of its row. Raises ValueError if they are not what was written."""
    *cells, row_sum = row
    if checksum.row_checksum(*cells) != row_sum:
        raise ValueError(f"the key {cells[0]} is not what was written")
    return KeyRow(*cells)


def read_item(row: Sequence[Any], fields: Fields) -> Item:
    """An item from the columns `ITEM` of its row. Raises ValueError if they are not what was written."""
    *cells, row_sum = row
    if checksum.row_checksum(*cells) != row_sum:
        raise ValueError(f"the item {cells[0]} is not what was written")
    return read_item_1(cells, fields)


def read_item_1(cells: Sequence[Any], fields: Fields) -> Item:
    """An item of form 1: from the columns `ITEM` but the checksum. Raises ValueError or TypeError for a damaged row."""
    _, ident, title, description, fields_json, _ = cells
    if not all(isinstance(text, str) for text in (ident, title, description, fields_json)):
        raise TypeError(f"the item {cells[0]} is not what was written")
    item_fields = json.loads(fields_json)
    return Item(ident, title, description, item_fields, key_text(title, description, item_fields, fields))


def read_segments(db: sqlite3.Connection, listing: int | None = None) -> SegmentList:
    """The list of segments. Raises ValueError if its checksum is not `listing`; None checks nothing."""
    rows = db.execute("SELECT first, rows, file, sums, dead, joined FROM segments ORDER BY first").fetchall()
    actual = checksum.row_checksum(*(cell for row in rows for cell in row))
    if listing not in (None, actual):
        raise ValueError("the list of segments is not what was written")
    segments = [
        SegmentRow(first, count, file, sums, _unpack_bits(dead, count), _unpack_bits(joined, count))
        for first, count, file, sums, dead, joined in rows
    ]
    return SegmentList(segments, actual)


def _unpack_bits(raw: bytes | None, count: int) -> NDArray[np.bool_] | None:
    """`count` booleans, packed eight to a byte, the first in the highest bit; None stays None."""
    if raw is None:
        return None
    if len(raw) != -(-count // 8):
        raise ValueError("the list of segments is not what was written")
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=count).astype(bool)
