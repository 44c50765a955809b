"""Held-out requests: which W answers them, and which strength is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.evaluation import metrics
from attnsearch.learning import cross_validation
from attnsearch.learning.bilinear import Keys, Targets, item_logits
from attnsearch.learning.cross_validation import (
    Answers,
    choose_strength,
    cross_validate,
    fit_strength,
    measure_answers,
    relatedness,
)
from attnsearch.learning.examples import Graded, TrainingSet


def rotated(m: int = 12, n: int = 30, d: int = 6, seed: int = 0, missed: bool = False) -> TrainingSet:
    """Requests whose answers lie where a rotation of them points; if `missed`, each has another that is not there."""
    rng = np.random.default_rng(seed)
    keys, x = (rows / np.linalg.norm(rows, axis=1, keepdims=True)
               for rows in (rng.normal(size=(count, d)).astype(np.float32) for count in (n, m)))  # fmt: skip
    turn = np.linalg.qr(np.eye(d) + rng.normal(size=(d, d)) / 3)[0]
    right = (x @ turn @ keys.T).argmax(axis=1)
    graded = [Graded(np.array([item, -1] if missed else [item]), np.ones(2 if missed else 1)) for item in right]
    return TrainingSet(Keys(keys), x, Targets(np.arange(m), right, np.ones(m, np.float32)), graded)


def test_no_query_is_answered_by_what_was_learned_from_it(monkeypatch):
    """Each W is fitted to some queries, and answers none of them; every query is answered once in each round."""
    training_set = rotated()
    fitted = []

    class RecordedLoss(cross_validation.Loss):
        def __init__(self, keys, x, targets):
            fitted.append({int(np.flatnonzero((training_set.x == row).all(axis=1))[0]) for row in x})
            super().__init__(keys, x, targets)

    monkeypatch.setattr(cross_validation, "Loss", RecordedLoss)
    validation = cross_validate(training_set)
    assert len(fitted) == len(validation.held_out) == 30
    for training, (fold, _) in zip(fitted, validation.held_out, strict=True):
        assert training == set(fold.training.tolist())
        assert training.isdisjoint(fold.held_out.tolist())
        assert training | set(fold.held_out.tolist()) == set(range(12))
    counts = np.bincount(np.concatenate([fold.held_out for fold, _ in validation.held_out]), minlength=12)
    assert counts.tolist() == [3] * 12


def test_the_strength_for_a_fold_is_chosen_by_the_others(monkeypatch):
    """Ten folds of 12 requests, three times; then all requests choose."""
    queries = []
    monkeypatch.setattr(cross_validation, "choose_strength", lambda kl: queries.append(kl.shape[1]) or 0)
    cross_validate(rotated(m=12))
    assert sorted(queries) == [10] * 6 + [11] * 24 + [12]


def test_the_answers_are_measured_as_the_metrics_do():
    training_set = rotated(missed=True)
    z = item_logits(training_set.keys, training_set.x)
    answers = measure_answers(training_set, z)
    for query, (items, grades) in enumerate(training_set.graded):
        ranked = np.zeros(z.shape[1])
        ranked[items[0]] = 1
        order = np.argsort(-z[query], kind="stable")
        assert answers.ndcg[query] == pytest.approx(metrics.ndcg(ranked[order], grades))
        log_weights = z[query] - z[query].max()
        log_weights = log_weights - np.log(np.exp(log_weights).sum())
        assert answers.kl[query] == pytest.approx(-log_weights[items[0]], rel=1e-4)
        assert answers.top[query].tolist() == order[:10].tolist()


def test_ties_go_by_the_order_of_the_items():
    answers = measure_answers(rotated(m=2, n=12), np.zeros((2, 12), np.float32))
    assert answers.top.tolist() == [list(range(10))] * 2


def test_what_was_judged_wrong_is_not_right():
    training_set = rotated(m=3)
    graded = [Graded(np.array([items[0], 5]), np.array([1.0, 0.0])) for items, _ in training_set.graded]
    z = item_logits(training_set.keys, training_set.x)
    with_wrong = training_set._replace(graded=graded)
    assert np.allclose(measure_answers(with_wrong, z).kl, measure_answers(training_set, z).kl)


def test_own_answers_beside_those_of_others():
    training_set = rotated(m=4)
    right = training_set.targets.items
    top = np.full((4, 10), -2)
    top[:, 0] = right
    answers = Answers(np.ones(4), np.zeros(4), top)
    same = [sum(right[query] == right[other] for other in range(4) if other != query) / 3 for query in range(4)]
    assert relatedness(training_set, answers).tolist() == pytest.approx([1 - share for share in same])


def test_the_strongest_within_a_standard_error_is_chosen():
    rng = np.random.default_rng(0)
    base = rng.normal(3, 1, 100)
    better = base - 1 + rng.normal(0, 0.1, 100)
    as_good = better + np.tile([0.29, -0.31], 50)  # by .01, with an error of .03
    assert choose_strength(np.array([base, better, as_good])) == 1
    assert choose_strength(np.array([base, base + 0.5])) == 0
    assert choose_strength(np.array([[np.nan, 1.0], [np.nan, 0.5]])) == 0  # one number has no error


def test_few_requests_are_pulled_hard(monkeypatch):
    pulls = []
    fit_w = cross_validation.fit_w

    def fit_recorded(loss, pull, start=None):
        pulls.append(pull)
        return fit_w(loss, pull, start)

    monkeypatch.setattr(cross_validation, "fit_w", fit_recorded)
    cross_validate(rotated(m=8))
    assert set(pulls) == {3.0, 1.0}  # 7/8 and more


def test_requests_without_a_right_item_try_no_strength():
    """Nothing could be measured; numpy would warn of the mean of nothing."""
    training_set = rotated(m=8)
    wrong = [Graded(items, np.zeros(1)) for items, _ in training_set.graded]
    validation = cross_validate(training_set._replace(graded=wrong))
    assert (validation.kl.shape, validation.chosen) == ((1, 8), 0)
    assert np.isnan(validation.gain).all()


def test_what_the_gain_is_and_what_w_was_learned():
    training_set = rotated(m=60, n=40)
    validation = cross_validate(training_set)
    assert validation.chosen > 0
    assert validation.gain.mean() > 0
    w = fit_strength(training_set, validation.chosen)
    trained = measure_answers(training_set, item_logits(training_set.keys, training_set.x, w))
    assert trained.kl.mean() < validation.before.kl.mean()
    assert np.array_equal(fit_strength(training_set, 0), np.eye(6))
    assert validation.untrained.chosen == 0
    assert np.array_equal(validation.untrained.held_out[0].w, np.eye(6))


def test_progress_counts_every_fit_and_shows_the_gains():
    calls = []
    cross_validate(rotated(m=8), progress=lambda done, total, gains: calls.append((done, total, len(gains))))
    assert [done for done, _, _ in calls] == list(range(1, len(calls) + 1))
    assert calls[-1][1] == 8 * 3 * 2
    assert {length for _, _, length in calls} == {0, 1}
