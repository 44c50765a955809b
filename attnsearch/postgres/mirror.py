"""A catalog's tables, all but vectors and postings, in a temporary index.sqlite: what `indexing` compares items with.

So the same SQL decides what changes, whether the catalog is in a folder or in a database; then only that is sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from attnsearch.storage.database import FIELD, ITEM, KEY, TABLES, read_item, read_key

if TYPE_CHECKING:
    from psycopg import Connection

_AT_ONCE = 5_000  # rows fetched
_COLUMNS = {
    "info": "SELECT name, value FROM info",
    "segments": "SELECT first, rows, file, ''::bytea, dead, joined FROM segments ORDER BY first",
    "items": f"SELECT {ITEM} FROM items ORDER BY item",  # noqa: S608 (our own words)
    "keys": f"SELECT {KEY} FROM keys ORDER BY key",  # noqa: S608
    "fields": f"SELECT {FIELD} FROM fields ORDER BY rowid",  # noqa: S608
}
_ITEMS = f"""SELECT {KEY}, {ITEM} FROM keys JOIN items USING (item)
WHERE start = 0 AND key >= ? AND key < ? ORDER BY key"""  # noqa: S608
_OF_KEY = KEY.count(",") + 1  # columns


def create_mirror() -> sqlite3.Connection:
    """An index.sqlite without rows, in a file without a name, in a transaction."""
    db = sqlite3.connect("", isolation_level=None)
    for statement in TABLES.split(";"):
        db.execute(statement)
    db.execute("BEGIN")
    return db


def fill_mirror(db: sqlite3.Connection, connection: Connection[Any]) -> None:
    """Copy the tables of one snapshot. Raises what psycopg raises, and sqlite3.Error for rows that no commit writes."""
    for table, statement in _COLUMNS.items():
        with connection.cursor(f"mirror_{table}") as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(statement)
            marks = ", ".join("?" * len(cursor.description or ()))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", cursor)  # noqa: S608


def items_of(db: sqlite3.Connection, first: int, end: int, fields: Fields) -> Iterator[tuple[int, Item]]:
    """The first key, from `first` to before `end`, of every item, and the item. Raises ValueError for a damaged row."""
    for row in db.execute(_ITEMS, (first, end)):
        yield read_key(row[:_OF_KEY]).key, read_item(row[_OF_KEY:], fields)


def new_items(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """The rows of the items that this run has added or changed."""
    yield from db.execute(
        "SELECT * FROM items WHERE id IN (SELECT id FROM incoming WHERE n IN (SELECT n FROM differing)) ORDER BY item"
    )
