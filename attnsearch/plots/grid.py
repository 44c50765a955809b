"""A matrix of colored cells with a label for each row and column, from one cell to a thousand by a thousand.

Cells are as large as there is room for them; numbers and labels that would be too small to read are left out.

Axis letters: r = rows, c = columns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.plots.figure import FAINT, GRAY, INK, MARGIN, add_axes, ink, shade, shades, write
from attnsearch.plots.texts import SMALL, TEXT, fit, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAP = 0.12  # inches before rows or columns that are set apart
_CELL = 0.56, 0.32  # inches, at most
_ROOM = 13.0, 24.0  # inches for all cells, at most
_LABEL = 2.6, 2.2  # inches of a label of a row, and of a column
_SPACE = 0.08  # inches between a label and the cells
_LEGIBLE = 5.5  # points
_MANY = 4_000  # cells, from which on they are drawn as an image

Doubles = NDArray[np.float64]


class Grid(NamedTuple):
    """What a grid shows.

    `rows` (r,) and `columns` (c,) are labels, `strengths` (r, c) from -1 to 1; `number` writes the cell of a row and a
    column. A gap sets apart the rows and columns from `row_gaps` and `column_gaps` on. Cells that are `plain` (r, c)
    are gray, those that are `outlined` (r, c) have a frame.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    strengths: Doubles
    number: Callable[[int, int], str]
    row_gaps: Sequence[int] = ()
    column_gaps: Sequence[int] = ()
    plain: NDArray[np.bool_] | None = None
    outlined: NDArray[np.bool_] | None = None

    @property
    def is_image(self) -> bool:
        """Whether its cells are too many to be drawn one by one; then none has a frame."""
        return self.strengths.size > _MANY


class Frame(NamedTuple):
    """How a grid is laid out, in inches, and its texts, in points; a size of 0 is for what has no room.

    `x` (c,) and `y` (r,) are where columns and rows begin, `cell` how wide and high a cell is. The cells begin at
    `left` and `top` from the grid's own upper left corner; all of it is as large as `size`.
    """

    cell: tuple[float, float]
    x: Doubles
    y: Doubles
    left: float
    top: float
    size: tuple[float, float]
    number_size: float
    row_size: float
    column_size: float
    slope: float


def lay_out(grid: Grid) -> Frame:
    """Where everything of a grid goes. Call it while a figure is painted."""
    wide, high = (
        min(most, room / max(len(labels), 1))
        for most, room, labels in zip(_CELL, _ROOM, (grid.columns, grid.rows), strict=True)
    )
    row_size, column_size = (_legible(min(TEXT, 0.8 * side * 72)) for side in (high, wide))
    number_size = 0.0
    if _legible(min(TEXT, high * 72)) and wide > 0.2:
        texts = [grid.number(row, column) for row in range(len(grid.rows)) for column in range(len(grid.columns))]
        widest = max(map(text_width, set(texts)), default=0.0)
        number_size = _legible(min(TEXT, TEXT * 0.9 * wide / widest if widest else TEXT, 0.65 * high * 72))
    slope = 45.0 if wide >= 0.28 else 90.0
    left = top = overhang = 0.0
    if row_size:
        left = max((_label_width(label, 0, row_size) for label in grid.rows), default=0.0) + _SPACE
    x, y = _starts(grid.columns, wide, grid.column_gaps), _starts(grid.rows, high, grid.row_gaps)
    width, height = (starts[-1] + side if len(starts) else 0.0 for starts, side in ((x, wide), (y, high)))
    if column_size:
        lengths = np.array([_label_width(label, 1, column_size) for label in grid.columns])
        top = float(lengths.max(initial=0.0)) * math.sin(math.radians(slope)) + 0.1 + _SPACE
        ends = x + wide / 2 + lengths * math.cos(math.radians(slope)) + 0.1
        overhang = max(float(ends.max(initial=0.0)) - width, 0.0)
    size = (left + width + overhang, top + height)
    return Frame((wide, high), x, y, left, top, size, number_size, row_size, column_size, slope)


def paint_grid(figure: Figure, grid: Grid, frame: Frame, top: float) -> None:
    """Paint a grid so many inches below the top of a figure, at its left margin."""
    (wide, high), x, y = frame.cell, frame.x, frame.y
    width, height = (starts[-1] + side if len(starts) else 1.0 for starts, side in ((x, wide), (y, high)))
    axes = add_axes(figure, MARGIN + frame.left, top + frame.top, width, height)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    colors = shades(grid.strengths)
    if grid.plain is not None:
        colors[grid.plain] = 1 - 0.25 * np.abs(grid.strengths[grid.plain, None])
    if grid.is_image:
        _paint_image(axes, grid, frame, colors)
    else:
        _paint_cells(axes, frame, colors, grid.outlined)
    if frame.number_size:
        _paint_numbers(axes, grid, frame)
    if frame.row_size:
        for label, start in zip(grid.rows, y, strict=True):
            text = fit(label, _LABEL[0], frame.row_size)
            axes.text(-_SPACE, start + high / 2, text, ha="right", va="center_baseline", fontsize=frame.row_size)
    if frame.column_size:
        for label, start in zip(grid.columns, x, strict=True):
            _paint_column_label(axes, label, start + wide / 2, frame)


