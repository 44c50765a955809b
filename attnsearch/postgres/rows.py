"""Items, keys and postings → rows of the tables, by COPY. The bytes of vectors and postings are those of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def write_postings(
    connection: Connection[Any],
    segment: SegmentRow,
    items: Iterable[tuple[int, Item]],
    info: Info,
    names: Sequence[str],
    first_number: int,
) -> None:
    """Write the terms of a segment's items, and the values of the fields with these `names`.

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

        with closing(stored.create_database()) as db:
            terms_of_texts.write_terms(db, texts(), rows, segment.rows, info.language)
            (lengths,) = db.execute("SELECT lengths FROM texts").fetchone()
            copy_rows(connection, "texts", [(segment.first, cache.terms_label(info), lengths)])
            terms = db.execute("SELECT ?, term, rows, counts FROM terms", (segment.first,))
            _copy(connection, "COPY terms FROM STDIN (FORMAT BINARY)", terms, ("int8", "text", "bytea", "bytea"))
        for number, name in enumerate(names, first_number):
            with closing(stored.create_database()) as db:
                collector.fill(db, name)
                about = db.execute("SELECT * FROM about").fetchone()
                copy_rows(connection, "about", [(number, segment.first, cache.field_label(name, info), *about)])
                values = db.execute("SELECT ?, value, folded, number, begin, rows FROM facets", (number,))
                _copy(connection, "COPY facets FROM STDIN (FORMAT BINARY)", values, _FACETS)
                forms = db.execute("SELECT ?, form, rows FROM forms", (number,))
                _copy(connection, "COPY forms FROM STDIN (FORMAT BINARY)", forms, ("int8", "text", "bytea"))


def delete_postings(connection: Connection[Any], segments: Sequence[int]) -> None:
    """Delete the postings of the segments with these first keys."""
    of_fields = "DELETE FROM {} WHERE about IN (SELECT about FROM about WHERE segment = ANY(%s))"
    for table in ("facets", "forms"):
        connection.execute(of_fields.format(table), [list(segments)])
    for table in ("about", "texts", "terms"):
        connection.execute(f"DELETE FROM {table} WHERE segment = ANY(%s)", [list(segments)])  # noqa: S608 (our own words)


def write_info(connection: Connection[Any], rows: dict[str, str]) -> None:
    """Fill the table `info` with these rows, see `database.info_rows`."""
    connection.execute("DELETE FROM info")
    copy_rows(connection, "info", rows.items())
