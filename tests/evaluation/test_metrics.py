"""By hand in the docstrings; here against TREC's own evaluator, plain loops and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.evaluation import metrics

MEASURES = {"ndcg_cut_10", "recip_rank", "recall_10", "recall_5", "P_1"}


def test_as_trec_eval():
    """Random scores, many of them equal, of random catalogs; some judged items are not in them."""
    random = np.random.default_rng(7)
    qrels, runs, measured = {}, {}, {}
    for number in range(300):
        n = int(random.integers(1, 40))
        scores = random.integers(0, 6, n)
        judged = {int(item): int(random.integers(0, 4)) for item in random.integers(0, n + 5, random.integers(1, 15))}
        if not any(judged.values()):
            continue
        order = sorted(range(n), key=lambda key: (-scores[key], key))
        qrels[str(number)] = {str(item): grade for item, grade in judged.items()}
        runs[str(number)] = {str(item): float(n - rank) for rank, item in enumerate(order)}  # no ties are left
        ranked = np.array([judged.get(item, 0) for item in order], float)
        grades = np.array(list(judged.values()), float)
        measured[str(number)] = {
            "ndcg_cut_10": metrics.ndcg(ranked, grades),
            "recip_rank": metrics.reciprocal_rank(ranked),
            "recall_10": metrics.recall(ranked, grades, 10),
            "recall_5": metrics.recall(ranked, grades, 5),
            "P_1": metrics.precision_at_1(ranked),
        }
    theirs = pytrec_eval.RelevanceEvaluator(qrels, MEASURES).evaluate(runs)
    assert len(measured) > 200
    for number, mine in measured.items():
        assert mine == pytest.approx(theirs[number], abs=1e-6)
    assert 0.2 < np.mean([mine["ndcg_cut_10"] for mine in measured.values()]) < 0.9


@pytest.mark.parametrize("ranked", [[], [0.0], [0.0, 0.0]])
def test_nothing_found(ranked):
    ranked, judged = np.array(ranked), np.array([1.0, 2.0])
    assert metrics.ndcg(ranked, judged) == metrics.reciprocal_rank(ranked) == metrics.recall(ranked, judged, 2) == 0
    assert metrics.precision_at_1(ranked) == 0


def test_nothing_right():
    ranked, judged = np.array([0.0, 0.0]), np.array([0.0])
    assert metrics.ndcg(ranked, judged) == metrics.recall(ranked, judged, 1) == 0


def test_divergence_of_attention_that_knows_nothing():
    """Equal weights for 8 items, 2 of which are right: log 8 - log 2."""
    assert metrics.divergence(np.log([1 / 8, 1 / 8])) == pytest.approx(math.log(4))
    assert metrics.divergence(np.array([-2000.0])) == 2000  # a weight that no float can hold


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=6), st.integers(1, 6))
def test_divergence_as_a_plain_sum(weights, right):
    right = min(right, len(weights))
    w = [weight / sum(weights) for weight in weights]
    expected = sum(1 / right * math.log(1 / right / w[i]) for i in range(right))
    assert metrics.divergence(np.log(w[:right])) == pytest.approx(max(expected, 0), abs=1e-9)


def error_of(confidence, right) -> float:
    return metrics.calibration_error(metrics.bin_by_confidence(confidence, right))


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.05, 0.1, 0.15, 0.3, 0.7, 0.95, 1.0]), st.booleans()), min_size=1))
def test_calibration_error_as_a_plain_loop(cases):
    error = 0.0
    for number in range(10):
        inside = [(c, right) for c, right in cases if number / 10 < c <= (number + 1) / 10 or c == number == 0]
        error += abs(sum(c for c, _ in inside) - sum(right for _, right in inside)) / len(cases)
    confidence, right = (np.array(column, float) for column in zip(*cases, strict=True))
    if not {0.3, 0.7} & set(confidence):  # on an edge that floats can't hold, either side will do
        assert error_of(confidence, right) == pytest.approx(error)
    assert 0 <= error_of(confidence, right) <= 1


def test_calibrated():
    confidence = np.repeat([0.75, 0.25], 400)
    right = np.concatenate([np.arange(400) % 4 > 0, np.arange(400) % 4 == 0]).astype(float)
    assert error_of(confidence, right) == 0
    assert error_of(confidence, 1 - right) == 0.5
    assert error_of(np.array([]), np.array([])) == 0


def test_the_bins_of_a_reliability_diagram_by_hand():
    """0.1 is in the first bin, what is above it in the next; an empty bin is left out."""
    confidence, right = np.array([0.05, 0.1, 0.11, 0.9, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    bins = metrics.bin_by_confidence(confidence, right)
    assert [(part.cases, part.confidence, part.accuracy) for part in bins] == [
        (2, pytest.approx(0.075), 0.5), (1, pytest.approx(0.11), 1), (1, pytest.approx(0.9), 0), (2, 1, 0.5),
    ]  # fmt: skip
    assert [(round(part.low, 9), round(part.high, 9)) for part in bins] == [(0, 0.1), (0.1, 0.2), (0.8, 0.9), (0.9, 1)]
