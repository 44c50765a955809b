from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.postings.filters import Filter, conditions_of, fold_text, interpret_value, parse_filter


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
    ("text", "number", "begin", "end"),
    [
        ("1984", 1984, 441_763_200.0, 473_385_600.0),
        ("1970-01", None, 0.0, 31 * 86_400.0),
        ("1969-12-31", None, -86_400.0, 0.0),
        ("2023-12", None, 1_701_388_800.0, 1_704_067_200.0),
        ("1970-01-01T01:00+01:00", None, 0.0, 60.0),
        ("1970-01-01 00:00:01Z", None, 1.0, 2.0),
        ("1970-01-01T00:00:00.5", None, 0.5, 0.500001),
        ("-3.50", -3.5, None, None),
        ("1e3", 1000.0, None, None),
        ("9999999999999999999", 1e19, None, None),
        ("007", None, None, None),
        ("1e999", None, None, None),
        ("2023-02-30", None, None, None),
        ("0000", None, None, None),
        ("9999", 9999, None, None),
        ("٣", None, None, None),
        ("moon", None, None, None),
    ],
)
def test_numbers_and_dates(text, number, begin, end):
    assert interpret_value(text) == (number, begin, end)
    assert type(interpret_value(text).number) is type(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("when > 1970-01", [("begin >= ?", 31 * 86_400.0)]),
        ("when <= 1970-01", [("begin < ?", 31 * 86_400.0)]),
        ("when >= 1970-01", [("begin >= ?", 0.0)]),
        ("when < 1970-01", [("begin < ?", 0.0)]),
        ("when = 1970-01", [("value = ?", "1970-01"), ("begin >= ? AND begin < ?", 0.0, 31 * 86_400.0)]),
        ("n = 5,x", [("value = ?", "5"), ("number = ?", 5), ("value = ?", "x")]),
        ("n <= 5", [("number <= ?", 5)]),
        ('n = " 5 "', [("value = ?", "5"), ("number = ?", 5)]),
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
