"""An evaluation → how well each request is answered, and how far the weights of the top item, and of all, are true.

With a second setting, both: the first is blue and round, the second orange and square.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.evaluation.report import DEPTH, Evaluation
from attnsearch.evaluation.significance import CONFIDENCE, intervals
from attnsearch.output.evaluation import SecondSetting, is_few
from attnsearch.output.notes import counted
from attnsearch.output.table import decimals, spell_interval
from attnsearch.plots.figure import (
    AGAINST,
    FAINT,
    FOR,
    GRAY,
    HEAD,
    LINE,
    MARGIN,
    add_axes,
    add_notes,
    head,
    new_figure,
    render,
    style,
)
from attnsearch.plots.texts import SMALL, fit, isolate, text_width, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED = 60  # requests, at most, of which each has a line with its name
_NAME = 2.6  # inches
_ROW = 0.19  # inches
_SQUARE = 3.0  # inches of the reliability diagram
_BARS = 2.6  # inches
_CROWD = 4.6  # inches of all requests without names
_AREAS = 34, 11  # square points of a mark of each setting: the second lies on the first if they are equal
_MANY = 2_000  # requests, from which on an SVG has their points as an image


class _Series(NamedTuple):
    """One setting: its name, evaluation, color and mark."""

    name: str
    evaluation: Evaluation
    color: str
    mark: str


def draw_evaluation(evaluation: Evaluation, second: SecondSetting | None = None, form: str = "svg") -> bytes:
    """nDCG by request, best first, and two reliability diagrams. Raises InputError without matplotlib."""
    series = [_Series("as asked", evaluation, FOR, "o")]
    if second:
        series.append(_Series(second.name, second.evaluation, AGAINST, "s"))
    count = len(evaluation.answerable)
    title = f"How {counted(count, 'request')} with an answer are answered"
    with style():
        is_named = count <= _NAMED
        order = _ranked(evaluation)
        rows = evaluation.answerable
        names = [fit(rows[number].query, _NAME, SMALL) for number in order] if is_named else []
        left = max((text_width(name, SMALL) for name in names), default=0.25) + 0.1
        wide, high = (_BARS, max(count * _ROW, _SQUARE)) if is_named else (_CROWD, _SQUARE)
        width = MARGIN + left + wide + 2 * (0.8 + _SQUARE) + MARGIN
        lines = wrap(_notes(series), width - 2 * MARGIN)
        top = HEAD + 0.3
        figure = new_figure(width, top + high + 0.55 + LINE * len(lines) + MARGIN)
        head(figure, title, f"{isolate(evaluation.catalog)} · {_means(series)}")
        axes = add_axes(figure, MARGIN + left, top, wide, high)
        if is_named:
            _paint_named(axes, series, order, names)
        else:
            _paint_crowd(axes, series, order)
        beside = MARGIN + left + wide + 0.8
        _paint_reliability(add_axes(figure, beside, top, _SQUARE, _SQUARE), series)
        _paint_mass(add_axes(figure, beside + _SQUARE + 0.8, top, _SQUARE, _SQUARE), series)
        add_notes(figure, top + high + 0.55, lines)
        return render(figure, form, f"{title}: {_means(series)}")


def _ranked(evaluation: Evaluation) -> list[int]:
    """The numbers of the requests with an answer, those that are answered best first; of equal ones, as they came."""
    rows = evaluation.answerable
    return sorted(range(len(rows)), key=lambda number: (-(rows[number].ndcg or 0), -(rows[number].mrr or 0)))


def _values(series: _Series, order: Sequence[int]) -> list[float]:
    """nDCG of the requests with an answer, in this order."""
    rows = series.evaluation.answerable
    return [rows[number].ndcg or 0.0 for number in order]


def _paint_named(axes: Axes, all_series: Sequence[_Series], order: Sequence[int], names: Sequence[str]) -> None:
    """A line for each request, from the top down."""
    places = range(len(order))
    values = [_values(series, order) for series in all_series]
    starts = values[0] if len(values) > 1 else [0.0] * len(order)
    axes.hlines(places, starts, values[-1], color=FAINT, linewidth=2, zorder=1)
    for series, of_series, area in zip(all_series, values, _AREAS, strict=False):
        axes.scatter(of_series, places, s=area, color=series.color, marker=series.mark, zorder=3)
        if series.evaluation.means["ndcg"] is not None:
            axes.axvline(series.evaluation.means["ndcg"], color=series.color, linewidth=0.9, linestyle="--", zorder=2)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(order) - 0.4, -0.6), yticks=[])
    for place, name in zip(places, names, strict=True):
        axes.text(-0.07, place, name, ha="right", va="center_baseline", fontsize=SMALL, transform=axes.transData)
    _name_axes(axes, all_series, x=f"nDCG@{DEPTH}", y="")


def _paint_crowd(axes: Axes, all_series: Sequence[_Series], order: Sequence[int]) -> None:
    """The requests from left to right, without names; `order` is that of the first setting."""
    places = range(1, len(order) + 1)
    for series, area in zip(all_series, _AREAS, strict=False):
        values = _values(series, order)
        axes.scatter(
            places,
            values,
            s=area / 3,
            color=series.color,
            marker=series.mark,
            linewidths=0,
            alpha=0.7,
            rasterized=len(order) > _MANY,
        )
        if series.evaluation.means["ndcg"] is not None:
            axes.axhline(series.evaluation.means["ndcg"], color=series.color, linewidth=0.9, linestyle="--")
    axes.set(ylim=(-0.03, 1.03), xlim=(0, len(order) + 1))
    _name_axes(axes, all_series, x="requests, best first", y=f"nDCG@{DEPTH}")


def _paint_reliability(axes: Axes, all_series: Sequence[_Series]) -> None:
    """Weight against truth: on the diagonal, of the items on rank 1 with a weight of 70%, 70% are right."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, zorder=1)
    for series in all_series:
        bins = series.evaluation.reliability
        most = max((part.cases for part in bins), default=1)
        for part in bins:
            x = [part.confidence] * 2
            axes.plot(x, [part.confidence, part.accuracy], color=series.color, linewidth=0.9, alpha=0.5, zorder=2)
        axes.scatter(
            [part.confidence for part in bins],
            [part.accuracy for part in bins],
            s=[20 + 160 * part.cases / most for part in bins],
            color=series.color,
            marker=series.mark,
            alpha=0.85,
            edgecolors="white",
            linewidths=0.6,
            zorder=3,
        )
        if len(all_series) == 1:
            for part in bins:
                y = part.accuracy + (0.075 if part.accuracy < 0.9 else -0.085)
                text = f"{part.cases:,}"
                axes.text(part.confidence, y, text, ha="center", va="center", fontsize=SMALL, color=GRAY, zorder=4)
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes.set_xlabel("weight of the item on rank 1, mean", fontsize=SMALL)
    axes.set_ylabel("share of these items that are right", fontsize=SMALL)


