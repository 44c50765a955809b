"""Held-out logits and the right items → the temperature, λ and null key that make weights mean what they say.

Axis letters: m = queries, i = items, c = candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey
from attnsearch.learning.bilinear import SHARPNESS, Floats
from attnsearch.learning.memory import Mass
from attnsearch.search.setting import LEXICAL

LEAST_LEXICAL = 0.1  # λ that is learned

_SHARPNESSES = np.array([*range(8, 16), *np.arange(16, 26, 0.5), *range(26, 36, 2), 36, 40, 45, 50])  # 1/τ, to be tried
_SHARPEST_WITH_LEXICAL = 30  # the largest 1/τ that is tried together with λ
_LEXICALS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)  # λ, to be tried
_USUAL_REQUESTS = 80
_FOLDS = 5
_LOG_LOSS = 2.0  # the weight of the top weight's log loss beside KL
_PULL = 2.0  # of the null key towards the current one

Doubles = NDArray[np.float64]


class FoldLogits(NamedTuple):
    """Held-out queries: logits z (m, i) at `SHARPNESS`, BM25 (m, i), the right items of each, and what they recall."""

    z: Floats
    bm25: Floats | None
    right: Sequence[NDArray[np.int64]]
    mass: Mass | None = None


class CandidateScores(NamedTuple):
    """For each candidate and query (c, m): KL, and the log loss of the top weight.

    The log loss takes the top weight as the probability that the top item is right.
    """

    kl: Doubles
    loss: Doubles


class FittedTemperature(NamedTuple):
    """A temperature τ, and the KL of each query (m,) before, and after at the τ that the other queries ask for."""

    temperature: float
    before: Doubles
    after: Doubles


def fit_temperature(folds: Iterable[FoldLogits], untrained_kl: float) -> float:
    """The τ that minimizes KL + 2 · log loss of the top weight, subject to KL ≤ `untrained_kl`.

    KL alone would flatten the weights where a request has several right items, and the top weight would say ever less
    about the chance that the top item is right; the log loss alone is unsure where few top items are right.
    """
    return _best_temperature(score_candidates(folds, [(beta, 0.0) for beta in _SHARPNESSES]), untrained_kl)


def _best_temperature(scores: CandidateScores, highest_kl: float) -> float:
    """The best τ among candidates with the sharpnesses `_SHARPNESSES`."""
    kl = scores.kl.mean(axis=1)
    price = np.where(kl <= highest_kl, kl + _LOG_LOSS * scores.loss.mean(axis=1), np.inf)
    best = price.argmin() if np.isfinite(price).any() else kl.argmin()
    return float(1 / _SHARPNESSES[best])


def fit_temperature_alone(folds: Iterable[FoldLogits], usual: float, *, seed: int = 0) -> FittedTemperature:
    """The τ for W = I; `before` is measured at the `usual` temperature, and `after` by cross-validation."""
    scores = score_candidates(folds, [(beta, 0.0) for beta in [*_SHARPNESSES, 1 / usual]])
    candidates, before = CandidateScores(scores.kl[:-1], scores.loss[:-1]), scores.kl[-1]
    fold_of = np.random.default_rng(seed).permutation(len(before)) % _FOLDS
    after = np.empty(len(before))
    for fold in range(_FOLDS):
        training, held_out = fold_of != fold, fold_of == fold
        fitted = CandidateScores(candidates.kl[:, training], candidates.loss[:, training])
        best = _best_temperature(fitted, float(before[training].mean()))
        after[held_out] = candidates.kl[int(np.abs(1 / best - _SHARPNESSES).argmin()), held_out]
    return FittedTemperature(_best_temperature(candidates, float(before.mean())), before, after)


def fit_lexical(folds: Iterable[FoldLogits], temperature: float, requests: int) -> float:
    """The λ with the lowest KL, each at the τ that suits it, scaled to `temperature`.

    BM25 makes weights sharper as well as better; λ is judged only by how much better. Few `requests` say little about
    it, so they count beside `_USUAL_REQUESTS` that say the usual λ. It is at least `LEAST_LEXICAL`: whoever asks for
    shared words gets them.
    """
    sharpnesses = _SHARPNESSES[_SHARPNESSES <= _SHARPEST_WITH_LEXICAL]
    candidates = [(beta, lexical) for lexical in _LEXICALS for beta in sharpnesses]
    beta, lexical = candidates[int(score_candidates(folds, candidates).kl.mean(axis=1).argmin())]
    fitted = float(lexical / beta / temperature)
    shrunk = (requests * fitted + _USUAL_REQUESTS * LEXICAL) / (requests + _USUAL_REQUESTS)
    return max(round(shrunk, 2), LEAST_LEXICAL)


def score_candidates(folds: Iterable[FoldLogits], candidates: Sequence[tuple[float, float]]) -> CandidateScores:
    """The scores of each candidate (β, λ) on the queries that have a right item."""
    parts = [_score_fold(fold, candidates) for fold in folds]
    kl, loss = (np.concatenate([part[field] for part in parts], axis=1) for field in (0, 1))
    return CandidateScores(kl, loss)


def _score_fold(fold: FoldLogits, candidates: Sequence[tuple[float, float]]) -> CandidateScores:
    queries = [query_number for query_number, right in enumerate(fold.right) if len(right)]
    sizes = np.array([len(fold.right[query_number]) for query_number in queries], np.int64)
    rows, items = np.repeat(np.arange(len(queries)), sizes), np.concatenate([np.empty(0, np.int64), *fold.right])
    kl, loss = (np.empty((len(candidates), len(queries))) for _ in range(2))
    mass = None if fold.mass is None else fold.mass.take(queries)
    for candidate, (beta, lexical) in enumerate(candidates):
        z = fold.z[queries] * np.float32(beta / SHARPNESS)
        if lexical and fold.bm25 is not None:
            z += np.float32(lexical) * fold.bm25[queries]
        top, highest = z.argmax(axis=1), z.max(axis=1)
        log_total = np.log(np.exp(z - highest[:, None]).sum(axis=1)).astype(np.float64)
        log_weights, log_top = z[rows, items] - highest[rows] - log_total[rows], -log_total
        if mass is not None:
            log_weights = mass.raise_weights(log_weights, rows, items)
            top, log_top = mass.raise_top(z[:, mass.items] - (highest + log_total)[:, None], top, log_top)
        kl[candidate] = -np.log(sizes) - np.bincount(rows, log_weights, len(queries)) / sizes
        hit = np.bincount(rows, top[rows] == items, len(queries)) > 0
        log_top = np.minimum(log_top, -1e-6)  # so that being sure and wrong is not infinitely bad
        loss[candidate] = -np.where(hit, log_top, np.log(-np.expm1(log_top)))
    return CandidateScores(kl, loss)


def fit_null_key(evidence: Doubles, unanswerable: NDArray[np.bool_], current: NullKey | None) -> NullKey | None:
    """The null key, from the evidence (m,) of requests and whether nothing is right for them (m,).

    Logistic regression (Platt 1999), pulled towards the `current` null key. None if it is no better on held-out
    requests.
    """
    if min(unanswerable.sum(), (~unanswerable).sum()) < _FOLDS:
        return None
    fold_of = np.arange(len(evidence)) % _FOLDS
    order = np.argsort(unanswerable, kind="stable")  # so that every fold has both kinds
    evidence, unanswerable = evidence[order], unanswerable[order]
    surprise = np.empty(len(evidence))
    for fold in range(_FOLDS):
        training, held_out = fold_of != fold, fold_of == fold
        fitted = _fit_logistic(evidence[training], unanswerable[training], current)
        surprise[held_out] = _surprise(fitted, evidence[held_out], unanswerable[held_out])
    usual = _surprise(current or NullKey(0.0, 0.0), evidence, unanswerable)
    return _fit_logistic(evidence, unanswerable, current) if surprise.mean() < usual.mean() else None


def _fit_logistic(evidence: Doubles, unanswerable: NDArray[np.bool_], current: NullKey | None) -> NullKey:
    from scipy.optimize import minimize

    start = np.array(current or NullKey(0.0, 1.0))

    def pulled_loss(parameters: Doubles) -> float:
        distance = float(np.sum(((parameters - start) / np.maximum(np.abs(start), 1.0)) ** 2))
        return float(_surprise(NullKey(*parameters), evidence, unanswerable).sum()) + _PULL * distance

    return NullKey(*map(float, minimize(pulled_loss, start, method="Nelder-Mead").x))


def _surprise(null: NullKey, evidence: Doubles, unanswerable: NDArray[np.bool_]) -> Doubles:
    """-log of the probability given to what is true (m,)."""
    against = null.sharpness * evidence - null.logit
    return np.logaddexp(0.0, np.where(unanswerable, against, -against))
