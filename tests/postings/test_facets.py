from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction

import numpy as np
import pytest

from attnsearch.postings import facets
from attnsearch.postings.conditions import conditions_of
from attnsearch.postings.facets import Collector, item_values
from attnsearch.postings.filters import parse_filter
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item

ITEMS = [
    Item(
        "a",
        "Moon",
        "white",
        {"year": 1969, "tags": ["Dust", "dust", "cold", "cold"], "author": {"name": "Ann"}, "ok": True},
        "",
    ),
    Item("b", "Sea", "blue", {"year": "2000", "tags": "salt", "author": [{"name": "Bo"}, {"name": "Ann"}]}, ""),
    Item(
        "c", "Robot", "", {"year": None, "tags": [], "a.b": "dot", "note": "  ", "price": 9.5, "born": "1999-05-01"}, ""
    ),
]


@contextmanager
def filled(field: str, items, *, size: int = facets.BUFFER, run: int = facets.RUN) -> Iterator[sqlite3.Connection]:
    """A database with the values of a field, the items' keys being 0, 10, 20 and so on."""
    with closing(Collector([field], Fields(), size=size)) as collector, closing(sqlite3.connect(":memory:")) as db:
        for number, item in enumerate(items):
            collector.add(number * 10, item)
        count = collector.fill(db, field, run=run)
        assert facets.read_field_name(db) == field
        assert count == len(facets.read_facets(db))
        yield db


def select(db: sqlite3.Connection, where: str) -> np.ndarray:
    return facets.select_keys(db, conditions_of(parse_filter(where), facets.read_kind(db)))


def collect(field: str, items=ITEMS, **sizes: int) -> dict[str, list[int]]:
    with filled(field, items, **sizes) as db:
        return {facet.value: facet.keys.tolist() for facet in facets.read_facets(db)}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("year", {"1969": [0], "2000": [10]}),
        ("tags", {"Dust": [0], "dust": [0], "cold": [0], "salt": [10]}),
        ("author.name", {"Ann": [0, 10], "Bo": [10]}),
        ("a.b", {"dot": [20]}),
        ("ok", {"true": [0]}),
        ("author", {'{"name": "Ann"}': [0, 10], '{"name": "Bo"}': [10]}),
        ("note", {}),
        ("nothing", {}),
        ("id", {"a": [0], "b": [10], "c": [20]}),
        ("title", {"Moon": [0], "Sea": [10], "Robot": [20]}),
        ("description", {"white": [0], "blue": [10]}),
        ("author.name.first", {}),
    ],
)
def test_values(field, values):
    assert collect(field) == values


def test_the_fields_that_are_id_and_title():
    item = Item("7", "Lamp", "", {}, "")
    assert list(item_values(item, "sku", Fields(("sku",), "product"))) == ["7"]
    assert list(item_values(item, "product", Fields(("sku",), "product"))) == ["Lamp"]


def test_the_buffer_is_bounded():
    items = [Item(f"{n}", "x", "", {"tags": [f"{n % 3}", "all"]}, "") for n in range(10)]
    with closing(Collector(["tags"], Fields(), size=3)) as collector:
        for key, item in enumerate(items):
            collector.add(key, item)
            assert sum(map(len, collector.buffer["tags"].values())) < 3
    assert collect("tags", items, size=3) == {f"{r}": [n * 10 for n in range(10) if n % 3 == r] for r in range(3)} | {
        "all": list(range(0, 100, 10))
    }


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("year < 1970", [0]),
        ("year>=1969", [0, 10]),
        ("year ~ 9", [0]),
        ("year = 2000,1969", [0, 10]),
        ("year?", [0, 10]),
    ],
)
def test_conditions(where, keys):
    with filled("year", ITEMS) as db:
        assert sorted(set(select(db, where).tolist())) == keys


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "=", "!="])
@pytest.mark.parametrize("length", [1, 2, 3, 1000])
def test_runs_of_many_values(op, length):
    """Numbers and dates, some of them equal, in short runs: as if each were compared by itself."""
    days = [f"2020-{1 + n % 12:02}-{1 + n % 5:02}" for n in range(40)]
    numbers = [n * 7 % 31 / 2 for n in range(40)]
    texts = [f"{number:g}" if n % 4 else f"{number:.2f}" for n, number in enumerate(numbers)]  # the same in two ways
    items = [Item("", "", "", {"n": text, "when": day}, "") for text, day in zip(texts, days, strict=True)]
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}.get(op, np.equal)
    cases = (("n", np.array(numbers), [-1, 0, 3.5, 7, 15, 99]), ("when", np.array(days), days[:12]))
    for field, values, bounds in cases:
        with filled(field, items, run=length) as db:
            for bound in bounds:
                keys = select(db, f"{field} {op} {bound}")
                assert np.unique(keys).tolist() == (10 * np.flatnonzero(compare(values, bound))).tolist()


