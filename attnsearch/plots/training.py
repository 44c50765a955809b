"""A learning curve → what held-out requests gain by the number of judged requests, each gain with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnsearch.evaluation.report import DEPTH
from attnsearch.evaluation.significance import CONFIDENCE, FEW
from attnsearch.learning.curve import Curve
from attnsearch.output.notes import counted
from attnsearch.output.table import signed
from attnsearch.plots.figure import (
    FAINT,
    FOR,
    GRAY,
    HEAD,
    INK,
    LINE,
    MARGIN,
    add_axes,
    add_notes,
    head,
    new_figure,
    render,
    style,
)
from attnsearch.plots.texts import SMALL, isolate, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 5.6, 3.2  # inches of the plane


def draw_curve(curve: Curve, catalog: str, form: str = "svg", *, conclusion: str = "") -> bytes:
    """The curve as a figure, with the conclusion of the training under it. Raises InputError without matplotlib."""
    title = "What more judged requests gain"
    with style():
        left = MARGIN + 0.6
        width = left + _WIDTH + 0.35 + MARGIN
        lines = [line for text in (_notes(curve), conclusion) for line in wrap(text, width - 2 * MARGIN)]
        figure = new_figure(width, HEAD + _HEIGHT + 0.5 + LINE * len(lines) + MARGIN)
        head(figure, title, f"{isolate(catalog)} · nDCG@{DEPTH} of {counted(curve.held_out, 'held-out request')}")
        _paint(add_axes(figure, left, HEAD, _WIDTH, _HEIGHT), curve)
        add_notes(figure, HEAD + _HEIGHT + 0.5, lines)
        return render(figure, form, f"{title}: {catalog}")


def _paint(axes: Axes, curve: Curve) -> None:
    """The gains as points, their intervals as bars, and the way between them; it begins at no gain from no request."""
    from matplotlib.ticker import MaxNLocator

    points = [point for point in curve.points if np.isfinite(point.ndcg.change) and point.requests]
    x = [0.0, *(point.requests for point in points)]
    y = [0.0, *(point.ndcg.change for point in points)]
    axes.axhline(0, color=FAINT, linewidth=1, zorder=1)
    axes.plot(x, y, color=FOR, linewidth=1.4, zorder=3)
    axes.scatter(x, y, s=26, color=FOR, zorder=4)
    for point in points:
        low, high = point.ndcg.low, point.ndcg.high
        if np.isfinite(low) and np.isfinite(high):
            axes.plot(
                [point.requests] * 2, [low, high], color=FOR, linewidth=5, alpha=0.25, solid_capstyle="butt", zorder=2
            )
        known = [low, high] if curve.held_out < FEW else [point.ndcg.change]
        text = " to ".join(signed(number, 3) for number in known if np.isfinite(number)).replace("-", "−")
        axes.annotate(
            text,
            (point.requests, point.ndcg.change),
            xytext=(-5, 4),
            textcoords="offset points",
            ha="right",
            fontsize=SMALL,
            color=INK,
            zorder=5,
        )
    ends = [0.0, *y, *(end for point in points for end in point.ndcg[2:] if np.isfinite(end))]
    room = max(0.12 * (max(ends) - min(ends)), 0.005)
    axes.set(xlim=(0, max(x) * 1.06 or 1), ylim=(min(ends) - room, max(ends) + 1.5 * room))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
    axes.set_xlabel("judged requests learned from", fontsize=SMALL)
    axes.set_ylabel(f"gain in nDCG@{DEPTH}", fontsize=SMALL)
    axes.tick_params(colors=FAINT, labelcolor=GRAY)


def _notes(curve: Curve) -> str:
    """How it was measured, and what it does not say."""
    before = curve.points[-1].ndcg.before if curve.points else float("nan")
    untrained = f"Untrained: {before:.3f}. " if np.isfinite(before) else ""
    return (
        f"{untrained}No request is measured by what was learned from it; bars: {CONFIDENCE:.0%} confidence. All points"
        " have the same held-out requests, so by chance they rise and fall together."
    )
