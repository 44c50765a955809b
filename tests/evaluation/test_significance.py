"""Two settings compared, against the formulas of the t-test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from attnsearch.attention.projections import textbook
from attnsearch.evaluation.report import METRICS, Evaluation, Row, evaluate
from attnsearch.evaluation.significance import compare_evaluations, intervals, mean_interval, t_test
from attnsearch.opening.index import Index
from attnsearch.search.setting import Setting
from attnsearch.sources.judgments import Judged


def evaluation_of(ndcg: list[float], kl: float | None = None, calibration_error: float | None = None) -> Evaluation:
    """An evaluation of requests with these nDCG."""
    return Evaluation(
        catalog="x", model="small", temperature=0.05, items=5, k=10, unknown_ids=0,
        means=dict.fromkeys(METRICS) | {"ndcg": float(np.mean(ndcg)), "kl": kl},
        calibration_error=calibration_error, none_of_these=None, unanswerable=0,
        rows=[Row(str(n), "", 1, ndcg=value) for n, value in enumerate(ndcg)],
    )  # fmt: skip


def test_what_another_setting_changes(shop):
    requests = [Judged("moon", {"a": 1}), Judged("robot", {"c": 1, "a": 1}), Judged("sky", {})]
    with Index.open("shop") as index:
        before, after = evaluate(index, requests), evaluate(index, requests, Setting(textbook(4)))
    comparison = compare_evaluations(before, after)
    assert comparison.differences["ndcg"] == 0
    assert comparison.differences["kl"] == pytest.approx(after.means["kl"] - before.means["kl"])
    error = after.calibration_error - before.calibration_error
    assert comparison.differences["calibration_error"] == pytest.approx(error)
    assert error != 0
    assert (comparison.queries, comparison.low, comparison.high, comparison.p_value) == (2, 0, 0, 1)


def test_the_test():
    """Differences .1, .2, .3 and 0: a mean of .15, a standard error of .129/2, and t with 3 degrees of freedom."""
    comparison = compare_evaluations(evaluation_of([0.5, 0.5, 0.5, 0.5]), evaluation_of([0.6, 0.7, 0.8, 0.5]))
    error = math.sqrt(0.05 / 3) / 2
    interval = 0.15 - 3.182446 * error, 0.15 + 3.182446 * error
    assert comparison.differences["ndcg"] == pytest.approx(0.15)
    assert (comparison.low, comparison.high) == pytest.approx(interval, abs=1e-6)
    assert comparison.p_value == pytest.approx(2 * stats.t.sf(0.15 / error, 3))


def test_a_difference_is_unknown_where_a_mean_is():
    before, after = evaluation_of([0.5], kl=2.0, calibration_error=0.25), evaluation_of([0.5], kl=1.5)
    differences = compare_evaluations(before, after).differences
    assert differences == dict.fromkeys(METRICS) | {"ndcg": 0, "kl": -0.5, "calibration_error": None}


def test_too_few_to_test():
    assert compare_evaluations(evaluation_of([0.5]), evaluation_of([0.7]))[1:] == (1, None, None, None)
    equal = compare_evaluations(evaluation_of([0.5, 0.25]), evaluation_of([0.75, 0.5]))
    assert equal[1:] == (2, 0.25, 0.25, 0)
    assert t_test(np.array([])) is None
    assert t_test(np.zeros(3)) == (0, 0, 1)


def test_intervals():
    """A mean of .65, a standard error of .129/2, and t with 3 degrees of freedom."""
    around = intervals(evaluation_of([0.6, 0.7, 0.8, 0.5]))
    error = 3.182446 * math.sqrt(0.05 / 3) / 2
    assert around["ndcg"] == pytest.approx((0.65 - error, 0.65 + error), abs=1e-6)
    assert around["mrr"] is None
    assert intervals(evaluation_of([0.5]))["ndcg"] is None


def test_an_interval_stays_within_the_measure_s_bounds():
    assert mean_interval(np.array([1.0, 0.9])).high == 1
    assert mean_interval(np.array([0.1, 0.0])).low == 0
    assert mean_interval(np.array([0.1, 9.0]), math.inf).high > 9


@pytest.mark.parametrize("count", [2, 10, 58])
def test_an_interval_without_a_spread(count):
    """58 right answers of 58 show that 95% are right, with 95% confidence."""
    low, high = mean_interval(np.ones(count))
    assert (low**count, high) == (pytest.approx(0.05), 1)
    assert mean_interval(np.zeros(count)) == (0, pytest.approx(1 - low))
    assert mean_interval(np.full(count, 0.5)) == (0.5, 0.5)
    assert mean_interval(np.zeros(count), math.inf) == (0, 0)


def test_an_interval_holds_the_true_mean():
    """Of 400 samples of 20 from a skewed distribution, some 95% of the intervals."""
    random = np.random.default_rng(5)
    held = [low <= 0.8 <= high for low, high in (mean_interval(random.beta(4, 1, 20)) for _ in range(400))]
    assert 0.91 < np.mean(held) < 0.98
