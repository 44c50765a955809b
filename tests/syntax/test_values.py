from __future__ import annotations

import math

import pytest

from attnsearch.errors import InputError
from attnsearch.syntax import values


@pytest.mark.parametrize("text", ["", "plain", "こころ", "🌙", "\ue000"])
def test_text(text):
    values.check_text(text, "the query")


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_of_a_surrogate_pair(text):
    with pytest.raises(InputError, match="the query is not valid UTF-8"):
        values.check_text(text, "the query")


def test_a_text_that_is_too_long():
    error = values.too_long("abcd", "its text", 3, where="x:1", hint="split it")
    assert str(error) == "x:1: its text has 4 characters; at most 3 are allowed; split it"


@pytest.mark.parametrize(
    ("value", "text"), [("  a b ", "a b"), (1984, "1984"), (1.5, "1.5"), (0, "0"), ("x" * 131_072,) * 2]
)
def test_a_query_or_id(value, text):
    assert values.read_text(value, "an id", where="x:1") == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "x:1: an id is missing; add it"),
        (True, "x:1: an id is not text; add it"),
        ([], "x:1: an id is not text; add it"),
        (" ", "x:1: an id is empty"),
        ("x" * 131_073, "x:1: an id has 131,073 characters; at most 131,072 are allowed"),
    ],
)
def test_refused(value, message):
    with pytest.raises(InputError) as caught:
        values.read_text(value, "an id", where="x:1", hint="add it")
    assert str(caught.value) == message


def test_numbers():
    assert values.parse_integer("9" * 1000) == int("9" * 1000)
    assert values.parse_integer("0x1F", base=0) == 31
    with pytest.raises(ValueError, match="a number of 1,001 digits; put it in quotes if it is text"):
        values.parse_integer("9" * 1001)
    assert values.require_finite(1.5, "1.5") == 1.5
    for number in (math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match="the word is not a finite number"):
            values.require_finite(number, "the word")


def test_the_line_of_a_place():
    assert values.line_of("c:/x.yaml:12") == "12"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("a", "a"), (None, None), ([], []), ({}, {}), (["a"], "a"), ([["a"]], "a"), (["a", "b"], ["a", "b"]),
        ({"$oid": "65a0c1"}, "65a0c1"), ({"$numberLong": "5"}, 5), ({"$numberInt": "-3"}, -3),
        ({"$numberLong": "9" * 2000}, "9" * 2000), ({"$numberLong": "x"}, "x"), ({"$numberDouble": "1.5"}, 1.5),
        ({"$numberDouble": "NaN"}, "NaN"), ({"$numberDecimal": "1.10"}, "1.10"),
        ({"$date": "2024-02-03T04:05:06Z"}, "2024-02-03T04:05:06Z"), ({"$date": 0}, "1970-01-01T00:00:00Z"),
        ({"$date": {"$numberLong": "1706933106789"}}, "2024-02-03T04:05:06.789Z"),
        ({"$date": {"$numberLong": "-86400000"}}, "1969-12-31T00:00:00Z"), ({"$date": 10**30}, 10**30),
        ({"rendered": "Lamp"}, "Lamp"), ({"rendered": "Lamp", "protected": False}, "Lamp"),
        ({"type": "/type/text", "value": "Light"}, "Light"), ({"@value": "Licht", "@language": "de"}, "Licht"),
        ({"low": 1, "high": 2}, {"low": 1, "high": 2}),
        ({"value": [1, 2], "unit": "m"}, {"value": [1, 2], "unit": "m"}),
    ],
)  # fmt: skip
def test_unwrap(value, plain):
    assert values.unwrap(value) == plain
    assert values.unwrap([value]) == plain


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\N", None), ("NULL", None), ("", None), ("  ", None), ('=""', '=""'), ('="NULL"', None), ("Null", "Null"),
        ("null", "null"), ("N/A", "N/A"), ("-", "-"), (" a ", "a"), ('="978"', "978"), ('="a ""b"""', 'a "b"'),
        ('="', '="'), ('=1+"2"', '=1+"2"'),
    ],
)  # fmt: skip
def test_the_content_of_a_cell(text, content):
    assert values.content_of(text) == content
