"""The postings that a catalog in PostgreSQL was written with → those that a query asks about, in memory.

The rows of a query's fields and terms are fetched into the tables that files have. So the same code decides filters,
kinds and scores as for a catalog in a folder, and no more than a query asks about crosses the network.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attnsearch.postings import facets, stored
from attnsearch.postings import terms as terms_of_texts
from attnsearch.postings.cache import Postings
from attnsearch.postings.stored import Folder, Part
from attnsearch.postings.terms import Terms
from attnsearch.storage.segment import SegmentRow

if TYPE_CHECKING:
    from attnsearch.postgres.store import PostgresStore

_ABOUT = "SELECT segment, about, covered, name, reading, has_field FROM about WHERE label = %s"
_FACETS = "SELECT about, value, folded, number, begin, rows FROM facets WHERE about = ANY(%s) ORDER BY value"
_FORMS = "SELECT about, form, rows FROM forms WHERE about = ANY(%s) ORDER BY form"
_TEXTS = "SELECT segment, lengths FROM texts WHERE label = %s"
_TERM = "SELECT segment, rows, counts FROM terms WHERE term = %s"


class PostgresPostings(Postings):
    """The postings of an open store; those of a field that were not written are made from all items, each time."""

    def __init__(self, store: PostgresStore) -> None:
        super().__init__(store)
        self._database = store

    def _find_files(self) -> Folder:
        return _Tables(self._database)

    def _make_terms(self, parts: Sequence[Part]) -> Terms:
        return _FetchedTerms(parts, self._database)


class _Tables(Folder):
    """The tables of postings, as if they were a folder with a file for each segment and label."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    def open_all(self, segments: Sequence[SegmentRow], label: str, tables: Sequence[str]) -> Iterator[tuple[int, Part]]:
        """The stored postings of this label, each after the number of its segment."""
        numbers = {segment.first: number for number, segment in enumerate(segments)}
        databases = self._open_terms(label) if tables == terms_of_texts.TABLES else self._open_values(label)
        for first, db in databases:
            number = numbers[first]
            part = Part(first, stored.living_rows(segments[number]), db)
            if tables == terms_of_texts.TABLES:  # which tell of every row
                stored.write_about(db, stored.pack_rows(part.living))
            if stored.is_ours(part, tables):
                yield number, part
            else:
                db.close()

    def store(self, part: Part, segment: SegmentRow, label: str) -> None:
        """Who reads does not write."""

    def _open_terms(self, label: str) -> Iterator[tuple[int, sqlite3.Connection]]:
        """For each segment, the number of its first key, and a database with the lengths of its texts, and no term."""
        for first, lengths in self._store.ask(_TEXTS, [label]):
            db = stored.create_database()
            for table in terms_of_texts.TABLES:
                db.execute(table)
            db.execute("INSERT INTO texts VALUES (?)", (lengths,))
            yield first, db

    def _open_values(self, label: str) -> Iterator[tuple[int, sqlite3.Connection]]:
        """For each segment, the number of its first key, and a database with its values of a field."""
        about = self._store.ask(_ABOUT, [label])
        numbers = [number for _, number, *_ in about]
        rows, forms = (_by_number(self._store.ask(statement, [numbers])) for statement in (_FACETS, _FORMS))
        for first, number, covered, name, reading, has_field in about:
            db = stored.create_database()
            stored.write_about(db, covered, name, reading, has_field=bool(has_field))
            try:
                facets.write_facets(db, forms[number], rows[number])
            except sqlite3.Error as error:
                raise ValueError(f"the values of a field are not what was written: {error}") from None
            yield first, db


def _by_number(rows: Sequence[Sequence[Any]]) -> defaultdict[int, list[Sequence[Any]]]:
    """Rows without their first column, by the number that is there."""
    of: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    for number, *row in rows:
        of[number].append(row)
    return of


class _FetchedTerms(Terms):
    """Terms whose rows are fetched when they are asked for, those of all segments at once."""

    def __init__(self, parts: Sequence[Part], store: PostgresStore) -> None:
        super().__init__(parts)
        self._store = store
        self._fetched: dict[str, dict[int, Sequence[bytes]]] = {}

    def _find_row(self, part: Part, term: str) -> Sequence[bytes] | None:
        if term not in self._fetched:
            self._fetched[term] = {first: row for first, *row in self._store.ask(_TERM, [term])}
        return self._fetched[term].get(part.first)
