from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.postings.conditions import Filter, conditions_of, fold_text, readings_of, suits
from attnsearch.postings.filters import parse_filter
from attnsearch.sources.kinds import Kind
from attnsearch.sources.numbers import number_key


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
        ("n between 5 and 5.0", [("number BETWEEN ? AND ?", number_key("5"), number_key("5"))]),
        ("n between 1970-01-02 and 1970-01", [("begin >= ? AND begin < ?", 86_400.0, 31 * 86_400.0)]),
        ("n between a and b", [("value BETWEEN ? AND ?", "a", "b")]),
    ],
)
def test_conditions(text, expected):
    """A month counts whole: later than January is from February on."""
    assert [
        (condition.sql, *condition.bounds) for condition in conditions_of(parse_filter(text), Kind("mixed"))
    ] == expected


def test_no_value_gets_into_the_statement():
    (condition,) = conditions_of(parse_filter('x ~ "\'; DROP TABLE facets --"'), Kind())
    assert condition.sql == "instr(folded, ?)"
    assert condition.bounds == ("'; drop table facets --",)


def test_case_and_accents():
    assert fold_text("STRASSE") == fold_text("straße")
    assert fold_text("e\u0301") == fold_text("É")


@pytest.mark.parametrize(
    ("kind", "op", "good", "bad"),
    [
        (Kind("number", decimal="."), "=", ["5", "1,234", "1.234"], ["x", "2020-01-01", "$5", "5%", "007", "NULL"]),
        (Kind("number", decimal=","), "<", ["5", "1,234", "1.234,5", "0.5"], ["1.234", "x"]),
        (Kind("number"), "<", ["5", "1.234", "12,5"], ["1,234", "x"]),
        (Kind("number", decimal="both"), "<", ["5", "12.5"], ["1,234", "1.234"]),
        (Kind("number", unit="EUR"), "<", ["5", "5 €", "EUR 5"], ["$5", "5%"]),
        (Kind("number", unit="%"), "<", ["5", "5%"], ["$5"]),
        (Kind("date"), "<", ["2020", "May 2020", "25/12/2020"], ["05/06/2020", "x", "20"]),
        (Kind("date", order="day"), "between", ["05/06/2020"], ["x"]),
        (Kind("yes/no"), "=", ["yes", "TRUE", "No"], ["1", "y", "x"]),
        (Kind("yes/no"), "<", [], ["yes", "1"]),
        (Kind("text"), "<", ["x", "5", "2020-01-01"], [r"\N"]),
        (Kind("mixed"), "=", ["x", "5"], ["NULL"]),
        (Kind("mixed"), "<", ["5", "2020-01"], ["x", "05/06/2020"]),
        (Kind("number"), "~", ["x", "5"], []),
    ],
)
def test_what_suits_a_kind(kind, op, good, bad):
    assert list(suits(Filter("f", op, (*good, *bad)), kind)) == [True] * len(good) + [False] * len(bad)


@pytest.mark.parametrize(
    ("value", "kind", "readings"),
    [
        ("1,234", "number", ["1234", "1.234"]),
        ("1.234", "mixed", ["1.234", "1234"]),
        ("05/06/2021", "date", ["2021-06-05", "2021-05-06"]),
        ("05/06/2021", "number", []),
        ("1234", "number", []),
        ("25/12/2021", "date", []),
        ("x", "mixed", []),
    ],
)
def test_two_readings(value, kind, readings):
    assert readings_of(value, Kind(kind)) == readings


@pytest.mark.parametrize(
    "text", ["n between 5 and 4", "n between 2020-02 and 2020-01", "n between b and a", "n between 10 and 9.5"]
)
def test_a_range_that_ends_before_it_begins(text):
    with pytest.raises(InputError, match="is empty"):
        conditions_of(parse_filter(text), Kind("mixed"))
