"""Slides of the lesson → a title, a story and tables, with Q, K and V in their colors.

A wide window has the story beside the tables. A narrow one folds tables and cuts the names of rows: never a number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.lesson.slide import Group
from attnsearch.output.notes import percent
from attnsearch.output.ranking import bar
from attnsearch.output.safe_text import PIPE, Screen, inert, simplified
from attnsearch.output.table import count_cells, cut, draw
from attnsearch.pictures.letters import color_letters, find_letter
from attnsearch.pictures.palette import letter_style, strength_of, style

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.lesson.slide import Column, Slide, Table

_LINE = 80  # cells of a line, at most, unless the story is beside the tables
_WIDE = 120  # cells from which on it is
_STORY = 41  # cells of it there, and of the gap after it
_LABEL = 8  # cells of a row's name that is cut, at least
_READABLE = 17  # cells that make it easy to read
_BAR = 10  # cells of a bar that stands for all of the attention
_GAPS = ((2, 4), (1, 3))  # cells between columns and before a group: as wide as fits


class _Drawn(NamedTuple):
    """A column with its cells, the number of its group and the symbol of that."""

    column: Column
    cells: list[str]
    group: int
    symbol: str

    @property
    def width(self) -> int:
        return max(len(cell) for cell in [self.column.name, *self.cells])

    @property
    def letter(self) -> str:
        """The letter that its numbers belong to."""
        return find_letter(self.symbol or self.column.name)


def draw_slide(slide: Slide, screen: Screen = PIPE) -> str:
    """A slide: its title and formula, the story, the tables, the notes."""
    if not screen.unicode:
        slide = _simplify(slide)
    width = screen.width or _LINE
    is_wide = width >= _WIDE
    room = _WIDE - _STORY if is_wide else min(width, _LINE)
    paragraphs = [*slide.story, *slide.notes, *([f"Try it: {slide.command}"] if slide.command else [])]
    texts = [_wrap(paragraph, _STORY - 3 if is_wide else room) for paragraph in paragraphs]
    label = max((count_cells(inert(name)) for table in slide.tables for name in table.rows), default=0)
    tables = [list(_draw_table(table, label, room, screen)) for table in slide.tables]
    if is_wide:
        blocks = [_beside(_join(texts), _join(tables))]
    else:
        blocks = [*texts[: len(slide.story)], *tables, *texts[len(slide.story) :]]
    lines = _join([_head(slide, _WIDE if is_wide else room), *blocks])
    return "".join(draw(color_letters(line, screen), screen._replace(width=None)) for line in lines)


def _simplify(slide: Slide) -> Slide:
    """The slide in ASCII, whose texts may be longer."""
    tables = [
        table._replace(
            rows=tuple(map(simplified, table.rows)),
            groups=tuple(
                Group(simplified(symbol), tuple(column._replace(name=simplified(column.name)) for column in columns))
                for symbol, columns in table.groups
            ),
        )
        for table in slide.tables
    ]
    return slide._replace(
        title=simplified(slide.title),
        formula=simplified(slide.formula),
        story=tuple(map(simplified, slide.story)),
        tables=tuple(tables),
        notes=tuple(map(simplified, slide.notes)),
        command=simplified(slide.command),
    )


def _join(blocks: Sequence[list[Text]]) -> list[Text]:
    """The lines of all blocks, with an empty one between them."""
    from rich.text import Text

    return [line for i, block in enumerate(blocks) for line in ([Text(), *block] if i else block)]


def _head(slide: Slide, width: int) -> list[Text]:
    """The title with the formula at the right end of its line, else under it."""
    from rich.console import Console
    from rich.text import Text

    title, formula = f"{slide.number}. {slide.title}", slide.formula
    gap = width - len(title) - len(formula)
    lines = [title + " " * gap + formula] if gap >= 3 else [title, formula]
    return [part for line in lines for part in Text(line, "bold").wrap(Console(width=width), width)]


def _wrap(paragraph: str, width: int) -> list[Text]:
    from rich.console import Console
    from rich.text import Text

    return list(Text(inert(paragraph)).wrap(Console(width=width), width))


def _beside(left: Sequence[Text], right: Sequence[Text]) -> list[Text]:
    """Lines side by side."""
    from rich.text import Text

    lines = []
    for first, second in itertools.zip_longest(left, right, fillvalue=Text()):
        line = first.copy()
        line.truncate(_STORY, pad=True)
        lines.append(line.append_text(second))
    return lines


def _draw_table(table: Table, label: int, room: int, screen: Screen) -> Iterator[Text]:
    """The lines of a table, in parts one under the other if it is too wide for the room."""
    from rich.text import Text

    columns = [
        _Drawn(
            column,
            [format_number(number, column, unicode=screen.unicode) for number in column.numbers],
            number,
            group.symbol,
        )
        for number, group in enumerate(table.groups)
        for column in group.columns
    ]
    gaps = next((gaps for gaps in _GAPS if min(label, _READABLE) + _measure(columns, gaps) <= room), _GAPS[-1])
    for number, part in enumerate(_fold(columns, label, room, gaps)):
        if number:
            yield Text()
        yield from _draw_part(
            table, part, max(min(label, room - _measure(part, gaps)), min(label, _LABEL)), room, gaps, screen
        )


def _measure(columns: Sequence[_Drawn], gaps: tuple[int, int]) -> int:
    """How many cells columns fill, with the gaps before them."""
    firsts = len({column.group for column in columns})
    return sum(column.width + gaps[0] for column in columns) + firsts * (gaps[1] - gaps[0])


def _fold(columns: Sequence[_Drawn], label: int, room: int, gaps: tuple[int, int]) -> Iterator[list[_Drawn]]:
    """The columns of each part: whole groups, or equal parts of a group too wide for the names of rows beside it."""
    part: list[_Drawn] = []
    for _, group in itertools.groupby(columns, key=lambda column: column.group):
        members = list(group)
        if part and min(label, _READABLE) + _measure([*part, *members], gaps) > room:
            yield part
            part = []
        size = next(size for size in range(len(members), 0, -1) if size == 1 or _fits(members, size, room, gaps))
        size = math.ceil(len(members) / math.ceil(len(members) / size))
        for member in members:
            if len(part) >= size < len(members):
                yield part
                part = []
            part.append(member)
    yield part


def _fits(columns: Sequence[_Drawn], size: int, room: int, gaps: tuple[int, int]) -> bool:
    """Whether columns fit in parts of this size."""
    parts = [columns[start : start + size] for start in range(0, len(columns), size)]
    return all(_LABEL + _measure(part, gaps) <= room for part in parts)


def _draw_part(
    table: Table, part: Sequence[_Drawn], label: int, room: int, gaps: tuple[int, int], screen: Screen
) -> Iterator[Text]:
    """The symbols, the names of the columns, and the rows; a line above totals, a bar beside weights at the end."""
    from rich.text import Text

    ends, end = [], label
    for previous, drawn in zip([None, *part], part, strict=False):
        end += gaps[previous is None or previous.group != drawn.group] + drawn.width
        ends.append(end)
    if any(drawn.symbol for drawn in part):
        firsts = [i for i, drawn in enumerate(part) if not i or part[i - 1].group != drawn.group]
        symbols = [(ends[i] - part[i].width, part[i].symbol) for i in firsts]
        yield _place([(min(start, max(end, room) - len(text)), Text(text, "bold")) for start, text in symbols])
    names = [Text(drawn.column.name, _style(drawn, screen) or "dim") for drawn in part]
    yield _place([(end - name.cell_len, name) for end, name in zip(ends, names, strict=True)])
    shares = [column for group in table.groups for column in group.columns if column.share]
    has_bars = shares == [part[-1].column] and end + gaps[0] + _BAR <= room
    for i, name in enumerate(table.rows):
        if not any(drawn.cells[i] for drawn in part):
            continue
        is_total = table.total and i == len(table.rows) - 1
        if is_total:
            filled = [(end, drawn) for end, drawn in zip(ends, part, strict=True) if drawn.cells[i]]
            yield _place([(end - drawn.width, Text("─" * drawn.width, "dim")) for end, drawn in filled])
        cells = [
            (end - drawn.width, _cell(drawn, i, screen, is_total=is_total))
            for end, drawn in zip(ends, part, strict=True)
        ]
        weight = part[-1].column.numbers[i]
        if has_bars and weight is not None and not is_total:
            cells.append((end + gaps[0], Text(bar(weight, unicode=screen.unicode), "cyan")))
        yield _place([(0, Text(cut(name, label), "bold" if is_total else "")), *cells])


def _place(texts: Sequence[tuple[int, Text]]) -> Text:
    """A line with texts where they are to begin, or after what is there."""
    from rich.text import Text

    line = Text()
    for start, text in texts:
        line.append(" " * max(start - line.cell_len, 1 if line and text else 0)).append_text(text)
    return line


def _cell(drawn: _Drawn, row: int, screen: Screen, *, is_total: bool) -> Text:
    """A number in the color of its letter, or on that of its weight; a total has none."""
    from rich.text import Text

    number = drawn.column.numbers[row]
    is_shaded = drawn.column.share and number is not None and not is_total
    shade = style(strength_of(number or 0.0), screen) if is_shaded else ""
    return Text(drawn.cells[row].rjust(drawn.width), shade or _style(drawn, screen))


def _style(drawn: _Drawn, screen: Screen) -> str:
    return letter_style(drawn.letter, screen) if drawn.letter else ""


def format_number(number: float | None, column: Column, *, unicode: bool = True) -> str:
    """A number of a column as it is printed; "" where there is none."""
    if number is None:
        return ""
    if math.isinf(number):
        return "-∞" if unicode else "-inf"
    if column.share:
        return percent(number)
    return f"{number:g}" if column.decimals is None else f"{number:,.{column.decimals}f}"
