r"""Items → the values of their fields, and which items have each: what filters, priors and readouts need.

A nested field is `author.name`; every element of a list is a value. What is empty, \N or NULL is no value, and ="007"
is its content: see `sources.kinds`.
"""

from __future__ import annotations

import heapq
import json
import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.conditions import Condition, fold_text
from attnsearch.postings.terms import KEYS
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from attnsearch.sources.kinds import Kind, decide, form_of, interpret
from attnsearch.sources.numbers import key_number
from attnsearch.syntax.values import WRAPPERS, Value, content_of, unwrap

BUFFER = 500_000  # entries in memory before they go to a temporary file
RUN = 1_000  # different numbers, or times, of one run

_FIELD = "CREATE TABLE field (name TEXT NOT NULL)"
_FORMS = "CREATE TABLE forms (form TEXT PRIMARY KEY, count INTEGER NOT NULL)"
_FACETS = "CREATE TABLE facets (value TEXT NOT NULL, folded TEXT NOT NULL, number BLOB, begin REAL, keys BLOB NOT NULL)"
_INDEXES = (
    "CREATE INDEX by_value ON facets (value)",
    "CREATE INDEX by_number ON facets (number) WHERE number IS NOT NULL",
    "CREATE INDEX by_begin ON facets (begin) WHERE begin IS NOT NULL",
)
_RUNS = "CREATE TABLE runs (kind TEXT NOT NULL, low NOT NULL, high NOT NULL, keys BLOB NOT NULL)"
_MEASURES = ("number", "begin")
_ORDERINGS = ("<", "<=", ">", ">=")
_RANGES = {"between": "low <= ?", "from": "low < ?"}  # and the beginning of the range of which a run has a part


class Facet(NamedTuple):
    """A value, and the first keys (n,) of the items that have it."""

    value: str
    keys: NDArray[np.uint32]


class Measured(NamedTuple):
    """A field's numbers (v,), ascending, the count of keys for each (v,), and these keys (n,) in that order.

    Keys are the items' first ones. Dates are seconds since 1970, UTC. Numbers are rounded to float64, so that equal
    ones may follow one another; what is beyond its range is left out.
    """

    is_date: bool
    numbers: NDArray[np.float64]
    counts: NDArray[np.int64]
    keys: NDArray[np.uint32]


class Collector:
    """Collects the values of `fields` while items pass by, in bounded memory: at most `size` entries are buffered."""

    def __init__(self, fields: Iterable[str], names: Fields, *, size: int = BUFFER) -> None:
        self.seen: set[str] = set()  # the names of all fields that items have
        self.buffer: dict[str, defaultdict[str, list[int]]] = {field: defaultdict(list) for field in fields}
        self._names = names
        self._size = size
        self._count = 0  # of entries in the buffer
        self._spilled = sqlite3.connect("", isolation_level=None)  # a file that SQLite deletes
        self._spilled.execute("BEGIN")
        self._spilled.execute("CREATE TABLE spilled (field TEXT, value TEXT, keys BLOB)")

    def add(self, key: int, item: Item) -> None:
        """Add an item by its first key; keys must ascend."""
        self.seen.update(item.fields)
        for field, values in self.buffer.items():
            for value in set(item_values(item, field, self._names)):
                values[value].append(key)
                self._count += 1
        if self._count >= self._size:
            self._spill_buffer()

    def fill(self, db: sqlite3.Connection, field: str, *, run: int = RUN) -> int:
        """Write the values of a field to an empty database, numbers in runs of `run`; returns how many values."""
        self._spill_buffer()
        forms: Counter[str] = Counter()
        for value, keys in self._values(field):
            forms[form_of(value)] += len(keys) // KEYS.itemsize
        return _write_field(db, field, forms, self._values(field), run)

    def _values(self, field: str) -> Iterator[tuple[str, bytes]]:
        """Each value of a field, and the keys that have it."""
        spilled = self._spilled.execute(
            "SELECT value, keys FROM spilled WHERE field = ? ORDER BY value, rowid", (field,)
        )
        for value, rows in groupby(spilled, key=lambda row: row[0]):
            yield value, b"".join(keys for _, keys in rows)

    def _spill_buffer(self) -> None:
        for field, values in self.buffer.items():
            rows = ((field, value, np.array(keys, KEYS).tobytes()) for value, keys in values.items())
            self._spilled.executemany("INSERT INTO spilled VALUES (?, ?, ?)", rows)
            values.clear()
        self._count = 0

    def close(self) -> None:
        """Delete the temporary file."""
        self._spilled.close()


