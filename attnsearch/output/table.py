"""Rows → a table that fits the window. Everything is returned; nothing is printed here.

Widths are in cells of a terminal: a wide character (月) fills two, a combining mark none.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from attnsearch.output.safe_text import PIPE, Screen, inert

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from attnsearch.explanation.steps import Step

GAP = 2  # cells between columns
_LEAST = 6  # cells of a column that is cut, at least
_CUT = re.compile(r"([^\x1b\n][^\x1b\s])…(?=[\s\x1b])")  # where a cell is cut, with what makes room for "..."


def listing(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    screen: Screen = PIPE,
    *,
    elastic: Collection[str] = (),
    middle: Collection[str] = (),
) -> str:
    """A table of `rows`, each with a cell for every column.

    In a narrow window only the `elastic` columns are cut, as long as each has a few cells left; those in `middle` are
    cut there.
    """
    from rich.text import Text

    names, cells = [inert(name) for name in columns], [[_format_cell(cell) for cell in row] for row in rows]
    if elastic and screen.width:
        from rich.cells import cell_len

        needed = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
        chosen = [number for number, name in enumerate(columns) if name in elastic]
        fixed = GAP * (len(columns) - 1) + sum(needed) - sum(needed[i] for i in chosen)
        widths = divide_cells([needed[i] for i in chosen], screen.width - fixed)
        for i, width in zip(chosen, widths, strict=True):
            names[i] = cut(names[i], width)
            for row in cells:
                row[i] = cut_middle(row[i], width) if columns[i] in middle else cut(row[i], width)
    table = new_table()
    for name in names:
        table.add_column(Text(name), no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*map(Text, row))
    return draw(table, screen)


def walkthrough(steps: Iterable[Step], screen: Screen = PIPE) -> str:
    """The steps of the formula, each a heading, a sentence and a small table."""
    from rich.text import Text

    parts = []
    for number, step in enumerate(steps, 1):
        table = new_table()
        for name, cell in zip(step.columns, step.rows[0] if step.rows else step.columns, strict=True):
            is_word = isinstance(cell, str)
            table.add_column(Text(name), justify="left" if is_word else "right", no_wrap=True, overflow="ellipsis")
        for row in step.rows:
            table.add_row(*(Text(_format_cell(cell)) for cell in row))
        sentence = wrap(inert(step.says), screen)
        parts.append(f"{number}. {step.name}: {step.formula}\n{sentence}{draw(table, screen)}")
    return "\n".join(parts)


def decimals(value: float | None) -> str:
    """A measure to three decimals; empty if it is unknown.

    >>> decimals(0.74849), decimals(None)
    ('0.748', '')
    """
    return "" if value is None else f"{value:.3f}"


def cut(text: str, cells: int) -> str:
    """The text, inert, cut to so many cells with an ellipsis. A character is never split, nor parted from its marks.

    >>> cut("moonlight", 5), cut("月面基地", 6), cut("月面基地", 8), cut("moon", 0)
    ('moon…', '月面…', '月面基地', '')
    """
    from rich.cells import cell_len, set_cell_size

    shown = inert(text)
    if cell_len(shown) <= cells:
        return shown
    return set_cell_size(shown, cells - 1).rstrip() + "…" if cells > 0 else ""


def cut_middle(text: str, cells: int) -> str:
    """The text, inert, cut to so many cells in its middle, so that names with the same beginning stay different.

    >>> cut_middle("custom_attribute_17", 11), cut_middle("月面基地", 5), cut_middle("moonlight", 9)
    ('custo…te_17', '月…地', 'moonlight')
    """
    from rich.cells import cell_len

    shown = inert(text)
    if cell_len(shown) <= cells:
        return shown
    start = cut(shown, (cells + 1) // 2)
    end = shown
    while end and (cell_len(end) > cells - cell_len(start) or not cell_len(end[0])):  # a mark has no cells of its own
        end = end[1:]
    return start + end


def wrap(sentence: str, screen: Screen) -> str:
    """The sentence in lines that fit the window."""
    if not screen.width:
        return sentence + "\n"
    from rich.text import Text

    return draw(Text(sentence), screen)


def link_text(text: Text, url: str, screen: Screen) -> None:
    """Let a text lead to an address that `safe_url` made, unless that is empty or the screen shows no links."""
    if screen.links and url:
        from rich.style import Style

        text.stylize(Style(link=url))


def draw(content: RenderableType, screen: Screen, colors: Literal["standard", "256"] = "standard") -> str:
    """A table or a text as lines, without the spaces that rich puts at their ends."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=screen.width or 1_000_000,
        force_terminal=screen.color,
        color_system=colors if screen.color else None,
        no_color=not screen.color,
        highlight=False,
        legacy_windows=False,
    )
    console.print(content)
    text = out.getvalue()
    if not screen.unicode:
        from rich.cells import cell_len

        text = _CUT.sub(lambda match: "..." + " " * (cell_len(match[1]) - 2), text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def divide_cells(needed: Sequence[int], total: int, least: Sequence[int] = ()) -> list[int]:
    """Divide `total` cells among columns: each gets what it needs, or an equal share of the rest if that is less.

    None gets less than its `least`, or `_LEAST`, unless it needs less.

    >>> divide_cells([4, 30, 50], 44), divide_cells([30, 10], 60), divide_cells([30, 50], 31, [20, 6])
    ([4, 20, 20], [30, 10], [20, 11])
    """
    lows = [min(low, need) for low, need in zip(least or [_LEAST] * len(needed), needed, strict=True)]
    widths = lows
    for level in range(max(total, 0) + 1):
        wider = [min(max(low, level), need) for low, need in zip(lows, needed, strict=True)]
        if sum(wider) > total:
            break
        widths = wider
    for number in sorted(range(len(needed)), key=needed.__getitem__, reverse=True):
        widths[number] += widths[number] < needed[number] and sum(widths) < total
    return widths


def new_table() -> Table:
    """A table without lines, to which columns and rows are added."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim", show_edge=False)


def _format_cell(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e-3 and cell else f"{cell:.4f}"
    return inert(str(cell))
