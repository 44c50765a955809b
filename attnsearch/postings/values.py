"""The values of a field in several segments, or catalogs, as those of one: only items that live count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings import facets
from attnsearch.postings.conditions import Condition
from attnsearch.postings.facets import MEASURES
from attnsearch.postings.stored import Part
from attnsearch.sources.kinds import Kind, decide
from attnsearch.sources.numbers import key_number


class Facet(NamedTuple):
    """A value, and the first keys (n,) of the items that have it, ascending."""

    value: str
    keys: NDArray[np.uint32]


class Measured(NamedTuple):
    """A field's numbers (v,), ascending, the count of keys for each (v,), and these keys (n,) in that order.

    Keys are the items' first ones. Dates are seconds since 1970, UTC. Numbers are rounded to float64; what is beyond
    its range is left out.
    """

    is_date: bool
    numbers: NDArray[np.float64]
    counts: NDArray[np.int64]
    keys: NDArray[np.uint32]


class Values:
    """The values of a field in some parts, whose first keys ascend and whose numbers are read as `kind` says."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._forms = facets.count_forms(parts)
        self.kind: Kind = decide(self._forms)

    @property
    def count(self) -> int:
        """How many values there are: an item with several counts for each."""
        return sum(self._forms.values())

    @cached_property
    def has_field(self) -> bool:
        """Whether any item has the field, with a value or without."""
        return any(part.db.execute("SELECT has_field FROM about").fetchone()[0] for part in self.parts)

    def select_keys(self, conditions: Sequence[Condition]) -> NDArray[np.uint32]:
        """The first keys (n,) of the items with a value that meets any of the conditions; a key may occur twice."""
        keys = [facets.select_keys(part, conditions) for part in self.parts]
        return np.concatenate([np.empty(0, np.uint32), *keys])

    def has_value(self, value: str | None) -> bool:
        """Whether an item has just this value."""
        return bool(self.count_where("value = ?", value))

    def count_where(self, where: str, *parameters: str | float | None) -> Counter[str]:
        """The values for which a condition in SQL holds, one of ours, and how many items have each."""
        counts: Counter[str] = Counter()
        statement = f"SELECT value, rows FROM facets WHERE {where}"  # noqa: S608 (our own words)
        for part in self.parts:
            for value, rows in part.db.execute(statement, parameters):
                counts[value] += len(part.rows(rows))
        return +counts

    def ends(self, measure: str) -> tuple[str, str] | None:
        """The texts of the lowest and the highest number, or time; None if there is none."""
        ends = []
        for order, choose in (("", min), ("DESC", max)):
            of_parts = [end for part in self.parts if (end := _find_end(part, measure, order))]
            if not of_parts:
                return None
            ends.append(choose(of_parts)[1])
        return ends[0], ends[1]

    def read_facets(self) -> list[Facet]:
        """All values, in their order as text."""
        keys_of: dict[str, NDArray[np.uint32]] = {}
        others: dict[str, list[NDArray[np.uint32]]] = {}  # of values that several parts have
        for part in self.parts:
            rows = part.db.execute("SELECT value, rows FROM facets").fetchall()
            owners, keys = part.entries([raw for _, raw in rows])
            bounds = np.searchsorted(owners, np.arange(len(rows) + 1)).tolist()
            for (value, _), start, stop in zip(rows, bounds, bounds[1:], strict=False):
                if start == stop:
                    continue
                if value in keys_of:
                    others.setdefault(value, []).append(keys[start:stop])
                else:
                    keys_of[value] = keys[start:stop]
        for value, parts in others.items():
            keys_of[value] = np.concatenate([keys_of[value], *parts])
        return [Facet(value, keys_of[value]) for value in sorted(keys_of)]

    def read_measured(self) -> Measured | None:
        """The numbers, or the dates, without other values; None if most of the values are neither."""
        for measure in MEASURES:
            columns = [self._measure_part(part, measure) for part in self.parts]
            numbers, keys = (np.concatenate(column) for column in zip(*columns, strict=True))
            if 2 * len(numbers) > self.count:
                order = np.lexsort((keys, numbers))
                different, counts = np.unique(numbers[order], return_counts=True)
                return Measured(measure == "begin", different, counts, keys[order])
        return None

    @staticmethod
    def _measure_part(part: Part, measure: str) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
        """Each number, or time, of each item of a part (n,), and the item's first key (n,), where it is finite."""
        rows = part.db.execute(f"SELECT {measure}, rows FROM facets WHERE {_is_measured(measure)}").fetchall()  # noqa: S608
        numbers = np.array([key_number(number) if measure == "number" else number for number, _ in rows], np.float64)
        owners, keys = part.entries([raw for _, raw in rows])
        is_finite = np.isfinite(numbers[owners])
        return numbers[owners][is_finite], keys[is_finite]


def _find_end(part: Part, measure: str, order: str) -> tuple[bytes | float, str] | None:
    """The first number, or time, in this order that a living item has, and its text."""
    where = _is_measured(measure)
    statement = f"SELECT {measure}, value, rows FROM facets WHERE {where} ORDER BY {measure} {order}"  # noqa: S608
    for number, value, rows in part.db.execute(statement):
        if len(part.rows(rows)):
            return number, value
    return None


def _is_measured(measure: str) -> str:
    """The condition in SQL for a value that has a number, or a time."""
    return f"{measure} IS NOT NULL AND typeof({measure}) = '{MEASURES[measure]}'"
