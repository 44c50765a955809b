"""A tree of filters → conditions in parameterized SQL over the values of each field, by the field's kind.

A list matches if any of its elements does. `!=` is the opposite of `=`, so it also holds for an item without a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal, NamedTuple

from attnsearch.errors import InputError
from attnsearch.sources.dates import EPOCH, read_date
from attnsearch.sources.kinds import NO, YES, Interpretation, Kind, interpret
from attnsearch.sources.letters import normalize_text
from attnsearch.sources.numbers import read_number
from attnsearch.syntax.values import content_of

EQUALITIES = ("=", "!=")


class Filter(NamedTuple):
    """A condition on a field: `op` is one of = != < <= > >= ~ ? between; it holds if any of the values matches.

    `between` has two values, and holds from the first to the last. `!=` holds if `=` does not.
    """

    field: str
    op: str
    values: tuple[str, ...]


class Combined(NamedTuple):
    """Filters of which all hold, or any, or whose only one does not."""

    op: Literal["and", "or", "not"]
    parts: tuple[Filter | Combined, ...]


Where = Filter | Combined


def filters_of(where: Where) -> Iterator[Filter]:
    """The filters of a tree, from left to right."""
    trees = [where]
    while trees:
        tree = trees.pop()
        if isinstance(tree, Filter):
            yield tree
        else:
            trees.extend(reversed(tree.parts))


def spell(where: Where) -> str:
    """A tree of filters as text for a message.

    >>> spell(Combined("not", (Filter("genre", "=", ("poetry", "drama")),)))
    'not (genre = poetry, drama)'
    """
    if isinstance(where, Combined):
        parts = [f"({spell(part)})" if isinstance(part, Combined) or where.op == "not" else spell(part)
                 for part in where.parts]  # fmt: skip
        return f"not {parts[0]}" if where.op == "not" else f" {where.op} ".join(parts)
    if where.op == "?":
        return f"has {where.field}"
    return f"{where.field} {where.op} {(' and ' if where.op == 'between' else ', ').join(where.values)}"


class Condition(NamedTuple):
    """A comparison in SQL of a column (value, folded, number or begin). User input appears only in `bounds`.

    >>> Condition("begin", "from", (0.0, 60.0)).sql
    'begin >= ? AND begin < ?'
    """

    column: str
    op: str
    bounds: tuple[str | bytes | float | None, ...]

    @property
    def sql(self) -> str:
        """The comparison, with a placeholder for each bound."""
        return self.sql_of(self.column)

    def sql_of(self, column: str) -> str:
        """The comparison of another column."""
        if self.op == "~":
            return f"instr({column}, ?)"
        if self.op == "from":  # to before the end
            return f"{column} >= ? AND {column} < ?"
        if self.op == "between":
            return f"{column} BETWEEN ? AND ?"
        return f"{column} {self.op} ?"


def conditions_of(where: Filter, kind: Kind) -> list[Condition]:
    """The conditions of a filter on a field of this kind: a value must meet one of them, or for `!=` none.

    What `suits` refuses is compared as text. Raises InputError if a range ends before it begins.

    >>> conditions_of(Filter("born", "<", ("1990-05-01",)), Kind("date"))
    [Condition(column='begin', op='<', bounds=(641520000.0,))]
    """
    if where.op == "?":
        return [Condition("value", "IS NOT", (None,))]
    if where.op == "between":
        return _range_conditions(where, kind)
    return [condition for value in where.values for condition in _value_conditions(where.op, value, kind)]


def _value_conditions(op: str, value: str, kind: Kind) -> list[Condition]:
    if op == "~":
        return [Condition("folded", "~", (fold_text(value),))]
    value = content_of(value) or ""  # as the values of items are
    number, begin, end = _read_bound(value, kind)
    if op in EQUALITIES:
        conditions = [Condition("value", "=", (value,))]
        if kind.name == "yes/no":
            words = next((words for words in (YES, NO) if value.lower() in words), ())
            conditions += [Condition("folded", "=", (word,)) for word in words]
        if number is not None:
            conditions.append(Condition("number", "=", (number,)))
        if begin is not None:
            conditions.append(Condition("begin", "from", (begin, end)))
        return conditions
    conditions = []
    if number is not None:
        conditions.append(Condition("number", op, (number,)))
    if begin is not None:
        # A span counts whole: later than May is from June on, and up to May includes May.
        bound = begin if op in ("<", ">=") else end
        conditions.append(Condition("begin", "<" if op in ("<", "<=") else ">=", (bound,)))
    return conditions or [Condition("value", op, (value,))]


def _range_conditions(where: Filter, kind: Kind) -> list[Condition]:
    low, high = (content_of(value) or "" for value in where.values)
    first, last = _read_bound(low, kind), _read_bound(high, kind)
    conditions = []
    is_backwards = False
    if first.number is not None and last.number is not None:
        conditions.append(Condition("number", "between", (first.number, last.number)))
        is_backwards = first.number > last.number
    if first.begin is not None and last.begin is not None and last.end is not None:
        conditions.append(Condition("begin", "from", (first.begin, last.end)))
        is_backwards |= first.begin >= last.end
    if not conditions:
        conditions.append(Condition("value", "between", (low, high)))
        is_backwards = low > high
    if is_backwards:
        raise InputError(
            f"--where: {where.field} between '{low}' and '{high}' is empty", hint="give the lower one first"
        )
    return conditions


def suits(where: Filter, kind: Kind) -> Iterator[bool]:
    """Whether each of the filter's values can be compared with those of a field of this kind.

    Text suits fields of text, and equality in mixed ones.
    """
    for value in where.values:
        number, begin, _ = _read_bound(value, kind)
        if where.op == "~":
            yield True
        elif content_of(value) is None:
            yield False
        elif kind.name == "yes/no":
            yield where.op in EQUALITIES and value.strip().lower() in YES + NO
        else:
            is_text = kind.name == "text" or (kind.name == "mixed" and where.op in EQUALITIES)
            yield is_text or number is not None or begin is not None


def reads(where: Filter, kind: Kind) -> bool:
    """Whether a filter leaves out values because they can't be read as this kind."""
    return where.op not in ("~", "?") and not (kind.name == "mixed" and where.op in EQUALITIES)


def readings_of(value: str, kind: Kind) -> list[str]:
    """What a value can mean, if it can mean two things in a field of this kind.

    >>> readings_of("1,234", Kind("number")), readings_of("05/06/2021", Kind("date"))
    (['1234', '1.234'], ['2021-06-05', '2021-05-06'])
    """
    written, dated = read_number(value.strip()), read_date(value.strip())
    if written and kind.name != "date" and written.point and written.comma and written.point != written.comma:
        return [written.point, written.comma]
    if (
        dated
        and kind.name != "number"
        and dated.day_first
        and dated.month_first
        and dated.day_first != dated.month_first
    ):
        days = (EPOCH + timedelta(seconds=span.begin) for span in dated if span)
        return [day.date().isoformat() for day in days]
    return []


def _read_bound(value: str, kind: Kind) -> Interpretation:
    """What a filter's value means: as in the field, except for 15 in a field of percents, and for a doubtful 1.234."""
    written = read_number(value.strip())
    if written and kind.unit == "%" and not written.unit:
        value = f"{value.strip()}%"
    is_plain = written and written.comma and written.comma != written.point and "," not in value
    if is_plain and kind.decimal == ",":
        return Interpretation()
    return interpret(value, kind)


def fold_text(text: str) -> str:
    """Text as `~` compares it: case-folded, each accented letter one character."""
    return normalize_text(text.casefold())
