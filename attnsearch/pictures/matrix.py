"""A logit as a double sum → a table of colored figures, words of the query × words of the item."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.explanation.matrix import narrow
from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import count_cells, cut, draw, wrap
from attnsearch.pictures.palette import style

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.explanation.matrix import Matrix

_ROWS = 20  # shown in a window, at most: a request may have hundreds of words
_NAME = 6  # cells of a row's name, at least
_HEAD = 9  # cells of a column's name, at most
_DIGITS = 9  # decimals, at most
_NOUNS = {"words": "word", "pieces": "word piece"}


class _Column(NamedTuple):
    """A column as it is drawn: its name in two lines, its figures from the top, each with its style, and its width."""

    head: tuple[str, str]
    figures: list[tuple[str, str]]
    width: int


def draw_matrix(matrix: Matrix, screen: Screen = PIPE) -> str:
    """What each word of the query and each word of the item add to the logit together, with sums at the margins.

    A window that is too small for all words has those that add most or take most; the others are one row, one column.
    """
    from rich.text import Text

    digits = choose_digits(matrix.strongest)
    rest = list(_rest(matrix, digits))
    narrowed, columns, room = _fit(matrix, rest, digits, screen)
    lines = list(_draw_lines(narrowed, columns, rest, room))
    text = Text("\n", no_wrap=True, overflow="ignore").join(lines)
    window = screen.width and max(screen.width, *(line.cell_len for line in lines))  # a figure is never cut
    return wrap(f"{caption(matrix)}:", screen) + "\n" + draw(text, screen._replace(width=window))


def caption(matrix: Matrix) -> str:
    """What a cell is, in a sentence without its end."""
    noun = _NOUNS[matrix.by]
    return f"What a {noun} of the query (row) and a {noun} of the item (column) add to the logit together"


def name_added(matrix: Matrix) -> dict[str, float]:
    """What makes the sum of the cells the logit, by name, in logits: terms, priors, memory and rounding."""
    return {
        **{f"lexical {term}": logits for term, logits in matrix.lexical.items()},
        **{f"prior {field}": logits for field, logits in matrix.prior.items()},
        **{f"'{request}' was judged": logits for request, logits in matrix.memory.items()},
        "rounding": matrix.rounding,
    }


def _fit(
    matrix: Matrix, rest: Sequence[tuple[str, str]], digits: int, screen: Screen
) -> tuple[Matrix, list[_Column], int]:
    """As many columns as fit the window, the last of them with the sums, and the cells that rows' names have."""
    window = screen.width
    rows = _ROWS if window else len(matrix.rows)
    most = min(len(matrix.columns), window // (digits + 4)) if window else len(matrix.columns)
    for count in range(most, -1, -1):
        narrowed = narrow(matrix, rows, count)
        columns = [*(_columns(narrowed, digits, screen) if count else ()), _sums(narrowed, rest, digits)]
        figures = 1 + sum(column.width for column in columns)
        names = ["sum", *(line.label for line in narrowed.rows)]
        if not count:
            names += [name for name, _ in rest]
        room = max(count_cells(inert(name)) for name in names)
        if window is None:
            break
        least = min(room, max(window // 4, _NAME))
        room = min(room, max(window - figures, 0))
        if room >= least:
            break
    return narrowed, columns, room


def _columns(matrix: Matrix, digits: int, screen: Screen) -> Iterator[_Column]:
    """The columns of a matrix, each with its cells and, below them, its sum."""
    for line, cells, strengths in zip(
        matrix.columns, matrix.cells.T.tolist(), matrix.strengths.T.tolist(), strict=True
    ):
        styles = [
            "dim" if "others" in (line.kind, row.kind) else style(strength, screen)
            for row, strength in zip(matrix.rows, strengths, strict=True)
        ]
        figures = [format_number(number, digits) for number in (*cells, line.sum)]
        yield _column(line.label, list(zip(figures, [*styles, "bold"], strict=True)))


def _sums(matrix: Matrix, rest: Sequence[tuple[str, str]], digits: int) -> _Column:
    """The sum of each row, that of all cells, and what is added to it."""
    sums = [format_number(number, digits) for number in (*(line.sum for line in matrix.rows), matrix.sum)]
    return _column("sum", [(figure, "bold") for figure in (*sums, *(figure for _, figure in rest))])


def _column(name: str, figures: list[tuple[str, str]]) -> _Column:
    above, _, below = name.rpartition(" ")
    head = cut(above, _HEAD), cut(below, _HEAD)
    widest = max(count_cells(text) for text in (*head, *(figure for figure, _ in figures)))
    return _Column(head, figures, 1 + widest)


def _rest(matrix: Matrix, digits: int) -> Iterator[tuple[str, str]]:
    """What is added to the sum of the cells, with its name, and the logit."""
    for name, logits in name_added(matrix).items():
        figure = format_number(logits, digits)
        if name != "rounding" or figure.strip("0."):
            yield name, figure
    yield "logit", f"{matrix.logit:.{digits}f}"


def _draw_lines(
    matrix: Matrix, columns: Sequence[_Column], rest: Sequence[tuple[str, str]], room: int
) -> Iterator[Text]:
    """The names of the columns, the rows, the sums, and below these what is added to their sum."""
    from rich.text import Text

    for number in (0, 1):
        if any(column.head[number] for column in columns):
            heads = "".join(_right(column.head[number], column.width) for column in columns)
            yield Text(" " * (room + 1) + heads.rstrip(), "dim")
    names = [(line.label, "" if line.kind in ("word", "piece") else "dim") for line in matrix.rows]
    for number, (name, name_style) in enumerate([*names, ("sum", "dim")]):
        text = Text()
        text.append(_left(name, room) + " ", name_style)
        for column in columns:
            figure, figure_style = column.figures[number]
            text.append(_right(figure, column.width), figure_style)
        yield text
    before = room + 1 + sum(column.width for column in columns[:-1])
    for name, figure in rest:
        yield Text.assemble((_left(name, before), "dim"), (_right(figure, columns[-1].width), "bold"))


def choose_digits(strongest: float) -> int:
    """Decimals that leave the strongest cell two digits: at least two, as logits have elsewhere, and not beyond reason.

    >>> [choose_digits(strongest) for strongest in (0.53, 0.1, 0.099, 0.0013, 1e-300, 0.0)]
    [2, 2, 3, 4, 9, 2]
    """
    return min(max(1 + math.ceil(-math.log10(strongest)), 2), _DIGITS) if strongest else 2


def format_number(number: float, digits: int) -> str:
    """A number of logits with its sign, unless it is shown as 0."""
    figure = f"{number:+.{digits}f}"
    return figure if figure.strip("+-0.") else figure[1:]


def _left(text: str, cells: int) -> str:
    shown = cut(text, cells)
    return shown + " " * (cells - count_cells(shown))


def _right(text: str, cells: int) -> str:
    return " " * (cells - count_cells(text)) + text
