"""What one slide of the lesson shows: a story and tables. Terminal, page, JSON and tests take the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Column(NamedTuple):
    """A column: its name, a number for each row of the table or None where there is none, and how they are printed.

    `decimals` are printed of each; None prints all that a number has. A `share` is printed as a percentage. The number
    -inf is the logit of a hidden book.
    """

    name: str
    numbers: tuple[float | None, ...]
    decimals: int | None = None
    share: bool = False


class Group(NamedTuple):
    """Columns that belong together, under the symbol of what they are, such as W_K or q·k; "" for none."""

    symbol: str
    columns: tuple[Column, ...]


class Table(NamedTuple):
    """A table of numbers: the names of its rows, and its columns in groups. With `total`, the last row is their sum."""

    rows: tuple[str, ...]
    groups: tuple[Group, ...]
    total: bool = False


class Slide(NamedTuple):
    """What fills a screen.

    `number` is from 1, `formula` the formula so far. The paragraphs of `story` are above the tables, those of `notes`
    below. `command` is one to try; "" for none.
    """

    number: int
    name: str
    title: str
    formula: str
    story: tuple[str, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    command: str = ""


def column(name: str, numbers: Iterable[float | None], decimals: int | None = None, *, share: bool = False) -> Column:
    """A column of numbers of any kind."""
    exact = (None if each is None else float(each) + 0.0 for each in numbers)  # -0.0 + 0.0 is 0.0
    return Column(name, tuple(exact), decimals, share)


def group(
    symbol: str, names: Sequence[str], rows: Iterable[Iterable[float] | None], decimals: int | None = None
) -> Group:
    """The group of a matrix, whose columns have these names; a row that is None is empty."""
    filled = [[None] * len(names) if row is None else [*row] for row in rows]
    columns = zip(*filled, strict=True)
    return Group(symbol, tuple(column(name, numbers, decimals) for name, numbers in zip(names, columns, strict=True)))


def as_json(slide: Slide) -> dict[str, Any]:
    """The slide as JSON has it: a number that is missing or infinite is null."""

    def number_as_json(number: float | None) -> float | None:
        return None if number is None or math.isinf(number) else number

    def column_as_json(column: Column) -> dict[str, Any]:
        return {**column._asdict(), "numbers": [number_as_json(number) for number in column.numbers]}

    def group_as_json(group: Group) -> dict[str, Any]:
        return {**group._asdict(), "columns": [column_as_json(column) for column in group.columns]}

    tables = [{**table._asdict(), "groups": [group_as_json(each) for each in table.groups]} for table in slide.tables]
    return {**slide._asdict(), "tables": tables}
