"""Maps: labels that do not cover one another, points by weight, from one item to a hundred thousand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from attnsearch.plots import map as map_plot
from attnsearch.plots.map import draw_map
from tests.plots.drawing import map_of, read_svg, texts


def labels_of(monkeypatch, drawn) -> tuple[list, list[str]]:
    """The boxes and texts of the labels of a map."""
    boxes, shown = [], []
    paint = map_plot._paint_label

    def paint_recorded(axes, text, color, place, box):
        boxes.append(box)
        shown.append(text)
        paint(axes, text, color, place, box)

    monkeypatch.setattr(map_plot, "_paint_label", paint_recorded)
    draw_map(drawn)
    return boxes, shown


def test_items_request_and_output_are_named_and_what_the_plane_shows_is_said():
    shown = texts(draw_map(map_of([(0, 0), (1, 1), (2, 0), (3, 3)], weights=[0.5, 0.25, 0.25, 0.0])))
    assert {"item 0 50.0%", "item 1 25.0%", "request", "output: weights·V"} <= set(shown)
    assert not any(text.startswith("item 3") for text in shown)
    assert {"first component: 25.0% of the variance", "second component: 12.5% of the variance"} <= set(shown)
    assert "37.5% of how they differ" in " ".join(shown)


@pytest.mark.parametrize("seed", range(5))
def test_labels_cover_neither_one_another_nor_a_point_of_theirs(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(40, 2)) * [1, 0.02 if seed == 4 else 1]
    drawn = map_of(points, hits=15, title="a title of some length {}", weights=rng.dirichlet(np.ones(40)))
    boxes, shown = labels_of(monkeypatch, drawn)
    assert len(boxes) > 8
    assert {"request", "output: weights·V"} <= set(shown)
    for number, box in enumerate(boxes):
        assert 0 <= box.left < box.right <= 7
        assert 0 <= box.bottom < box.top <= 5.4
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_the_same_place_for_all(monkeypatch):
    """Labels that find no room are left out, and nothing is divided by 0."""
    boxes, _ = labels_of(monkeypatch, map_of(np.full((60, 2), 0.5), hits=60))
    assert 2 <= len(boxes) < 62


def areas(svg: bytes) -> list[float]:
    """How wide each point of an item is, in the order in which they are drawn."""
    paths = [path for path in read_svg(svg).iter("{*}path") if "fill-opacity" in path.get("style", "")]
    widths = []
    for path in paths:
        x = [float(number) for number, _ in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))]
        widths.append(max(x) - min(x))
    return widths


def test_an_items_area_grows_with_its_weight_and_the_largest_is_on_top():
    widths = areas(draw_map(map_of([(0, 0), (1, 1), (2, 0)], weights=[0.6, 0.0, 0.4], hits=0)))
    assert len(widths) == 3
    assert widths == sorted(widths)
    areas_ = [width**2 for width in widths]
    assert (areas_[2] - areas_[0]) / (areas_[1] - areas_[0]) == pytest.approx(1.5, rel=0.05)


def test_a_crowd_is_an_image():
    rng = np.random.default_rng(0)
    drawn = map_of(rng.normal(size=(100_000, 2)), hidden=3)
    svg = draw_map(drawn)
    assert len(list(read_svg(svg).iter("{*}image"))) == 1
    assert len(svg) < 3_000_000
    assert "3 items hidden by a filter" in " ".join(texts(svg))


def test_one_item():
    assert "item 0 100.0%" in texts(draw_map(map_of([(0, 0)])))
    assert "output: weights·X" in texts(draw_map(map_of([(0, 0)], has_values=False)))
