"""Results → the ranked table: what fits the window, the lines under it, and what is asked for below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from attnsearch.output.columns import NOTHING, Shown, find_link
from attnsearch.output.notes import notes, percent
from attnsearch.output.safe_text import PIPE, Screen, inert
from attnsearch.output.table import GAP, count_cells, cut, divide_cells, draw, link_text, new_table, wrap

if TYPE_CHECKING:
    from attnsearch.search.result import Hit, Result

_BAR = 10  # cells of a bar that stands for all of the attention
_NARROWEST = 4  # cells of a title, at least
_DESCRIPTION = 16  # cells of a description, at least
_READABLE = 12  # cells of a field's texts for which the bar, the score and the description make room
_EIGHTHS = " ▏▎▍▌▋▊▉"


class _Column(NamedTuple):
    """A column of the ranked table."""

    name: str
    cells: list[str]
    justify: Literal["left", "right"] = "left"
    style: str = ""


def ranked(
    results: Iterable[Result],
    screen: Screen = PIPE,
    *,
    several: bool = False,
    below: Callable[[Result, Screen], Iterable[str]] | None = None,
    shown: Shown = NOTHING,
) -> Iterator[str]:
    """The ranked table of each result, then the parts that `below` returns, each after an empty line.

    With `several`, each table has its query as a heading. `shown` are columns of fields.
    """
    for number, result in enumerate(results):
        if several:
            yield ("\n" if number else "") + inert(result.query) + "\n"
        yield _ranked_table(result, screen, shown)
        if below:
            yield from ("\n" + part for part in below(result, screen))


def describe(hit: Hit) -> str:
    """The passage that matched, between ellipses, when the item has several; else its description."""
    return f"… {hit.passage} …" if hit.passage else hit.description


def bar(share: float, *, unicode: bool = True) -> str:
    """A bar of up to ten cells, in eighths of a cell.

    >>> bar(1.0), bar(0.25), bar(0.25, unicode=False)
    ('██████████', '██▌', '##')
    """
    if not unicode:
        return "#" * round(share * _BAR)
    whole, eighths = divmod(round(share * _BAR * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _ranked_table(result: Result, screen: Screen, shown: Shown) -> str:
    """The ranked table, and the lines under it."""
    from rich.text import Text

    hits, bars = result.hits, "blue" if screen.is_light else "cyan"
    fields = [list(map(inert, cells)) for cells in zip(*(shown.cells(hit) for hit in hits), strict=True)]
    columns = [
        _Column("#", [str(hit.rank) for hit in hits], justify="right"),
        _Column("title", [inert(hit.name) for hit in hits], style="bold"),
        _Column("weight", [percent(hit.weight) for hit in hits], justify="right"),
        _Column("", [bar(hit.weight, unicode=screen.unicode) for hit in hits], style=bars),
        _Column("score", [f"{hit.score:.3f}" for hit in hits], justify="right"),
        *(
            _Column(inert(column.header), cells, justify="right" if column.is_number else "left")
            for column, cells in zip(shown.columns, fields or [[] for _ in shown.columns], strict=True)
        ),
        _Column("description", [inert(describe(hit)) for hit in hits], style="dim"),
    ]
    widths = _column_widths(columns, screen.width)
    table = new_table()
    for (name, _, justify, style), width in zip(columns, widths, strict=True):
        if width:
            heading = Text(cut(name, width))
            table.add_column(heading, justify=justify, style=style, no_wrap=True, overflow="ellipsis", width=width)
    for hit, *row in zip(hits, *(column.cells for column in columns), strict=True):
        texts = [Text(cut(cell, width)) for cell, width in zip(row, widths, strict=True) if width]
        link_text(texts[1], find_link(hit.fields), screen)
        table.add_row(*texts)
    lines = [] if screen.quiet else notes(result)
    if missing := [column.name for column, width in zip(columns[5:-1], widths[5:-1], strict=True) if not width]:
        lines.insert(0, f"no room for {', '.join(missing)}: widen the window, or add -f csv")
    return draw(table, screen) + "".join(wrap(line, screen) for line in lines)


def _column_widths(columns: Sequence[_Column], window: int | None) -> list[int]:
    """Cells for each column of the ranked table, so that it fits the window; 0 leaves a column out.

    A narrow window loses the description, then the bar, then the score, then the last fields. Only texts are cut. If
    no hit has a description, its column goes as well, so that titles have the room.
    """
    needed = [max(map(count_cells, (column.name, *column.cells))) for column in columns]
    has_descriptions = any(columns[-1].cells) or not columns[-1].cells
    if window is None:
        return [*needed[:-1], needed[-1] * has_descriptions]
    rank, title, weight, _, score, *fields, description = needed
    numbers = [
        max([1, *map(count_cells, column.cells)]) if column.justify == "right" else 0 for column in columns[5:-1]
    ]
    least = [number or min(field, _READABLE) for number, field in zip(numbers, fields, strict=True)]
    fixed = rank + weight + 2 * GAP
    while least and fixed + _NARROWEST + sum(least) + GAP * len(least) > window:
        least.pop()
    fixed += GAP * len(least)
    room = window - sum(least) - GAP * len(least)  # what a table without fields would have
    reserved = min(description, _DESCRIPTION)
    bars, scores, descriptions = room >= 48, room >= 36, room >= 72 and has_descriptions
    fixed += (_BAR + GAP) * bars + (score + GAP) * scores + (reserved + GAP) * descriptions
    wanted = [min(title, 2 * window // 5) if descriptions else title, *fields[: len(least)]]
    title, *fields = divide_cells(wanted, window - fixed, [_NARROWEST, *least])
    fields += [0] * (len(columns) - 6 - len(fields))
    rest = window - fixed - title - sum(fields) + reserved
    return [rank, title, weight, _BAR * bars, score * scores, *fields, min(description, rest) * descriptions]
