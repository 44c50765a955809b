"""A logit as a double sum → the words of the query × those of the item, with sums at the margins.

The words of the item run on in the next band, as a text does in the next line.

Axis letters: r = rows, c = columns.
"""

from __future__ import annotations

import itertools

import numpy as np

from attnsearch.explanation.matrix import Matrix
from attnsearch.output.columns import short_name
from attnsearch.pictures.matrix import choose_digits, format_number, name_added
from attnsearch.plots.figure import HEAD, LINE, MARGIN, add_notes, head, new_figure, render, style
from attnsearch.plots.grid import Grid, lay_out, paint_grid, paint_scale
from attnsearch.plots.texts import TITLE, fit, isolate, wrap

SUM = "sum"  # the label of the margins

_BAND = 22  # columns
_SPACE = 0.2  # inches between bands
_NARROWEST = 6.0  # inches
_MANY = 4_000  # cells, from which on all are in one band


def draw_matrix(matrix: Matrix, form: str = "svg") -> bytes:
    """The matrix as a figure. Raises InputError without matplotlib."""
    item = matrix.hit.name
    grids = _bands(matrix)
    with style():
        frames = [lay_out(grid) for grid in grids]
        width = max(max(frame.size[0] for frame in frames) + 2 * MARGIN, _NARROWEST)
        lines = wrap(_add_up(matrix), width - 2 * MARGIN)
        below = HEAD + sum(frame.size[1] + _SPACE for frame in frames)
        figure = new_figure(width, below + LINE * (len(lines) + 1.5) + MARGIN)
        query = fit(matrix.query, width / 2, TITLE, bold=True)
        below_title = f"{isolate(short_name(matrix.hit.catalog))} · what two {matrix.by} add to the logit together"
        head(figure, f"{query} × {isolate(item)}", below_title)
        top = HEAD
        for grid, frame in zip(grids, frames, strict=True):
            paint_grid(figure, grid, frame, top)
            top += frame.size[1] + _SPACE
        paint_scale(figure, "logits", _steps(matrix), below)
        add_notes(figure, below + 1.5 * LINE, lines)
        return render(figure, form, f"The logit of {item} for {matrix.query} as a sum over pairs of {matrix.by}")


def _bands(matrix: Matrix) -> list[Grid]:
    """The grids below one another; the last has the sums of the rows."""
    r, c = matrix.cells.shape
    sums = np.array([line.sum for line in matrix.rows]), np.array([line.sum for line in matrix.columns])
    values = np.block([[matrix.cells, sums[0][:, None]], [sums[1], matrix.sum]])  # (r + 1, c + 1)
    strengths = np.zeros_like(values)
    strengths[:r, :c] = matrix.strengths
    strongest = float(np.abs(values).max())
    margins = np.ones(values.shape, bool)
    margins[:r, :c] = False
    if strongest:
        strengths[margins] = values[margins] / strongest
    digits = choose_digits(matrix.strongest)
    labels = [*(line.label for line in matrix.columns), SUM]
    count = 1 if r * c > _MANY else max(-(-c // _BAND), 1)
    bounds = np.linspace(0, c, count + 1).round().astype(int).tolist()
    bounds[-1] = c + 1

    def band(start: int, stop: int) -> Grid:
        return Grid(
            rows=[*(line.label for line in matrix.rows), SUM],
            columns=labels[start:stop],
            strengths=strengths[:, start:stop],
            number=lambda row, column: format_number(float(values[row, start + column]), digits),
            row_gaps=[r],
            column_gaps=[c - start] if stop > c else [],
            plain=margins[:, start:stop],
        )

    return [band(start, stop) for start, stop in itertools.pairwise(bounds)]


def _steps(matrix: Matrix) -> dict[float, str]:
    """Some strengths, and how many logits each stands for."""
    digits = choose_digits(matrix.strongest)
    has_both = (matrix.cells < 0).any()
    steps = (-1.0, -0.5, 0.5, 1.0) if has_both else (0.25, 0.5, 0.75, 1.0)
    return {step: format_number(step * matrix.strongest, digits) for step in steps}


def _add_up(matrix: Matrix) -> str:
    """All parts of the logit, as a sum."""
    digits = choose_digits(matrix.strongest)
    parts = {matrix.by: matrix.sum, **name_added(matrix)}
    figures = [f"{name} {format_number(value, digits)}" for name, value in parts.items()]
    return f"{', '.join(figures)}: logit {matrix.logit:.{digits}f}"
