"""Incoming items ↔ stored ones: which are new, changed or gone, and which passages have no embedding yet.

All of it is SQL over temporary tables of the connection, so memory does not grow with the catalog.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.passages import Passage
from attnsearch.errors import InputError
from attnsearch.indexing import numbering
from attnsearch.sources.fields import UNNAMED, Fields, first_names
from attnsearch.sources.items import Item
from attnsearch.sources.summary import Summary
from attnsearch.storage import checksum
from attnsearch.storage.database import (
    ITEM,
    KEY,
    KeyRow,
    count_fields,
    item_fields,
    read_fields,
    read_item,
    read_key,
    write_fields,
)

_CHUNK = 1_024  # supplied embeddings that are taken at once
_LISTED = 8  # fields of an item, at most, in a message

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

Split = Callable[[str, str], list[Passage]]
"""An item's title and key text → its passages."""

# The state of one run, which ends with its connection:
#   incoming   the items of the sources, with their file:line; `base` is what an id that we make is made of
#   differing  those that are new (their `item` is NULL) or differ from the stored item
#   replaced   what stood in the place of those that differ, and what is gone
#   passages   the passages of those that differ; `text` is NULL for a passage that is the whole text
#   vectors    where the embedding of a text is: under a key of the catalog, or in a row of the checkpoint
# A passage whose text is as it was has `key N` in the place of its text's SHA-256, N being the key that it had.
#   supplied   embeddings of texts that came with the items
#   dead       keys that no item has any more
_RUN = """
CREATE TEMP TABLE incoming (n INTEGER PRIMARY KEY, id TEXT UNIQUE, base TEXT, title TEXT, description TEXT,
                            fields TEXT, text_sha256 BLOB, text TEXT, place TEXT);
CREATE TEMP TABLE replaced (id TEXT, title TEXT, description TEXT, fields TEXT);
CREATE TEMP TABLE differing (n INTEGER PRIMARY KEY, item INTEGER);
CREATE TEMP TABLE passages (n INTEGER, start INTEGER, stop INTEGER, sha256 BLOB, text TEXT, PRIMARY KEY (n, start));
CREATE TEMP TABLE vectors (sha256 BLOB PRIMARY KEY, key INTEGER, row INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE supplied (sha256 BLOB PRIMARY KEY, x BLOB);
CREATE TEMP TABLE dead (key INTEGER PRIMARY KEY);
"""
_DIFFERING = """
INSERT INTO differing SELECT n, item FROM incoming LEFT JOIN items AS old USING (id)
WHERE (old.title, old.description, old.fields, old.text_sha256)
    IS NOT (incoming.title, incoming.description, incoming.fields, incoming.text_sha256)
"""
_REPLACED = "INSERT INTO replaced SELECT id, title, description, fields FROM items WHERE item IN"
_ADDED = "SELECT id, title, description, fields FROM incoming WHERE n IN (SELECT n FROM differing) ORDER BY n"
# A row of a segment stands for one version of its item, so that postings need not change with it: any change of an item
# gives it new keys, to which its vectors are copied if its text is as it was.
_AS_IT_WAS = """FROM differing JOIN incoming USING (n) JOIN items USING (item) JOIN keys USING (item)
WHERE items.text_sha256 = incoming.text_sha256"""
_COPIED_PASSAGES = f"INSERT INTO passages SELECT n, start, stop, CAST('key ' || key AS BLOB), NULL {_AS_IT_WAS}"
_COPIED_VECTORS = f"INSERT INTO vectors SELECT CAST('key ' || key AS BLOB), key, NULL {_AS_IT_WAS}"
_NEW_TEXTS = """
SELECT n, incoming.title, text, incoming.text_sha256 FROM differing JOIN incoming USING (n) LEFT JOIN items USING (item)
WHERE items.text_sha256 IS NOT incoming.text_sha256
"""
# The same text may be stored under another id, with the same passages. CROSS JOIN: or SQLite compares all pairs.
_STORED_VECTORS = """
INSERT OR IGNORE INTO vectors SELECT passages.sha256, key, NULL
FROM passages CROSS JOIN incoming USING (n)
    CROSS JOIN (SELECT min(item) AS item, text_sha256 FROM items GROUP BY text_sha256) AS old USING (text_sha256)
    CROSS JOIN keys ON keys.item = old.item AND keys.start = passages.start
"""
_SAMPLE = """SELECT place, coalesce(passages.text, incoming.text), x
FROM supplied JOIN passages USING (sha256) JOIN incoming USING (n) ORDER BY random() LIMIT ?
"""
_UNSUPPLIED = """
SELECT coalesce(sum(length(coalesce(passages.text, incoming.text))), 0) FROM passages JOIN incoming USING (n)
WHERE length(sha256) = 32 AND sha256 NOT IN (SELECT sha256 FROM supplied)
"""
_MISSING = """CREATE TEMP TABLE missing AS SELECT n, start, sha256 FROM passages
WHERE sha256 NOT IN (SELECT sha256 FROM vectors) GROUP BY sha256 HAVING n = min(n) ORDER BY n, start
"""
_RECALLED = "SELECT count(*) FROM vectors WHERE row IS NOT NULL AND sha256 IN (SELECT sha256 FROM passages)"
_NEEDED = """SELECT sha256, x FROM supplied WHERE sha256 > ? AND sha256 IN (SELECT sha256 FROM passages)
    AND sha256 NOT IN (SELECT sha256 FROM vectors) ORDER BY sha256 LIMIT ?
"""
_OF_KEY = KEY.count(",") + 1  # columns
_PLACES = f"SELECT {KEY}, {ITEM} FROM keys JOIN items USING (item) WHERE key >= ? AND key < ? ORDER BY key"  # noqa: S608
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


