from __future__ import annotations

import numpy as np
import pytest

from attnsearch.facets import Facet
from attnsearch.readout import MOST, of_items, read

WEIGHTS = np.array([0.5, 0.25, 0.25, 0.0])


def facet(value: str, *keys: int, number: float | None = None, begin: float | None = None) -> Facet:
    return Facet(value, number, begin, np.array(keys, np.uint32))


def test_a_mean_and_a_spread():
    found = read("year", [facet("1960", 0, number=1960), facet("1980", 1, 2, number=1980)], WEIGHTS)
    assert (found.known, found.mean, found.spread, found.shares) == (1.0, 1970.0, 10.0, {})


def test_only_of_what_is_known():
    found = read("year", [facet("1960", 0, number=1960), facet("1990", 1, number=1990)], WEIGHTS)
    assert found.known == 0.75
    assert found.mean == pytest.approx(1970)


def test_dates():
    found = read("when", [facet("1970-01-01", 0, begin=0.0), facet("1970-01-05", 1, 2, begin=4 * 86_400.0)], WEIGHTS)
    assert (found.mean, found.spread) == ("1970-01-03", 2.0)


def test_shares_the_largest_first():
    found = read("genre", [facet("horror", 1), facet("poetry", 0, 2), facet("drama", 3), facet("sea", 1, 2)], WEIGHTS)
    assert found.shares == {"poetry": 0.75, "sea": 0.5, "horror": 0.25}
    assert list(found.shares) == ["poetry", "sea", "horror"]
    assert found.known == 1.0


def test_no_more_values_than_can_be_told():
    weights = np.full(50, 1 / 50)
    found = read("id", [facet(f"{n}", n) for n in range(50)], weights)
    assert len(found.shares) == MOST
    assert found.known == pytest.approx(1)


def test_nothing_known():
    assert read("year", [facet("1960", 3, number=1960)], WEIGHTS).mean is None


def test_weights_of_items():
    z = np.log(np.array([1.0, 2.0, 0.0, 1.0], np.float32), where=np.array([True, True, False, True]),
               out=np.full(4, -np.inf, np.float32))  # fmt: skip
    assert of_items(z, np.log(4), None).tolist() == pytest.approx([0.25, 0.5, 0, 0.25])
    assert of_items(z, np.log(4), np.array([0, 0, 0, 3])).tolist() == pytest.approx([0.75, 0, 0, 0.25])
