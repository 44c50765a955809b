"""`--where` text → a filter → parameterized SQL over the values of one field.

    year >= 1990            = != < <= > >=: numbers as numbers, dates as dates, other text by its characters
    title ~ moon            contains, ignoring case
    genre = poetry,drama    any of these values; within quotes a comma is literal
    series?                 has a value

A list matches if any of its elements does. `!=` is the opposite of `=`, so it also holds for an item without a value.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from attnsearch.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # dates are stored as seconds since then

_NAME = re.compile(r'"([^"]+)"\s*')
_OP = re.compile(r"<=|>=|!=|[=<>~]|\?$")
_VALUE = re.compile(
    r"""\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",\s](?:[^,]*[^,\s])?)?)\s*(?P<end>,|$)""", re.DOTALL
)
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,307})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII
)
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
    bounds: tuple[str | int | float | None, ...]

    @property
    def sql(self) -> str:
        """The comparison, with a placeholder for each bound."""
        if self.op == "~":
            return f"instr({self.column}, ?)"
        if self.op == "BETWEEN":  # unlike SQL's, without the end
            return f"{self.column} >= ? AND {self.column} < ?"
        return f"{self.column} {self.op} ?"


class Interpretation(NamedTuple):
    """What a text means besides itself: a number; a span of time from `begin` to before `end`, in EPOCH seconds."""

    number: int | float | None
    begin: float | None
    end: float | None


def parse_filter(text: str) -> Filter:
    """The filter that a text spells. Raises InputError.

    >>> parse_filter("year>=1990"), parse_filter('author = "Le Guin, Ursula",Homer').values
    (Filter(field='year', op='>=', values=('1990',)), ('Le Guin, Ursula', 'Homer'))
    """
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
        value = match["plain"] or "" if match["quoted"] is None else match["quoted"].replace('""', '"')
        if not value:
            raise InputError(f"--where '{text}' has no value{' before a comma' if match['end'] else ''}", hint=_HINT)
        values.append(value)
        position = match.end() + (not match["end"])
    return tuple(values)


def conditions_of(where: Filter) -> list[Condition]:
    """The conditions of a filter: a value of the field must meet one of them, or for `!=` none.

    >>> conditions_of(parse_filter("year < 1990"))
    [Condition(column='number', op='<', bounds=(1990,)), Condition(column='begin', op='<', bounds=(631152000.0,))]
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
    return unicodedata.normalize("NFC", text.casefold())


def interpret_value(text: str) -> Interpretation:
    """Read a text as a number, as a span of time, or as both, like a year; neither gives None.

    >>> interpret_value("39.50").number, interpret_value("007").number, interpret_value("1970-01").end
    (39.5, None, 2678400.0)
    """
    number: int | float | None = None
    if _NUMBER.fullmatch(text):
        number = int(text) if text.lstrip("+-").isdigit() and len(text) < 19 else float(text)
        number = number if math.isfinite(number) else None
    begin, end = _parse_span(text) if _DATE.fullmatch(text) else (None, None)
    return Interpretation(number, begin, end)


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
