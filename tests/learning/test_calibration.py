"""What weights are made to mean, from logits whose meaning is known."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.attention.null_key import NullKey
from attnsearch.learning.bilinear import SHARPNESS
from attnsearch.learning.calibration import (
    LEAST_LEXICAL,
    FoldLogits,
    fit_lexical,
    fit_null_key,
    fit_temperature,
    fit_temperature_alone,
    score_candidates,
)
from attnsearch.learning.memory import MemoryMass
from attnsearch.search.setting import LEXICAL

MANY = 1_000_000  # requests, beside which what is taken for granted does not count


def answered(beta: float, *, lexical: float = 0.0, m: int = 3000, n: int = 40, seed: int = 0) -> FoldLogits:
    """Queries whose one right item is drawn with the weights softmax(β · cosine + λ · BM25)."""
    rng = np.random.default_rng(seed)
    cosine = rng.uniform(-0.1, 0.5, (m, n))
    bm25 = rng.exponential(2.0, (m, n))
    z = beta * cosine + lexical * bm25
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    right = [np.array([rng.choice(n, p=row)]) for row in p]
    return FoldLogits((cosine * SHARPNESS).astype(np.float32), bm25.astype(np.float32), right)


@pytest.mark.parametrize("beta", [12, 20, 30])
def test_the_temperature_is_that_by_which_items_were_right(beta):
    fold = answered(beta)
    assert 1 / fit_temperature([fold]) == pytest.approx(beta, rel=0.1)


def test_folds_count_by_their_queries():
    """One query that says otherwise is nothing beside many."""
    folds = [answered(12), answered(45, m=1)]
    assert 1 / fit_temperature(folds) == pytest.approx(12, rel=0.1)


def test_weights_are_the_shares_of_several_right_items():
    """Two right items for each request, drawn by the weights: the temperature is theirs, though none is sure."""
    rng = np.random.default_rng(0)
    z = (rng.uniform(-0.1, 0.5, (3000, 40)) * SHARPNESS).astype(np.float32)
    p = np.exp(z / SHARPNESS * 24)
    p /= p.sum(axis=1, keepdims=True)
    fold = FoldLogits(z, None, [rng.choice(40, 2, p=row) for row in p])
    assert 1 / fit_temperature([fold]) == pytest.approx(24, rel=0.1)


def test_the_temperature_beside_shared_words_is_that_of_both():
    """λ is given at the usual temperature, and grows as τ falls."""
    fold = answered(30, lexical=0.45)
    assert 1 / fit_temperature([fold], 0.3) == pytest.approx(30, rel=0.1)
    assert 1 / fit_temperature([fold]) < 27


def test_a_temperature_alone_is_fitted_without_the_query_that_it_is_tried_on():
    other, before, after = fit_temperature_alone([answered(30, m=400)], 0.05)
    assert 1 / other == pytest.approx(30, rel=0.15)
    assert after.mean() < before.mean()
    assert not np.array_equal(after, before)
    usual, before, after = fit_temperature_alone([answered(20, m=400)], 0.05)
    assert after.mean() == pytest.approx(before.mean(), abs=0.02)
    assert 1 / usual == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("lexical", [0.3, 0.5])
def test_lambda_is_that_by_which_items_were_right(lexical):
    fold = answered(20, lexical=lexical)
    assert fit_lexical([fold], 0.05, MANY) == pytest.approx(lexical, abs=0.08)


def test_lambda_is_in_proportion_to_the_temperature():
    fold = answered(20, lexical=0.3)
    assert fit_lexical([fold], 0.1, MANY) == pytest.approx(0.15, abs=0.04)


def test_few_requests_move_lambda_little_from_the_usual_one():
    """As many as are taken for granted move it half of the way."""
    folds = [answered(20, lexical=0.7)]
    none, few, half, many = (fit_lexical(folds, 0.05, requests) for requests in (0, 20, 80, MANY))
    assert none == LEXICAL
    assert none < few < half < many
    assert half == pytest.approx((LEXICAL + many) / 2, abs=0.01)


def test_lambda_is_never_nothing():
    """Who asks for shared words gets them, even where none of them told anything."""
    assert fit_lexical([answered(20)], 0.05, MANY) == LEAST_LEXICAL > 0


@pytest.mark.parametrize("lexical", [0.0, 0.4])
def test_what_is_remembered_is_scored_as_the_mixture_is(lexical):
    """KL, against weights that are mixed one by one, in float64."""
    rng = np.random.default_rng(1)
    fold = answered(20, m=30, n=12)._replace(right=[rng.choice(12, count % 3, replace=False) for count in range(30)])
    items = np.array([1, 4, 5, 9])
    mass = rng.dirichlet(np.ones(4), 30) * np.linspace(0, 0.9, 30)[:, None]
    mass[:, 2] = 0
    mass[1:, 3] *= rng.integers(0, 2, 29)
    scores = score_candidates([fold._replace(mass=MemoryMass(items, mass, mass.sum(axis=1)))], [(25, lexical)])
    kl = []
    for row, right in enumerate(fold.right):
        if not len(right):
            continue
        z = fold.z[row].astype(np.float64) * 25 / SHARPNESS + lexical * fold.bm25[row].astype(np.float64)
        p = np.exp(z) / np.exp(z).sum() * (1 - mass[row].sum())
        p[items] += mass[row]
        kl.append(np.mean(np.log(1 / len(right)) - np.log(p[right])))
    assert scores[0] == pytest.approx(kl, abs=1e-4)


def drawn(sharpness: float, logit: float, m: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """The evidence of requests, and whether nothing is right for them, drawn by a null key."""
    rng = np.random.default_rng(0)
    evidence = rng.uniform(-1, 6, m)
    return evidence, rng.uniform(size=m) > 1 / (1 + np.exp(logit - sharpness * evidence))


def test_the_null_key_is_that_by_which_nothing_was_right():
    fitted = fit_null_key(*drawn(2.0, 4.0, 4000), NullKey(1.0, 1.0))
    assert (fitted.logit, fitted.sharpness) == pytest.approx((4.0, 2.0), rel=0.1)


def test_a_few_requests_move_the_null_key_little():
    current = NullKey(6.0, 2.0)
    few = fit_null_key(*drawn(2.0, 3.0, 30), current)
    many = fit_null_key(*drawn(2.0, 3.0, 1000), current)
    assert many.logit < few.logit < current.logit


def test_a_null_key_that_is_right_stays():
    """A null key that is no better on held-out requests is not taken."""
    evidence, unanswerable = drawn(2.0, 4.0, 60)
    assert fit_null_key(evidence, unanswerable, NullKey(4.0, 2.0)) is None


def test_without_both_kinds_there_is_no_null_key():
    assert fit_null_key(np.arange(10.0), np.zeros(10, bool), None) is None
    assert fit_null_key(np.arange(10.0), np.ones(10, bool), None) is None
