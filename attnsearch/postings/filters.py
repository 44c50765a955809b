"""`--where` text → a filter → parameterized SQL over the values of one field.

    year >= 1990            = != < <= > >=: numbers as numbers, dates as dates, other text by its characters
    title ~ moon            contains, ignoring case
    genre = poetry,drama    any of these values; within quotes a comma is literal
    series?                 has a value

A list matches if any of its elements does. `!=` is the opposite of `=`, so it also holds for an item without a value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.readers.values import check_text
from attnsearch.sources.kinds import Interpretation, Kind, interpret
from attnsearch.sources.letters import normalize_text

_NAME = re.compile(r'"([^"]+)"\s*')
_OP = re.compile(r"<=|>=|!=|[=<>~]|\?$")
# Possessive, so that text that does not match is read once; Python strips the end of a plain value.
_VALUE = re.compile(r"""\s*+(?:"(?P<quoted>[^"]*+(?:""[^"]*+)*+)"\s*+|(?P<plain>(?!")[^,]*+))(?P<end>,|\Z)""")
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
    """Read a text as a number, as a span of time, or as both, like a year; neither gives None."""
    return interpret(text, Kind("mixed", decimal="."))
