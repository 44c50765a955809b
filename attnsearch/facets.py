"""Items → the values of some of their fields, and which items have each: as a filter, a prior or a readout needs them.

A field of a field is `author.name`; a list has all of its elements as values; what is empty is no value.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.catalog import Fields, Item
from attnsearch.filters import fold, reading
from attnsearch.values import Value

NUMBERS = np.dtype("<u4")  # of keys, as they are stored

_HELD = 500_000  # entries in memory before they go to a temporary file

_NAME = "CREATE TABLE field (name TEXT NOT NULL)"
_FACETS = "CREATE TABLE facets (value TEXT NOT NULL, folded TEXT NOT NULL, number, begin REAL, keys BLOB NOT NULL)"
_INDEXES = (
    "CREATE INDEX by_value ON facets (value)",
    "CREATE INDEX by_number ON facets (number) WHERE number IS NOT NULL",
    "CREATE INDEX by_begin ON facets (begin) WHERE begin IS NOT NULL",
)


class Facet(NamedTuple):
    """A value, how else it can be read (see `filters.reading`), and the first keys (n,) of the items that have it."""

    value: str
    number: int | float | None
    begin: float | None
    keys: NDArray[np.uint32]


class Measured(NamedTuple):
    """A field's values as numbers (n,), and the first keys (n,) of their items; dates are seconds since 1970, UTC."""

    is_date: bool
    values: NDArray[np.float64]
    keys: NDArray[np.uint32]


class Drawn:
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
            for value in set(values(item, field, self._names)):
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
        db.executemany("INSERT INTO facets VALUES (?, ?, ?, ?, ?)", self._rows(field))
        for index in _INDEXES:
            db.execute(index)
        (count,) = db.execute("SELECT count(*) FROM facets").fetchone()
        return int(count)

    def _rows(self, field: str) -> Iterator[tuple[str, str, int | float | None, float | None, bytes]]:
        spilled = self._spilled.execute(
            "SELECT value, keys FROM spilled WHERE field = ? ORDER BY value, rowid", (field,)
        )
        for value, parts in groupby(spilled, key=lambda row: row[0]):
            number, begin, _ = reading(value)
            yield value, fold(value), number, begin, b"".join(keys for _, keys in parts)

    def _spill(self) -> None:
        for field, held in self._held.items():
            rows = ((field, value, np.array(keys, NUMBERS).tobytes()) for value, keys in held.items())
            self._spilled.executemany("INSERT INTO spilled VALUES (?, ?, ?)", rows)
            held.clear()
        self._count = 0

    def close(self) -> None:
        """Let go of the temporary file."""
        self._spilled.close()


def name(db: sqlite3.Connection) -> str:
    """Which field it is."""
    (found,) = db.execute("SELECT name FROM field").fetchone()
    return str(found)


def select(db: sqlite3.Connection, condition: str, parameters: list[str | int | float]) -> NDArray[np.uint32]:
    """The first keys of the items with a value that meets a condition of `filters.sql`."""
    rows = db.execute(f"SELECT keys FROM facets WHERE {condition}", parameters)  # noqa: S608 (made by `filters`)
    return np.frombuffer(b"".join(keys for (keys,) in rows), NUMBERS)


def every(db: sqlite3.Connection) -> list[Facet]:
    """All values of the field."""
    rows = db.execute("SELECT value, number, begin, keys FROM facets ORDER BY rowid")
    return [Facet(value, number, begin, np.frombuffer(keys, NUMBERS)) for value, number, begin, keys in rows]


def measure(found: list[Facet]) -> Measured | None:
    """The numbers of a field, or its dates, if most of its items have one; what is neither is left out."""
    total = sum(len(facet.keys) for facet in found)
    for is_date in (False, True):
        pairs = [(facet.begin if is_date else facet.number, facet.keys) for facet in found]
        read = [(number, keys) for number, keys in pairs if number is not None]
        if 2 * sum(len(keys) for _, keys in read) > total:
            counts = [len(keys) for _, keys in read]
            values = np.repeat(np.array([number for number, _ in read], np.float64), counts)
            return Measured(is_date, values, np.concatenate([keys for _, keys in read]))
    return None


def values(item: Item, field: str, names: Fields) -> Iterator[str]:
    """The values that an item has in a field: also its id, its title and its description.

    >>> item = Item("d", "Dune", "", {"tags": ["sand", "spice"], "author": {"name": "Frank Herbert"}, "year": 1965}, "")
    >>> [list(values(item, field, Fields())) for field in ("tags", "author.name", "year", "title", "series")]
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
        name, *path = field.split(".")
        yield from _words(item.fields.get(name), path)


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
