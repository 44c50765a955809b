"""A catalog in a database → what is wrong with it: every checksum, every count, every reference, and all postings."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsearch.errors import AttnsearchError
from attnsearch.indexing.check import Problems, check_rows
from attnsearch.postgres import mirror, rows, schema
from attnsearch.postgres.address import Address, parse_address
from attnsearch.postgres.connection import connect, missing, reporting
from attnsearch.postings import cache, facets, stored
from attnsearch.postings import terms as terms_of_texts
from attnsearch.postings.facets import Collector
from attnsearch.postings.stored import Part
from attnsearch.sources.items import Item
from attnsearch.storage.database import Info, read_fields
from attnsearch.storage.failures import DAMAGE
from attnsearch.storage.segment import SegmentRow

if TYPE_CHECKING:
    from sqlite3 import Connection as Mirror

    from psycopg import Connection

_AT_ONCE = 2_000  # vectors fetched

log = logging.getLogger("attnsearch")


def find_problems(ref: str) -> list[str]:
    """What is wrong with the catalog at an address, one line for each problem; empty if it is whole.

    Raises InputError for an invalid address, CatalogError if there is no catalog, or it has another form.
    """
    address = parse_address(ref)
    with closing(connect(address)) as connection, reporting(address), connection.transaction():
        log.info("checking %s", address.shown)
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return check_snapshot(connection, address)


def check_snapshot(connection: Connection[Any], address: Address) -> list[str]:
    """What is wrong with the catalog as this transaction sees it. Raises CatalogError, and what psycopg raises."""
    if not schema.has_catalog(connection, address):
        raise missing(connection, address)
    try:
        return list(_check_catalog(connection))
    except AttnsearchError:
        raise
    except DAMAGE as error:
        return [str(error)]


def _check_catalog(connection: Connection[Any]) -> Iterator[str]:
    info = schema.read_info(connection)
    segments = schema.read_segments(connection, info.listing).segments
    yield from Problems(_check_vectors(connection, info.d)).lines()
    with closing(mirror.create_mirror()) as db:
        mirror.fill_mirror(db, connection)
        problems = [problem.removeprefix("index.sqlite: ") for problem in check_rows(db, info, segments)]
        yield from problems
        if not problems:
            yield from Problems(_check_postings(connection, db, info, segments)).lines()


def _check_vectors(connection: Connection[Any], d: int) -> Iterator[str]:
    """Check the bytes of each vector, and its width."""
    with connection.cursor("vectors", binary=True) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute("SELECT key, x, x_sum FROM keys ORDER BY key")
        for key, vector, x_sum in cursor:
            x = vector.to_numpy()
            if len(x) != d or rows.vector_checksum(x) != x_sum:
                yield f"the vector of the key {key} is not what was written"


def _check_postings(
    connection: Connection[Any], db: Mirror, info: Info, segments: Sequence[SegmentRow]
) -> Iterator[str]:
    """Check that the postings are what the living items say, and that there are no others."""
    fields = {cache.field_label(name, info): name for name in rows.posting_names(read_fields(db), info)}
    firsts = {segment.first for segment in segments}
    expected = {(first, label) for first in firsts for label in (*fields, cache.terms_label(info))}
    actual = connection.execute(
        "SELECT segment, label FROM about UNION ALL SELECT segment, label FROM texts"
    ).fetchall()
    if sorted(actual) != sorted(expected):
        yield "the postings are not those of its segments and fields"
        return
    orphans = """SELECT (SELECT count(*) FROM terms WHERE segment NOT IN (SELECT segment FROM texts))
        + (SELECT count(*) FROM facets WHERE about NOT IN (SELECT about FROM about))
        + (SELECT count(*) FROM forms WHERE about NOT IN (SELECT about FROM about))"""
    if (row := connection.execute(orphans).fetchone()) and row[0]:
        yield f"{row[0]:,} rows of postings belong to nothing"
    for segment in segments:
        end = segment.first + segment.rows
        items = [(key - segment.first, item) for key, item in mirror.items_of(db, segment.first, end, info.fields)]
        yield from _check_terms(connection, segment, items, info)
        yield from _check_values(connection, segment, items, info, fields)


def _check_terms(
    connection: Connection[Any], segment: SegmentRow, items: Sequence[tuple[int, Item]], info: Info
) -> Iterator[str]:
    with closing(stored.create_part(segment).db) as db:
        part = Part(segment.first, stored.living_rows(segment), db)
        places = [row for row, _ in items]
        terms_of_texts.write_terms(db, (item.text for _, item in items), places, segment.rows, info.language)
        right = {term: _living(part, *cells) for term, *cells in db.execute("SELECT term, rows, counts FROM terms")}
        (lengths,) = db.execute("SELECT lengths FROM texts").fetchone()
    statement = "SELECT term, rows, counts FROM terms WHERE segment = %s"
    actual: dict[str, tuple[bytes, ...]] = {}
    for term, raw, counts in connection.execute(statement, [segment.first]):
        if len((cells := _living(part, raw, counts))[0]) and actual.setdefault(term, cells) is not cells:
            yield f"the term {term!r} is there twice"
    (row,) = connection.execute("SELECT lengths FROM texts WHERE segment = %s", [segment.first])
    if actual != right or _lengths(row[0], part) != _lengths(lengths, part):
        yield f"the terms of the keys from {segment.first} on are not those of the items"


def _living(part: Part, raw: bytes, counts: bytes) -> tuple[bytes, ...]:
    """Those of the rows of a term that live, and their counts. Raises ValueError."""
    places = part.all_rows(raw)
    numbers = terms_of_texts.read_counts(counts, places)
    is_living = part.living[places]
    return places[is_living].tobytes(), numbers[is_living].tobytes()


def _lengths(raw: bytes, part: Part) -> list[int]:
    """The lengths of the texts of living items. Raises ValueError."""
    lengths = np.frombuffer(raw, "<u4")
    if len(lengths) != len(part.living):
        raise ValueError("the lengths of texts are not those of the segment")
    living: list[int] = lengths[part.living].tolist()
    return living


def _check_values(
    connection: Connection[Any],
    segment: SegmentRow,
    items: Sequence[tuple[int, Item]],
    info: Info,
    fields: Mapping[str, str],
) -> Iterator[str]:
    with (
        closing(stored.create_part(segment).db) as db,
        closing(Collector(fields.values(), info.fields, segment.rows)) as collector,
    ):
        part = Part(segment.first, stored.living_rows(segment), db)
        for row, item in items:
            collector.add(row, item)
        for label, name in fields.items():
            right = _collected(collector, name)
            statement = "SELECT about, reading FROM about WHERE segment = %s AND label = %s"
            ((number, reading),) = connection.execute(statement, [segment.first, label])
            forms = connection.execute("SELECT form, rows FROM forms WHERE about = %s", [number]).fetchall()
            statement = "SELECT value, folded, number, begin, rows FROM facets WHERE about = %s"
            values = connection.execute(statement, [number]).fetchall()
            pairs = [(row[0], row[-1]) for row in values]
            is_derived = list(facets.facet_rows(pairs, reading)) == values
            if not is_derived or (_only_living(part, pairs), _only_living(part, forms)) != right:
                yield f"the values of the field {name!r} of the keys from {segment.first} on are not those of the items"


def _collected(collector: Collector, name: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The rows of each value of a field, and of each form."""
    with closing(stored.create_database()) as db:
        collector.fill(db, name)
        values = db.execute("SELECT value, rows FROM facets").fetchall()
        return dict(values), dict(db.execute("SELECT form, rows FROM forms").fetchall())


def _only_living(part: Part, pairs: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    """The rows of living items of each value or form that any has. Raises ValueError for one that is there twice."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a value of a field is there twice")
    living = {name: part.rows(raw).tobytes() for name, raw in pairs}
    return {name: raw for name, raw in living.items() if raw}
