from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.sources import fields
from attnsearch.sources.fields import Fields


@pytest.mark.parametrize(
    ("record", "name", "value"),
    [
        ({"a": 1}, "a", 1),
        ({"a": 1}, "b", None),
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a.b": 1}, "a.b", 1),
        ({"a.b": {"c": 1}}, "a.b.c", 1),
        ({"a": {"b.c": 1}}, "a.b.c", 1),
        ({"a": [{"b": 1}, {"b": 2}, {"c": 3}, 4]}, "a.b", [1, 2]),
        ({"a": [{"c": 1}]}, "a.b", None),
        ({"a": 1}, "a.b", None),
        ({"a": {"b": None}}, "a.b", None),
    ],
)
def test_a_field_by_its_name(record, name, value):
    assert fields.look_up(record, name) == value


@pytest.mark.parametrize("record", [{"a.b": 1, "a": {"b": 2}}, {"a.b": 1, "a": [{"b": 2}]}])
def test_a_name_that_can_mean_two_fields(record):
    with pytest.raises(InputError, match=r"x:3: 'a.b' can be the field 'a.b', or 'b' in the field 'a'; rename one"):
        fields.refuse_ambiguous(record, "a.b", "x:3")
    for harmless in ({"a.b": 1, "a": {"c": 2}}, {"a": {"b": 2}}, {"a.b": None, "a": {"b": 2}}):
        fields.refuse_ambiguous(harmless, "a.b", "x:3")


def test_the_names_of_deep_fields_end():
    record = value = {}
    for _ in range(60):
        value["a"] = {}
        value = value["a"]
    value["b"] = 1
    assert list(fields.leaves(record)) == []
    assert list(fields.leaves({"x" * 300: 1})) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("titel", "did you mean 'title'?"),
        ("Year", "did you mean 'year'?"),
        ("product name", "did you mean 'Product_Name'?"),
        ("zzz", "the fields are title, year, Product_Name"),
        ("title,year", "say it once for each: --text-field title --text-field year"),
    ],
)
def test_a_field_that_nobody_has(name, hint):
    problem = fields.unknown_field(name, ["title", "year", "Product_Name"], "x.csv")
    assert str(problem) == f"x.csv: no item has a field '{name}'; {hint}"


def test_what_a_user_named_goes_before_the_rest():
    assert Fields(title="a").over(Fields(("i",), "b", ("t",))) == Fields(("i",), "a", ("t",))
