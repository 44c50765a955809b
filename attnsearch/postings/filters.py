"""`--where` text → a small tree → parameterised SQL over the values of one field.

    year >= 1990        = != < <= > >=      numbers as numbers, dates as dates, other text by its characters
    title ~ moon        contains, whatever the case
    genre = poetry,drama    any of them; in quotes a comma is a comma
    series?             has a value

A list matches by any of its elements. `!=` is the opposite of `=`, and so holds where there is no value at all.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from attnsearch.errors import InputError

_NAME = re.compile(r'"([^"]+)"\s*')
_OP = re.compile(r"<=|>=|!=|[=<>~]|\?$")
_VALUE = re.compile(
    r"""\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",\s](?:[^,]*[^,\s])?)?)\s*(?P<end>,|$)""", re.DOTALL
)
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,307})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = timedelta(microseconds=1)
_HINT = "write FIELD OP VALUE, such as 'year >= 1990', 'tags ~ moon', 'genre = poetry,drama', or 'series?'"


class Filter(NamedTuple):
    """What must hold of a field: `op` is one of = != < <= > >= ~ ?, and one of the values is enough."""

    field: str
    op: str
    values: tuple[str, ...]


class Condition(NamedTuple):
    """A comparison of a column, value, folded, number or begin, in SQL: its text is ours, its bounds parameters.

    >>> Condition("begin", "BETWEEN", (0.0, 60.0)).sql
    'begin >= ? AND begin < ?'
    """

    column: str
    op: str
    bounds: tuple[str | int | float | None, ...]

    @property
    def sql(self) -> str:
        """The comparison, with a question mark for each bound."""
        if self.op == "~":
            return f"instr({self.column}, ?)"
        if self.op == "BETWEEN":  # but for the end
            return f"{self.column} >= ? AND {self.column} < ?"
        return f"{self.column} {self.op} ?"


class Reading(NamedTuple):
    """What a text may be besides itself: a number; a span of time, in seconds since 1970, UTC, its end not in it."""

    number: int | float | None
    begin: float | None
    end: float | None


def parse_filter(text: str) -> Filter:
    """The filter that a text says. Raises InputError.

    >>> parse_filter("year>=1990"), parse_filter('author = "Le Guin, Ursula",Homer').values
    (Filter(field='year', op='>=', values=('1990',)), ('Le Guin, Ursula', 'Homer'))
    """
    stripped = text.strip()
    named = _NAME.match(stripped)
    found = _OP.match(stripped, named.end()) if named else _OP.search(stripped)
    field = named[1] if named else stripped[: found.start()].strip() if found else ""
    if not found or not field:
        raise InputError(f"--where can't read '{text}'", hint=_HINT)
    op = found[0]
    values = _values(text, stripped[found.end() :]) if op != "?" else ()
    if op[0] in "<>" and len(values) > 1:
        raise InputError(
            f"--where '{text}' compares with {len(values)} values", hint="give it one, in quotes if need be"
        )
    return Filter(field, op, values)


def _values(text: str, rest: str) -> tuple[str, ...]:
    values, at = [], 0
    if rest[:1] == "=":
        raise InputError(f"--where can't read '{text}'", hint="one '=' is enough")
    while at <= len(rest):
        found = _VALUE.match(rest, at)
        if not found:
            raise InputError(f"--where can't read the quotes in '{text}'", hint=_HINT)
        plain = found["plain"] or ""
        values.append(plain if found["quoted"] is None else found["quoted"].replace('""', '"'))
        at = found.end() + (not found["end"])
        if not values[-1]:
            raise InputError(f"--where '{text}' has no value{' before a comma' if found['end'] else ''}", hint=_HINT)
    return tuple(values)


def conditions_of(asked: Filter) -> list[Condition]:
    """What one of the field's values must meet, any of these; for `!=`, what none of them may.

    >>> conditions_of(parse_filter("year < 1990"))
    [Condition(column='number', op='<', bounds=(1990,)), Condition(column='begin', op='<', bounds=(631152000.0,))]
    """
    if asked.op == "?":
        return [Condition("value", "IS NOT", (None,))]
    return [condition for value in asked.values for condition in _conditions(asked.op, value)]


def _conditions(op: str, value: str) -> list[Condition]:
    if op == "~":
        return [Condition("folded", "~", (fold_text(value),))]
    number, begin, end = interpret(value)
    found = []
    if op in ("=", "!="):
        found.append(Condition("value", "=", (value,)))
        if number is not None:
            found.append(Condition("number", "=", (number,)))
        if begin is not None:
            found.append(Condition("begin", "BETWEEN", (begin, end)))
        return found
    if number is not None:
        found.append(Condition("number", op, (number,)))
    if begin is not None:
        # Later than May is from June on, and up to May includes May.
        found.append(Condition("begin", *{"<": ("<", (begin,)), ">=": (">=", (begin,)), ">": (">=", (end,)),
                                          "<=": ("<", (end,))}[op]))  # fmt: skip
    return found or [Condition("value", op, (value,))]


def fold_text(text: str) -> str:
    """Text as `~` compares it: without case, and each letter with its accents one character."""
    return unicodedata.normalize("NFC", text.casefold())


def interpret(text: str) -> Reading:
    """What else a text can be read as. A year alone is both a number and a span of time.

    >>> interpret("39.50").number, interpret("007").number, interpret("1970-01").end
    (39.5, None, 2678400.0)
    """
    number: int | float | None = None
    if _NUMBER.fullmatch(text):
        number = int(text) if text.lstrip("+-").isdigit() and len(text) < 19 else float(text)
        number = number if math.isfinite(number) else None
    begin, end = _span(text) if _DATE.fullmatch(text) else (None, None)
    return Reading(number, begin, end)


def _span(text: str) -> tuple[float | None, float | None]:
    try:
        if len(text) > 10:
            begin = datetime.fromisoformat(text)
            begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
            length = len(re.split(r"[Z+-]", text[11:])[0])  # 10:00, 10:00:00, or with a fraction
            end = begin + (timedelta(minutes=1) if length == 5 else timedelta(seconds=1) if length == 8 else _LEAST)
        else:
            year, month, day = (int(part) for part in (text + "-01-01")[:10].split("-"))
            begin = datetime(year, month, day, tzinfo=UTC)
            months = {4: 12, 7: 1}.get(len(text), 0)
            ahead = year * 12 + month - 1 + months
            end = datetime(ahead // 12, ahead % 12 + 1, day, tzinfo=UTC) if months else begin + timedelta(days=1)
    except (ValueError, OverflowError):
        return None, None
    return (begin - _EPOCH).total_seconds(), (end - _EPOCH).total_seconds()
