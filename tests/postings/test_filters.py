from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.postings.filters import Filter, conditions_of, fold_text, parse_filter
from attnsearch.sources.numbers import number_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year>=1990", Filter("year", ">=", ("1990",))),
        ("  page count  <  300 ", Filter("page count", "<", ("300",))),
        ("genre = poetry , drama", Filter("genre", "=", ("poetry", "drama"))),
        ('author != "Le Guin, Ursula",Lem', Filter("author", "!=", ("Le Guin, Ursula", "Lem"))),
        ('"a = b" ~ "say ""hi"""', Filter("a = b", "~", ('say "hi"',))),
        ("series?", Filter("series", "?", ())),
        ('"who?"?', Filter("who?", "?", ())),
        ("title = who?", Filter("title", "=", ("who?",))),
        ("url=http://x/?a=b", Filter("url", "=", ("http://x/?a=b",))),
        ("temperature > -5", Filter("temperature", ">", ("-5",))),
        ('size = 5" pipe ,\n a "b" , "c,""d"""', Filter("size", "=", ('5" pipe', 'a "b"', 'c,"d"'))),
    ],
)
def test_parsing(text, expected):
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "year", "= 3", "year =", "year = 1,", "year == 3", 'x = "a" b', '"a" b = c', "year < 1, 2", 'x = ""', "?"],
)
def test_invalid_filters(text):
    with pytest.raises(InputError):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("when > 1970-01", [("begin >= ?", 31 * 86_400.0)]),
        ("when <= 1970-01", [("begin < ?", 31 * 86_400.0)]),
        ("when >= 1970-01", [("begin >= ?", 0.0)]),
        ("when < 1970-01", [("begin < ?", 0.0)]),
        ("when = 1970-01", [("value = ?", "1970-01"), ("begin >= ? AND begin < ?", 0.0, 31 * 86_400.0)]),
        ("n = 5,x", [("value = ?", "5"), ("number = ?", number_key("5")), ("value = ?", "x")]),
        ("n <= 5", [("number <= ?", number_key("5"))]),
        ('n = " 5 "', [("value = ?", "5"), ("number = ?", number_key("5"))]),
        ('n ~ " 5 "', [("instr(folded, ?)", " 5 ")]),
        ("n < x", [("value < ?", "x")]),
        ("n?", [("value IS NOT ?", None)]),
    ],
)
def test_conditions(text, expected):
    """A month counts whole: later than January is from February on."""
    assert [(condition.sql, *condition.bounds) for condition in conditions_of(parse_filter(text))] == expected


def test_no_value_gets_into_the_statement():
    (condition,) = conditions_of(parse_filter("x ~ '; DROP TABLE facets --"))
    assert condition.sql == "instr(folded, ?)"
    assert condition.bounds == ("'; drop table facets --",)


def test_case_and_accents():
    assert fold_text("STRASSE") == fold_text("straße")
    assert fold_text("e\u0301") == fold_text("É")
