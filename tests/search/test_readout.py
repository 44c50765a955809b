from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from attnsearch.postings import facets
from attnsearch.postings.filters import conditions_of
from attnsearch.search.readout import MOST, item_weights, read_out
from attnsearch.sources.items import Fields, Item

WEIGHTS = np.array([0.5, 0.25, 0.25, 0.0])


class Told:
    """Postings of one field, by the values of each item."""

    def __init__(self, *items: str | list[str]) -> None:
        self.db = sqlite3.connect(":memory:")
        with closing(facets.Collector(["f"], Fields())) as drawn:
            for key, value in enumerate(items):
                drawn.add(key, Item("", "", "", {"f": value}, ""))
            drawn.fill(self.db, "f")

    def select_keys(self, asked):
        return facets.select_keys(self.db, conditions_of(asked))

    def read_measured(self, field):
        return facets.read_measured(self.db)

    def read_facets(self, field):
        return facets.read_facets(self.db)


def told(*items, weights=WEIGHTS):
    postings = Told(*items)
    try:
        return read_out(postings, "f", weights)
    finally:
        postings.db.close()


def test_a_mean_and_a_spread():
    found = told("1960", "1980", "1980.0")
    assert (found.known, found.mean, found.spread, found.shares) == (1.0, 1970.0, 10.0, {})


def test_only_of_what_is_known():
    found = told("1960", "1990", "")
    assert found.known == 0.75
    assert found.mean == pytest.approx(1970)


def test_what_is_no_number_is_known_all_the_same():
    found = told("1960", "1990", "long ago")
    assert found.known == 1
    assert found.mean == pytest.approx(1970)


def test_dates():
    found = told("1970-01-01", "1970-01-05", "1970-01-05T00:00")
    assert (found.mean, found.spread) == ("1970-01-03", 2.0)


def test_shares_the_largest_first():
    found = told("poetry", ["horror", "sea"], ["poetry", "sea"], "drama")
    assert found.shares == {"poetry": 0.75, "sea": 0.5, "horror": 0.25}
    assert list(found.shares) == ["poetry", "sea", "horror"]
    assert found.known == 1.0


def test_no_more_values_than_can_be_told():
    found = told(*(f"v{n}" for n in range(50)), weights=np.full(50, 1 / 50))
    assert len(found.shares) == MOST
    assert found.known == pytest.approx(1)


def test_nothing_known():
    assert told("", "", "", "1960").mean is None
    assert told("", "", "", "x").shares == {}


def test_weights_of_items():
    z = np.log(np.array([1.0, 2.0, 0.0, 1.0], np.float32), where=np.array([True, True, False, True]),
               out=np.full(4, -np.inf, np.float32))  # fmt: skip
    assert item_weights(z, np.log(4), None).tolist() == pytest.approx([0.25, 0.5, 0, 0.25])
    assert item_weights(z, np.log(4), np.array([0, 0, 0, 3])).tolist() == pytest.approx([0.75, 0, 0, 0.25])
