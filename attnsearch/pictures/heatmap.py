"""A heatmap → colored cells with figures, fitted to the window; without colors, a shade beside each figure.

A narrow window loses decimals and items, then the texts of requests; a figure is never cut. Items without room count
among *all others*, so a row still adds up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.explanation.phrases import OTHERS
from attnsearch.output.columns import short_names
from attnsearch.output.notes import (
    asked_as_each,
    catalogs_in_words,
    counted,
    nothing_left,
    percent,
    recalled_by_each,
    setting_in_words,
)
from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import count_cells, cut, draw, wrap
from attnsearch.pictures.palette import mark, style

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.explanation.heatmap import By, Heatmap

_WIDEST = 1 << 30  # cells of a window that cuts nothing
_HEAD_CELLS = 14  # of a line of a title over a column, at most
_HEAD_LINES = 4  # of such a title, at most; fewer if there is room
_LEGEND_CELLS = 60  # of a title under the picture, at most
_LEAST_CELLS = 3  # of a cell with the gap before it, at least
_HIDDEN = "–"


class _Form(NamedTuple):
    """How a heatmap is to be shown: cells for requests and items, at least; figures in full; heads of several lines."""

    label: int
    items: int
    is_full: bool = True
    is_tall: bool = True


# In the order in which they are tried. The last one is taken in any case.
_FORMS = (_Form(16, 4), _Form(10, 3), _Form(8, 3, is_full=False), _Form(4, 1, is_full=False, is_tall=False))


class _Column(NamedTuple):
    """A column of the picture: the lines of its head, its figures, and how strong each is; its width in cells.

    Figures have a shade before them and a color if they have strengths. `gap` stands before the column.
    """

    head: list[str]
    figures: list[str]
    strengths: list[float] | None
    width: int
    gap: str = " "


class _Layout(NamedTuple):
    """The heatmap of the items for which there is room, what stands before each of its rows, and its columns.

    Over the columns are titles, or numbers, which `legend` explains.
    """

    heatmap: Heatmap
    labels: list[str]
    columns: list[_Column]
    legend: list[str]


def draw_heatmap(heatmap: Heatmap, screen: Screen = PIPE, by: By = "weight") -> str:
    """The cells, then what the numbers over them mean, the scale, and the counts."""
    layout = _fit(heatmap, screen, by)
    parts = [draw(line, screen._replace(width=None)) for line in _lines(layout, screen)]
    if layout.legend:
        parts.append("\n" + wrap(" · ".join(layout.legend), screen))
    if screen.quiet:
        return "".join(parts)
    parts.append("\n")
    if layout.heatmap.columns:
        parts.append(draw(_scale(layout.heatmap, by, screen), screen._replace(width=None)))
    return "".join([*parts, *(wrap(inert(line), screen) for line in _notes(heatmap, layout, by, screen))])


def _notes(heatmap: Heatmap, layout: _Layout, by: By, screen: Screen) -> Iterator[str]:
    """What was misspelled, what was judged, what marks mean, what has no room, what is hidden, and the counts."""
    yield from asked_as_each(heatmap.asked)
    yield from recalled_by_each(heatmap.recalled)
    if heatmap.masked == heatmap.items:
        yield from nothing_left(heatmap)
    if missing := len(heatmap.columns) - len(layout.heatmap.columns):
        where = " (counted in all others)" if by == "weight" else ""
        yield f"no room for {counted(missing, 'more item')}{where}: widen the window, or add -o FILE.html"
    if heatmap.right is not None:
        yield f"{_check_mark(screen)} right for the request, as judged"
    if heatmap.columns and not math.isfinite(heatmap.logits.min()):
        yield f"{_HIDDEN} hidden by a filter"
    yield " · ".join([*catalogs_in_words(heatmap), *setting_in_words(heatmap)])


def _fit(heatmap: Heatmap, screen: Screen, by: By) -> _Layout:
    """The layout that shows most in the window."""
    window = screen.width or _WIDEST
    heatmap = heatmap.narrow(window // _LEAST_CELLS)
    longest = max((count_cells(inert(query)) for query in heatmap.queries), default=0)
    for form in _FORMS:
        figures = _figures(heatmap, by, form, screen)
        width = max((len(figure) for row in figures for figure in row), default=0)
        label = min(longest, form.label)
        room = (
            window
            - label
            - form.is_tall
            - sum(len(column.gap) + column.width for column in _tail(heatmap, by, form, screen))
        )
        apart = " " * (1 + (form.is_tall and not screen.colors))  # a shade should not touch the figure before it
        count = room // (width + len(apart))
        if room >= 0 and count >= min(len(heatmap.columns), form.items):
            break
    shown = heatmap.narrow(max(count, 1))
    titles = name_columns(shown)
    needed = max((len(_wrap_words(title, _HEAD_CELLS)) for title in titles), default=0)
    for lines in range(min(needed, _HEAD_LINES), _HEAD_LINES + 1) if form.is_tall else ():
        heads, legend, gap = [_wrap_head(title, width, lines) for title in titles], [], "  "
        widths = [max(width, *map(count_cells, head)) for head in heads]
        if sum(widths) + len(gap) * len(widths) <= room:
            break
    else:
        heads, widths, gap = [[str(number)] for number in range(1, len(titles) + 1)], [width] * len(titles), apart
        cells = min(window - len(f"{len(titles)}  ·"), _LEGEND_CELLS)
        legend = [f"{number} {cut(title, cells)}" for number, title in enumerate(titles, 1)]
    columns = [
        _Column(head, list(column), list(strengths), width, gap)
        for head, column, strengths, width in zip(
            heads,
            zip(*_figures(shown, by, form, screen), strict=True),
            zip(*shown.strengths(by).tolist(), strict=True),
            widths,
            strict=False,
        )
    ]
    label = min(longest, label + max(room - sum(widths) - len(gap) * len(widths), 0))
    labels = [_cut_label(query, label, screen) + " " * form.is_tall for query in heatmap.queries]
    return _Layout(shown, labels, [*columns, *_tail(shown, by, form, screen)], legend)


def name_columns(heatmap: Heatmap) -> list[str]:
    """What each item is called; of several catalogs, with the name of its own."""
    titles = [inert(column.name) for column in heatmap.columns]
    if len(heatmap.catalogs) < 2:
        return titles
    names = short_names(heatmap.catalogs)
    return [f"{title} ({inert(names[column.catalog])})" for title, column in zip(titles, heatmap.columns, strict=True)]


def _figures(heatmap: Heatmap, by: By, form: _Form, screen: Screen) -> list[list[str]]:
    """The figure in each cell; one of an item that is right has a mark behind it."""
    pairs = [zip(*rows, strict=True) for rows in zip(heatmap.values(by).tolist(), heatmap.logits.tolist(), strict=True)]
    figures = [
        [_HIDDEN if logit == -math.inf else format_number(value, by, is_full=form.is_full) for value, logit in row]
        for row in pairs
    ]
    if heatmap.right is None:
        return figures
    marks = (" ", _check_mark(screen))
    return [
        [figure + marks[is_right] for figure, is_right in zip(row, rights, strict=True)]
        for row, rights in zip(figures, heatmap.right.tolist(), strict=True)
    ]


def _tail(heatmap: Heatmap, by: By, form: _Form, screen: Screen) -> list[_Column]:
    """The columns for all others, of weights, and for *none of these*, behind a line: it is not part of the sum."""
    columns = []
    line = "│" if screen.unicode else "|"
    for name, shares in heatmap.margins(by).items():
        gap = " " if name == OTHERS else f" {line} " if form.is_tall else line
        figures = [format_number(share, "weight", is_full=form.is_full) for share in shares.tolist()]
        width = max(map(len, name.rsplit(" ", 1))) if form.is_tall else len("100%")
        head = name.rsplit(" ", 1) if form.is_tall else [cut(name, width)]
        columns.append(_Column(head, figures, None, width, gap))
    return columns


def format_number(value: float, by: By, *, is_full: bool = True) -> str:
    """A number in full or short.

    >>> [format_number(value, "weight") for value in (0.2094, 0.0001, 1.0)]
    ['20.9%', '<0.1%', '100.0%']
    >>> [format_number(value, "weight", is_full=False) for value in (0.2094, 0.0001, 1.0, 0.0)]
    ['21%', '<1%', '100%', '0%']
    >>> format_number(11.0213, "logit"), format_number(-0.2, "logit", is_full=False)
    ('11.02', '0')
    """
    if by == "weight":
        short = "<1%" if 0 < value < 0.005 else f"{value:.0%}"
        return percent(value) if is_full else short
    if abs(value) >= 1e5:
        return f"{value:.3g}"
    return f"{value:z.{(3 if is_full else 2) if by == 'score' else (2 if is_full else 0)}f}"


def _check_mark(screen: Screen) -> str:
    return "✓" if screen.unicode else "+"


def _wrap_head(title: str, least: int, lines: int) -> list[str]:
    """A title in at most so many lines, each as short as that lets it be, but no shorter than `least` cells."""
    for width in range(least, _HEAD_CELLS + 1):
        head = _wrap_words(title, width)
        if len(head) <= lines and max(map(count_cells, head)) <= width:
            return head
    head = _wrap_words(title, _HEAD_CELLS)
    return [cut(line, _HEAD_CELLS) for line in [*head[: lines - 1], " ".join(head[lines - 1 :])]]


def _wrap_words(text: str, width: int) -> list[str]:
    """The words in lines of so many cells; a longer word has a line of its own, unless wide characters make it up."""
    from rich.cells import chop_cells

    lines: list[str] = []
    for word in text.split():
        is_wide = count_cells(word) > len(word)
        for number, piece in enumerate(chop_cells(word, max(width, 2)) if is_wide else [word]):
            if lines and not number and count_cells(lines[-1]) + 1 + count_cells(piece) <= width:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
    return lines or [""]


def _lines(layout: _Layout, screen: Screen) -> Iterator[Text]:
    """The head, then a line for each request."""
    height = max((len(column.head) for column in layout.columns), default=0)
    for number in range(height):
        line = _new_line(" " * count_cells(layout.labels[0]), "dim")
        for column in layout.columns:
            part = ([""] * (height - len(column.head)) + column.head)[number]
            line.append(column.gap + " " * (column.width - count_cells(part)) + part)
        yield line
    for row, label in enumerate(layout.labels):
        line = _new_line(label)
        for column in layout.columns:
            if column.strengths is None:
                line.append(column.gap + column.figures[row].rjust(column.width))
                continue
            strength = column.strengths[row]
            shade = " " if screen.colors else mark(strength, screen)
            cell = (shade + column.figures[row].lstrip()).rjust(column.width + len(column.gap))
            line.append(cell, style(strength, screen) or "dim")
        yield line


def _new_line(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style, no_wrap=True, overflow="ignore")


def _cut_label(query: str, width: int, screen: Screen) -> str:
    """The request in so many cells; where an ellipsis is three points, these take no more."""
    label = cut(query, width)
    if not screen.unicode and label != inert(query):
        label = cut(query, width - 2).removesuffix("…") + "..."
    return label + " " * (width - count_cells(label))


def _scale(heatmap: Heatmap, by: By, screen: Screen) -> Text:
    """What the shades mean: some strengths, each as a cell with the figure of that strength."""
    line = _new_line("score (cosine)" if by == "score" else by)
    cells = len(line)
    for strength, value in heatmap.scale(by).items():
        figure = f"{value:.0%}" if by == "weight" else format_number(value, by)
        cell = f" {figure} " if screen.colors else f"{mark(strength, screen)}{figure}"
        is_full = cells + 1 + len(cell) > (screen.width or _WIDEST)
        cells = len(cell) if is_full else cells + 1 + len(cell)
        line.append("\n" if is_full else " ").append(cell, style(strength, screen))
    return line
