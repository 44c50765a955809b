"""Steps of the formula → headings, sentences and small tables, with Q, K and V in their colors.

A narrow window cuts words and loses the last components of a vector; then it folds a table. It never cuts a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import GAP, cut, divide_cells, draw, new_table, wrap
from attnsearch.pictures.palette import letter_style, style

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.explanation.steps import Cell, Step

_LEAST = 6  # cells of a word that is cut, at least
_READABLE = 12  # cells that make it easy to read
LETTER = re.compile(r"\b(?:W_)?([QKVqkv])(?=ᵀ?\b|ᵀ)")


def walkthrough(steps: Iterable[Step], screen: Screen = PIPE) -> str:
    """The steps, each a heading, what the librarian does, a sentence, the shapes and a small table."""
    return "\n".join("".join(_draw_step(number, step, screen)) for number, step in enumerate(steps, 1))


def _draw_step(number: int, step: Step, screen: Screen) -> Iterator[str]:
    from rich.text import Text

    yield draw(color_letters(Text(f"{number}. {step.name}: {step.formula}", "bold"), screen), screen)
    if step.story:
        yield draw(Text(step.story, "italic"), screen)
    yield wrap(inert(step.says), screen)
    if step.shapes:
        shapes = " · ".join(
            f"{name} ({', '.join(f'{axis:,}' for axis in shape)})" for name, shape in step.shapes.items()
        )
        yield wrap(shapes, screen)
    yield from _draw_table(step, screen)


def _draw_table(step: Step, screen: Screen) -> Iterator[str]:
    """The rows and the totals of a step, folded if the window is too narrow for all columns."""
    from rich.cells import cell_len
    from rich.text import Text

    rows = [*step.rows, *step.totals]
    cells = [[_format_cell(cell) for cell in row] for row in rows]
    are_words = [any(isinstance(row[i], str) for row in rows) or not rows for i in range(len(step.columns))]
    needed = [max(map(cell_len, column)) for column in zip(step.columns, *cells, strict=True)]
    numbers = [max(map(cell_len, column), default=0) for column in zip(*cells, strict=True)] or needed
    least = [min(need, _LEAST) if is_word else number
             for is_word, need, number in zip(are_words, needed, numbers, strict=True)]  # fmt: skip
    for columns in _fold(step.columns, are_words, needed, least, screen.width):
        widths = dict(enumerate(needed))
        if screen.width is not None:
            total = screen.width - GAP * (len(columns) - 1)
            divided = divide_cells([needed[i] for i in columns], total, [least[i] for i in columns])
            widths = dict(zip(columns, divided, strict=True))
        table = new_table()
        for i in columns:
            table.add_column(Text(cut(step.columns[i], widths[i])), justify="left" if are_words[i] else "right")
        for row, texts in zip(rows, cells, strict=True):
            table.add_row(*(Text(cut(texts[i], widths[i]), _style(step, i, row[i], screen)) for i in columns))
        yield draw(table, screen._replace(width=None))


def _fold(
    names: Sequence[str], are_words: Sequence[bool], needed: Sequence[int], least: Sequence[int], window: int | None
) -> Iterator[list[int]]:
    """The columns of each part of a table. The first ones, which say what a row is about, are in every part."""
    columns = list(range(len(names)))
    if window is None:
        yield columns
        return
    labels = [i for i in columns if are_words[i] or names[i] == "rank"]

    def width(chosen: Sequence[int], readable: int = 0) -> int:
        widest = (max(least[i], min(needed[i], readable)) for i in chosen)
        return sum(widest) + GAP * (len(chosen) - 1)

    for i in reversed(columns):
        if names[i].startswith("[") and names[i] != "[0]" and width(columns, _READABLE) > window:
            columns.remove(i)
    part = [*labels]
    for i in columns:
        if i in labels:
            continue
        if len(part) > len(labels) and width([*part, i]) > window:
            yield part
            part = [*labels]
        part.append(i)
    yield sorted(part)


def _style(step: Step, column: int, cell: Cell, screen: Screen) -> str:
    """The color of a weight, relative to the largest of its column."""
    if step.columns[column] != "weight" or not isinstance(cell, float):
        return ""
    largest = max((weight for row in step.rows if isinstance(weight := row[column], float)), default=0.0)
    return style(cell / largest, screen) if 0 < cell <= largest else ""


def color_letters(text: Text, screen: Screen) -> Text:
    """The text with Q, K, V and their matrices in their colors."""
    for match in LETTER.finditer(text.plain):
        text.stylize(letter_style(match[1].lower(), screen), *match.span())
    return text


def _format_cell(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e-3 and cell else f"{cell:.4f}"
    return "" if cell is None else inert(str(cell))