class SuppliedText(NamedTuple):
    """A text, the place of its item, and the embedding x (d,) that came with it."""

    place: str
    text: str
    x: NDArray[np.float32]


def create_tables(db: sqlite3.Connection) -> None:
    """Create the temporary tables and the SQL function that the rest needs."""
    db.create_function("of_row", -1, checksum.row_checksum, deterministic=True)
    for statement in _RUN.split(";"):
        db.execute(statement)


def load_items(db: sqlite3.Connection, items: Iterable[Item], fields: Fields = UNNAMED) -> None:
    """Load the items into the table `incoming`, one by one, and number the ids that we made of equal titles.

    Raises InputError for an id that a file says twice; the hint names some of the `fields`.
    """
    item = None

    def rows() -> Iterator[tuple[str | bytes, ...]]:
        nonlocal item
        for item in items:
            ids = (item.id, None) if item.has_own_id else (None, item.id)
            yield *ids, item.title, item.description, _to_json(item.fields), _hash(item), item.text, item.place

    try:
        # NULL: the next number
        db.executemany("INSERT INTO incoming VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
    except sqlite3.IntegrityError:
        if item is None:
            raise
        (place,) = db.execute("SELECT place FROM incoming WHERE id = ?", (item.id,)).fetchone()
        file, _, line = place.rpartition(":")
        earlier = f"on line {line}" if item.place.startswith(f"{file}:") else f"at {place}"
        message = f"id '{item.id[:80]}' was already used {earlier}"
        raise InputError(message, where=item.place, hint=_ways_out(item, fields)) from None
    numbering.number_ids(db)


def _hash(item: Item) -> bytes:
    return hashlib.sha256(item.text.encode()).digest()


def _ways_out(item: Item, fields: Fields) -> str:
    """What to do about an id that is there twice."""
    others = [name for name in (fields.title, *item.fields) if name and name not in fields.id]
    if not others:
        return "give each item its own id"
    options = " ".join(f"--id-field {shlex.quote(name)}" for name in fields.id or ["id"])
    return f"name fields that tell items apart: {options} --id-field FIELD, of {first_names(others, _LISTED)}"


def number_items(items: Iterable[Item], stored: Iterable[Item]) -> list[Item]:
    """The items with the ids that they get beside the stored ones. Raises InputError as `load_items` does."""
    numbered: list[Item] = []

    def noted() -> Iterator[Item]:
        for item in items:
            numbered.append(item)
            yield item

    with closing(sqlite3.connect("")) as db:
        create_tables(db)
        db.execute("CREATE TABLE items (id TEXT PRIMARY KEY, title, description, fields, text_sha256)")
        rows = ((item.id, item.title, item.description, _to_json(item.fields), _hash(item)) for item in stored)
        db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
        load_items(db, noted())
        ids = db.execute("SELECT id FROM incoming ORDER BY n").fetchall()
    return [item._replace(id=ident, has_own_id=True) for item, (ident,) in zip(numbered, ids, strict=True)]


def compare_items(db: sqlite3.Connection, split: Split, *, keep: bool) -> Changes:
    """Make the table `items` equal to `incoming`; with `keep`, items that are not in it stay.

    Items that differ lose their keys, which become `dead`; `passages` holds what they get new ones for.
    """
    db.execute(_DIFFERING)
    added, changed = db.execute("SELECT count(*) - count(item), count(item) FROM differing").fetchone()
    db.execute(_COPIED_PASSAGES)
    db.execute(_COPIED_VECTORS)
    length = _split_texts(db, split)
    db.execute(_STORED_VECTORS)
    removed = 0
    db.execute(f"{_REPLACED} (SELECT item FROM differing)")  # noqa: S608
    if not keep:
        gone = "SELECT item FROM items WHERE id NOT IN (SELECT id FROM incoming)"
        db.execute(f"{_REPLACED} ({gone})")
        _remove_keys(db, gone)
        removed = db.execute(f"DELETE FROM items WHERE item IN ({gone})").rowcount  # noqa: S608
    db.execute(_STORE_ITEMS)
    _remove_keys(db, "SELECT item FROM differing WHERE item IS NOT NULL")
    return Changes(added, changed, removed, length)


def sample_supplied(db: sqlite3.Connection, count: int) -> list[SuppliedText]:
    """Some of the texts that this run would take supplied embeddings for, at random."""
    rows = db.execute(_SAMPLE, (count,))
    return [SuppliedText(place, text, np.frombuffer(x, np.float32)) for place, text, x in rows]


def count_unsupplied(db: sqlite3.Connection) -> int:
    """How many characters the texts have that nothing was supplied for."""
    return int(db.execute(_UNSUPPLIED).fetchone()[0])


def recall_rows(db: sqlite3.Connection, hashes: Iterable[bytes]) -> int:
    """Note the texts with an embedding in a checkpoint, in the order of its rows; how many of them this run needs."""
    rows = ((sha256, row) for row, sha256 in enumerate(hashes))
    db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, NULL, ?)", rows)
    return int(db.execute(_RECALLED).fetchone()[0])


