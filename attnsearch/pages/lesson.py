"""The lesson → a page for a projector: a section for each slide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.pages.page import render
from attnsearch.pages.shades import shade
from attnsearch.pictures.lesson import format_number
from attnsearch.pictures.letters import find_letter
from attnsearch.pictures.palette import strength_of

if TYPE_CHECKING:
    from attnsearch.lesson.slide import Column, Group, Slide, Table


class _Cell(NamedTuple):
    """A number as it is shown, None where there is none, and its class: of a letter, or of a shade."""

    number: float | None
    shown: str
    kind: str
    is_first: bool


class _Head(NamedTuple):
    """The name of a column, or the symbol of a group over `span` of them. `is_first` says that a group begins here."""

    name: str
    kind: str
    is_first: bool
    span: int = 0


def lesson_page(slides: Sequence[Slide], command: Sequence[str]) -> str:
    """The page of these slides."""
    return render("lesson", command, slides=slides, heads=_heads, rows=_rows)


def _heads(table: Table) -> list[list[_Head]]:
    """The row of symbols, unless no group has one, and that of names."""
    symbols = [
        _Head(group.symbol, find_letter(group.symbol), is_first=True, span=len(group.columns)) for group in table.groups
    ]
    names = [
        _Head(column.name, _kind(group, column), is_first=column is group.columns[0])
        for group in table.groups
        for column in group.columns
    ]
    return [symbols, names] if any(group.symbol for group in table.groups) else [names]


def _rows(table: Table) -> list[tuple[str, list[_Cell]]]:
    """The rows, each with its name."""
    last = len(table.rows) - 1 if table.total else None
    return [
        (
            name,
            [_cell(group, column, i, is_total=i == last) for group in table.groups for column in group.columns],
        )
        for i, name in enumerate(table.rows)
    ]


def _cell(group: Group, column: Column, row: int, *, is_total: bool) -> _Cell:
    """A number in the color of its letter, or on that of its weight; a total has none."""
    number = column.numbers[row]
    is_shaded = column.share and number is not None and not is_total
    kind = shade(strength_of(number or 0.0)) if is_shaded else _kind(group, column)
    return _Cell(number, format_number(number, column), kind, is_first=column is group.columns[0])


def _kind(group: Group, column: Column) -> str:
    return find_letter(group.symbol or column.name)
