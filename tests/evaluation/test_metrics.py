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


def exp_gain(grades, judged, k=10):
    """Burges et al. 2005, as plain sums."""

    def total(values):
        return sum((2**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(values[:k], 1))

    return total(grades) / total(sorted(judged, reverse=True))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=15).filter(any), st.randoms(use_true_random=False))
def test_exponential_gain_as_a_plain_sum(judged, random):
    ranked = random.sample(judged, len(judged))
    measured = metrics.ndcg(np.array(ranked, float), np.array(judged, float), gain="exp")
    assert measured == pytest.approx(exp_gain(ranked, judged))
    assert 0 <= measured <= 1


@pytest.mark.parametrize("gain", ["linear", "exp"])
def test_gains(gain):
    """Both are the same for grades of 0 and 1, and neither overflows."""
    random = np.random.default_rng(0)
    for _ in range(20):
        ranked = random.integers(0, 2, 8).astype(float)
        assert metrics.ndcg(ranked, ranked, gain=gain) == pytest.approx(metrics.ndcg(ranked, ranked))
    for high in (2000.0, 1.7e308):
        assert metrics.ndcg(np.array([high, high, 0.0]), np.array([high, high]), gain=gain) == 1
        assert 0 < metrics.ndcg(np.array([0.0, high]), np.array([high, high]), gain=gain) < 1


class TestCoverage:
    """Of synthetic requests whose right items are drawn from the weights, and of others."""

    REQUESTS = 4000

    @staticmethod
    def covered(weights, right):
        order = np.argsort(-weights, axis=1, kind="stable")
        rows = zip(np.take_along_axis(weights, order, 1), np.take_along_axis(right, order, 1), strict=True)
        return np.mean([metrics.find_covered(*row) for row in rows], axis=0)

    @staticmethod
    def softmax(z):
        weights = np.exp(z - z.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def draw(self, z):
        """One right item for each request, drawn with the probabilities softmax(z)."""
        random = np.random.default_rng(1)
        noise = random.gumbel(size=z.shape)
        return np.arange(z.shape[1]) == (z + noise).argmax(axis=1)[:, None]

    def test_weights_that_are_true(self):
        """Within four standard errors of a mean of numbers from 0 to 1."""
        z = 3 * np.random.default_rng(2).normal(size=(self.REQUESTS, 30))
        covered = self.covered(self.softmax(z), self.draw(z))
        assert covered == pytest.approx(metrics.LEVELS, abs=4 * 0.5 / math.sqrt(self.REQUESTS))
        assert metrics.coverage_error(covered) < 0.02

    def test_with_several_right_items(self):
        """The weights are the mean of three guesses at the set of right items, of which one is true."""
        random = np.random.default_rng(3)
        guesses = random.random((self.REQUESTS, 3, 20)).argsort(axis=2) < random.integers(1, 7, (self.REQUESTS, 3, 1))
        weights = (guesses / guesses.sum(axis=2, keepdims=True)).mean(axis=1)
        right = guesses[np.arange(self.REQUESTS), random.integers(0, 3, self.REQUESTS)]
        assert self.covered(weights, right) == pytest.approx(metrics.LEVELS, abs=4 * 0.5 / math.sqrt(self.REQUESTS))

    def test_weights_that_are_too_sharp_or_too_flat(self):
        z = 2 * np.random.default_rng(4).normal(size=(self.REQUESTS, 30))
        right = self.draw(z)
        sharp, flat = self.covered(self.softmax(2 * z), right), self.covered(self.softmax(z / 2), right)
        assert (sharp < metrics.LEVELS - 0.02).all()
        assert (flat > metrics.LEVELS + 0.02).all()
        assert metrics.coverage_error(sharp) > 0.1

    @given(
        st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=9).filter(
            lambda x: any(r for _, r in x)
        )
    )
    def test_as_a_plain_loop(self, items):
        items.sort(key=lambda item: -item[0])
        total, rights = sum(w for w, _ in items), sum(r for _, r in items)
        for level, measured in zip(
            metrics.LEVELS,
            metrics.find_covered(np.array([w / total for w, _ in items]), np.array([r for _, r in items])),
            strict=True,
        ):
            left, share = level * total, 0.0
            for weight, right in items:
                share += min(max(left / weight, 0), 1) * right / rights
                left -= weight
            assert measured == pytest.approx(share, abs=1e-9)


def test_brier():
    chances, true = np.array([1.0, 0.0, 0.5, 0.5]), np.array([True, False, True, False])
    assert metrics.brier(chances, true) == 0.125
    assert metrics.brier(1 - chances, true) == 0.625
