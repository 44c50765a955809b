"""Held-out requests: who is answered by what, and what is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.evaluation import metrics
from attnsearch.learning import cross_validation
from attnsearch.learning.bilinear import Keys, Targets, item_logits
from attnsearch.learning.cross_validation import choose, cross_validate, fit_strength, measure, relatedness
from attnsearch.learning.examples import TrainingSet


def lesson(m: int = 12, n: int = 30, d: int = 6, seed: int = 0, missed: bool = False) -> TrainingSet:
    """Requests whose answers lie where a rotation of them points."""
    rng = np.random.default_rng(seed)
    keys, x = (rows / np.linalg.norm(rows, axis=1, keepdims=True)
               for rows in (rng.normal(size=(count, d)).astype(np.float32) for count in (n, m)))  # fmt: skip
    turn = np.linalg.qr(np.eye(d) + rng.normal(size=(d, d)) / 3)[0]
    right = (x @ turn @ keys.T).argmax(axis=1)
    graded = [(np.array([item, -1] if missed else [item]), np.ones(2 if missed else 1)) for item in right]
    return TrainingSet(Keys(keys), x, Targets(np.arange(m), right, np.ones(m, np.float32)), graded)


def test_no_query_is_answered_by_what_was_learned_from_it(monkeypatch):
    """Each W is fitted to some queries, and answers none of them; every query is answered once in each round."""
    one = lesson()
    fitted = []

    def loss(school, chosen):
        fitted.append(set(chosen.tolist()))
        return cross_validation.Loss(*school._replace(x=school.x[chosen], targets=school.targets.take(chosen))[:3])

    monkeypatch.setattr(cross_validation, "_loss", loss)
    seen = cross_validate(one)
    assert len(fitted) == len(seen.held_out) == 30
    for known, (out, _) in zip(fitted, seen.held_out, strict=True):
        assert known.isdisjoint(out.tolist())
        assert known | set(out.tolist()) == set(range(12))
    counts = np.bincount(np.concatenate([out for out, _ in seen.held_out]), minlength=12)
    assert counts.tolist() == [3] * 12


def test_the_strength_for_a_fold_is_chosen_by_the_others(monkeypatch):
    seen = []
    monkeypatch.setattr(cross_validation, "choose", lambda kl: seen.append(kl.shape[1]) or 0)
    cross_validate(lesson(m=12))
    assert sorted(seen) == [10] * 6 + [11] * 24 + [
        12
    ]  # ten folds of 12 requests, three times; and all, for what is kept


def test_what_is_told_of_logits_is_what_the_metrics_say():
    one = lesson(missed=True)
    z = item_logits(one.catalog, one.x)
    told = measure(one, z)
    for query, (items, grades) in enumerate(one.graded):
        ranked = np.zeros(z.shape[1])
        ranked[items[0]] = 1
        order = np.argsort(-z[query], kind="stable")
        assert told.ndcg[query] == pytest.approx(metrics.ndcg(ranked[order], grades))
        log_weights = z[query] - z[query].max()
        log_weights = log_weights - np.log(np.exp(log_weights).sum())
        assert told.kl[query] == pytest.approx(-log_weights[items[0]], rel=1e-4)
        assert told.top[query].tolist() == order[:10].tolist()


def test_ties_go_by_the_order_of_the_items():
    one = lesson(m=2, n=12)
    told = measure(one, np.zeros((2, 12), np.float32))
    assert told.top.tolist() == [list(range(10))] * 2


def test_what_was_judged_wrong_is_not_right():
    one = lesson(m=3)
    graded = [(np.array([items[0], 5]), np.array([1.0, 0.0])) for items, _ in one.graded]
    z = item_logits(one.catalog, one.x)
    assert np.allclose(measure(one._replace(graded=graded), z).kl, measure(one, z).kl)


def test_own_answers_beside_those_of_others():
    one = lesson(m=4)
    right = one.targets.items
    top = np.full((4, 10), -2)
    top[:, 0] = right
    told = cross_validation.Answers(np.ones(4), np.zeros(4), top)
    same = [sum(right[query] == right[other] for other in range(4) if other != query) / 3 for query in range(4)]
    assert relatedness(one, told).tolist() == pytest.approx([1 - share for share in same])


def test_the_strongest_within_a_standard_error_is_chosen():
    rng = np.random.default_rng(0)
    base = rng.normal(3, 1, 100)
    better = base - 1 + rng.normal(0, 0.1, 100)
    as_good = better + np.tile([0.29, -0.31], 50)  # by .01, with an error of .03
    assert choose(np.array([base, better, as_good])) == 1
    assert choose(np.array([base, base + 0.5])) == 0
    assert choose(np.array([[np.nan, 1.0], [np.nan, 0.5]])) == 0  # one number has no error


def test_few_requests_are_pulled_hard(monkeypatch):
    pulls = []
    fit = cross_validation.fit_w

    def noted(loss, pull, start=None):
        pulls.append(pull)
        return fit(loss, pull, start)

    monkeypatch.setattr(cross_validation, "fit_w", noted)
    cross_validate(lesson(m=8))
    assert set(pulls) == {3.0, 1.0}  # 7/8 and more


def test_what_the_gain_is_and_what_w_was_learned():
    one = lesson(m=60, n=40)
    seen = cross_validate(one)
    assert seen.chosen > 0
    assert seen.gain.mean() > 0
    w = fit_strength(one, seen.chosen)
    assert measure(one, item_logits(one.catalog, one.x, w)).kl.mean() < seen.before.kl.mean()
    assert np.array_equal(fit_strength(one, 0), np.eye(6))
    assert seen.untrained.chosen == 0
    assert np.array_equal(seen.untrained.held_out[0][1], np.eye(6))


def test_progress_tells_of_every_fit_and_of_the_curve():
    told = []
    cross_validate(lesson(m=8), progress=lambda done, total, curve: told.append((done, total, len(curve))))
    assert [done for done, _, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][1] == 8 * 3 * 2
    assert {length for _, _, length in told} == {0, 1}
