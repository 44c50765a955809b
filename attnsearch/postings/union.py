"""The postings of several catalogs, as if all of their items were in one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from attnsearch.postings import facets, field
from attnsearch.postings.cache import TERMS, Postings, field_label
from attnsearch.postings.stored import create_database
from attnsearch.postings.terms import Terms
from attnsearch.storage.store import Store


class Part(NamedTuple):
    """The postings of a catalog, whose keys are counted from `first` on."""

    first: int
    postings: Postings


class UnionPostings(Postings):
    """The postings of the union of several stores, whose kinds and scores depend on the items of all.

    They are merged on first use from those that the catalogs have stored, and not stored themselves.
    """

    def __init__(self, store: Store, parts: Sequence[Part]) -> None:
        super().__init__(store)
        self._parts = parts

    def _ensure(self, fields: Iterable[str], *, terms: bool) -> None:
        for name in fields:
            if field_label(name) not in self._open:
                self._open[field_label(name)] = self._merge_field(name)
        if terms:
            for part in self._parts:
                part.postings.ensure(terms=True)

    def _merge_field(self, name: str) -> sqlite3.Connection:
        """The values of a field in all catalogs that have it. Raises InputError if none has."""
        databases = []
        for first, postings in self._parts:
            try:
                postings.ensure([name])
            except field.UnknownFieldError:
                continue
            databases.append((first, postings._open[field_label(name)]))
        if not databases:
            names = {known for part in self._parts for known in part.postings._field_names}
            raise field.unknown_field(self._store, name, names)
        db = create_database()
        facets.merge_field(db, name, databases)
        return db

    def _read_terms(self) -> Terms:
        return Terms([(first, postings._open[TERMS]) for first, postings in self._parts])
