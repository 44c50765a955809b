from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from attnsearch import facets
from attnsearch.catalog import Fields, Item
from attnsearch.facets import Drawn, Facet, measure, values
from attnsearch.filters import parse, sql

ITEMS = [
    Item(
        "a",
        "Moon",
        "white",
        {"year": 1969, "tags": ["Dust", "dust", "cold"], "author": {"name": "Ann"}, "ok": True},
        "",
    ),
    Item("b", "Sea", "blue", {"year": "2000", "tags": "salt", "author": [{"name": "Bo"}, {"name": "Ann"}]}, ""),
    Item(
        "c", "Robot", "", {"year": None, "tags": [], "a.b": "dot", "note": "  ", "price": 9.5, "born": "1999-05-01"}, ""
    ),
]


def drawn(field: str, items=ITEMS) -> list[Facet]:
    with closing(Drawn([field], Fields())) as found, closing(sqlite3.connect(":memory:")) as db:
        for key, item in enumerate(items):
            found.add(key * 10, item)
        count = found.fill(db, field)
        told = facets.every(db)
        assert facets.name(db) == field
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
    assert list(values(item, "sku", Fields(id="sku", title="product"))) == ["7"]
    assert list(values(item, "product", Fields(id="sku", title="product"))) == ["Lamp"]


def test_what_is_held_in_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(facets, "_HELD", 3)
    items = [Item(f"{n}", "x", "", {"tags": [f"{n % 3}", "all"]}, "") for n in range(10)]
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
    with closing(Drawn(["year"], Fields())) as found, closing(sqlite3.connect(":memory:")) as db:
        for key, item in enumerate(ITEMS):
            found.add(key * 10, item)
        found.fill(db, "year")
        assert sorted(facets.select(db, *sql(parse(where))).tolist()) == keys


def keys(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint32)


def test_numbers_or_dates_by_which_there_is_more_of():
    years = [Facet("1969", 1969, -31536000.0, keys(0, 1)), Facet("old", None, None, keys(2))]
    assert measure(years).values.tolist() == [1969, 1969]
    assert not measure(years).is_date
    dates = [Facet("1970-01-02", None, 86_400.0, keys(0)), Facet("1970-01-01", None, 0.0, keys(3))]
    assert measure(dates).is_date
    assert (measure(dates).values.tolist(), measure(dates).keys.tolist()) == ([86_400.0, 0.0], [0, 3])
    assert measure([Facet("3", 3, None, keys(0)), Facet("x", None, None, keys(1))]) is None
    assert measure([]) is None
