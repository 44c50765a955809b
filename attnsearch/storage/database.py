"""index.sqlite → a catalog's info, its list of segments, its keys and items; each row verified by its checksum.

The form on disk: docs/storage.md; `writer` creates it.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

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

TABLES = """
CREATE TABLE info (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, file TEXT NOT NULL UNIQUE, sums BLOB NOT NULL,
                       dead BLOB, joined BLOB);
CREATE TABLE items (item INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL,
                    fields TEXT NOT NULL, text_sha256 BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE keys (key INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items, start INTEGER NOT NULL,
                   stop INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX keys_by_item ON keys (item);
"""

ITEM = "item, id, title, description, fields, text_sha256, items.sum"  # the columns for `read_item`
KEY = "key, item, start, stop, keys.sum"  # the columns for `read_key`

_WIDEST = 1 << 16  # columns of an embedding
_MOST_KEYS = 1 << 32  # their numbers are stored in four bytes where postings list them


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
    identity: str = ""  # the encoder's; a catalog of an older attnsearch has none


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
        if not os.access(folder, os.W_OK) and not file.with_name(f"{DATABASE}-wal").exists():
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
    _check_schema(db, folder, form)
    if form < FORM:
        raise OlderError(f"was made by an older attnsearch (form {form})", where=folder.name)
    return parse_info(read_info_rows(db))


def _check_schema(db: sqlite3.Connection, folder: Path, form: int) -> None:
    """Raise DamagedError for tables that attnsearch did not create: a view or a trigger could run for ever."""
    schema = db.execute("SELECT type, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    statements = {" ".join(str(sql).split()) for _, sql in schema}
    ours = {" ".join(sql.split()) for sql in TABLES.split(";") if sql.strip()}
    if {kind for kind, _ in schema} - {"table", "index"} or (form == FORM and statements - ours):
        raise damaged(folder, f"{DATABASE} has other tables than attnsearch creates")


def read_info_rows(db: sqlite3.Connection) -> dict[str, str]:
    """The rows of the table `info` as they are: each name, and its value as JSON."""
    return dict(db.execute("SELECT name, value FROM info ORDER BY name").fetchall())


def parse_info(rows: Mapping[str, str], *, has_sum: bool = True) -> Info:
    """The info in the rows of the table `info`; in form 1, it has no checksum.

    Raises ValueError, LookupError or TypeError if they are not what was written.
    """
    info: dict[str, Any] = {name: json.loads(value) for name, value in rows.items()}
    if has_sum and info.pop("sum") != _checksum_info(rows):
        raise ValueError("the table info is not what was written")
    id_field, title_field, text_fields = fields = info.pop("fields")
    if type(fields) is not list or type(text_fields) is not list:
        raise TypeError("the fields in the table info are not lists")
    sources = tuple(Source(*source) for source in info.pop("sources"))
    parsed = Info(fields=Fields(id_field, title_field, tuple(text_fields)), sources=sources, **info)
    _check_types(parsed)
    return parsed


def _check_types(info: Info) -> None:
    """Raise TypeError or ValueError for what no commit writes: a right checksum may be made by anyone."""
    texts = (
        *(info.name, info.description, info.model, info.sha256, info.stamp, info.created, info.updated, info.commit),
        *(info.identity, info.fields.id, info.fields.title, *info.fields.text),
        *(source.path for source in info.sources),
        *(source.sha256 or "" for source in info.sources),
    )
    counts = (info.d, info.items, info.keys, info.listing)
    numbers = (info.temperature, info.lexical)
    if not (
        all(type(text) is str for text in texts)
        and all(type(count) is int for count in counts)
        and all(type(number) in (int, float) for number in numbers)
        and type(info.quick) is bool
    ):
        raise TypeError("the table info holds values of other types")
    if not (
        min(info.items, info.keys) >= 0
        and 1 <= info.d <= _WIDEST
        and 0 < info.temperature < math.inf
        and 0 <= info.lexical < math.inf
        and info.precision in get_args(Precision)
    ):
        raise ValueError("the table info holds values that no commit writes")


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
    end = 0
    for first, count, file, sums, *_ in rows:
        if [type(cell) for cell in (first, count, file, sums)] != [int, int, str, bytes] or first < end or count < 1:
            raise ValueError("the list of segments holds values that no commit writes")
        end = first + count
    if end > _MOST_KEYS:
        raise ValueError(f"the list of segments has key numbers beyond {_MOST_KEYS:,}")
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