def _paint_cells(axes: Axes, frame: Frame, colors: Doubles, outlined: NDArray[np.bool_] | None) -> None:
    """Each cell as a rectangle, all of one form."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path
    from matplotlib.transforms import AffineDeltaTransform

    wide, high = frame.cell
    gap = min(wide, high) * 0.04
    form = Path([(gap, gap), (wide - gap, gap), (wide - gap, high - gap), (gap, high - gap), (gap, gap)], closed=True)
    offsets = np.stack(np.meshgrid(frame.x, frame.y), axis=-1)
    data: Any = axes.transData
    style: dict[str, Any] = {"transform": data, "offset_transform": AffineDeltaTransform(data)}

    def paint(cells: Doubles, **more: Any) -> None:
        axes.add_collection(PathCollection([form], offsets=cells.reshape(-1, 2), **style, **more), autolim=False)

    paint(offsets, facecolors=colors.reshape(-1, 3), edgecolors=FAINT, linewidths=min(0.5, 20 * gap))
    if outlined is not None and outlined.any():
        paint(offsets[outlined], facecolors="none", edgecolors=INK, linewidths=1.6)


def _paint_image(axes: Axes, grid: Grid, frame: Frame, colors: Doubles) -> None:
    """All cells between two gaps as one image."""
    wide, high = frame.cell
    for rows in _runs(len(grid.rows), grid.row_gaps):
        for columns in _runs(len(grid.columns), grid.column_gaps):
            left, right = frame.x[columns.start], frame.x[columns.stop - 1] + wide
            top, bottom = frame.y[rows.start], frame.y[rows.stop - 1] + high
            part = colors[rows, columns]
            axes.imshow(part, extent=(left, right, bottom, top), aspect="auto", interpolation="nearest")


def _paint_numbers(axes: Axes, grid: Grid, frame: Frame) -> None:
    wide, high = frame.cell
    for row, top in enumerate(frame.y):
        for column, left in enumerate(frame.x):
            if text := grid.number(row, column):
                is_plain = grid.plain is not None and grid.plain[row, column]
                color = INK if is_plain else ink(float(grid.strengths[row, column]))
                place = (left + wide / 2, top + high / 2)
                axes.text(*place, text, ha="center", va="center_baseline", fontsize=frame.number_size, color=color)


def _paint_column_label(axes: Axes, label: str, x: float, frame: Frame) -> None:
    axes.text(
        x,
        -_SPACE,
        fit(label, _LABEL[1], frame.column_size),
        rotation=frame.slope,
        rotation_mode="anchor",
        ha="left",
        va="baseline" if frame.slope < 90 else "center_baseline",
        fontsize=frame.column_size,
    )


def _label_width(label: str, axis: int, size: float) -> float:
    return text_width(fit(label, _LABEL[axis], size), size)


def _legible(size: float) -> float:
    return size if size >= _LEGIBLE else 0.0


def _starts(labels: Sequence[str], side: float, gaps: Sequence[int]) -> Doubles:
    """Where each row or column begins."""
    numbers = np.arange(len(labels))
    starts: Doubles = numbers * side + _GAP * np.sum([numbers >= gap for gap in gaps], axis=0, dtype=float)
    return starts


def _runs(count: int, gaps: Sequence[int]) -> list[slice]:
    """The rows or columns between two gaps."""
    ends = [0, *gaps, count]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends) if stop > start]


def paint_scale(figure: Figure, name: str, steps: Mapping[float, str], top: float) -> None:
    """Paint what some strengths stand for, so many inches below the top of a figure, at its left margin."""
    write(figure, MARGIN, top, f"{name}:", fontsize=SMALL, color=GRAY)
    left = MARGIN + text_width(f"{name}:", SMALL) + 0.1
    for strength, text in steps.items():
        width = text_width(text, SMALL) + 0.16
        axes = add_axes(figure, left, top - 0.035, width, 0.17)
        axes.set(xticks=[], yticks=[], facecolor=shade(strength), xlim=(0, 1), ylim=(0, 1))
        axes.spines[:].set_visible(True)
        axes.text(0.5, 0.5, text, fontsize=SMALL, color=ink(strength), ha="center", va="center_baseline")
        left += width + 0.04
