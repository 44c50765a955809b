from __future__ import annotations

import numpy as np
import pytest

from attnsearch.postings.conditions import conditions_of
from attnsearch.postings.values import Values
from attnsearch.search.readout import MOST, item_weights, read_out
from attnsearch.sources.items import Item
from tests.postings.parts import values_of

WEIGHTS = np.array([0.5, 0.25, 0.25, 0.0])


class FieldPostings:
    """Postings of one field."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def select_keys(self, asked):
        return self.values.select_keys(conditions_of(asked, self.values.kind))

    def read_measured(self, field):
        return self.values.read_measured()

    def read_facets(self, field):
        return self.values.read_facets()


def read(*items, weights=WEIGHTS):
    with values_of("f", [Item("", "", "", {"f": value}, "") for value in items]) as values:
        return read_out(FieldPostings(values), "f", weights)


def test_a_mean_and_a_spread():
    readout = read("1960", "1980", "1980.0")
    assert (readout.known, readout.mean, readout.spread, readout.shares) == (1.0, 1970.0, 10.0, {})


@pytest.mark.parametrize("size", ["1e-320", "1e-200", "1e200", "8e307"])
def test_numbers_of_any_size(size):
    readout = read(size, f"-{size}", size)
    assert readout.mean == pytest.approx(float(size) / 2, rel=1e-3)
    assert readout.spread == pytest.approx(float(size) * 0.75**0.5, rel=1e-3)


def test_only_of_items_with_a_value():
    readout = read("1960", "1990", "")
    assert readout.known == 0.75
    assert readout.mean == pytest.approx(1970)


def test_a_value_that_is_not_a_number_counts_as_known():
    readout = read("1960", "1990", "long ago")
    assert readout.known == 1
    assert readout.mean == pytest.approx(1970)


def test_dates():
    readout = read("1970-01-01", "1970-01-05", "1970-01-05T00:00")
    assert (readout.mean, readout.spread) == ("1970-01-03", 2.0)


def test_shares_the_largest_first():
    readout = read("poetry", ["horror", "sea"], ["poetry", "sea"], "drama")
    assert readout.shares == {"poetry": 0.75, "sea": 0.5, "horror": 0.25}
    assert list(readout.shares) == ["poetry", "sea", "horror"]
    assert readout.known == 1.0


def test_no_more_values_than_are_listed():
    readout = read(*(f"v{n}" for n in range(50)), weights=np.full(50, 1 / 50))
    assert len(readout.shares) == MOST
    assert readout.known == pytest.approx(1)


def test_no_value_has_attention():
    assert read("", "", "", "1960").mean is None
    assert read("", "", "", "x").shares == {}


def test_weights_of_items():
    z = np.log(np.array([1.0, 2.0, 0.0, 1.0], np.float32), where=np.array([True, True, False, True]),
               out=np.full(4, -np.inf, np.float32))  # fmt: skip
    assert item_weights(z, np.log(4), None).tolist() == pytest.approx([0.25, 0.5, 0, 0.25])
    assert item_weights(z, np.log(4), np.array([0, 0, 0, 3])).tolist() == pytest.approx([0.75, 0, 0, 0.25])
