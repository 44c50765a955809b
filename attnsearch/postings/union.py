"""The postings of several catalogs, as if all of their items were in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from attnsearch.postings import facets, field, stored
from attnsearch.postings.cache import Postings
from attnsearch.postings.terms import Terms
from attnsearch.postings.values import Values
from attnsearch.storage.store import Store


class Catalog(NamedTuple):
    """The postings of a catalog, whose keys are counted from `first` on."""

    first: int
    postings: Postings

    def moved(self, parts: Sequence[stored.Part]) -> list[stored.Part]:
        """Its parts, with the numbers that its keys have in the union."""
        return [part._replace(first=self.first + part.first) for part in parts]


class UnionPostings(Postings):
    """The postings of the union of several stores, whose kinds and scores depend on the items of all.

    They are those of the catalogs; where a field is of another kind in all of them together, it is read again.
    """

    def __init__(self, store: Store, catalogs: Sequence[Catalog]) -> None:
        super().__init__(store)
        self._catalogs = catalogs
        self._own: list[stored.Part] = []

    def _open(self, names: Sequence[str], *, terms: bool) -> None:
        for name in names:
            self._values[name] = self._merge_field(name)
        if terms:
            parts = [part for each in self._catalogs for part in each.moved(each.postings.find_terms().parts)]
            self._terms = Terms(parts)

    def _merge_field(self, name: str) -> Values:
        """The values of a field in all catalogs that have it. Raises InputError if none has."""
        parts: list[stored.Part] = []
        is_there = False
        for each in self._catalogs:
            try:
                parts += each.moved(each.postings.find_values(name).parts)
            except field.UnknownFieldError as error:
                is_there |= error.is_there
        if not parts:
            raise field.unknown_field(self._store, name, is_there=is_there)
        kind = Values(parts).kind
        again = [facets.read_again(part, kind) for part in parts]
        self._own += filter(None, again)
        return Values([new or part for new, part in zip(again, parts, strict=True)])

    def close(self) -> None:
        """Close what is not the catalogs' own."""
        with self._lock:
            stored.close_all(self._own)
            self._own.clear()
            self._values.clear()
            self._terms = None
