"""A map → the items as points of a plane, the larger the more attention they get, with the request and the output.

Axis letters: n = items, k = labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.explanation.map import Map
from attnsearch.output.columns import short_name
from attnsearch.output.notes import counted, percent
from attnsearch.plots.figure import (
    FAINT,
    HEAD,
    LINE,
    MARGIN,
    add_axes,
    add_notes,
    head,
    letter,
    new_figure,
    render,
    style,
)
from attnsearch.plots.texts import SMALL, fit, isolate, text_width, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 7.0, 5.4  # inches of the plane
_LABEL = 2.2  # inches of a title
_MANY = 1_000  # items, from which on an SVG has their points as an image
_SMALLEST, _LARGEST = 7.0, 340.0  # area of a point, in square points: of no attention, and of all
_NEAR = 0.2  # inches from a point to its label, to begin with
# Where a label may be: at the right of its point, at the left, above, below, or between these.
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7))

Doubles = NDArray[np.float64]


class _Box(NamedTuple):
    """A rectangle in inches from the lower left corner of the plane."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


def draw_map(map_: Map, form: str = "svg") -> bytes:
    """The map as a figure. Raises InputError without matplotlib."""
    first, second = map(percent, map_.variance)
    with style():
        width = _WIDTH + 2 * MARGIN + 0.2
        lines = wrap(_notes(map_), width - 2 * MARGIN)
        figure = new_figure(width, HEAD + _HEIGHT + 0.3 + LINE * len(lines) + MARGIN)
        count = counted(len(map_.points), "item")
        below = f"{isolate(short_name(map_.catalog))} · {count} in the two directions in which they differ most"
        head(figure, isolate(map_.query), below)
        axes = add_axes(figure, MARGIN + 0.2, HEAD, _WIDTH, _HEIGHT)
        _set_limits(axes, map_)
        axes.set_xlabel(f"first component: {first} of the variance", fontsize=SMALL)
        axes.set_ylabel(f"second component: {second} of the variance", fontsize=SMALL)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(True)
        _paint_items(axes, map_)
        _paint_road(axes, map_)
        _paint_labels(axes, map_)
        add_notes(figure, HEAD + _HEIGHT + 0.3, lines)
        return render(figure, form, f"Map of {short_name(map_.catalog)} for the request {map_.query}")


def _set_limits(axes: Axes, map_: Map) -> None:
    """Show all points, with the same scale in both directions, so that distances can be compared."""
    places = np.concatenate([map_.points, [map_.request, map_.output]])
    low, high = places.min(axis=0), places.max(axis=0)
    middle, extent = (low + high) / 2, np.maximum(high - low, 1e-3)
    inch = max(extent[0] / (_WIDTH - 1.6), extent[1] / (_HEIGHT - 0.8))
    half = np.array([_WIDTH, _HEIGHT]) / 2 * inch
    axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))


def _areas(weights: Doubles) -> Doubles:
    return _SMALLEST + (_LARGEST - _SMALLEST) * weights


def _paint_items(axes: Axes, map_: Map) -> None:
    """All items; those with the most attention last, on top."""
    order = np.argsort(map_.weights, kind="stable")
    is_crowd = len(order) > _MANY
    x, y = map_.points[order].T
    axes.scatter(
        x,
        y,
        s=_areas(map_.weights[order]) * (0.3 if is_crowd else 1),
        color=letter("k"),
        alpha=max(0.25 * (_MANY / len(order)) ** 0.4, 0.03) if is_crowd else 0.45,
        linewidths=0,
        rasterized=is_crowd,
        zorder=2,
    )
    top = map_.hit_rows
    x, y = map_.points[top].T
    axes.scatter(x, y, s=_areas(map_.weights[top]), color=letter("k"), edgecolors="white", linewidths=0.6, zorder=5)


