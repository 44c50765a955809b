"""`--where` text → a filter → parameterized SQL over the values of one field.

    year >= 1990            = != < <= > >=: numbers as numbers, dates as dates, other text by its characters
    title ~ moon            contains, ignoring case
    genre = poetry,drama    any of these values; within quotes a comma is literal
    series?                 has a value

A list matches if any of its elements does. `!=` is the opposite of `=`, so it also holds for an item without a value.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.readers.values import check_text
from attnsearch.sources.letters import normalize_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # dates are stored as seconds since then

_NAME = re.compile(r'"([^"]+)"\s*')
_OP = re.compile(r"<=|>=|!=|[=<>~]|\?$")
# Possessive, so that text that does not match is read once; Python strips the end of a plain value.
_VALUE = re.compile(r"""\s*+(?:"(?P<quoted>[^"]*+(?:""[^"]*+)*+)"\s*+|(?P<plain>(?!")[^,]*+))(?P<end>,|\Z)""")
# Each part begins with a character that the part before can't hold, so a match takes one pass.
_NUMBER = re.compile(r"([+-]?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,9}))?")
_DATE = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII
)
_ZERO = b"\x01"  # the key of 0, between those of negative numbers (0) and of positive ones (2)
_MIDDLE = 1 << 31  # stands for the exponent 0, so that all exponents are four unsigned bytes
_COMPLEMENT = bytes(range(255, -1, -1))  # reverses the order of bytes

_RESOLUTION = timedelta(microseconds=1)  # of a time with a fraction of a second
_HINT = "write FIELD OP VALUE, such as 'year >= 1990', 'tags ~ moon', 'genre = poetry,drama', or 'series?'"


class Filter(NamedTuple):
    """A condition on a field: `op` is one of = != < <= > >= ~ ?; it holds if any of the values matches."""

    field: str
    op: str
    values: tuple[str, ...]


class Condition(NamedTuple):
    """A comparison in SQL of a column (value, folded, number or begin). User input appears only in `bounds`.

    >>> Condition("begin", "BETWEEN", (0.0, 60.0)).sql
    'begin >= ? AND begin < ?'
    """

    column: str
    op: str
    bounds: tuple[str | bytes | float | None, ...]

    @property
    def sql(self) -> str:
        """The comparison, with a placeholder for each bound."""
        if self.op == "~":
            return f"instr({self.column}, ?)"
        if self.op == "BETWEEN":  # unlike SQL's, without the end
            return f"{self.column} >= ? AND {self.column} < ?"
        return f"{self.column} {self.op} ?"


class Interpretation(NamedTuple):
    """What a text means besides itself: a number, as its `number_key`; a time from `begin` to before `end`.

    Times are EPOCH seconds.
    """

    number: bytes | None
    begin: float | None
    end: float | None


def parse_filter(text: str) -> Filter:
    """The filter that a text spells. Raises InputError.

    >>> parse_filter("year>=1990"), parse_filter('author = "Le Guin, Ursula",Homer').values
    (Filter(field='year', op='>=', values=('1990',)), ('Le Guin, Ursula', 'Homer'))
    """
    check_text(text, "--where")
    stripped = text.strip()
    quoted = _NAME.match(stripped)
    operator = _OP.match(stripped, quoted.end()) if quoted else _OP.search(stripped)
    if not operator:
        raise InputError(f"--where can't read '{text}'", hint=_HINT)
    field = quoted[1] if quoted else stripped[: operator.start()].strip()
    if not field:
        raise InputError(f"--where can't read '{text}'", hint=_HINT)
    op = operator[0]
    values = _parse_values(text, stripped[operator.end() :]) if op != "?" else ()
    if op[0] in "<>" and len(values) > 1:
        hint = "give one value, in quotes if it contains a comma"
        raise InputError(f"--where '{text}' compares with {len(values)} values", hint=hint)
    return Filter(field, op, values)


def _parse_values(text: str, listed: str) -> tuple[str, ...]:
    """The values in the part `listed` of a filter's text, which follows the operator."""
    if listed[:1] == "=":
        raise InputError(f"--where can't read '{text}'", hint="one '=' is enough")
    values: list[str] = []
    position = 0
    while position <= len(listed):
        match = _VALUE.match(listed, position)
        if not match:
            raise InputError(f"--where can't read the quotes in '{text}'", hint=_HINT)
        value = match["plain"].strip() if match["quoted"] is None else match["quoted"].replace('""', '"')
        if not value:
            raise InputError(f"--where '{text}' has no value{' before a comma' if match['end'] else ''}", hint=_HINT)
        values.append(value)
        position = match.end() + (not match["end"])
    return tuple(values)


def conditions_of(where: Filter) -> list[Condition]:
    """The conditions of a filter: a value of the field must meet one of them, or for `!=` none.

    >>> conditions_of(parse_filter("born < 1990-05-01"))
    [Condition(column='begin', op='<', bounds=(641520000.0,))]
    """
    if where.op == "?":
        return [Condition("value", "IS NOT", (None,))]
    return [condition for value in where.values for condition in _value_conditions(where.op, value)]


def _value_conditions(op: str, value: str) -> list[Condition]:
    if op == "~":
        return [Condition("folded", "~", (fold_text(value),))]
    value = value.strip()  # as the values of items are
    number, begin, end = interpret_value(value)
    if op in ("=", "!="):
        conditions = [Condition("value", "=", (value,))]
        if number is not None:
            conditions.append(Condition("number", "=", (number,)))
        if begin is not None:
            conditions.append(Condition("begin", "BETWEEN", (begin, end)))
        return conditions
    conditions = []
    if number is not None:
        conditions.append(Condition("number", op, (number,)))
    if begin is not None:
        # A span counts whole: later than May is from June on, and up to May includes May.
        bound = begin if op in ("<", ">=") else end
        conditions.append(Condition("begin", "<" if op in ("<", "<=") else ">=", (bound,)))
    return conditions or [Condition("value", op, (value,))]


def fold_text(text: str) -> str:
    """Text as `~` compares it: case-folded, each accented letter one character."""
    return normalize_text(text.casefold())


def interpret_value(text: str) -> Interpretation:
    """Read a text as a number, as a span of time, or as both, like a year; neither gives None.

    >>> interpret_value("39.50").number == number_key("39.5"), interpret_value("1970-01").end
    (True, 2678400.0)
    """
    begin, end = _parse_span(text) if _DATE.fullmatch(text) else (None, None)
    return Interpretation(number_key(text), begin, end)


def number_key(text: str) -> bytes | None:
    """Bytes that compare, byte by byte, exactly as the decimal numbers that the texts spell; None for other text.

    No digit is lost, however many there are: a float64 has room for 15 and SQLite's integers for 18. A number is
    0.d₁d₂… · 10^e, its last digit not 0; its key is a byte for the sign, then e in four bytes, then the digits. What
    follows the sign of a negative number is reversed in order, and ended, since of two such keys the longer is lower.
    An exponent has at most 9 digits, and a number no leading zeros: `007` is text.

    >>> number_key("39.50") == number_key("3.95e1"), number_key("9007199254740993") > number_key("9007199254740992.9")
    (True, True)
    >>> number_key("-1e400") < number_key("-1.5") < number_key("-1") < number_key("0") < number_key("1e-400")
    True
    """
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    sign, whole, fraction, exponent = match.groups("")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return _ZERO
    power = int(exponent or 0) + len(digits) - len(fraction)
    size = (power + _MIDDLE).to_bytes(4, "big") + digits.rstrip("0").encode()
    return b"\x00" + size.translate(_COMPLEMENT) + b"\xff" if sign == "-" else b"\x02" + size


def _parse_span(text: str) -> tuple[float | None, float | None]:
    """From when to before when a date or a time lasts, in EPOCH seconds; None if there is no such date."""
    try:
        if len(text) > 10:
            begin = datetime.fromisoformat(text)
            begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
            length = len(re.split(r"[Z+-]", text[11:])[0])  # 10:00, 10:00:00, or with a fraction
            end = begin + {5: timedelta(minutes=1), 8: timedelta(seconds=1)}.get(length, _RESOLUTION)
        else:
            year, month, day = (int(part) for part in (text + "-01-01")[:10].split("-"))
            begin = datetime(year, month, day, tzinfo=UTC)
            end = begin + timedelta(days=1)
            if months := {4: 12, 7: 1}.get(len(text)):  # a whole year, or a whole month
                following = year * 12 + month - 1 + months  # the month after, counted from year 0
                end = datetime(following // 12, following % 12 + 1, day, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None, None
    return (begin - EPOCH).total_seconds(), (end - EPOCH).total_seconds()
