r"""Items → the values of their fields, and which rows of a segment have each: what filters, priors and readouts need.

A nested field is `author.name`; every element of a list is a value. What is empty, \N or NULL is no value, and ="007"
is its content: see `sources.kinds`.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.conditions import Condition, fold_text
from attnsearch.postings.stored import Part, create_database, pack_rows, row_type, write_about
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from attnsearch.sources.kinds import Kind, decide, form_of, interpret
from attnsearch.syntax.values import WRAPPERS, Value, content_of, unwrap

BUFFER = 500_000  # entries in memory before they go to a temporary file
RUN = 1_000  # different numbers, or times, of one run

_INDEXES = (
    "CREATE INDEX by_value ON facets (value)",
    "CREATE INDEX by_number ON facets (number) WHERE number IS NOT NULL",
    "CREATE INDEX by_begin ON facets (begin) WHERE begin IS NOT NULL",
)
_FORMS = "CREATE TABLE forms (form TEXT PRIMARY KEY, rows BLOB NOT NULL)"
_FACETS = "CREATE TABLE facets (value TEXT NOT NULL, folded TEXT NOT NULL, number BLOB, begin REAL, rows BLOB NOT NULL)"
_RUNS = "CREATE TABLE runs (kind TEXT NOT NULL, low NOT NULL, high NOT NULL, rows BLOB NOT NULL)"
TABLES = (_FORMS, _FACETS, _RUNS, *_INDEXES)
MEASURES = {"number": "blob", "begin": "real"}  # columns, and the type of what is in them
_ORDERINGS = ("<", "<=", ">", ">=")
_RANGES = {"between": "low <= ?", "from": "low < ?"}  # and the beginning of the range of which a run has a part


class Collector:
    """Collects the values of `fields` while the items of a segment of `count` rows pass by, in bounded memory.

    At most `size` entries are buffered.
    """

    def __init__(self, fields: Iterable[str], names: Fields, count: int, *, size: int = BUFFER) -> None:
        self.seen: set[str] = set()  # the names of all fields that items have
        self.buffer: dict[str, defaultdict[str, list[int]]] = {field: defaultdict(list) for field in fields}
        self.covered = np.zeros(count, bool)
        self._names = names
        self._size = size
        self._count = 0  # of entries in the buffer
        self._spilled = sqlite3.connect("", isolation_level=None)  # a file that SQLite deletes
        self._spilled.execute("BEGIN")
        self._spilled.execute("CREATE TABLE spilled (field TEXT, value TEXT, rows BLOB)")

    def add(self, row: int, item: Item) -> None:
        """Add an item by its first row; rows must ascend."""
        self.covered[row] = True
        self.seen.update(item.fields)
        for field, values in self.buffer.items():
            for value in set(item_values(item, field, self._names)):
                values[value].append(row)
                self._count += 1
        if self._count >= self._size:
            self._spill_buffer()

    def fill(self, db: sqlite3.Connection, field: str, *, run: int = RUN) -> None:
        """Write the values of a field to an empty database, numbers in runs of `run`, read as its own values say."""
        self._spill_buffer()
        rows_of: dict[str, list[bytes]] = {}
        for value, rows in self._values(field):
            rows_of.setdefault(form_of(value), []).append(rows)
        forms = {form: b"".join(rows) for form, rows in rows_of.items()}
        reading = reading_of(decide({form: len(rows) for form, rows in forms.items()}))
        write_about(db, pack_rows(self.covered), field, reading, has_field=field in self.seen)
        _write_values(db, forms, self._values(field), reading, run)

    def _values(self, field: str) -> Iterator[tuple[str, bytes]]:
        """Each value of a field, and the rows that have it."""
        spilled = self._spilled.execute(
            "SELECT value, rows FROM spilled WHERE field = ? ORDER BY value, rowid", (field,)
        )
        for value, parts in groupby(spilled, key=lambda row: row[0]):
            yield value, b"".join(rows for _, rows in parts)

    def _spill_buffer(self) -> None:
        kind = row_type(len(self.covered))
        for field, values in self.buffer.items():
            rows = ((field, value, np.array(places, kind).tobytes()) for value, places in values.items())
            self._spilled.executemany("INSERT INTO spilled VALUES (?, ?, ?)", rows)
            values.clear()
        self._count = 0

    def close(self) -> None:
        """Delete the temporary file."""
        self._spilled.close()


def reading_of(kind: Kind) -> str:
    """What of a field's kind decides the numbers and times of its values; "" if they have none.

    >>> reading_of(Kind("date", 9, 1, order="day")), reading_of(Kind("text"))
    ('["date", "", "", "day"]', '')
    """
    if kind.name in ("text", "yes/no"):
        return ""
    return json.dumps([kind.name, kind.decimal, kind.unit, kind.order])


def read_again(part: Part, kind: Kind) -> Part | None:
    """A part with the same values, whose numbers and times are what they are in a field of this kind.

    None if they are that already.
    """
    covered, name, reading, has_field = part.db.execute("SELECT * FROM about").fetchone()
    if reading == reading_of(kind) or not part.db.execute("SELECT 1 FROM facets").fetchone():
        return None
    again = part._replace(db=create_database())
    write_about(again.db, covered, name, reading_of(kind), has_field=has_field)
    forms = dict(part.db.execute("SELECT form, rows FROM forms").fetchall())
    values = part.db.execute("SELECT value, rows FROM facets ORDER BY rowid")
    _write_values(again.db, forms, values, reading_of(kind), RUN)
    again.db.execute("COMMIT")
    return again


def _write_values(
    db: sqlite3.Connection, forms: Mapping[str, bytes], values: Iterable[tuple[str, bytes]], reading: str, run: int
) -> None:
    """Write the values of a field, each with its rows, and the rows of each form, to an empty database."""
    write_facets(db, sorted(forms.items()), facet_rows(values, reading), run)


def write_facets(
    db: sqlite3.Connection, forms: Iterable[Sequence[Any]], facets: Iterable[Sequence[Any]], run: int = RUN
) -> None:
    """Write these rows of the tables `forms` and `facets` to an empty database, and what follows from them."""
    for table in (_FORMS, _FACETS, _RUNS):
        db.execute(table)
    db.executemany("INSERT INTO forms VALUES (?, ?)", forms)
    db.executemany("INSERT INTO facets VALUES (?, ?, ?, ?, ?)", facets)
    for index in _INDEXES:
        db.execute(index)
    for measure in MEASURES:
        db.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", _run_rows(db, measure, run))


def facet_rows(
    values: Iterable[tuple[str, bytes]], reading: str
) -> Iterator[tuple[str, str, bytes | None, float | None, bytes]]:
    """The rows of the table `facets` for these values, each with its rows, in a field of this `reading`."""
    settled: list[Any] = json.loads(reading) if reading else ["text"]
    kind = Kind(settled[0], 0, 0, *settled[1:])
    for value, rows in values:
        number, begin, _ = interpret(value, kind)
        yield value, fold_text(value), number, begin, rows


def _run_rows(
    db: sqlite3.Connection, measure: str, run: int
) -> Iterator[tuple[str, bytes | float, bytes | float, bytes]]:
    """The numbers, or the times, in order, `run` of them a row: the first, the last, and all their rows."""
    cursor = db.execute(f"SELECT {measure}, rows FROM facets WHERE {measure} IS NOT NULL ORDER BY {measure}")  # noqa: S608
    while values := cursor.fetchmany(run):
        yield measure, values[0][0], values[-1][0], b"".join(rows for _, rows in values)


def count_forms(parts: Iterable[Part]) -> Counter[str]:
    """How many values of items that live have each form, from which the kind of a field follows."""
    forms: Counter[str] = Counter()
    for part in parts:
        for form, rows in part.db.execute("SELECT form, rows FROM forms"):
            forms[form] += len(part.rows(rows))
    return forms


def select_keys(part: Part, conditions: Sequence[Condition]) -> NDArray[np.uint32]:
    """The first keys (n,) of the living items with a value that meets any of the conditions; a key may occur twice."""
    statements = []
    for condition in conditions:
        column, op, bounds = condition
        low, high = condition.sql_of("low"), condition.sql_of("high")
        if op in _RANGES and column in MEASURES:
            # A run is taken whole if both its ends are in the range, and searched if it has another part of the range.
            whole = f"SELECT rows FROM runs WHERE kind = ? AND {low} AND {high}"  # noqa: S608 (made by `conditions`)
            statements.append((whole, (column, *bounds * 2)))
            searched = f"SELECT facets.rows FROM runs JOIN facets ON {column} BETWEEN low AND high"  # noqa: S608
            searched = f"{searched} WHERE kind = ? AND high >= ? AND {_RANGES[op]} AND NOT ({low} AND {high})"
            statements.append((f"{searched} AND {condition.sql}", (column, *bounds * 4)))
        elif op in _ORDERINGS and column in MEASURES:
            # A run is taken whole if both its ends meet the condition, and searched if only one of them does.
            whole = f"SELECT rows FROM runs WHERE kind = ? AND {low} AND {high}"  # noqa: S608
            statements.append((whole, (column, *bounds * 2)))
            searched = f"SELECT facets.rows FROM runs JOIN facets ON {column} BETWEEN low AND high"  # noqa: S608
            searched = f"{searched} WHERE kind = ? AND ({low}) <> ({high}) AND {condition.sql}"
            statements.append((searched, (column, *bounds * 3)))
        else:
            statements.append((f"SELECT rows FROM facets WHERE {condition.sql}", bounds))  # noqa: S608
    blobs = (rows for statement, parameters in statements for (rows,) in part.db.execute(statement, parameters))
    return part.keys(b"".join(blobs))


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
