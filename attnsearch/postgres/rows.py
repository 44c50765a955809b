"""Items, keys and postings → rows of the tables, by COPY. The bytes of vectors and postings are those of files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings import cache, stored
from attnsearch.postings import terms as terms_of_texts
from attnsearch.postings.facets import Collector
from attnsearch.sources.items import Item
from attnsearch.sources.summary import Field
from attnsearch.storage import checksum
from attnsearch.storage.database import Info
from attnsearch.storage.segment import SegmentRow

if TYPE_CHECKING:
    from psycopg import Connection

SegmentCells = tuple[Any, ...]
"""A row of the table `segments`."""

_AT_ONCE = 10_000  # vectors fetched
_KEYS = ("int8", "int8", "int8", "int8", "vector", "int8", "int8")
_FACETS = ("int8", "text", "text", "bytea", "float8", "bytea")


def copy_rows(connection: Connection[Any], table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Add rows to a table, whose name is ours, in text."""
    _copy(connection, f"COPY {table} FROM STDIN", rows)


def _copy(
    connection: Connection[Any], statement: str, rows: Iterable[Sequence[Any]], types: Sequence[str] = ()
) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        if types:
            copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def copy_keys(
    connection: Connection[Any], keys: Iterable[tuple[tuple[int, int, int, int], NDArray[np.float32]]]
) -> None:
    """Add keys: the number, the item, start and stop of each, and its x (d,)."""
    rows = ((*key, x, checksum.row_checksum(*key), vector_checksum(x)) for key, x in keys)
    _copy(connection, "COPY keys FROM STDIN (FORMAT BINARY)", rows, _KEYS)


def vector_checksum(x: NDArray[np.float32]) -> int:
    """The checksum of a vector x (d,), of its bytes as a file has them."""
    return checksum.row_checksum(np.ascontiguousarray(x, "<f4").tobytes())


def posting_names(fields: Iterable[Field], info: Info) -> list[str]:
    """The fields whose values are stored: all that the catalog knows but prose that is part of the texts."""
    own = {*info.fields.id, info.fields.title}
    prose = {*info.fields.text} - own
    return [field.name for field in fields
            if not (field.name in prose and field.kind_name == "text" and field.counts is None)]  # fmt: skip


def settle_postings(
    connection: Connection[Any],
    segments: Sequence[SegmentRow],
    items: Callable[[SegmentRow], Iterable[tuple[int, Item]]],
    info: Info,
    names: Sequence[str],
) -> None:
    """Write what the segments lack of the terms, and of the values of the fields with these `names`; delete the rest.

    `items` has the first row of each living item of a segment, and the item, in order.
    """
    labels = {cache.field_label(name, info): name for name in names}
    terms_label = cache.terms_label(info)
    others = "about WHERE NOT label = ANY(%s)"
    for table in ("facets", "forms"):
        statement = f"DELETE FROM {table} WHERE about IN (SELECT about FROM {others})"  # noqa: S608 (our own words)
        connection.execute(statement, [list(labels)])
    connection.execute(f"DELETE FROM {others}", [list(labels)])  # noqa: S608
    connection.execute(
        "DELETE FROM terms WHERE segment IN (SELECT segment FROM texts WHERE label <> %s)", [terms_label]
    )
    connection.execute("DELETE FROM texts WHERE label <> %s", [terms_label])
    written = set(connection.execute("SELECT segment, label FROM about UNION ALL SELECT segment, label FROM texts"))
    (row,) = connection.execute("SELECT coalesce(max(about), -1) + 1 FROM about")
    number = int(row[0])
    for segment in segments:
        missing = [name for label, name in labels.items() if (segment.first, label) not in written]
        terms = (segment.first, terms_label) not in written
        if missing or terms:
            write_postings(connection, segment, items(segment), info, missing, number, terms=terms)
            number += len(missing)


