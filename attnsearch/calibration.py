"""Held-out logits and what was right → the temperature, λ and the null key under which weights say what they mean.

Axis letters: m = queries, i = items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.bilinear import SHARPNESS, Floats
from attnsearch.nothing import NullKey

_SHARPNESSES = np.array([8, 10, 12, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 30, 32, 34, 36, 40, 45, 50])
_SHARPEST = 30  # that is tried together with λ
_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)  # λ, to be tried
_KEPT = 0.99  # of the untrained's KL may be used up for the calibration of the top weight
_PULL = 2.0  # of the null key towards what it was

Doubles = NDArray[np.float64]


class Cut(NamedTuple):
    """Logits (m, i) of held-out queries, as they were learned with, BM25 (m, i), and which items are right for each."""

    z: Floats
    terms: Floats | None
    right: Sequence[NDArray[np.int64]]


class Score(NamedTuple):
    """Of some weights: the mean KL from what is right, the log loss of the top weight as the chance that it is right.

    And its calibration error.
    """

    kl: float
    top_loss: float


def temperature(cuts: Callable[[], Iterable[Cut]], untrained: float) -> float:
    """τ: of those that leave KL a hundredth below the `untrained`'s, that whose top weight has the least log loss.

    KL alone would make weights flatter where several items are right for a request, and the top weight say less and
    less of the chance that the top item is right.
    """
    scores = _mean([_scores(cut, [(beta, 0.0) for beta in _SHARPNESSES]) for cut in cuts()])
    kl = np.array([score.kl for score in scores])
    loss = np.array([score.top_loss for score in scores])
    loss[kl > _KEPT * untrained] = np.inf
    best = loss.argmin() if np.isfinite(loss).any() else kl.argmin()
    return float(1 / _SHARPNESSES[best])


def weight(cuts: Callable[[], Iterable[Cut]], temperature: float) -> float:
    """λ: that with the lowest KL, each at the temperature that suits it; then in proportion to the one that there is.

    BM25 makes weights sharper as well as better; it is to be judged by what it makes better.
    """
    settings = [(beta, share) for share in _WEIGHTS for beta in _SHARPNESSES[_SHARPNESSES <= _SHARPEST]]
    scores = _mean([_scores(cut, settings) for cut in cuts()])
    beta, best = settings[int(np.argmin([score.kl for score in scores]))]
    return round(float(best / beta / temperature), 2)


def _scores(cut: Cut, settings: Sequence[tuple[float, float]]) -> tuple[int, list[Score]]:
    """The queries that have a right item, and for each (β, λ) the score over them."""
    some = [at for at, right in enumerate(cut.right) if len(right)]
    found = []
    for beta, weight in settings:
        z = cut.z[some] * np.float32(beta / SHARPNESS)
        if weight and cut.terms is not None:
            z += np.float32(weight) * cut.terms[some]
        highest = z.max(axis=1)
        log_total = np.log(np.exp(z - highest[:, None]).sum(axis=1))
        kl = [
            log_total[row] - float(np.mean(z[row, cut.right[at]] - highest[row])) - math.log(len(cut.right[at]))
            for row, at in enumerate(some)
        ]
        top = z.argmax(axis=1)
        hit = np.array([top[row] in cut.right[at] for row, at in enumerate(some)], bool)
        log_weight = np.minimum(-log_total.astype(np.float64), -1e-6)
        loss = -np.where(hit, log_weight, np.log(-np.expm1(log_weight)))
        found.append(Score(float(np.mean(kl)), float(loss.mean())) if some else Score(0.0, 0.0))
    return len(some), found


def _mean(parts: Sequence[tuple[int, list[Score]]]) -> list[Score]:
    counts = np.array([count for count, _ in parts], np.float64)
    numbers = np.array([found for _, found in parts])  # (parts, settings, 2)
    return [Score(*map(float, row)) for row in np.einsum("p,psv->sv", counts / max(counts.sum(), 1), numbers)]


def null_key(evidence: Doubles, nothing: NDArray[np.bool_], before: NullKey | None) -> NullKey | None:
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


_FOLDS = 5


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
