"""Rows → a table that fits the window. Everything is returned; nothing is printed here.

Widths are in cells of a terminal: a wide character (月) fills two, a combining mark none.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from attnsearch.output.safe_text import PIPE, Screen, inert, inert_lines

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

GAP = 2  # cells between columns
_LEAST = 6  # cells of a column that is cut, at least
_WHOLE = 1 << 30  # cells of a column that is not cut
_READABLE = 12  # cells that make it easy to read
_BROAD = 20  # cells for values beside their names, at least
_COLOR_SYSTEMS: Mapping[int, Literal["standard", "256", "truecolor"] | None] = {
    0: None, 16: "standard", 256: "256", 1 << 24: "truecolor",
}  # fmt: skip
# Where a cell is cut, with what makes room for "..."; what precedes an ellipsis alone may be a color, which stays.
_CUT = re.compile(r"(\x1b\[[\d;]*m|[^\x1b\n][^\x1b\s])…(?=[\s\x1b])")


def listing(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    screen: Screen = PIPE,
    *,
    elastic: Collection[str] = (),
    middle: Collection[str] = (),
    optional: Sequence[str] = (),
) -> str:
    """A table of `rows`, each with a cell for every column.

    A narrow window loses the `optional` columns, the first of them first, as long as the `elastic` ones are hard to
    read. Only these are cut, the ones in `middle` there.
    """
    names, cells = [inert(name) for name in columns], [[format_cell(cell) for cell in row] for row in rows]
    least = [_LEAST if name in elastic else _WHOLE for name in columns]
    widths = _fit(names, cells, least, [columns.index(name) for name in optional], screen.width)
    return _draw_columns(names, cells, widths, screen, middle=[name in middle for name in columns])


def entries(values: Mapping[str, str], screen: Screen) -> str:
    """Names, with their values beside them, or under them if that leaves the values too little room; nothing is cut."""
    from rich.padding import Padding
    from rich.table import Table

    names = max((count_cells(inert(name)) for name in values), default=0)
    if screen.width and screen.width - names - GAP < _BROAD:
        parts = [(to_text(name, "dim"), Padding(to_text(value), (0, 0, 0, GAP))) for name, value in values.items()]
        return "".join(draw(part, screen) for pair in parts for part in pair)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(to_text(inert(name), "dim"), to_text(value))
    return draw(table, screen)


def to_text(text: str, style: str = "") -> Text:
    """A text whose lines are wrapped when it is drawn; nothing in it acts on a terminal."""
    from rich.text import Text

    return Text(inert_lines(text), style, overflow="fold")


def decimals(value: float | None, digits: int = 3) -> str:
    """A number to so many decimals; empty if it is unknown.

    >>> decimals(0.74849), decimals(11.0213, 2), decimals(None)
    ('0.748', '11.02', '')
    """
    return "" if value is None else f"{value:.{digits}f}"


def signed(change: float | None, digits: int = 2) -> str:
    """A change with its sign; empty if it is unknown. One that is rounded to 0 has a plus.

    >>> signed(0.125), signed(-0.5), signed(-0.0001, 3), signed(None)
    ('+0.12', '-0.50', '+0.000', '')
    """
    return "" if change is None else f"{change:+z.{digits}f}"


def spell_interval(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """The ends of an interval to so many decimals; empty if it is unknown.

    >>> spell_interval((0.25, 0.5)), spell_interval(None)
    ('0.250 to 0.500', '')
    """
    return "" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def count_cells(text: str) -> int:
    """How many cells a text fills."""
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, cells: int) -> str:
    """The text, inert, cut to so many cells with an ellipsis. A character is never split, nor parted from its marks.

    >>> cut("moonlight", 5), cut("月面基地", 6), cut("月面基地", 8), cut("moon", 0)
    ('moon…', '月面…', '月面基地', '')
    """
    from rich.cells import set_cell_size

    shown = inert(text)
    if count_cells(shown) <= cells:
        return shown
    return set_cell_size(shown, cells - 1).rstrip() + "…" if cells > 0 else ""


def cut_middle(text: str, cells: int) -> str:
    """The text, inert, cut to so many cells in its middle, so that names with the same beginning stay different.

    >>> cut_middle("custom_attribute_17", 11), cut_middle("月面基地", 5), cut_middle("moonlight", 9)
    ('custo…te_17', '月…地', 'moonlight')
    """
    shown = inert(text)
    if count_cells(shown) <= cells:
        return shown
    start = cut(shown, (cells + 1) // 2)
    end = shown
    room = cells - count_cells(start)
    while end and (count_cells(end) > room or not count_cells(end[0])):  # a mark has no cells of its own
        end = end[1:]
    return start + end


def wrap(sentence: str, screen: Screen) -> str:
    """The sentence in lines that fit the window; a list of parts such as "2 items · trained" breaks between these."""
    if not screen.width:
        return sentence + "\n"
    from rich.text import Text

    lines: list[str] = []
    for part in sentence.split(" · "):
        line = f"{lines[-1]} · {part}" if lines else part
        if lines and count_cells(line) + len(" ·") <= screen.width:
            lines[-1] = line
        else:
            lines.append(part)
    drawn = [draw(Text(line), screen).splitlines() for line in lines]
    for rows in drawn[:-1]:  # a line that is full has no room for the dot
        rows[-1] += " ·" * (count_cells(rows[-1]) + len(" ·") <= screen.width)
    return "".join(f"{row}\n" for rows in drawn for row in rows)


def link_text(text: Text, url: str, screen: Screen) -> None:
    """Let a text lead to an address that `safe_url` made, unless that is empty or the screen shows no links."""
    if screen.links and url:
        from rich.style import Style

        text.stylize(Style(link=url))


def draw(content: RenderableType, screen: Screen) -> str:
    """A table or a text as lines, without the spaces that rich puts at their ends."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=screen.width or 1_000_000,
        force_terminal=screen.colors > 0,
        color_system=_COLOR_SYSTEMS[screen.colors],
        no_color=not screen.colors,
        highlight=False,
        legacy_windows=False,
    )
    console.print(content)
    text = out.getvalue()
    if not screen.unicode:

        def spell_out(match: re.Match[str]) -> str:
            return f"{match[1]}..." if match[1][0] == "\x1b" else "..." + " " * (count_cells(match[1]) - 2)

        text = _CUT.sub(spell_out, text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def _fit(
    names: Sequence[str],
    cells: Sequence[Sequence[str]],
    least: Sequence[int],
    optional: Sequence[int],
    window: int | None,
) -> list[int]:
    """Cells for each column, none less than its `least`; 0 for an `optional` one that is left out."""
    needed = [max(map(count_cells, column)) for column in zip(names, *cells, strict=True)]
    if window is None:
        return needed
    present = list(range(len(needed)))
    for column in optional:
        if sum(min(needed[i], max(least[i], _READABLE)) for i in present) + GAP * (len(present) - 1) > window:
            present.remove(column)
    total = window - GAP * (len(present) - 1)
    divided = divide_cells([needed[i] for i in present], total, [least[i] for i in present])
    widths = dict(zip(present, divided, strict=True))
    return [widths.get(i, 0) for i in range(len(needed))]


def _draw_columns(
    names: Sequence[str],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    screen: Screen,
    *,
    middle: Sequence[bool] = (),
    right: Sequence[bool] = (),
) -> str:
    """The table of columns of these widths; `middle` says which are cut there, and `right` which stand at the right."""
    from rich.text import Text

    present = [i for i, width in enumerate(widths) if width]
    table = new_table()
    for i in present:
        justify: Literal["left", "right"] = "right" if right and right[i] else "left"
        table.add_column(Text(cut(names[i], widths[i])), justify=justify, no_wrap=True, overflow="ellipsis")
    for row in cells:
        cutters = (cut_middle if middle and middle[i] else cut for i in present)
        table.add_row(*(Text(cutter(row[i], widths[i])) for i, cutter in zip(present, cutters, strict=True)))
    return draw(table, screen)


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


def format_cell(cell: object) -> str:
    """A text, inert; a number with a few digits, never as 0 unless it is.

    >>> format_cell(0.44213), format_cell(0.0000321), format_cell(7)
    ('0.4421', '3.21e-05', '7')
    """
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e-3 and cell else f"{cell:.4f}"
    return inert(str(cell))
