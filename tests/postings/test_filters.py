from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.postings.filters import Filter, conditions_of, fold_text, interpret_value, number_key, parse_filter


def number_of(key: bytes) -> Fraction:
    """The number that a key stands for, read as docs/storage.md says."""
    sign, rest = key[0] - 1, key[1:]
    if not sign:
        assert not rest
        return Fraction(0)
    if sign < 0:
        assert rest[-1] == 255
        rest = bytes(255 - byte for byte in rest[:-1])
    power, digits = int.from_bytes(rest[:4], "big") - 2**31, rest[4:].decode()
    return sign * Fraction(f"0.{digits}") * Fraction(10) ** power


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
        ("9999999999999999999", 9999999999999999999, None, None),
        ("007", None, None, None),
        ("1e999", 10**999, None, None),
        ("1e9999999999", None, None, None),
        ("2023-02-30", None, None, None),
        ("0000", None, None, None),
        ("9999", 9999, None, None),
        ("٣", None, None, None),
        ("moon", None, None, None),
    ],
)
def test_numbers_and_dates(text, number, begin, end):
    key, *span = interpret_value(text)
    assert span == [begin, end]
    assert (key and number_of(key)) == number


NUMBERS = st.one_of(
    st.integers(-(10**40), 10**40).map(str),
    st.builds(
        lambda power, off: str(power + off), st.sampled_from([2**53, 2**63, -(2**53), -(2**63)]), st.integers(-3, 3)
    ),
    st.builds(
        lambda sign, whole, fraction, power: f"{sign}{whole}{fraction}{power}",
        st.sampled_from(["", "-", "+"]),
        st.integers(0, 10**25),
        st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,25}", fullmatch=True)),
        st.one_of(st.just(""), st.integers(-400, 400).map("e{}".format), st.integers(-400, 400).map("E{:+}".format)),
    ),
    st.sampled_from(["0", "-0", "0.000", "0e7", "1", "10", "1.0", "0.1", "-0.1", "1e-400", "-1e-400", "1e400"]),
)


@given(NUMBERS, NUMBERS)
def test_keys_compare_as_exact_rationals(a, b):
    """The oracle is exact arithmetic, from 10^-400 to 10^400."""
    for text in (a, b):
        assert number_of(number_key(text)) == Fraction(text)
    assert (number_key(a) < number_key(b)) == (Fraction(a) < Fraction(b))
    assert (number_key(a) == number_key(b)) == (Fraction(a) == Fraction(b))


@given(NUMBERS, st.sampled_from(["1", "-1"]))
def test_keys_of_neighbors(text, step):
    """Numbers that differ only in the last of many digits."""
    power = Fraction(10) ** -450
    digits = f"{(Fraction(text) + int(step) * power) / power}"
    near = f"{digits}e-450"
    assert (number_key(near) > number_key(text)) == (step == "1")


@pytest.mark.parametrize("text", ["", "-", "1.", ".5", "1e", "e5", "007", "1_000", "0x10", "nan", "inf", "1 ", "٣"])
def test_text_that_is_not_a_number(text):
    assert number_key(text) is None


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
