"""Rows → a table that fits the window. Everything is returned; nothing is printed here.

Widths are in cells of a terminal: a wide character (月) fills two, a combining mark none.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from attnsearch.output.notes import notes, percent
from attnsearch.output.safe_text import PIPE, Screen, inert

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from attnsearch.explanation.steps import Step
    from attnsearch.search.result import Hit, Result

_BAR = 10  # cells of the longest bar
_GAP = 2  # cells between columns
_LEAST = 6  # cells of a column that is cut, at least
_EIGHTHS = " ▏▎▍▌▋▊▉"


class _Column(NamedTuple):
    """A column of the ranked table."""

    name: str
    cells: list[str]
    justify: Literal["left", "right"] = "left"
    style: str = ""


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
        fixed = _GAP * (len(columns) - 1) + sum(needed) - sum(needed[i] for i in chosen)
        widths = _divide_cells([needed[i] for i in chosen], screen.width - fixed)
        for i, width in zip(chosen, widths, strict=True):
            names[i] = cut(names[i], width)
            for row in cells:
                row[i] = cut_middle(row[i], width) if columns[i] in middle else cut(row[i], width)
    table = _new_table()
    for name in names:
        table.add_column(Text(name), no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*map(Text, row))
    return draw(table, screen)


def ranked(
    results: Iterable[Result],
    screen: Screen = PIPE,
    *,
    several: bool = False,
    below: Callable[[Result, Screen], str] | None = None,
) -> Iterator[str]:
    """The ranked table of each result, then what `below` returns, then the steps if the result has a trace.

    With `several`, each table has its query as a heading.
    """
    for number, result in enumerate(results):
        if several:
            yield ("\n" if number else "") + inert(result.query) + "\n"
        yield _ranked_table(result, screen)
        if below and result.hits:
            yield "\n" + below(result, screen)
        if result.trace:
            from attnsearch.explanation.steps import explain_steps

            yield "\n" + walkthrough(explain_steps(result), screen)


def walkthrough(steps: Iterable[Step], screen: Screen = PIPE) -> str:
    """The steps of the formula, each a heading, a sentence and a small table."""
    from rich.text import Text

    parts = []
    for number, step in enumerate(steps, 1):
        table = _new_table()
        for name, cell in zip(step.columns, step.rows[0] if step.rows else step.columns, strict=True):
            is_word = isinstance(cell, str)
            table.add_column(Text(name), justify="left" if is_word else "right", no_wrap=True, overflow="ellipsis")
        for row in step.rows:
            table.add_row(*(Text(_format_cell(cell)) for cell in row))
        sentence = wrap(inert(step.says), screen)
        parts.append(f"{number}. {step.name}: {step.formula}\n{sentence}{draw(table, screen)}")
    return "\n".join(parts)


def describe(hit: Hit) -> str:
    """The passage that matched, between ellipses, when the item has several; else its description."""
    return f"… {hit.passage} …" if hit.passage else hit.description


def decimals(value: float | None) -> str:
    """A measure to three decimals; empty if it is unknown.

    >>> decimals(0.74849), decimals(None)
    ('0.748', '')
    """
    return "" if value is None else f"{value:.3f}"


def bar(share: float, *, unicode: bool = True) -> str:
    """A bar of up to ten cells, in eighths of a cell.

    >>> bar(1.0), bar(0.25), bar(0.25, unicode=False)
    ('██████████', '██▌', '##')
    """
    if not unicode:
        return "#" * round(share * _BAR)
    whole, eighths = divmod(round(share * _BAR * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


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


def draw(table: Table | Text, screen: Screen, colors: Literal["standard", "256"] = "standard") -> str:
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
    console.print(table)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def _ranked_table(result: Result, screen: Screen) -> str:
    """The ranked table. In a narrow window it loses the description, then the bar, then the score."""
    from rich.cells import cell_len
    from rich.text import Text

    titles = [inert(hit.title or hit.id) for hit in result.hits]
    top = max((hit.weight for hit in result.hits), default=0.0)
    columns = [
        _Column("#", [str(hit.rank) for hit in result.hits], justify="right"),
        _Column("title", titles, style="bold"),
        _Column("weight", [percent(hit.weight) for hit in result.hits], justify="right"),
        _Column(
            "", [bar(hit.weight / top if top else 0.0, unicode=screen.unicode) for hit in result.hits], style="cyan"
        ),
        _Column("score", [f"{hit.score:.3f}" for hit in result.hits], justify="right"),
        _Column("description", [inert(describe(hit)) for hit in result.hits], style="dim"),
    ]
    widths = _column_widths([max(map(cell_len, (column.name, *column.cells))) for column in columns], screen.width)
    table = _new_table()
    for (name, _, justify, style), width in zip(columns, widths, strict=True):
        if width:
            table.add_column(name, justify=justify, style=style, no_wrap=True, overflow="ellipsis", width=width)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cut(cell, width)) for cell, width in zip(row, widths, strict=True) if width))
    return draw(table, screen) + ("" if screen.quiet else "".join(wrap(line, screen) for line in notes(result)))


def _column_widths(needed: list[int], window: int | None) -> list[int]:
    """Cells for each column of the ranked table, so that it fits the window; 0 leaves a column out."""
    if window is None:
        return needed
    rank, title, weight, _, score, description = needed
    bars, scores, descriptions = window >= 48, window >= 36, window >= 72
    fixed = rank + weight + (_BAR + _GAP) * bars + (score + _GAP) * scores + 2 * _GAP
    title = max(4, min(title, 2 * window // 5 if descriptions else window - fixed))
    description = min(description, window - fixed - title - _GAP)
    return [rank, title, weight, _BAR * bars, score * scores, description * descriptions]


def _divide_cells(needed: Sequence[int], total: int) -> list[int]:
    """Divide `total` cells among columns: each gets what it needs, or an equal share of the rest if that is less.

    >>> _divide_cells([4, 30, 50], 44), _divide_cells([30, 10], 60)
    ([4, 20, 20], [30, 10])
    """
    widths = list(needed)
    for number, i in enumerate(sorted(range(len(needed)), key=needed.__getitem__)):
        widths[i] = min(needed[i], max(total // (len(needed) - number), _LEAST))
        total -= widths[i]
    return widths


def _new_table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", show_edge=False)


def _format_cell(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e-3 and cell else f"{cell:.4f}"
    return inert(str(cell))
