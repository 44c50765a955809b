"""Which items have a value of a field, or a term: built on first use, and stored beside the keys.

    terms.v4
    field-<hash of its name>.v3

Each is a file of `postings.stored`. It only repeats what the items hold, so whatever is lost or damaged is rebuilt.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import AttnsearchError
from attnsearch.postings import conditions, facets, field, vocabulary
from attnsearch.postings.conditions import Filter
from attnsearch.postings.facets import Collector, Facet, Measured
from attnsearch.postings.stored import create_database, open_file, open_stored, store_copy, stored_files
from attnsearch.postings.terms import Term, Terms, write_terms
from attnsearch.sources.kinds import Kind
from attnsearch.storage import checksum
from attnsearch.storage.failures import writing
from attnsearch.storage.files import POSTINGS
from attnsearch.storage.store import Store
from attnsearch.syntax.values import check_text

TERMS = "terms.v4"
_FIELD_FORM = "v3"
# The form of the tables, and the rule for terms and kinds. Files of an earlier one are never read for a query: the next
# commit removes them and builds what they had.

log = logging.getLogger("attnsearch")


class Postings:
    """The postings of an open store: of the one state of the catalog that it holds. Threads may share them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.folder / POSTINGS
        self._open: dict[str, sqlite3.Connection] = {}
        self._terms: Terms | None = None
        self._lock = threading.RLock()  # one statement, or one build, at a time
        self._field_names: set[str] = set()
        self._noted: set[str] = set()  # fields of which it was said that values can't be read

    def ensure(self, fields: Iterable[str] = (), *, terms: bool = False) -> None:
        """Open the stored postings of these fields, and of the terms if asked; build those that are missing.

        Raises InputError for a field that no item has.
        """
        with self._lock:
            self._store.check_open()
            self._ensure(fields, terms=terms)

    def _ensure(self, fields: Iterable[str], *, terms: bool) -> None:
        labels = {field_label(name): name for name in fields}
        missing = []
        for label in [*labels, *[TERMS] * terms]:
            if label not in self._open:
                db = open_stored(self._folder, label, self._store.info.commit)
                if db is None:
                    missing.append(label)
                else:
                    self._open[label] = db
        missing_fields = [labels[label] for label in missing if label in labels]
        for name in missing_fields:
            if not field.is_mentioned(self._store, name):
                raise field.unknown_field(self._store, name, self._field_names)
        if missing:
            self.build(missing_fields, terms=TERMS in missing)
        for label, name in labels.items():
            if label not in self._open:
                raise field.unknown_field(self._store, name, self._field_names)

    def select_keys(self, where: Filter) -> NDArray[np.uint32]:
        """The first keys (n,) of the items for which a filter holds; for `!=`, of those for which it does not.

        Raises InputError for a value that the field's kind can't be compared with. Says once how many values of the
        field can't be read as its kind.
        """
        with self._lock:
            self.ensure([where.field])
            db = self._open[field_label(where.field)]
            kind = field.check_filter(db, where)
            if conditions.reads(where, kind):
                self._note_unread(db, where.field, kind, "they match nothing")
            return facets.select_keys(db, conditions.conditions_of(where, kind))

    def find_near_value(self, name: str, value: str) -> str | None:
        """The text of a field that is most like this one, which no item has; None if there is none like it."""
        with self._lock:
            self.ensure([name])
            return field.find_near_value(self._open[field_label(name)], value)

    def read_measured(self, name: str) -> Measured | None:
        """The numbers, or the dates, of a field; None if most of its values are neither.

        Says once how many of its values are not.
        """
        with self._lock:
            self.ensure([name])
            db = self._open[field_label(name)]
            measured = facets.read_measured(db)
            if measured is not None:
                kind = field.measured_kind(db, is_date=measured.is_date)
                self._note_unread(db, name, kind, "they do not count")
            return measured

    def describe_unmeasured(self, name: str) -> str:
        """What a field has in place of numbers or dates."""
        with self._lock:
            self.ensure([name])
            return field.describe_unmeasured(self._open[field_label(name)], name)

    def _note_unread(self, db: sqlite3.Connection, name: str, kind: Kind, consequence: str) -> None:
        """Say once how many values of a field can't be read as its kind."""
        if kind.unread and name not in self._noted:
            self._noted.add(name)
            log.warning("%s: %s; %s", name, field.describe_unread(db, kind), consequence)

    def read_facets(self, name: str) -> list[Facet]:
        """All values of a field."""
        with self._lock:
            self.ensure([name])
            return facets.read_facets(self._open[field_label(name)])

    def find_term(self, term: str) -> Term | None:
        """The postings of a term; None if no item contains it."""
        with self._lock:
            self.ensure(terms=True)
            if self._terms is None:
                self._terms = self._read_terms()
            return self._terms.find(term)

    def _read_terms(self) -> Terms:
        return Terms([(0, self._open[TERMS])])

    def build(self, fields: Sequence[str], *, terms: bool) -> None:
        """Build and store these in one pass over the items; a field that no item has is left out."""
        info = self._store.info
        log.info("reading all %d items of %s, once", info.items, info.name)
        built: dict[str, sqlite3.Connection] = {}
        keys: list[int] = []
        with closing(Collector(fields, info.fields)) as collector, writing(self._store.folder, "read"):

            def texts() -> Iterator[str]:
                for key, item in self._store.items():
                    keys.append(key)
                    collector.add(key, item)
                    yield item.text

            if terms:
                built[TERMS] = db = create_database()
                write_terms(db, texts(), keys, info.language)
            else:
                for _ in texts():
                    pass
            self._field_names = collector.seen
            for name in fields:
                db = create_database()
                if collector.fill(db, name):
                    built[field_label(name)] = db
                else:
                    db.close()
        for label, db in built.items():
            db.execute("COMMIT")
            store_copy(db, self._folder, label, info.commit)
        self._open |= built

    def open_same(self, other: Postings) -> None:
        """Open what the postings of another state of the catalog have open, as far as it is there."""
        with other._lock:
            names = [facets.read_field_name(db) for label, db in other._open.items() if label != TERMS]
            terms = other._terms is not None
        try:
            self.ensure(names, terms=terms)
        except field.UnknownFieldError:  # no item has it any more; who asks for it is told
            for name in names:
                with suppress(field.UnknownFieldError):
                    self.ensure([name], terms=terms)

    def close(self) -> None:
        """Close all databases."""
        with self._lock:
            for db in self._open.values():
                db.close()
            self._open.clear()


def refresh_postings(folder: Path, *, terms: bool = False) -> None:
    """Rebuild, for the catalog's present state, the postings that an earlier one had; also the terms, if asked.

    The words too, if a query would not count so many. What can't be built now is built by the next query.
    """
    with (
        suppress(AttnsearchError, OSError, sqlite3.Error),
        Store(folder) as store,
        closing(Postings(store)) as postings,
    ):
        fields = set()
        words = store.info.items > vocabulary.COUNTED
        for file in list(stored_files(folder / POSTINGS)):
            if file.commit == store.info.commit:
                continue
            db = open_file(file)
            if file.label.startswith("terms"):
                terms = True
            elif file.label.startswith("words"):
                words = True
            elif db:
                fields.add(facets.read_field_name(db))
            if db:
                db.close()
            file.path.unlink()
        if fields or terms:
            postings.build(sorted(fields), terms=terms)
        if words and vocabulary.find_words(store) is None:
            vocabulary.count_words(store).close()


def field_label(name: str) -> str:
    """The label of a field's postings."""
    check_text(name, "the name of the field")
    raw = name.encode()
    return f"field-{checksum.part_checksums(raw, max(len(raw), 1)).hex()}.{_FIELD_FORM}"