def write_postings(
    connection: Connection[Any],
    segment: SegmentRow,
    items: Iterable[tuple[int, Item]],
    info: Info,
    names: Sequence[str],
    first_number: int,
    *,
    terms: bool = True,
) -> None:
    """Write the values of the fields with these `names` of a segment's items, and the `terms`.

    `items` has the first row of each living item, and the item, in order. `first_number` is the first that no row of
    the table `about` has.
    """
    rows: list[int] = []
    with closing(Collector(names, info.fields, segment.rows)) as collector:

        def texts() -> Iterator[str]:
            for row, item in items:
                rows.append(row)
                collector.add(row, item)
                yield item.text

        if terms:
            _write_terms(connection, segment, texts(), rows, info)
        else:
            for _ in texts():
                pass
        for number, name in enumerate(names, first_number):
            with closing(stored.create_database()) as db:
                collector.fill(db, name)
                about = db.execute("SELECT covered, name, reading, has_field FROM about").fetchone()
                copy_rows(connection, "about", [(number, segment.first, cache.field_label(name, info), *about)])
                values = db.execute("SELECT ?, value, folded, number, begin, rows FROM facets", (number,))
                _copy(connection, "COPY facets FROM STDIN (FORMAT BINARY)", values, _FACETS)
                forms = db.execute("SELECT ?, form, rows FROM forms", (number,))
                _copy(connection, "COPY forms FROM STDIN (FORMAT BINARY)", forms, ("int8", "text", "bytea"))


def _write_terms(
    connection: Connection[Any], segment: SegmentRow, texts: Iterable[str], rows: Sequence[int], info: Info
) -> None:
    with closing(stored.create_database()) as db:
        terms_of_texts.write_terms(db, texts, rows, segment.rows, info.language)
        (lengths,) = db.execute("SELECT lengths FROM texts").fetchone()
        copy_rows(connection, "texts", [(segment.first, cache.terms_label(info), lengths)])
        terms = db.execute("SELECT ?, term, rows, counts FROM terms", (segment.first,))
        _copy(connection, "COPY terms FROM STDIN (FORMAT BINARY)", terms, ("int8", "text", "bytea", "bytea"))


def delete_postings(connection: Connection[Any], segments: Sequence[int]) -> None:
    """Delete the postings of the segments with these first keys."""
    of_fields = "DELETE FROM {} WHERE about IN (SELECT about FROM about WHERE segment = ANY(%s))"
    for table in ("facets", "forms"):
        connection.execute(of_fields.format(table), [list(segments)])
    for table in ("about", "texts", "terms"):
        connection.execute(f"DELETE FROM {table} WHERE segment = ANY(%s)", [list(segments)])  # noqa: S608 (our own words)


def replace_segments(
    connection: Connection[Any], before: Sequence[SegmentCells], after: Sequence[SegmentCells]
) -> None:
    """Bring the list of segments from one state to another; each row has the columns of the table."""
    changed = [row[0] for row in {*before} - {*after}]
    connection.execute("DELETE FROM segments WHERE first = ANY(%s)", [changed])
    copy_rows(connection, "segments", [row for row in after if row not in {*before}])


def replace_fields(connection: Connection[Any], fields: Sequence[Sequence[Any]]) -> None:
    """Fill the table `fields` with these rows, which are in order."""
    connection.execute("DELETE FROM fields")
    copy_rows(connection, "fields", ((number, *row) for number, row in enumerate(fields)))


def read_vectors(connection: Connection[Any], keys: Sequence[int]) -> dict[int, NDArray[np.float32]]:
    """The vector (d,) of each of these keys that there is. Raises ValueError for one that is not what was written."""
    vectors = {}
    for start in range(0, len(keys), _AT_ONCE):
        statement = "SELECT key, x, x_sum FROM keys WHERE key = ANY(%s)"
        for key, vector, x_sum in connection.execute(statement, [list(keys[start : start + _AT_ONCE])], binary=True):
            vectors[key] = x = vector.to_numpy()
            if vector_checksum(x) != x_sum:
                raise ValueError(f"the vector of the key {key} is not what was written")
    return vectors


def write_info(connection: Connection[Any], rows: dict[str, str]) -> None:
    """Fill the table `info` with these rows, see `database.info_rows`."""
    connection.execute("DELETE FROM info")
    copy_rows(connection, "info", rows.items())
