"""Held-out logits and what was right → the temperature, λ and the null key under which weights say what they mean.

Axis letters: m = queries, i = items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey
from attnsearch.learning.bilinear import SHARPNESS, Floats

_SHARPNESSES = np.array([*range(8, 16), *np.arange(16, 26, 0.5), *range(26, 36, 2), 36, 40, 45, 50])  # 1/τ, to be tried
_SHARPEST = 30  # that is tried together with λ
_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)  # λ, to be tried
_FOLDS = 5
_TOP = 2.0  # nats of KL that a nat of the top weight's log loss is worth
_PULL = 2.0  # of the null key towards what it was

Doubles = NDArray[np.float64]


class Cut(NamedTuple):
    """Logits (m, i) of held-out queries, as they were learned with, BM25 (m, i), and which items are right for each."""

    z: Floats
    terms: Floats | None
    right: Sequence[NDArray[np.int64]]


class CutScores(NamedTuple):
    """Of each setting and query (s, m): KL, and the log loss of the top weight as the chance that the top is right."""

    kl: Doubles
    loss: Doubles


def fit_temperature(cuts: Iterable[Cut], untrained: float) -> float:
    """τ: of those whose KL is no higher than the `untrained` one's, that with the least KL and, twice, log loss.

    KL alone would make weights flatter where several items are right for a request, and the top weight say less and
    less of the chance that the top item is right; the log loss alone is unsure where few tops are right.
    """
    return _best(_scores(cuts, [(beta, 0.0) for beta in _SHARPNESSES]), untrained)


def _best(scores: CutScores, untrained: float) -> float:
    kl = scores.kl.mean(axis=1)
    price = np.where(kl <= untrained, kl + _TOP * scores.loss.mean(axis=1), np.inf)
    best = price.argmin() if np.isfinite(price).any() else kl.argmin()
    return float(1 / _SHARPNESSES[best])


def fit_temperature_alone(cuts: Iterable[Cut], usual: float, *, seed: int = 0) -> tuple[float, Doubles, Doubles]:
    """τ where W stays I; and KL of each query (m,) at the `usual` temperature, and at that which the others ask for."""
    scores = _scores(cuts, [(beta, 0.0) for beta in [*_SHARPNESSES, 1 / usual]])
    tried, before = CutScores(scores.kl[:-1], scores.loss[:-1]), scores.kl[-1]
    fold = np.random.default_rng(seed).permutation(len(before)) % _FOLDS
    after = np.empty(len(before))
    for out in range(_FOLDS):
        known = fold != out
        best = _best(CutScores(tried.kl[:, known], tried.loss[:, known]), float(before[known].mean()))
        after[~known] = tried.kl[int(np.abs(1 / best - _SHARPNESSES).argmin()), ~known]
    return _best(tried, float(before.mean())), before, after


def fit_lexical(cuts: Iterable[Cut], temperature: float) -> float:
    """λ: that with the lowest KL, each at the temperature that suits it; then in proportion to the one that there is.

    BM25 makes weights sharper as well as better; it is to be judged by what it makes better.
    """
    settings = [(beta, share) for share in _WEIGHTS for beta in _SHARPNESSES[_SHARPNESSES <= _SHARPEST]]
    beta, best = settings[int(_scores(cuts, settings).kl.mean(axis=1).argmin())]
    return round(float(best / beta / temperature), 2)


def _scores(cuts: Iterable[Cut], settings: Sequence[tuple[float, float]]) -> CutScores:
    """Those of each (β, λ), of the queries that have a right item."""
    parts = [_of(cut, settings) for cut in cuts]
    return CutScores(*(np.concatenate([part[field] for part in parts], axis=1) for field in (0, 1)))


def _of(cut: Cut, settings: Sequence[tuple[float, float]]) -> CutScores:
    some = [at for at, right in enumerate(cut.right) if len(right)]
    sizes = np.array([len(cut.right[at]) for at in some], np.int64)
    rows, items = np.repeat(np.arange(len(some)), sizes), np.concatenate([np.empty(0, np.int64), *cut.right])
    kl, loss = (np.empty((len(settings), len(some))) for _ in range(2))
    for setting, (beta, lexical) in enumerate(settings):
        z = cut.z[some] * np.float32(beta / SHARPNESS)
        if lexical and cut.terms is not None:
            z += np.float32(lexical) * cut.terms[some]
        top, highest = z.argmax(axis=1), z.max(axis=1)
        log_total = np.log(np.exp(z - highest[:, None]).sum(axis=1)).astype(np.float64)
        log_weights = z[rows, items] - highest[rows] - log_total[rows]
        kl[setting] = -np.log(sizes) - np.bincount(rows, log_weights, len(some)) / sizes
        hit = np.bincount(rows, top[rows] == items, len(some)) > 0
        log_top = np.minimum(-log_total, -1e-6)  # so that to be sure and wrong is not infinitely bad
        loss[setting] = -np.where(hit, log_top, np.log(-np.expm1(log_top)))
    return CutScores(kl, loss)


def fit_null_key(evidence: Doubles, nothing: NDArray[np.bool_], before: NullKey | None) -> NullKey | None:
    """The null key by the evidence (m,) of requests of which it is known whether nothing is right for them (m,).

    Logistic regression (Platt 1999), pulled towards the one there was `before`; None where it is no better on held-out
    ones.
    """
    if min(nothing.sum(), (~nothing).sum()) < _FOLDS:
        return None
    fold = np.arange(len(evidence)) % _FOLDS
    order = np.argsort(nothing, kind="stable")  # so that every fold has both kinds
    evidence, nothing = evidence[order], nothing[order]
    held_out = np.empty(len(evidence))
    for out in range(_FOLDS):
        some = fold != out
        held_out[~some] = _surprise(_logistic(evidence[some], nothing[some], before), evidence[~some], nothing[~some])
    usual = _surprise(before or NullKey(0.0, 0.0), evidence, nothing)
    return _logistic(evidence, nothing, before) if held_out.mean() < usual.mean() else None


def _logistic(evidence: Doubles, nothing: NDArray[np.bool_], before: NullKey | None) -> NullKey:
    from scipy.optimize import minimize

    start = np.array(before or NullKey(0.0, 1.0))

    def loss(parameters: Doubles) -> float:
        away = float(np.sum(((parameters - start) / np.maximum(np.abs(start), 1.0)) ** 2))
        return float(_surprise(NullKey(*parameters), evidence, nothing).sum()) + _PULL * away

    return NullKey(*map(float, minimize(loss, start, method="Nelder-Mead").x))


def _surprise(null: NullKey, evidence: Doubles, nothing: NDArray[np.bool_]) -> Doubles:
    """-log of the chance given to what was true (m,)."""
    against = null.sharpness * evidence - null.logit
    return np.logaddexp(0.0, np.where(nothing, against, -against))
