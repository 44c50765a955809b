"""Matrices → tables of shaded cells, with figures in them and sums at their margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attnsearch.pages.shades import shade
from attnsearch.pictures.matrix import caption, choose_digits, format_number

if TYPE_CHECKING:
    from attnsearch.explanation.matrix import Line, Matrix


class Cell(NamedTuple):
    """A number, as it is shown, with the class of its shade; `mark` stands beside it."""

    number: float
    shown: str
    shade: str = ""
    mark: str = ""


class Row(NamedTuple):
    """A row under its name: its cells, None for one without a number, and what stands at the margin.

    `is_mark` says that the name is not a word of a text.
    """

    name: str
    cells: list[Cell | None]
    margin: list[Cell]
    is_mark: bool = False


class Head(NamedTuple):
    """The name of a column, and the `catalog` of its item if several were asked."""

    name: str
    is_mark: bool = False
    catalog: str = ""


class Grid(NamedTuple):
    """A matrix as it is drawn. `margins` are the names of the columns at the margin; `last` are rows below a line."""

    caption: str
    heads: list[Head]
    margins: list[str]
    rows: list[Row]
    last: list[Row]


def matrix_grid(matrix: Matrix) -> Grid:
    """The words of the query × those of the item, and their sums."""
    digits = choose_digits(matrix.strongest)

    def cell(number: float, strength: float = 0.0) -> Cell:
        return Cell(number, format_number(number, digits), shade(strength))

    rows = [
        Row(line.label, [*map(cell, numbers, strengths)], [cell(line.sum)], _is_mark(line))
        for line, numbers, strengths in zip(matrix.rows, matrix.cells.tolist(), matrix.strengths.tolist(), strict=True)
    ]
    sums = Row("sum", [cell(line.sum) for line in matrix.columns], [cell(matrix.sum)], is_mark=True)
    heads = [Head(line.label, _is_mark(line)) for line in matrix.columns]
    return Grid(caption(matrix), heads, ["sum"], rows, [sums])


def _is_mark(line: Line) -> bool:
    return line.kind not in ("word", "piece")
