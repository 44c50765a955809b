from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.sources.numbers import Written, key_number, number_key, read_number


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


@given(NUMBERS)
def test_a_key_gives_its_number_back(text):
    assert key_number(number_key(text)) == float(text)


@pytest.mark.parametrize(
    ("text", "point", "comma", "unit"),
    [
        ("1299", "1299", "1299", ""),
        ("12.5", "12.5", None, ""),
        ("12,5", None, "12.5", ""),
        ("1.234", "1.234", "1234", ""),
        ("1,234", "1234", "1.234", ""),
        ("0.234", "0.234", None, ""),
        ("0,234", None, "0.234", ""),
        ("1234.567", "1234.567", None, ""),
        ("1234,567", None, "1234.567", ""),
        ("1,234.50", "1234.50", None, ""),
        ("1.234,50", None, "1234.50", ""),
        ("1,234,567", "1234567", None, ""),
        ("1.234.567", None, "1234567", ""),
        ("12,34,567.8", "1234567.8", None, ""),
        ("1 234,50", None, "1234.50", ""),
        ("1\u202f234\u202f567", "1234567", "1234567", ""),
        ("1'234.50", "1234.50", None, ""),
        ("$12.99", "12.99", None, "$"),
        ("-$5", "-5", "-5", "$"),
        ("$-5", "-5", "-5", "$"),
        ("US$5", "5", "5", "USD"),
        ("CA$5", "5", "5", "CA$"),
        ("12,99\u00a0€", None, "12.99", "EUR"),
        ("EUR 12.50", "12.50", None, "EUR"),
        ("12.50EUR", "12.50", None, "EUR"),
        ("15%", "15", "15", "%"),
        ("1 299 %", "1299", "1299", "%"),
    ],
)
def test_what_people_write(text, point, comma, unit):
    assert read_number(text) == Written(point, comma, unit)


@pytest.mark.parametrize(
    "text",
    [
        "", "$", "%", "1.", ",5", "1,,5", "1,23,45", "12,3456,789", "1.2.3", "192.168.0.1", "1,234 567", "01,234",
        "$007", "007", "5 cm", "$5 EUR", "%5", "--5", "-$-5", "5-3", "1,234.567,8", "1_000", "twelve", "1 2", "$ 1  2",
        "٣,٤",        "1" * 59 + ",5",
    ],
)  # fmt: skip
def test_what_is_not_a_number(text):
    assert read_number(text) is None


@given(st.integers(1000, 10**20), st.one_of(st.just(""), st.from_regex(r"[0-9]{1,6}", fullmatch=True)))
def test_thousands_in_every_custom(number, decimals):
    """The whole part grouped by one mark, decimals after another: what is written is read in one way or refused."""
    plain = f"{number}.{decimals}" if decimals else f"{number}"
    for group, decimal in (",.", ".,", " ,", " .", "\u202f,", "'."):
        text = f"{number:,}".replace(",", group) + (decimal + decimals if decimals else "")
        written = read_number(text)
        reading = written.point if decimal == "." else written.comma
        assert Fraction(reading) == Fraction(plain)