def recalled_row(db: sqlite3.Connection, sha256: bytes) -> int | None:
    """The row of a checkpoint that has the embedding of the text with this SHA-256; None if none has."""
    return next((row for (row,) in db.execute("SELECT row FROM vectors WHERE sha256 = ?", (sha256,))), None)


def draw_supplied(db: sqlite3.Connection) -> Iterator[tuple[list[bytes], NDArray[np.float32]]]:
    """The supplied embeddings x (n, d) that this run needs and no checkpoint has, and the SHA-256 of their texts."""
    last = b""
    while rows := db.execute(_NEEDED, (last, _CHUNK)).fetchall():
        hashes = [sha256 for sha256, _ in rows]
        yield hashes, np.frombuffer(b"".join(x for _, x in rows), np.float32).reshape(len(hashes), -1)
        last = hashes[-1]


def list_missing(db: sqlite3.Connection) -> int:
    """List the texts without an embedding in the table `missing`; how many there are."""
    db.execute(_MISSING)
    return int(db.execute("SELECT count(*) FROM missing").fetchone()[0])


def stored_places(db: sqlite3.Connection, first: int, end: int, fields: Fields) -> list[tuple[KeyRow, Item]]:
    """The keys from `first` to before `end`, each with its item. Raises ValueError if a row is not what was written."""
    rows = db.execute(_PLACES, (first, end)).fetchall()
    return [(read_key(row[:_OF_KEY]), read_item(row[_OF_KEY:], fields)) for row in rows]


def update_fields(db: sqlite3.Connection, old: Fields, new: Fields) -> None:
    """Bring the table `fields` up to date: what was replaced has the id and the title in the `old` fields."""
    if (old.id, old.title) != (new.id, new.title):  # even an item that is as it was has fields of other names now
        known = Summary()
        count_fields(db, known, new)
        write_fields(db, known, new)
        return
    known = Summary(read_fields(db))
    for leaves in item_fields(db, "SELECT * FROM replaced", old):
        known.remove(leaves)
    for leaves in item_fields(db, _ADDED, new):
        known.add(leaves)
    write_fields(db, known, new)


def _split_texts(db: sqlite3.Connection, split: Split) -> int:
    """Fill `passages` from the new texts; returns the length of all passages, in characters."""
    length = 0

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal length
        for n, title, item_text, item_sha256 in db.execute(_NEW_TEXTS):
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
