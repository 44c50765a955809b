"""index.sqlite → what a catalog says about itself, its list of segments, its items: each row what was written.

The form on disk: docs/storage.md; `writer` makes it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Precision
from attnsearch.errors import CatalogError
from attnsearch.sources.items import Fields, Item, key_text
from attnsearch.storage import checksum
from attnsearch.storage.failures import OlderError, damaged, missing
from attnsearch.storage.files import DATABASE, SEAL, refuse_links

FORM = 2
APPLICATION = 0x61_74_74_6E  # "attn", in the SQLite file's header

ITEM = "item, id, title, description, fields, text_sha256, items.sum"  # what `read_item` reads
KEY = "key, item, start, stop, keys.sum"  # what `read_key` reads


class Source(NamedTuple):
    """A file that a catalog was made from, and its hash when it was read; None for what can't be read again."""

    path: str
    sha256: str | None


class Info(NamedTuple):
    """What a catalog says about itself. Times are ISO 8601, UTC.

    `precision` is the least that any of its texts was embedded with; `quick` that its encoder's fast path may be taken;
    `lexical` is the λ of a query that names no other (see `bias`).
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


class SegmentRow(NamedTuple):
    """A segment as the database lists it: the number of its first key, its shape, and what is known of its rows."""

    first: int
    rows: int
    file: str
    sums: bytes
    dead: NDArray[np.bool_] | None
    joined: NDArray[np.bool_] | None

    def edge(self, row: int) -> int:
        """That row, or the next that begins an item."""
        row = min(max(row, 0), self.rows)
        while self.joined is not None and row < self.rows and self.joined[row]:
            row += 1
        return row


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """A connection that can't write. Raises MissingError."""
    file = folder / DATABASE
    if not file.is_file():
        raise missing(folder)
    refuse_links(folder)
    uri = f"{file.resolve().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
            db.close()  # the first writer died while SQLite made an empty database
            raise missing(folder) from None
        # In a folder where we may not write, WAL can't make its index; but there nobody else writes either.
        if not os.access(folder, os.W_OK) and not file.with_name(f"{DATABASE}-wal").exists():
            db.close()
            return sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None)
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # SQLite may quote what it can't read
        pass  # not a database; the next statement says so in our words
    return db


def read_info(db: sqlite3.Connection, folder: Path) -> Info | None:
    """The catalog's info; None where nothing was ever committed."""
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if schema == 0 and application == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        if (folder / SEAL).exists():
            raise damaged(folder, "index.sqlite is empty")
        return None
    if application != APPLICATION:
        raise damaged(folder, "index.sqlite was not made by attnsearch")
    if schema > FORM:
        hint = "upgrade attnsearch, or remove the catalog and index it again"
        raise CatalogError(f"was made by a newer attnsearch (form {schema}, not {FORM})", where=folder.name, hint=hint)
    if schema < FORM:
        raise OlderError(f"was made by an older attnsearch (form {schema})", where=folder.name)
    return parse_info(info_rows(db))


def info_rows(db: sqlite3.Connection) -> dict[str, str]:
    """The table `info` as it is."""
    return dict(db.execute("SELECT name, value FROM info ORDER BY name").fetchall())


def parse_info(rows: Mapping[str, str]) -> Info:
    """What the rows of the table `info` say; ValueError where they are not what was written."""
    told: dict[str, Any] = {name: json.loads(value) for name, value in rows.items()}
    if told.pop("sum") != _info_sum(rows):
        raise ValueError("what it says about itself is not what was written")
    ident, title, text = told.pop("fields")
    sources = tuple(Source(*source) for source in told.pop("sources"))
    return Info(fields=Fields(ident, title, tuple(text)), sources=sources, **told)


def write_info(db: sqlite3.Connection, told: Mapping[str, Any]) -> None:
    """Fill the table `info`, whose values are JSON."""
    rows = {name: json.dumps(value) for name, value in told.items()}
    rows["sum"] = str(_info_sum(rows))
    db.execute("DELETE FROM info")
    db.executemany("INSERT INTO info VALUES (?, ?)", rows.items())


def _info_sum(rows: Mapping[str, str]) -> int:
    return checksum.row_checksum(*(cell for pair in sorted(rows.items()) if pair[0] != "sum" for cell in pair))


def read_key(row: Sequence[Any]) -> tuple[int, int, int, int]:
    """A key, its item, and the part of its text, from the columns `KEY`; ValueError: they are not what was written."""
    *told, row_sum = row
    if checksum.row_checksum(*told) != row_sum:
        raise ValueError(f"the key {told[0]} is not what was written")
    key, item, start, stop = told
    return key, item, start, stop


def read_item(row: Sequence[Any], fields: Fields) -> Item:
    """An item from the columns `ITEM` of its row; ValueError where they are not what was written."""
    *cells, row_sum = row
    if checksum.row_checksum(*cells) != row_sum:
        raise ValueError(f"the item {cells[0]} is not what was written")
    _, ident, title, description, rest, _ = cells
    told = json.loads(rest)
    return Item(ident, title, description, told, key_text(title, description, told, fields))


def read_segments(db: sqlite3.Connection, listing: int | None = None) -> tuple[list[SegmentRow], int]:
    """The list of segments, by their first keys, and its checksum; ValueError where that is not `listing`."""
    rows = db.execute("SELECT first, rows, file, sums, dead, joined FROM segments ORDER BY first").fetchall()
    found = checksum.row_checksum(*(cell for row in rows for cell in row))
    if listing not in (None, found):
        raise ValueError("the list of segments is not what was written")
    return [SegmentRow(*row[:4], *(_bits(bits, row[1]) for bits in row[4:])) for row in rows], found


def _bits(raw: bytes | None, rows: int) -> NDArray[np.bool_] | None:
    if raw is not None and len(raw) != -(-rows // 8):
        raise ValueError("the list of segments is not what was written")
    return None if raw is None else np.unpackbits(np.frombuffer(raw, np.uint8), count=rows).astype(bool)
