from __future__ import annotations

import math

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import values


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
