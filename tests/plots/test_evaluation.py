"""Evaluations: what they show, from no request to thousands."""

from __future__ import annotations

import pytest

from attnsearch.evaluation.mass import Mass, Top
from attnsearch.evaluation.metrics import Bin
from attnsearch.evaluation.report import METRICS, Evaluation, Row
from attnsearch.evaluation.significance import compare_evaluations
from attnsearch.output.evaluation import SecondSetting
from attnsearch.plots.evaluation import draw_evaluation
from tests.plots.drawing import BLUE, HOSTILE, ORANGE, read_svg, texts


def evaluation_of(ndcgs, bins=(), query="request {}") -> Evaluation:
    rows = [Row(query.format(number), "", 1, ndcg, ndcg, 1.0, 1.0, 0.5) for number, ndcg in enumerate(ndcgs)]
    means = dict.fromkeys(METRICS) | {"ndcg": sum(ndcgs) / len(ndcgs) if ndcgs else None}
    error = sum(part.cases * abs(part.confidence - part.accuracy) for part in bins) if bins else None
    return Evaluation(
        catalog="shop", model="small", temperature=0.05, items=9, k=10, unknown_ids=0, means=means,
        calibration_error=error, none_of_these=None, unanswerable=0,
        rows=[*rows, Row("of no answer", "", 0)], reliability=bins,
    )  # fmt: skip


BINS = [Bin(0.2, 0.3, 7, 0.25, 0.5), Bin(0.9, 1.0, 1, 0.95, 1.0)]


def test_requests_are_named_best_first_with_both_means():
    shown = texts(draw_evaluation(evaluation_of([0.25, 1.0, 0.5], BINS)))
    assert [text for text in shown if text.startswith("request ")] == ["request 1", "request 2", "request 0"]
    assert "of no answer" not in shown
    assert "shop · nDCG@10 0.000 to 1.000 with 95% confidence · calibration error 1.800" in shown
    assert {"7", "1", "How 3 requests with an answer are answered"} <= set(shown)


def test_marks_are_where_the_numbers_are():
    """The marks of two requests, and two bins: from left to right as their numbers are, in one scale."""
    root = read_svg(draw_evaluation(evaluation_of([1.0, 0.0, 0.5], BINS)))
    circles = [element for element in root.iter("{*}use") if f"fill: {BLUE}" in element.get("style", "")]
    worst, middle, best = sorted(float(circle.get("x")) for circle in circles[:3])
    assert middle - worst == pytest.approx(best - middle, abs=0.02)


def test_two_settings_have_marks_of_their_own():
    first, second = evaluation_of([0.5, 1.0], BINS), evaluation_of([0.75, 0.5], BINS[:1])
    compared = SecondSetting("--temperature 0.1", second, compare_evaluations(first, second))
    svg = draw_evaluation(first, compared)
    assert {"as asked", "--temperature 0.1"} <= set(texts(svg))
    assert "shop · mean nDCG@10 0.750 → 0.625 · calibration error 1.800 → 1.750" in texts(svg)
    styles = [element.get("style", "") for element in read_svg(svg).iter()]
    assert any(f"fill: {BLUE}" in style for style in styles)
    assert any(f"fill: {ORANGE}" in style for style in styles)


def test_what_tops_hold():
    """A mark for each level, and the mean of fifty requests without an interval."""
    tops = [Top(share / 10, share / 20, 2.5, 0.25) for share in range(1, 10)]
    first, second = (evaluation_of([0.5] * 50)._replace(mass=Mass(0.4, 0.2, tops[:count])) for count in (9, 3))
    svg = draw_evaluation(first, SecondSetting("", second, compare_evaluations(first, second)))
    uses = [element for element in read_svg(svg).iter("{*}use") if f"fill: {BLUE}" in element.get("style", "")]
    assert len(uses) == 50 + 9 + 1  # one is in the legend
    x, y = ([float(use.get(axis)) for use in uses[-9:]] for axis in "xy")
    steps = [(x[n + 1] - x[n]) / (y[n] - y[n + 1]) for n in range(8)]
    assert steps == pytest.approx([2] * 8, abs=0.01)
    assert "shop · mean nDCG@10 0.500 · calibration error –" in texts(draw_evaluation(first))


@pytest.mark.parametrize(("count", "is_named"), [(60, True), (61, False), (5_000, False)])
def test_many_requests_have_no_names(count, is_named):
    svg = draw_evaluation(evaluation_of([number / count for number in range(count)]))
    assert ("request 0" in texts(svg)) == is_named
    assert len(svg) < 300_000
    assert bool(list(read_svg(svg).iter("{*}image"))) == (count > 2_000)


def test_no_request_with_an_answer():
    shown = texts(draw_evaluation(evaluation_of([])))
    assert "shop · mean nDCG@10 – · calibration error –" in shown


@pytest.mark.parametrize("form", ["svg", "png"])
def test_hostile_requests_are_inert(form):
    for text in HOSTILE:
        figure = draw_evaluation(evaluation_of([0.5], BINS, text.replace("{", "{{").replace("}", "}}")), form=form)
        if form == "svg":
            read_svg(figure)