def _paint_mass(axes: Axes, all_series: Sequence[_Series]) -> None:
    """Attention against right items: on the diagonal, the top with half of the attention holds half of these."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, zorder=1)
    for series, area in zip(all_series, _AREAS, strict=False):
        if not (mass := series.evaluation.mass):
            continue
        shares, covered = ([top.share for top in mass.tops], [top.covered for top in mass.tops])
        axes.plot([0, *shares, 1], [0, *covered, 1], color=series.color, linewidth=0.9, alpha=0.5, zorder=2)
        axes.scatter(shares, covered, s=area, color=series.color, marker=series.mark, zorder=3)
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes.set_xlabel("share of the attention, from the top", fontsize=SMALL)
    axes.set_ylabel("share of the right items in it, mean", fontsize=SMALL)


def _name_axes(axes: Axes, all_series: Sequence[_Series], *, x: str, y: str) -> None:
    """Name the axes, and above them the settings, if there are two, in their colors."""
    axes.set_xlabel(x, fontsize=SMALL)
    axes.set_ylabel(y, fontsize=SMALL)
    if len(all_series) < 2:
        return
    from matplotlib.lines import Line2D

    marks = [
        Line2D(
            [], [], color=series.color, marker=series.mark, linestyle="", markersize=5, label=fit(series.name, 2, SMALL)
        )
        for series in all_series
    ]
    axes.legend(
        handles=marks,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.2,
        handletextpad=0.1,
        columnspacing=1.2,
    )


def _means(all_series: Sequence[_Series]) -> str:
    """The two numbers that the pictures show, of each setting; of few requests in one, the interval of the first."""
    evaluations = [series.evaluation for series in all_series]
    means, errors = (
        " → ".join(decimals(value) or "–" for value in values)
        for values in zip(*((part.means["ndcg"], part.calibration_error) for part in evaluations), strict=True)
    )
    around = intervals(evaluations[0])["ndcg"]
    if len(evaluations) == 1 and is_few(evaluations[0]) and around:
        ndcg = f"nDCG@{DEPTH} {spell_interval(around)} with {CONFIDENCE:.0%} confidence"
    else:
        ndcg = f"mean nDCG@{DEPTH} {means}"
    return f"{ndcg} · calibration error {errors}"


def _notes(all_series: Sequence[_Series]) -> str:
    sizes = (
        "a number says how many requests a mark stands for"
        if len(all_series) == 1
        else "a larger mark has more requests"
    )
    return (
        f"Left, dashed: the mean. Middle: how often the item on rank 1 is right, by its weight; {sizes}. Right: the"
        " share of the right items that the top of the attention has. On the diagonal, weights say what is true."
    )
