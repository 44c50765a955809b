"""The gain by number of requests: honest, and at its end that of the training itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attnsearch.learning import cross_validation
from attnsearch.learning.acceptance import accept
from attnsearch.learning.cross_validation import cross_validate
from attnsearch.learning.curve import SHARES, measure_curve
from attnsearch.learning.training import train
from tests.learning.test_cross_validation import rotated


def test_the_last_point_is_what_the_verdict_says_and_more_requests_gain_more():
    training_set = rotated(m=80, n=40)
    validation = cross_validate(training_set, seed=3)
    curve = measure_curve(training_set, validation, seed=3)
    assert curve.held_out == 80
    verdict = accept(training_set, validation)
    assert (curve.points[-1].ndcg, curve.points[-1].kl) == (verdict.ndcg, verdict.kl)
    assert [point.requests for point in curve.points] == [9, 18, 36, 54, 72]
    assert {point.ndcg.before for point in curve.points} == {verdict.ndcg.before}
    assert curve.points[0].kl.change > curve.points[-1].kl.change  # KL falls


def test_no_request_is_held_out_and_learned_from_and_more_has_all_of_less(monkeypatch):
    training_set = rotated(m=24)
    learned: list[list[set[int]]] = []

    class RecordedLoss(cross_validation.Loss):
        def __init__(self, keys, x, targets):
            learned[-1].append({int(np.flatnonzero((training_set.x == row).all(axis=1))[0]) for row in x})
            super().__init__(keys, x, targets)

    monkeypatch.setattr(cross_validation, "Loss", RecordedLoss)
    held_out = []
    for share in (*SHARES, 1.0):
        learned.append([])
        validation = cross_validate(training_set, share=share)
        held_out.append([set(fold.held_out.tolist()) for fold, _ in validation.held_out])
        assert validation.learned_from == np.mean([len(sample) for sample in learned[-1]])
    assert all(folds == held_out[0] for folds in held_out)
    for fold, samples in zip(held_out[0], zip(*learned, strict=True), strict=True):
        assert all(fold.isdisjoint(sample) for sample in samples)
        assert all(less < more for less, more in itertools.pairwise(samples))
        assert samples[-1] | fold == set(range(24))


def test_the_strength_is_chosen_by_the_requests_that_are_learned_from(monkeypatch):
    queries = []
    monkeypatch.setattr(cross_validation, "choose_strength", lambda kl: queries.append(kl.shape[1]) or 0)
    cross_validate(rotated(m=20), share=0.5)
    assert sorted(queries) == [9] * 30 + [20]


def test_a_share_of_the_requests_needs_a_stronger_pull():
    """A strength times the requests is 7 at least: 3 for 6 of them, 3 and 1 for 12. One row is without learning."""
    assert [len(cross_validate(rotated(m=24), share=share).kl) for share in (0.25, 0.5)] == [2, 3]


@pytest.mark.parametrize(("m", "numbers"), [(1, [0]), (2, [1]), (5, [1, 2, 3, 4])])
def test_a_few_requests_have_few_points(m, numbers):
    training_set = rotated(m=m)
    curve = measure_curve(training_set, cross_validate(training_set))
    assert [point.requests for point in curve.points] == numbers


def test_progress_counts_the_fits_of_all_points():
    training_set = rotated(m=16)
    calls = []
    measure_curve(
        training_set,
        cross_validate(training_set),
        progress=lambda done, total, gains: calls.append((done, total, len(gains))),
    )
    assert all(0 < done <= total for done, total, _ in calls)
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)
    assert {length for _, _, length in calls} <= set(range(len(SHARES)))


def test_training_has_a_curve_only_if_it_is_asked_for(world):
    index, judged = world
    assert train(index, judged).curve is None
    outcome = train(index, judged, with_curve=True)
    assert outcome.curve.points[-1].ndcg == outcome.verdict.ndcg
    refused = train(index, judged[:3], with_curve=True)
    assert refused.learned is None
    assert refused.curve.held_out == 3