def merge_field(db: sqlite3.Connection, field: str, parts: Sequence[tuple[int, sqlite3.Connection]]) -> None:
    """Write the values that a field has in several databases to an empty one, as if their items were in one catalog.

    The keys of each database are counted from the number beside it; the numbers ascend.
    """

    def values_of(first: int, part: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
        for value, keys in part.execute("SELECT value, keys FROM facets ORDER BY value"):
            yield value, (np.frombuffer(keys, KEYS) + KEYS.type(first)).tobytes()

    def values() -> Iterator[tuple[str, bytes]]:
        merged = heapq.merge(*(values_of(*part) for part in parts), key=lambda row: row[0])
        for value, rows in groupby(merged, key=lambda row: row[0]):
            yield value, b"".join(keys for _, keys in rows)

    forms: Counter[str] = Counter()
    for _, part in parts:
        forms.update(_read_forms(part))
    _write_field(db, field, forms, values(), RUN)


def _write_field(
    db: sqlite3.Connection, field: str, forms: Mapping[str, int], values: Iterable[tuple[str, bytes]], run: int
) -> int:
    """Write the values of a field, each with its keys, to an empty database; returns how many values.

    `forms` are the counts of their forms, which the field's kind follows from.
    """
    db.execute(_FIELD)
    db.execute("INSERT INTO field VALUES (?)", (field,))
    db.execute(_FORMS)
    db.executemany("INSERT INTO forms VALUES (?, ?)", sorted(forms.items()))
    db.execute(_FACETS)
    db.execute(_RUNS)
    db.executemany("INSERT INTO facets VALUES (?, ?, ?, ?, ?)", _facet_rows(values, decide(forms)))
    for index in _INDEXES:
        db.execute(index)
    for kind in _MEASURES:
        db.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", _run_rows(db, kind, run))
    (count,) = db.execute("SELECT count(*) FROM facets").fetchone()
    return int(count)


def _facet_rows(
    values: Iterable[tuple[str, bytes]], kind: Kind
) -> Iterator[tuple[str, str, bytes | None, float | None, bytes]]:
    for value, keys in values:
        number, begin, _ = interpret(value, kind)
        yield value, fold_text(value), number, begin, keys


def _ordered_keys(db: sqlite3.Connection, kind: str) -> sqlite3.Cursor:
    """Each number, or time, ascending, and the keys that have it."""
    return db.execute(f"SELECT {kind}, keys FROM facets WHERE {kind} IS NOT NULL ORDER BY {kind}")  # noqa: S608


def _run_rows(db: sqlite3.Connection, kind: str, run: int) -> Iterator[tuple[str, bytes | float, bytes | float, bytes]]:
    """The numbers, or the times, in order, `run` of them a row: the first, the last, and all their keys."""
    cursor = _ordered_keys(db, kind)
    while rows := cursor.fetchmany(run):
        yield kind, rows[0][0], rows[-1][0], b"".join(keys for _, keys in rows)


def read_field_name(db: sqlite3.Connection) -> str:
    """The name of the field."""
    (name,) = db.execute("SELECT name FROM field").fetchone()
    return str(name)


def read_kind(db: sqlite3.Connection) -> Kind:
    """The kind of the field."""
    return decide(_read_forms(db))


def _read_forms(db: sqlite3.Connection) -> dict[str, int]:
    """How many of the field's values have each form."""
    return dict(db.execute("SELECT form, count FROM forms").fetchall())


def select_keys(db: sqlite3.Connection, conditions: Sequence[Condition]) -> NDArray[np.uint32]:
    """The first keys (n,) of the items with a value that meets any of the conditions; a key may occur twice."""
    statements = []
    for condition in conditions:
        column, op, bounds = condition
        low, high = condition.sql_of("low"), condition.sql_of("high")
        if op in _RANGES and column in _MEASURES:
            # A run is taken whole if both its ends are in the range, and searched if it has another part of the range.
            whole = f"SELECT keys FROM runs WHERE kind = ? AND {low} AND {high}"  # noqa: S608 (made by `conditions`)
            statements.append((whole, (column, *bounds * 2)))
            searched = f"SELECT facets.keys FROM runs JOIN facets ON {column} BETWEEN low AND high"  # noqa: S608
            searched = f"{searched} WHERE kind = ? AND high >= ? AND {_RANGES[op]} AND NOT ({low} AND {high})"
            statements.append((f"{searched} AND {condition.sql}", (column, *bounds * 4)))
        elif op in _ORDERINGS and column in _MEASURES:
            # A run is taken whole if both its ends meet the condition, and searched if only one of them does.
            whole = f"SELECT keys FROM runs WHERE kind = ? AND {low} AND {high}"  # noqa: S608
            statements.append((whole, (column, *bounds * 2)))
            searched = f"SELECT facets.keys FROM runs JOIN facets ON {column} BETWEEN low AND high"  # noqa: S608
            searched = f"{searched} WHERE kind = ? AND ({low}) <> ({high}) AND {condition.sql}"
            statements.append((searched, (column, *bounds * 3)))
        else:
            statements.append((f"SELECT keys FROM facets WHERE {condition.sql}", bounds))  # noqa: S608
    blobs = (keys for statement, parameters in statements for (keys,) in db.execute(statement, parameters))
    return np.frombuffer(b"".join(blobs), KEYS)


def read_facets(db: sqlite3.Connection) -> list[Facet]:
    """All values of the field."""
    rows = db.execute("SELECT value, keys FROM facets ORDER BY rowid")
    return [Facet(value, np.frombuffer(keys, KEYS)) for value, keys in rows]


def read_measured(db: sqlite3.Connection) -> Measured | None:
    """The field's numbers, or its dates, without its other values; None if most of its values are neither."""
    (total,) = db.execute("SELECT total(length(keys)) FROM facets").fetchone()
    for kind in _MEASURES:
        rows = [
            (measure, keys)
            for number, keys in _ordered_keys(db, kind)
            if math.isfinite(measure := key_number(number) if kind == "number" else number)
        ]
        raw = b"".join(keys for _, keys in rows)
        if 2 * len(raw) > total:
            numbers = np.array([number for number, _ in rows], np.float64)
            counts = np.array([len(keys) // KEYS.itemsize for _, keys in rows], np.int64)
            return Measured(kind == "begin", numbers, counts, np.frombuffer(raw, KEYS))
    return None


def item_values(item: Item, field: str, names: Fields) -> Iterator[str]:
    """The values of an item in a field, which may also be its id, its title or its description.

    >>> item = Item("d", "Dune", "", {"tags": ["sand", "spice"], "author": {"name": "Frank Herbert"}, "year": 1965}, "")
    >>> [list(item_values(item, field, Fields())) for field in ("tags", "author.name", "year", "title", "series")]
    [['sand', 'spice'], ['Frank Herbert'], ['1965'], ['Dune'], []]
    >>> list(item_values(item, "title.rendered", Fields()))
    ['Dune']
    """
    outer, _, last = field.rpartition(".")
    if last in WRAPPERS and field not in item.fields:
        field = outer  # which stands for what is in it
    if field in item.fields:
        yield from _flatten(item.fields[field], [])
    elif field == "id" or (field,) == names.id:
        yield item.id
    elif field in ("title", names.title):
        yield from _flatten(item.title, [])
    elif field == "description":
        yield from _flatten(item.description, [])
    elif "." in field:
        first, *path = field.split(".")
        yield from _flatten(item.fields.get(first), path)


def _flatten(value: Value, path: list[str]) -> Iterator[str]:
    """The texts of a value, or of what lies at `path` in its mappings, without those that mean no value."""
    if isinstance(value, list):
        for element in value:
            yield from _flatten(element, path)
    elif path:
        if isinstance(value, dict):
            yield from _flatten(value.get(path[0]), path[1:])
    elif isinstance(value, dict) and (inner := unwrap(value)) is not value:
        yield from _flatten(inner, [])
    elif isinstance(value, (dict, bool)):
        yield json.dumps(value, ensure_ascii=False)
    elif value is not None and (content := content_of(str(value))):
        yield content
