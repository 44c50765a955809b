"""Incoming items ↔ stored ones: which are new, changed or gone, and which passages have no embedding yet.

All of it is SQL over temporary tables of the connection, so memory does not grow with the catalog.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from attnsearch.encoding.passages import Passage
from attnsearch.errors import InputError
from attnsearch.sources.items import Item
from attnsearch.storage import checksum

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

Split = Callable[[str, str], list[Passage]]
"""An item's title and key text → its passages."""

# The state of one run, which ends with its connection:
#   incoming   the items of the sources, with their file:line
#   differing  those that are new (their `item` is NULL) or differ from the stored item
#   pending    those with a new text
#   passages   the passages of the pending items; `text` is NULL for a passage that is the whole text
#   vectors    where the embedding of a text is: under a key of the catalog, or in a row of the checkpoint
#   dead       keys that no item has any more
_RUN = """
CREATE TEMP TABLE incoming (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT, description TEXT, fields TEXT,
                            text_sha256 BLOB, text TEXT, place TEXT);
CREATE TEMP TABLE differing (n INTEGER PRIMARY KEY, item INTEGER);
CREATE TEMP TABLE pending (n INTEGER PRIMARY KEY);
CREATE TEMP TABLE passages (n INTEGER, start INTEGER, stop INTEGER, sha256 BLOB, text TEXT, PRIMARY KEY (n, start))
    WITHOUT ROWID;
CREATE TEMP TABLE vectors (sha256 BLOB PRIMARY KEY, key INTEGER, row INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE dead (key INTEGER PRIMARY KEY);
"""
_DIFFERING = """
INSERT INTO differing SELECT n, item FROM incoming LEFT JOIN items AS old USING (id)
WHERE (old.title, old.description, old.fields, old.text_sha256)
    IS NOT (incoming.title, incoming.description, incoming.fields, incoming.text_sha256)
"""
_PENDING = """
INSERT INTO pending SELECT n FROM differing JOIN incoming USING (n) LEFT JOIN items USING (item)
WHERE items.text_sha256 IS NOT incoming.text_sha256
"""
# The same text may be stored already, under another id; then it has the same passages.
_STORED_VECTORS = """
INSERT OR IGNORE INTO vectors SELECT passages.sha256, key, NULL
FROM passages JOIN incoming USING (n)
    JOIN (SELECT min(item) AS item, text_sha256 FROM items GROUP BY text_sha256) AS old USING (text_sha256)
    JOIN keys ON keys.item = old.item AND keys.start = passages.start
"""
_STORE_ITEMS = """
INSERT OR REPLACE INTO items SELECT item, id, title, description, fields, text_sha256,
    of_row(item, id, title, description, fields, text_sha256)
FROM (SELECT coalesce(item, n + (SELECT coalesce(max(item), 0) FROM items)) AS item, id, title, description, fields,
             text_sha256
      FROM differing JOIN incoming USING (n) ORDER BY n)
"""


class Changes(NamedTuple):
    """How many items were new, changed and removed; `length` is that of all passages of new texts, in characters."""

    added: int
    changed: int
    removed: int
    length: int


def create_tables(db: sqlite3.Connection) -> None:
    """Create the temporary tables and the SQL function that the rest needs."""
    db.create_function("of_row", -1, checksum.row_checksum, deterministic=True)
    for statement in _RUN.split(";"):
        db.execute(statement)


def load_items(db: sqlite3.Connection, items: Iterable[Item]) -> None:
    """Load the items into the table `incoming`, one by one. Raises InputError for an id used twice."""
    item = None

    def rows() -> Iterator[tuple[str | bytes, ...]]:
        nonlocal item
        for item in items:
            sha256 = hashlib.sha256(item.text.encode()).digest()
            yield item.id, item.title, item.description, _to_json(item.fields), sha256, item.text, item.place

    try:
        # NULL: the next number
        db.executemany("INSERT INTO incoming VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows())
    except sqlite3.IntegrityError:
        if item is None:
            raise
        (place,) = db.execute("SELECT place FROM incoming WHERE id = ?", (item.id,)).fetchone()
        file, _, line = place.rpartition(":")
        earlier = f"on line {line}" if item.place.startswith(f"{file}:") else f"at {place}"
        hint = "give each item its own id"
        raise InputError(f"id '{item.id}' was already used {earlier}", where=item.place, hint=hint) from None


def compare_items(db: sqlite3.Connection, split: Split, *, keep: bool) -> Changes:
    """Make the table `items` equal to `incoming`; with `keep`, items that are not in it stay.

    Pending items lose their keys, which become `dead`; `passages` holds what to embed for them.
    """
    db.execute(_DIFFERING)
    db.execute(_PENDING)
    added, changed = db.execute("SELECT count(*) - count(item), count(item) FROM differing").fetchone()
    length = _split_pending(db, split)
    db.execute(_STORED_VECTORS)
    removed = 0
    if not keep:
        gone = "SELECT item FROM items WHERE id NOT IN (SELECT id FROM incoming)"
        _remove_keys(db, gone)
        removed = db.execute(f"DELETE FROM items WHERE item IN ({gone})").rowcount  # noqa: S608
    db.execute(_STORE_ITEMS)
    _remove_keys(db, "SELECT item FROM pending JOIN incoming USING (n) JOIN items USING (id)")
    return Changes(added, changed, removed, length)


def _split_pending(db: sqlite3.Connection, split: Split) -> int:
    """Fill `passages` from the pending items; returns the length of all passages, in characters."""
    length = 0

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal length
        pending = db.execute("SELECT n, title, text, text_sha256 FROM pending JOIN incoming USING (n)")
        for n, title, item_text, item_sha256 in pending:
            for start, stop, text in split(title, item_text):
                length += len(text)
                if text == item_text:
                    yield n, start, stop, item_sha256, None
                else:
                    yield n, start, stop, hashlib.sha256(text.encode()).digest(), text

    db.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?)", rows())
    return length


def _remove_keys(db: sqlite3.Connection, items: str) -> None:
    """Delete the keys of items, chosen by a SELECT of ours, and list them as dead."""
    db.execute(f"INSERT INTO dead SELECT key FROM keys WHERE item IN ({items})")  # noqa: S608
    db.execute(f"DELETE FROM keys WHERE item IN ({items})")  # noqa: S608
