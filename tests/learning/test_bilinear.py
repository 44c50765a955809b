"""The loss that W is learned by, against plain loops, finite differences, and what a person can see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attnsearch.learning.bilinear import SHARPNESS, Keys, Loss, Targets, fit_w, item_logits


def some(seed: int, *, joined: bool = False, offset: bool = False, m: int = 4, n: int = 9, d: int = 5):
    """A catalog, queries and targets at random."""
    rng = np.random.default_rng(seed)
    keys, x = (unit(rng.normal(size=(rows, d))) for rows in (n, m))
    heads = np.array([0, 2, 3, 7]) if joined else None
    items = n if heads is None else len(heads)
    catalog = Keys(keys, heads, rng.uniform(0, 2, items).astype(np.float32) if offset else None)
    right = [np.sort(rng.choice(items, rng.integers(1, 3), replace=False)) for _ in range(m)]
    shares = [rng.dirichlet(np.ones(len(one))) for one in right]
    numbers = np.repeat(np.arange(m), [len(one) for one in right])
    return catalog, x, Targets(numbers, np.concatenate(right), np.concatenate(shares).astype(np.float32))


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def plainly(catalog: Keys, x, targets: Targets, a) -> float:
    """The cross-entropy by loops, in float64."""
    total = 0.0
    heads = range(len(catalog.keys)) if catalog.heads is None else catalog.heads.tolist()
    ends = [*list(heads)[1:], len(catalog.keys)]
    for query, row in enumerate(x.astype(float)):
        q = row + row @ a
        z = [max(SHARPNESS * float(q @ key) for key in catalog.keys[i:end].astype(float))
             for i, end in zip(heads, ends, strict=True)]  # fmt: skip
        more = np.zeros(len(z)) if catalog.offset is None else catalog.offset
        log_total = math.log(sum(math.exp(one + float(extra)) for one, extra in zip(z, more, strict=True)))
        for number, item, share in zip(*targets, strict=True):
            if number == query:
                total += float(share) * (log_total - z[item])
    return total / len(x)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_loss_is_that_of_plain_loops(seed, joined, offset):
    catalog, x, targets = some(seed, joined=joined, offset=offset)
    loss = Loss(catalog, x, targets)
    c = np.random.default_rng(seed).normal(size=loss.basis.T.shape).astype(np.float32) / 4
    assert loss(c)[0] == pytest.approx(plainly(catalog, x, targets, loss.basis @ c), rel=1e-4, abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_gradient_agrees_with_finite_differences(seed, joined, offset):
    catalog, x, targets = some(seed, joined=joined, offset=offset)
    loss = Loss(catalog, x, targets)
    rng = np.random.default_rng(seed + 1)
    c, direction = (rng.normal(size=loss.basis.T.shape) / 4 for _ in range(2))
    a, step = loss.basis @ c, loss.basis @ direction
    slopes = [
        (plainly(catalog, x, targets, a + h * step) - plainly(catalog, x, targets, a - h * step)) / (2 * h)
        for h in (1e-4, 1e-6)
    ]
    assume(abs(slopes[0] - slopes[1]) < 1e-3)  # or another passage becomes the best just there
    assert float(np.vdot(loss(c.astype(np.float32))[1], direction)) == pytest.approx(slopes[1], rel=2e-3, abs=2e-3)


def test_many_parts_are_one(monkeypatch):
    catalog, x, targets = some(3, joined=True, m=7)
    c = np.full((5, 5), 0.1, np.float32)
    whole = Loss(catalog, x, targets)(c)
    monkeypatch.setattr("attnsearch.learning.bilinear._LOGITS", 18)
    monkeypatch.setattr("attnsearch.learning.bilinear._THREAD", 0)
    split = Loss(catalog, x, targets)
    assert len(split.parts) == 4
    assert split(c)[0] == pytest.approx(whole[0], rel=1e-5)
    assert np.allclose(split(c)[1], whole[1], atol=1e-5)


def test_a_query_learns_where_to_turn():
    """Two orthogonal items, and a query for the first that looks like the second."""
    keys = np.eye(2, 3, dtype=np.float32)
    x = keys[1:]
    targets = Targets(np.array([0]), np.array([0]), np.ones(1, np.float32))
    loss = Loss(Keys(keys), x, targets)
    w = fit_w(loss, 0.01)
    before, after = item_logits(Keys(keys), x), item_logits(Keys(keys), x, w)
    assert before[0].argmax() == 1
    assert after[0].argmax() == 0
    assert np.allclose(w[2], [0, 0, 1])  # nobody asked in that direction
    assert np.allclose(w[:, 2], [0, 0, 1], atol=1e-6)


def test_a_strong_pull_leaves_the_identity():
    catalog, x, targets = some(1)
    assert np.allclose(fit_w(Loss(catalog, x, targets), 1e6), np.eye(5), atol=1e-4)


def test_the_minimum_is_one_wherever_it_is_sought_from():
    catalog, x, targets = some(5, m=6, n=30)
    loss = Loss(catalog, x, targets)
    start = np.eye(5, dtype=np.float32) + np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32) / 5
    one, other = fit_w(loss, 0.3), fit_w(loss, 0.3, start)
    assert np.allclose(one, other, atol=0.05)


def test_targets_are_cut_and_taken():
    targets = Targets(np.array([0, 0, 1, 3]), np.array([4, 5, 6, 7]), np.array([0.5, 0.5, 1, 1], np.float32))
    assert [part.tolist() for part in targets.of(1, 4)] == [[0, 2], [6, 7], [1, 1]]
    assert [part.tolist() for part in targets.take(np.array([3, 0]))] == [[0, 1, 1], [7, 4, 5], [1, 0.5, 0.5]]


def test_a_symmetric_w_is_the_best_of_those():
    catalog, x, targets = some(2, m=8, n=20)
    loss = Loss(catalog, x, targets, whole=True)
    w, free = fit_w(loss, 0.3, symmetric=True), fit_w(loss, 0.3)
    assert np.allclose(w, w.T, atol=1e-6)
    assert not np.allclose(free, free.T, atol=1e-2)
    eye = np.eye(5, dtype=np.float32)

    def value(some_w) -> float:
        return loss(some_w - eye)[0] + 0.15 * float(((some_w - eye) ** 2).sum())

    assert value(free) < value(w) < value((free + free.T) / 2) + 1e-6
