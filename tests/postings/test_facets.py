from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from attnsearch.postings import facets
from attnsearch.postings.facets import Collector, Facet, item_values
from attnsearch.postings.filters import conditions_of, parse_filter
from attnsearch.sources.items import Fields, Item

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


def drawn(field: str, items=ITEMS) -> list[Facet]:
    with closing(Collector([field], Fields())) as found, closing(sqlite3.connect(":memory:")) as db:
        for key, item in enumerate(items):
            found.add(key * 10, item)
        count = found.fill(db, field)
        told = facets.read_facets(db)
        assert facets.read_field_name(db) == field
        assert count == len(told)
        return told


@pytest.mark.parametrize(
    ("field", "found"),
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
def test_values(field, found):
    assert {facet.value: facet.keys.tolist() for facet in drawn(field)} == found


def test_the_fields_that_are_id_and_title():
    item = Item("7", "Lamp", "", {}, "")
    assert list(item_values(item, "sku", Fields(id="sku", title="product"))) == ["7"]
    assert list(item_values(item, "product", Fields(id="sku", title="product"))) == ["Lamp"]


def test_what_is_held_in_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(facets, "_HELD", 3)
    items = [Item(f"{n}", "x", "", {"tags": [f"{n % 3}", "all"]}, "") for n in range(10)]
    with closing(Collector(["tags"], Fields())) as held:
        for key, item in enumerate(items):
            held.add(key, item)
            assert sum(map(len, held._held["tags"].values())) < 3
    found = {facet.value: facet.keys.tolist() for facet in drawn("tags", items)}
    assert found == {f"{r}": [n * 10 for n in range(10) if n % 3 == r] for r in range(3)} | {
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
    with closing(Collector(["year"], Fields())) as found, closing(sqlite3.connect(":memory:")) as db:
        for key, item in enumerate(ITEMS):
            found.add(key * 10, item)
        found.fill(db, "year")
        assert sorted(set(facets.select_keys(db, conditions_of(parse_filter(where))).tolist())) == keys


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "=", "!="])
@pytest.mark.parametrize("length", [1, 2, 3, 1000])
def test_runs_of_many_values(monkeypatch, op, length):
    """Numbers and dates, some of them equal, in runs of a few: as if each were looked at."""
    monkeypatch.setattr(facets, "_LENGTH", length)
    days = [f"2020-{1 + n % 12:02}-{1 + n % 5:02}" for n in range(40)]
    numbers = [n * 7 % 31 / 2 for n in range(40)]
    texts = [f"{number:g}" if n % 4 else f"{number:.2f}" for n, number in enumerate(numbers)]  # the same in two ways
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}.get(op, np.equal)
    for field, told, asked in (("n", np.array(numbers), [-1, 0, 3.5, 7, 15, 99]), ("when", np.array(days), days[:12])):
        with closing(Collector([field], Fields())) as found, closing(sqlite3.connect(":memory:")) as db:
            for key, (number, day) in enumerate(zip(texts, days, strict=True)):
                found.add(key, Item("", "", "", {"n": number, "when": day}, ""))
            found.fill(db, field)
            for value in asked:
                met = facets.select_keys(db, conditions_of(parse_filter(f"{field} {op} {value}")))
                assert np.unique(met).tolist() == np.flatnonzero(compare(told, value)).tolist()


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (["2000", "1969", "old", "1969.0"], (False, [1969, 1969, 2000], [1, 1, 1], [1, 3, 0])),
        (["1970-01-02", "1970-01-01", "1970-01-01"], (True, [0.0, 86_400.0], [2, 1], [1, 2, 0])),
        (["5", "x"], None),
        (["5", "x", "1970-01-02"], None),
        (["x"], None),
    ],
)
def test_numbers_or_dates_by_which_there_is_more_of(told, found):
    with closing(Collector(["f"], Fields())) as drawn, closing(sqlite3.connect(":memory:")) as db:
        for key, value in enumerate(told):
            drawn.add(key, Item("", "", "", {"f": value}, ""))
        drawn.fill(db, "f")
        measured = facets.read_measured(db)
    if found is None:
        assert measured is None
    else:
        assert (measured.is_date, *(part.tolist() for part in measured[1:])) == found