def _paint_road(axes: Axes, map_: Map) -> None:
    """The request, the output, and the way from one to the other."""
    x, y = zip(map_.request, map_.output, strict=True)
    axes.plot(x, y, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.scatter(*map_.request, s=90, marker="*", color=letter("q"), edgecolors="white", linewidths=0.6, zorder=7)
    axes.scatter(*map_.output, s=45, marker="D", color=letter("v"), edgecolors="white", linewidths=0.6, zorder=6)


def _paint_labels(axes: Axes, map_: Map) -> None:
    """Name the request, the output and the top items, as many of them as there is room for."""
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    inches = (_WIDTH, _HEIGHT) / (high - low)
    rows = map_.hit_rows
    places = (np.concatenate([[map_.request, map_.output], map_.points[rows]]) - low) * inches
    radii = [0.09, 0.07, *(np.sqrt(_areas(map_.weights[rows]) / math.pi) / 72)]
    output = "output: weights·V" if map_.has_values else "output: weights·X"
    texts = ["request", output]
    texts += [
        f"{isolate(fit(hit.name, _LABEL))} {percent(map_.weights[row])}"
        for hit, row in zip(map_.hits, rows, strict=True)
    ]
    colors = [letter("q"), letter("v"), *([letter("k")] * len(rows))]
    taken = [_Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(places, radii, strict=True)]
    for text, color, place, radius in zip(texts, colors, places, radii, strict=True):
        box = _find_room(place, radius, text_width(text) + 0.04, taken)
        if box is None:
            continue
        taken.append(box)
        _paint_label(axes, text, color, place, box)


def _paint_label(axes: Axes, text: str, color: str, place: Doubles, box: _Box) -> None:
    """Write a label into its box, with a line from its point if that is not beside it."""
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import ScaledTranslation

    dots, corner = axes.figure.dpi_scale_trans, axes.bbox.p0 / axes.figure.dpi
    inches = dots + ScaledTranslation(float(corner[0]), float(corner[1]), dots)
    end = np.clip(place, (box.left, box.bottom), (box.right, box.top))
    if math.dist(place, end) > _NEAR:
        x, y = zip(place, end, strict=True)
        axes.plot(x, y, color=color, linewidth=0.6, alpha=0.6, transform=inches, zorder=3)
    size = (box.right - box.left, box.top - box.bottom)
    card = Rectangle(
        (box.left, box.bottom), *size, facecolor="white", alpha=0.9, linewidth=0, transform=inches, zorder=4
    )
    axes.add_patch(card)
    start, side = (box.left + box.right) / 2, "center"  # where letters of another font are wider or narrower
    if place[0] < box.left:
        start, side = box.left + 0.02, "left"
    elif place[0] > box.right:
        start, side = box.right - 0.02, "right"
    middle = (box.bottom + box.top) / 2
    axes.text(start, middle, text, color=color, ha=side, va="center_baseline", transform=inches, zorder=8)


def _find_room(place: Doubles, radius: float, width: float, taken: Sequence[_Box]) -> _Box | None:
    """Where a label of this width fits near its point, and covers nothing; None if there is no such place."""
    height = 0.17
    for distance in (0.05, 0.15, 0.3, 0.5, 0.8):
        for x, y in _SIDES:
            away = radius + distance
            left = place[0] + x * away - (1 - x) / 2 * width
            bottom = place[1] + y * away - (1 - y) / 2 * height
            box = _Box(left, bottom, left + width, bottom + height)
            is_inside = box.left > 0.02 and box.bottom > 0.02 and box.right < _WIDTH and box.top < _HEIGHT
            if is_inside and not any(box.overlaps(other) for other in taken):
                return box
    return None


def _notes(map_: Map) -> str:
    """What the points are, and what the plane can't show."""
    parts = [
        "Each point is an item, the larger the more attention it gets; the plane shows"
        f" {percent(sum(map_.variance))} of how they differ, so what is near in it may be far apart"
    ]
    if map_.hidden:
        parts.append(f"{counted(map_.hidden, 'item')} hidden by a filter")
    return "; ".join(parts)
