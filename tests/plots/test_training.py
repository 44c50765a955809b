"""Learning curves: what held-out requests gain, with intervals that may be infinite."""

from __future__ import annotations

import math

import pytest

from attnsearch.learning.acceptance import Gain
from attnsearch.learning.curve import Curve, Point
from attnsearch.plots.training import draw_curve
from tests.plots.drawing import BLUE, read_svg, texts


def gain(before: float, after: float) -> Gain:
    return Gain(before, after, after - before - 0.05, after - before + 0.05)


def curve_of(*changes: float, held_out: int = 60) -> Curve:
    points = [Point(10.0 * number, gain(0.5, 0.5 + change), gain(2, 1)) for number, change in enumerate(changes, 1)]
    return Curve(points, held_out)


def test_each_gain_stands_at_its_point_above_its_number_of_requests():
    svg = draw_curve(curve_of(0.01, -0.02, 0.04), "shop", conclusion="nothing learned: it may be chance.")
    shown = texts(svg)
    assert {"+0.010", "−0.020", "+0.040"} <= set(shown)
    assert "shop · nDCG@10 of 60 held-out requests" in shown
    assert shown[-1] == "nothing learned: it may be chance."
    marks = [element for element in read_svg(svg).iter("{*}use") if f"fill: {BLUE}" in element.get("style", "")]
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = ((float(mark.get("x")), float(mark.get("y"))) for mark in marks)
    assert [x1 - x0, x2 - x1] == pytest.approx([x2 - x1, x3 - x2], abs=0.03)
    assert [y0 - y1, y0 - y2] == pytest.approx([(y0 - y3) / 4, -(y0 - y3) / 2], abs=0.03)


def test_few_requests_promise_only_an_interval():
    shown = texts(draw_curve(curve_of(0.01, -0.02, held_out=49), "shop"))
    assert {"−0.040 to +0.060", "−0.070 to +0.030"} <= set(shown)
    assert not {"+0.010", "−0.020"} & set(shown)


def test_intervals_that_are_infinite_are_left_out():
    unsure = Gain(0.5, 0.6, -math.inf, math.inf)
    shown = texts(draw_curve(Curve([Point(1.0, unsure, unsure)], 1), "shop"))
    assert "inf" not in "".join(shown)
    assert "nDCG@10" in "".join(shown)


def test_what_cannot_be_measured_has_no_point():
    nothing = Gain(math.nan, math.nan, math.nan, math.nan)
    assert "nan" not in "".join(texts(draw_curve(Curve([Point(0.0, nothing, nothing)], 0), "shop")))
