"""A heatmap → requests × items, the darker the stronger, with a number in each cell that has room for it.

Axis letters: m = requests, n = items.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attnsearch.explanation.heatmap import NONE, By, Heatmap
from attnsearch.explanation.phrases import OTHERS
from attnsearch.output.notes import asked_as_each, counted, name_catalogs, recalled_by_each
from attnsearch.pictures.heatmap import name_columns
from attnsearch.plots.figure import HEAD, LINE, MARGIN, add_notes, head, new_figure, render, style
from attnsearch.plots.grid import Frame, Grid, lay_out, paint_grid, paint_scale
from attnsearch.plots.texts import isolate, wrap

_NARROWEST = 5.5  # inches
_UNITS: dict[By, str] = {"weight": "%", "logit": "", "score": ""}
_MARGINS = {
    OTHERS: "the attention on items without a column",
    NONE: "the chance that nothing fits, not a share of the attention",
}
_WHAT: dict[By, str] = {"weight": "share of the attention, in percent", "logit": "logit", "score": "cosine"}


def draw_heatmap(heatmap: Heatmap, by: By = "weight", form: str = "svg") -> bytes:
    """The heatmap as a figure. Raises InputError without matplotlib."""
    grid = _grid(heatmap, by)
    title = f"{counted(len(heatmap.queries), 'request')}, {len(heatmap.columns):,} of {counted(heatmap.items, 'item')}"
    with style():
        frame = lay_out(grid)
        width = max(frame.size[0] + 2 * MARGIN, _NARROWEST)
        notes = wrap(_notes(heatmap, by, grid, frame), width - 2 * MARGIN)
        below = HEAD + frame.size[1] + 0.15
        figure = new_figure(width, below + LINE * (len(notes) + 1.5) + MARGIN)
        head(figure, title, f"{isolate(name_catalogs(heatmap))} · temperature {heatmap.temperature:.3g}")
        paint_grid(figure, grid, frame, HEAD)
        steps = {step: f"{_NUMBERS[by](value)}{_UNITS[by]}" for step, value in heatmap.scale(by).items()}
        paint_scale(figure, _WHAT[by], steps, below)
        add_notes(figure, below + 1.5 * LINE, notes)
        return render(figure, form, f"Heatmap of {title}: {_WHAT[by]}")


def _grid(heatmap: Heatmap, by: By) -> Grid:
    values, strengths = heatmap.values(by), heatmap.strengths(by)
    labels = name_columns(heatmap)
    n = len(labels)
    more = heatmap.margins(by)
    shares = np.array(list(more.values())).reshape(len(more), len(heatmap.queries)).T  # (m, 0 to 2)
    hidden = ~np.isfinite(heatmap.logits)

    def number(row: int, column: int) -> str:
        if column >= n:
            return short_percent(shares[row, column - n])
        return "–" if hidden[row, column] else _NUMBERS[by](values[row, column])

    right = heatmap.right
    return Grid(
        rows=heatmap.queries,
        columns=[*labels, *more],
        strengths=np.concatenate([strengths, shares], axis=1),
        number=number,
        column_gaps=range(n, n + len(more)),
        plain=np.broadcast_to(np.arange(n + len(more)) >= n, (len(heatmap.queries), n + len(more))),
        outlined=None if right is None else np.pad(right, ((0, 0), (0, len(more)))),
    )


def short_percent(share: float) -> str:
    """A share in percent, in three characters at most; nothing if it is next to nothing, as most are.

    >>> short_percent(0.634), short_percent(0.0634), short_percent(0.0996), short_percent(0.0004)
    ('63', '6.3', '10', '')
    """
    text = f"{100 * share:.1f}"
    return f"{100 * share:.0f}" if len(text) > 3 else "" if text == "0.0" else text


_NUMBERS: dict[By, Callable[[float], str]] = {
    "weight": short_percent,
    "logit": "{:.1f}".format,
    "score": "{:.2f}".format,
}


def _notes(heatmap: Heatmap, by: By, grid: Grid, frame: Frame) -> str:
    """What the gray columns, the blanks, the frames and the dashes are, and what had no room."""
    gray = [f"{name}, {_MARGINS[name]}" for name in heatmap.margins(by)]
    parts = [f"in gray: {'; '.join(gray)}"] if gray else []
    if by == "weight" and frame.number_size:
        parts.append("blank: less than 0.05%")
    if heatmap.right is not None and not grid.is_image:
        parts.append("in a frame: judged right")
    if heatmap.masked:
        dash = "" if np.isfinite(heatmap.logits).all() else " (–)"
        parts.append(f"a filter hides {heatmap.masked:,} of {counted(heatmap.items, 'item')}{dash}")
    parts += [*asked_as_each(heatmap.asked), *recalled_by_each(heatmap.recalled)]
    names = {"numbers": frame.number_size, "items": frame.column_size, "requests": frame.row_size}
    if missing := [name for name, size in names.items() if not size]:
        parts.append(f"no room for {' and '.join(missing)}, which -f html shows")
    return ". ".join(f"{part[0].upper()}{part[1:]}" for part in parts)
