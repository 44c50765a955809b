"""What comes in ↔ what is stored: which items are new, changed or gone, and which passages have no embedding yet.

All of it is SQL over tables of the connection's own, so that no memory grows with the catalog.
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

_as_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

Split = Callable[[str, str], list[Passage]]
"""An item's title and key text → its passages."""

# What one run needs to know: gone with its connection. `place` is an item's file:line; `differing` are items that are
# new (NULL) or not what is stored; `pending` those with another text, and `passages` theirs, with a text where it is
# not all of the item's; `vectors` says where the embedding of a text is: in the catalog under a key, or in a row of
# the draft; `buried` are keys that are nobody's any more.
_RUN = """
CREATE TEMP TABLE incoming (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT, description TEXT, fields TEXT,
                            text_sha256 BLOB, text TEXT, place TEXT);
CREATE TEMP TABLE differing (n INTEGER PRIMARY KEY, item INTEGER);
CREATE TEMP TABLE pending (n INTEGER PRIMARY KEY);
CREATE TEMP TABLE passages (n INTEGER, start INTEGER, stop INTEGER, sha256 BLOB, text TEXT, PRIMARY KEY (n, start))
    WITHOUT ROWID;
CREATE TEMP TABLE vectors (sha256 BLOB PRIMARY KEY, key INTEGER, row INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE buried (key INTEGER PRIMARY KEY);
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
# The same text may be there already, under another id; then it has the same passages.
_KNOWN = """
INSERT OR IGNORE INTO vectors SELECT passages.sha256, key, NULL
FROM passages JOIN incoming USING (n)
    JOIN (SELECT min(item) AS item, text_sha256 FROM items GROUP BY text_sha256) AS old USING (text_sha256)
    JOIN keys ON keys.item = old.item AND keys.start = passages.start
"""
_STORE = """
INSERT OR REPLACE INTO items SELECT item, id, title, description, fields, text_sha256,
    of_row(item, id, title, description, fields, text_sha256)
FROM (SELECT coalesce(item, n + (SELECT coalesce(max(item), 0) FROM items)) AS item, id, title, description, fields,
             text_sha256
      FROM differing JOIN incoming USING (n) ORDER BY n)
"""


class Changes(NamedTuple):
    """How what came stands to what was stored, in items; `length` is that of all texts to embed, in characters."""

    added: int
    changed: int
    removed: int
    length: int


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables that the rest needs."""
    db.create_function("of_row", -1, checksum.row_checksum, deterministic=True)
    for statement in _RUN.split(";"):
        db.execute(statement)


def load_items(db: sqlite3.Connection, items: Iterable[Item]) -> None:
    """Take the items in, one by one. Raises InputError for an id used twice."""
    drawn = None

    def rows() -> Iterator[tuple[str | bytes, ...]]:
        nonlocal drawn
        for drawn in items:
            text, fields = drawn.text, _as_json(drawn.fields)
            sha256 = hashlib.sha256(text.encode()).digest()
            yield drawn.id, drawn.title, drawn.description, fields, sha256, text, drawn.place

    try:
        # NULL: the next number
        db.executemany("INSERT INTO incoming VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows())
    except sqlite3.IntegrityError:
        if drawn is None:
            raise
        (first,) = db.execute("SELECT place FROM incoming WHERE id = ?", (drawn.id,)).fetchone()
        file, _, line = first.rpartition(":")
        earlier = f"on line {line}" if drawn.place.startswith(f"{file}:") else f"at {first}"
        hint = "give each item its own id"
        raise InputError(f"id '{drawn.id}' was already used {earlier}", where=drawn.place, hint=hint) from None


def compare_items(db: sqlite3.Connection, split: Split, *, keep: bool) -> Changes:
    """Bring the table of items up to date; what did not come goes, unless `keep`. Its keys are `buried`."""
    run = db.execute
    run(_DIFFERING)
    run(_PENDING)
    added, changed = run("SELECT count(*) - count(item), count(item) FROM differing").fetchone()
    length = _split(db, split)
    run(_KNOWN)
    removed = 0
    if not keep:
        gone = "SELECT item FROM items WHERE id NOT IN (SELECT id FROM incoming)"
        _bury(db, gone)
        removed = run(f"DELETE FROM items WHERE item IN ({gone})").rowcount  # noqa: S608
    run(_STORE)
    _bury(db, "SELECT item FROM pending JOIN incoming USING (n) JOIN items USING (id)")
    return Changes(added, changed, removed, length)


def _split(db: sqlite3.Connection, split: Split) -> int:
    """The passages of all pending texts; how many characters they have together."""
    length = 0

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal length
        pending = db.execute("SELECT n, title, text, text_sha256 FROM pending JOIN incoming USING (n)")
        for n, title, whole, sha256 in pending:
            for start, stop, text in split(title, whole):
                length += len(text)
                same = text == whole
                own = sha256 if same else hashlib.sha256(text.encode()).digest()
                yield n, start, stop, own, None if same else text

    db.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?)", rows())
    return length


def _bury(db: sqlite3.Connection, items: str) -> None:
    """Make the keys of items, chosen by a SELECT of ours, nobody's."""
    db.execute(f"INSERT INTO buried SELECT key FROM keys WHERE item IN ({items})")  # noqa: S608
    db.execute(f"DELETE FROM keys WHERE item IN ({items})")  # noqa: S608