@pytest.mark.parametrize("length", [1, 2, 3, 1000])
def test_ranges_over_runs(length):
    """Ranges that begin or end at the ends of runs, within them, between them, and outside of all values."""
    days = [f"2020-01-{1 + n * 7 % 31:02}" for n in range(31)]
    items = [Item("", "", "", {"n": str(n * 7 % 31 * 2), "when": day}, "") for n, day in enumerate(days)]
    with filled("n", items, run=length) as numbers, filled("when", items, run=length) as dates:
        for low in range(-1, 62, 3):
            for high in range(low, 64, 4):
                keys = select(numbers, f"n between {low} and {high}")
                expected = [10 * n for n in range(31) if low <= n * 7 % 31 * 2 <= high]
                assert np.unique(keys).tolist() == expected, (low, high)
        for low in range(1, 32, 2):
            for high in range(low, 32, 3):
                keys = select(dates, f"when between 2020-01-{low:02} and 2020-01-{high:02}")
                expected = [10 * n for n, day in enumerate(days) if low <= int(day[-2:]) <= high]
                assert np.unique(keys).tolist() == expected, (low, high)


@pytest.mark.parametrize("length", [1, 2, 1000])
def test_numbers_are_compared_exactly(length):
    """Ids of 19 digits and more, neighbors of 2^53 and 2^63, and exponents beyond float64, each as its own number."""
    values = [
        "1234567890123456789", "1234567890123456790", "1234567890123456800", "1234567890123456789.5", "1e400", "-1e400",
        "1e-400", "-1e-400", "0", "-0.0", "1.10", "1.1", str(10**400), "9" * 400,
        *(str(sign * power + step) for power in (2**53, 2**63) for sign in (1, -1) for step in (-1, 0, 1)),
    ]  # fmt: skip
    compare = {
        "=": Fraction.__eq__, "<": Fraction.__lt__, "<=": Fraction.__le__, ">": Fraction.__gt__, ">=": Fraction.__ge__
    }  # fmt: skip
    with filled("n", [Item("", "", "", {"n": value}, "") for value in values], run=length) as db:
        for op, holds in compare.items():
            for bound in values:
                keys = select(db, f"n {op} {bound}")
                expected = [10 * n for n, value in enumerate(values) if holds(Fraction(value), Fraction(bound))]
                assert np.unique(keys).tolist() == expected, (op, bound)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2000", "1969", "old", "1969.0"], (False, [1969, 1969, 2000], [1, 1, 1], [10, 30, 0])),
        (["1970-01-02", "1970-01-01", "1970-01-01"], (True, [0.0, 86_400.0], [2, 1], [10, 20, 0])),
        (["5", "x"], None),
        (["5", "x", "1970-01-02"], None),
        (["x"], None),
        (["1e400", "5", "9007199254740993", "9007199254740992"], (False, [5, 2**53, 2**53], [1, 1, 1], [10, 30, 20])),
        (["1e400", "-1e400", "5"], None),
    ],
)
def test_numbers_or_dates_whichever_prevail(values, expected):
    with filled("f", [Item("", "", "", {"f": value}, "") for value in values]) as db:
        measured = facets.read_measured(db)
    if expected is None:
        assert measured is None
    else:
        assert (measured.is_date, *(part.tolist() for part in measured[1:])) == expected
