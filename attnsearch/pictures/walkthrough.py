"""Steps of the formula → headings, sentences and small tables, with Q, K and V in their colors.

A narrow window cuts words and loses the last components of vectors; then tables are folded. No number is ever cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attnsearch.explanation.phrases import COMPONENTS, spell
from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import GAP, count_cells, cut, divide_cells, draw, new_table, wrap
from attnsearch.pictures.letters import color_letters
from attnsearch.pictures.palette import letter_style, strength_of, style

if TYPE_CHECKING:
    from attnsearch.explanation.phrases import Cell
    from attnsearch.explanation.steps import Step

_LEAST = 6  # cells of a word that is cut, at least
_READABLE = 10  # cells that make it easy to read
_INDENT, _WIDE = 3, 60  # cells before what stands under a heading, in windows from this width on
_LABELS = ("rank", "row")  # columns of whole numbers that say what a row is about, as those of words do
_REQUEST = ("row", "request")
_SUMS = ("row", "request", "max", "Σ")  # columns beside those of a matrix of weights
_MEASURES = ("value", "mean", "spread")  # columns of numbers with a unit
_SMALL = 5e-4  # four decimals would say next to nothing of a number below it
_LETTER_OF = {"query": "q", "keys": "k", "output": "v"}  # whose vectors the tables of these steps have


def walkthrough(steps: Iterable[Step], screen: Screen = PIPE) -> str:
    """The steps, each a heading, what the librarian does, a sentence, the shapes and a small table."""
    return "\n".join("".join(_draw_step(number, step, screen)) for number, step in enumerate(steps, 1))


def format_row(row: Sequence[Cell], columns: Sequence[str]) -> list[str]:
    """The cells of a row of a step as they are shown.

    >>> format_row([1, "moon", 0.20863, 0.0000453], ["rank", "item", "weight", "weight before"])
    ['1', 'moon', '0.2086', '4.5e-05']
    >>> format_row([391.9184, -20.14439], ["norm", "[0]"]), format_row([1961.0, 1938.26794], ["value", "mean"])
    (['391.9184', '-20.1444'], ['1961', '1938.2679'])
    """
    norm = row[columns.index("norm")] if "norm" in columns else None
    size = norm if isinstance(norm, float) else 1.0
    return [_format_cell(cell, column, size) for cell, column in zip(row, columns, strict=True)]


def format_shape(shape: Sequence[int]) -> str:
    """The shape of a matrix.

    >>> format_shape((1, 12000))
    '(1, 12000)'
    """
    return f"({', '.join(map(str, shape))})"


def _format_cell(cell: Cell, column: str, norm: float) -> str:
    if not isinstance(cell, float):
        return "" if cell is None else inert(str(cell))
    if column in COMPONENTS:
        return spell(cell, norm)
    if column in _MEASURES:
        return f"{cell:.12g}" if cell.is_integer() or abs(cell) >= 1e12 else f"{cell:.4f}"
    return f"{cell:.1e}" if 0 < abs(cell) < _SMALL else f"{cell:.4f}"


def _draw_step(number: int, step: Step, screen: Screen) -> Iterator[str]:
    """The heading of a step, and under it, indented if the window is wide, all the rest."""
    from rich.text import Text

    yield draw(color_letters(Text(f"{number}. {step.name}: {inert(step.formula)}", "bold"), screen), screen)
    indent = _INDENT if screen.width is None or screen.width >= _WIDE else 0
    inner = screen._replace(width=screen.width and screen.width - indent)
    for line in "".join(_draw_body(step, inner)).splitlines(keepends=True):
        yield " " * indent + line


def _draw_body(step: Step, screen: Screen) -> Iterator[str]:
    from rich.text import Text

    if step.story:
        yield draw(Text(inert(step.story), "italic" if screen.colors else ""), screen)
    is_text = step.columns == ("position", "token")
    if is_text:
        yield draw(Text(inert(" ".join(str(token) for _, token in step.rows))), screen)
    yield wrap(inert(step.says), screen)
    if step.shapes:
        shapes = (f"{name} {format_shape(shape)}" for name, shape in step.shapes.items())
        yield draw(color_letters(Text(wrap(", ".join(shapes), screen).rstrip()), screen), screen)
    if not is_text:
        yield from _draw_table(step, screen)


def _draw_table(step: Step, screen: Screen) -> Iterator[str]:
    """The rows and the totals of a step, folded if the window is too narrow for all columns."""
    from rich.text import Text

    names, rows = [inert(name) for name in step.columns], [*step.rows, *step.totals]
    cells = [format_row(row, step.columns) for row in rows]
    are_words = [not any(isinstance(row[i], (int, float)) for row in rows) for i in range(len(names))]
    needed = [max(map(count_cells, column)) for column in zip(names, *cells, strict=True)]
    longest = [max(map(count_cells, column)) for column in zip(*cells, strict=True)] if cells else needed
    least = [min(_LEAST, width) if is_word else width for is_word, width in zip(are_words, longest, strict=True)]
    least = [max(width, len("row")) if name == "row" else width for name, width in zip(names, least, strict=True)]
    for columns in _fold(names, are_words, needed, least, screen.width):
        widths = dict(enumerate(needed))
        if screen.width is not None:
            total = screen.width - GAP * (len(columns) - 1)
            divided = divide_cells([needed[i] for i in columns], total, [least[i] for i in columns])
            widths = dict(zip(columns, divided, strict=True))
        table = new_table()
        for i in columns:
            table.add_column(Text(cut(names[i], widths[i])), justify="left" if are_words[i] else "right")
        for number, texts in enumerate(cells):
            row = [Text(cut(texts[i], widths[i])) for i in columns]
            for text, i in zip(row, columns, strict=True):
                text.stylize(_style(step, number, i, screen))  # but not the spaces beside it
            table.add_row(*row)
        yield draw(table, screen._replace(width=None))


def _fold(
    names: Sequence[str], are_words: Sequence[bool], needed: Sequence[int], least: Sequence[int], window: int | None
) -> Iterator[list[int]]:
    """The columns of each part of a table; those that say what a row is about are in every part."""
    columns = list(range(len(names)))

    def width(chosen: Sequence[int], readable: int = 0) -> int:
        return sum(max(least[i], min(needed[i], readable)) for i in chosen) + GAP * (len(chosen) - 1)

    for i in reversed(columns):
        if window is not None and names[i] in COMPONENTS[1:] and width(columns, _READABLE) > window:
            columns.remove(i)
    if window is not None and tuple(names[:2]) == _REQUEST and width(columns) > window:
        columns.remove(1)  # the number of the request is enough
    labels = [i for i in columns if are_words[i] or names[i] in _LABELS]
    part = [*labels]
    for i in columns:
        if i in labels:
            continue
        if window is not None and len(part) > len(labels) and width([*part, i]) > window:
            yield sorted(part)
            part = [*labels]
        part.append(i)
    yield sorted(part)


def _style(step: Step, number: int, column: int, screen: Screen) -> str:
    letter, strength = find_color(step, number, column)
    return letter_style(letter, screen) if letter else style(strength, screen)


def find_color(step: Step, number: int, column: int) -> tuple[str, float]:
    """What gives a cell its color: the letter of a component, or the strength of a weight or a share; else "" and 0."""
    if number >= len(step.rows):
        return "", 0.0
    name, cell = step.columns[column], step.rows[number][column]
    if name in COMPONENTS:
        return _LETTER_OF.get(step.name, "v"), 0.0
    is_share = name in ("weight", "old weight", "share") and "mean" not in step.columns
    is_in_matrix = step.name == "weights" and step.columns[0] == "row" and name not in _SUMS
    return "", strength_of(cell) if isinstance(cell, float) and (is_share or is_in_matrix) else 0.0
