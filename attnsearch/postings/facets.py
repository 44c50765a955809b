"""Items → the values of some of their fields, and which items have each: as a filter, a prior or a readout needs them.

A field of a field is `author.name`; a list has all of its elements as values; what is empty is no value.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.filters import Condition, fold_text, interpret
from attnsearch.sources.items import Fields, Item
from attnsearch.sources.values import Value

NUMBERS = np.dtype("<u4")  # of keys, as they are stored

_HELD = 500_000  # entries in memory before they go to a temporary file

_NAME = "CREATE TABLE field (name TEXT NOT NULL)"
_FACETS = "CREATE TABLE facets (value TEXT NOT NULL, folded TEXT NOT NULL, number, begin REAL, keys BLOB NOT NULL)"
_INDEXES = (
    "CREATE INDEX by_value ON facets (value)",
    "CREATE INDEX by_number ON facets (number) WHERE number IS NOT NULL",
    "CREATE INDEX by_begin ON facets (begin) WHERE begin IS NOT NULL",
)
_RUNS = "CREATE TABLE runs (kind TEXT NOT NULL, low NOT NULL, high NOT NULL, keys BLOB NOT NULL)"
_MEASURES = ("number", "begin")
_ORDERED = ("<", "<=", ">", ">=")
_LENGTH = 1_000  # values of a run


class Facet(NamedTuple):
    """A value, and the first keys (n,) of the items that have it."""

    value: str
    keys: NDArray[np.uint32]


class Measured(NamedTuple):
    """A field's numbers (v,), ascending, how many keys have each (v,), and these first keys (n,), in that order.

    Dates are seconds since 1970, UTC.
    """

    is_date: bool
    numbers: NDArray[np.float64]
    counts: NDArray[np.int64]
    keys: NDArray[np.uint32]


class Collector:
    """The values of the `fields` of items, gathered while the items are drawn, in bounded memory."""

    def __init__(self, fields: Iterable[str], names: Fields) -> None:
        self.seen: set[str] = set()  # the names of all fields that items have
        self._names = names
        self._held: dict[str, defaultdict[str, list[int]]] = {field: defaultdict(list) for field in fields}
        self._count = 0
        self._spilled = sqlite3.connect("", isolation_level=None)  # a file that SQLite deletes
        self._spilled.execute("BEGIN")
        self._spilled.execute("CREATE TABLE spilled (field TEXT, value TEXT, keys BLOB)")

    def add(self, key: int, item: Item) -> None:
        """Take in an item, by its first key; keys come in their order."""
        self.seen.update(item.fields)
        for field, held in self._held.items():
            for value in set(item_values(item, field, self._names)):
                held[value].append(key)
                self._count += 1
        if self._count >= _HELD:
            self._spill()

    def fill(self, db: sqlite3.Connection, field: str) -> int:
        """Write the values of a field to a database of its own; how many there are."""
        self._spill()
        db.execute(_NAME)
        db.execute("INSERT INTO field VALUES (?)", (field,))
        db.execute(_FACETS)
        db.execute(_RUNS)
        db.executemany("INSERT INTO facets VALUES (?, ?, ?, ?, ?)", self._rows(field))
        for index in _INDEXES:
            db.execute(index)
        for kind in _MEASURES:
            db.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", _runs(db, kind))
        (count,) = db.execute("SELECT count(*) FROM facets").fetchone()
        return int(count)

    def _rows(self, field: str) -> Iterator[tuple[str, str, int | float | None, float | None, bytes]]:
        spilled = self._spilled.execute(
            "SELECT value, keys FROM spilled WHERE field = ? ORDER BY value, rowid", (field,)
        )
        for value, parts in groupby(spilled, key=lambda row: row[0]):
            number, begin, _ = interpret(value)
            yield value, fold_text(value), number, begin, b"".join(keys for _, keys in parts)

    def _spill(self) -> None:
        for field, held in self._held.items():
            rows = ((field, value, np.array(keys, NUMBERS).tobytes()) for value, keys in held.items())
            self._spilled.executemany("INSERT INTO spilled VALUES (?, ?, ?)", rows)
            held.clear()
        self._count = 0

    def close(self) -> None:
        """Let go of the temporary file."""
        self._spilled.close()


def _ordered(db: sqlite3.Connection, kind: str) -> sqlite3.Cursor:
    """Each number, or time, and the keys that have it, in their order."""
    return db.execute(f"SELECT {kind}, keys FROM facets WHERE {kind} IS NOT NULL ORDER BY {kind}")  # noqa: S608


def _runs(db: sqlite3.Connection, kind: str) -> Iterator[tuple[str, float, float, bytes]]:
    """The values in the order of their numbers, or of their times: the first and the last of some, all their keys."""
    rows = _ordered(db, kind)
    while some := rows.fetchmany(_LENGTH):
        yield kind, some[0][0], some[-1][0], b"".join(keys for _, keys in some)


def read_field_name(db: sqlite3.Connection) -> str:
    """Which field it is."""
    (found,) = db.execute("SELECT name FROM field").fetchone()
    return str(found)


def select_keys(db: sqlite3.Connection, conditions: Sequence[Condition]) -> NDArray[np.uint32]:
    """The first keys (n,) of the items with a value that meets one of the conditions, some of them perhaps twice."""
    parts = []
    for condition in conditions:
        column, op, bounds = condition
        if op in _ORDERED and column in _MEASURES:
            # Of a run all values are meant if both its ends are; it is looked into if one of them is.
            low, high = (Condition(end, op, bounds).sql for end in ("low", "high"))
            whole = f"SELECT keys FROM runs WHERE kind = ? AND {low} AND {high}"  # noqa: S608 (made by `filters`)
            some = f"SELECT facets.keys FROM runs JOIN facets ON {column} BETWEEN low AND high"  # noqa: S608
            parts.append((whole, (column, *bounds * 2)))
            parts.append((f"{some} WHERE kind = ? AND ({low}) <> ({high}) AND {condition.sql}", (column, *bounds * 3)))
        else:
            parts.append((f"SELECT keys FROM facets WHERE {condition.sql}", bounds))  # noqa: S608
    return np.frombuffer(b"".join(keys for sql, bounds in parts for (keys,) in db.execute(sql, bounds)), NUMBERS)


def read_facets(db: sqlite3.Connection) -> list[Facet]:
    """All values of the field."""
    rows = db.execute("SELECT value, keys FROM facets ORDER BY rowid")
    return [Facet(value, np.frombuffer(keys, NUMBERS)) for value, keys in rows]


def read_measured(db: sqlite3.Connection) -> Measured | None:
    """The numbers of the field, or its dates, if most of its items have one; what is neither is left out."""
    (total,) = db.execute("SELECT sum(length(keys)) FROM facets").fetchone()
    for kind in _MEASURES:
        rows = _ordered(db, kind).fetchall()
        keys = b"".join(some for _, some in rows)
        if 2 * len(keys) > total:
            counts = np.array([len(some) // NUMBERS.itemsize for _, some in rows], np.int64)
            numbers = np.array([number for number, _ in rows], np.float64)
            return Measured(kind == "begin", numbers, counts, np.frombuffer(keys, NUMBERS))
    return None


def item_values(item: Item, field: str, names: Fields) -> Iterator[str]:
    """The values that an item has in a field: also its id, its title and its description.

    >>> item = Item("d", "Dune", "", {"tags": ["sand", "spice"], "author": {"name": "Frank Herbert"}, "year": 1965}, "")
    >>> [list(item_values(item, field, Fields())) for field in ("tags", "author.name", "year", "title", "series")]
    [['sand', 'spice'], ['Frank Herbert'], ['1965'], ['Dune'], []]
    """
    if field in item.fields:
        yield from _words(item.fields[field], [])
    elif field in ("id", names.id):
        yield item.id
    elif field in ("title", names.title):
        yield from _words(item.title, [])
    elif field == "description":
        yield from _words(item.description, [])
    elif "." in field:
        first, *path = field.split(".")
        yield from _words(item.fields.get(first), path)


def _words(value: Value, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from _words(part, path)
    elif path:
        if isinstance(value, dict):
            yield from _words(value.get(path[0]), path[1:])
    elif isinstance(value, (dict, bool)):
        yield json.dumps(value, ensure_ascii=False)
    elif value is not None and (text := str(value).strip()):
        yield text
