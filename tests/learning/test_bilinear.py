"""The loss that W is learned by, against plain loops, finite differences, and what a person can see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attnsearch.learning.bilinear import SHARPNESS, Keys, Loss, Targets, fit_w, item_logits


def random_problem(seed: int, *, joined: bool = False, offset: bool = False, m: int = 4, n: int = 9, d: int = 5):
    """Keys, queries and targets at random; `joined` keys make four items."""
    rng = np.random.default_rng(seed)
    vectors, x = (unit(rng.normal(size=(rows, d))) for rows in (n, m))
    starts = np.array([0, 2, 3, 7]) if joined else None
    items = n if starts is None else len(starts)
    keys = Keys(vectors, starts, rng.uniform(0, 2, items).astype(np.float32) if offset else None)
    right = [np.sort(rng.choice(items, rng.integers(1, 3), replace=False)) for _ in range(m)]
    shares = [rng.dirichlet(np.ones(len(items))) for items in right]
    numbers = np.repeat(np.arange(m), [len(items) for items in right])
    return keys, x, Targets(numbers, np.concatenate(right), np.concatenate(shares).astype(np.float32))


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def plain_loss(keys: Keys, x, targets: Targets, a) -> float:
    """The cross-entropy by loops, in float64."""
    total = 0.0
    starts = range(len(keys.vectors)) if keys.starts is None else keys.starts.tolist()
    stops = [*list(starts)[1:], len(keys.vectors)]
    for query, row in enumerate(x.astype(float)):
        q = row + row @ a
        z = [max(SHARPNESS * float(q @ key) for key in keys.vectors[start:stop].astype(float))
             for start, stop in zip(starts, stops, strict=True)]  # fmt: skip
        offset = np.zeros(len(z)) if keys.offset is None else keys.offset
        log_total = math.log(sum(math.exp(logit + float(extra)) for logit, extra in zip(z, offset, strict=True)))
        for number, item, share in zip(*targets, strict=True):
            if number == query:
                total += float(share) * (log_total - z[item])
    return total / len(x)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_loss_is_that_of_plain_loops(seed, joined, offset):
    keys, x, targets = random_problem(seed, joined=joined, offset=offset)
    loss = Loss(keys, x, targets)
    c = np.random.default_rng(seed).normal(size=loss.basis.T.shape).astype(np.float32) / 4
    assert loss(c)[0] == pytest.approx(plain_loss(keys, x, targets, loss.basis @ c), rel=1e-4, abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_gradient_agrees_with_finite_differences(seed, joined, offset):
    keys, x, targets = random_problem(seed, joined=joined, offset=offset)
    loss = Loss(keys, x, targets)
    rng = np.random.default_rng(seed + 1)
    c, direction = (rng.normal(size=loss.basis.T.shape) / 4 for _ in range(2))
    a, step = loss.basis @ c, loss.basis @ direction
    slopes = [
        (plain_loss(keys, x, targets, a + h * step) - plain_loss(keys, x, targets, a - h * step)) / (2 * h)
        for h in (1e-4, 1e-6)
    ]
    assume(abs(slopes[0] - slopes[1]) < 1e-3)  # or another passage becomes the best just there
    assert float(np.vdot(loss(c.astype(np.float32))[1], direction)) == pytest.approx(slopes[1], rel=2e-3, abs=2e-3)


def test_many_parts_are_one():
    keys, x, targets = random_problem(3, joined=True, m=7)
    c = np.full((5, 5), 0.1, np.float32)
    whole = Loss(keys, x, targets)(c)
    split = Loss(keys, x, targets, part_logits=(0, 18))
    assert len(split.parts) == 4
    assert split(c)[0] == pytest.approx(whole[0], rel=1e-5)
    assert np.allclose(split(c)[1], whole[1], atol=1e-5)


def test_a_query_learns_where_to_turn():
    """Two orthogonal items, and a query for the first that looks like the second."""
    keys = Keys(np.eye(2, 3, dtype=np.float32))
    x = keys.vectors[1:]
    targets = Targets(np.array([0]), np.array([0]), np.ones(1, np.float32))
    w = fit_w(Loss(keys, x, targets), 0.01)
    before, after = item_logits(keys, x), item_logits(keys, x, w)
    assert before[0].argmax() == 1
    assert after[0].argmax() == 0
    assert np.allclose(w[2], [0, 0, 1])  # nobody asked in that direction
    assert np.allclose(w[:, 2], [0, 0, 1], atol=1e-6)


def test_a_strong_pull_leaves_the_identity():
    keys, x, targets = random_problem(1)
    assert np.allclose(fit_w(Loss(keys, x, targets), 1e6), np.eye(5), atol=1e-4)


def test_the_minimum_is_one_wherever_it_is_sought_from():
    keys, x, targets = random_problem(5, m=6, n=30)
    loss = Loss(keys, x, targets)
    start = np.eye(5, dtype=np.float32) + np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32) / 5
    assert np.allclose(fit_w(loss, 0.3), fit_w(loss, 0.3, start), atol=0.05)


def test_targets_are_cut_and_taken():
    targets = Targets(np.array([0, 0, 1, 3]), np.array([4, 5, 6, 7]), np.array([0.5, 0.5, 1, 1], np.float32))
    assert [part.tolist() for part in targets.between(1, 4)] == [[0, 2], [6, 7], [1, 1]]
    assert [part.tolist() for part in targets.take(np.array([3, 0]))] == [[0, 1, 1], [7, 4, 5], [1, 0.5, 0.5]]


def test_a_symmetric_w_is_the_best_of_those():
    keys, x, targets = random_problem(2, m=8, n=20)
    loss = Loss(keys, x, targets, whole=True)
    w, free = fit_w(loss, 0.3, symmetric=True), fit_w(loss, 0.3)
    assert np.allclose(w, w.T, atol=1e-6)
    assert not np.allclose(free, free.T, atol=1e-2)
    eye = np.eye(5, dtype=np.float32)

    def pulled_loss(w) -> float:
        return loss(w - eye)[0] + 0.15 * float(((w - eye) ** 2).sum())

    assert pulled_loss(free) < pulled_loss(w) < pulled_loss((free + free.T) / 2) + 1e-6
