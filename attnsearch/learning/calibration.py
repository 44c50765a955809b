"""Held-out logits and the right items → the temperature, λ and null key that make weights mean what they say.

Axis letters: m = queries, i = items, c = candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import TEMPERATURE
from attnsearch.calibration.divergence import divergence, log_weights_of, pair_right
from attnsearch.calibration.logistic import fit_logistic, surprise
from attnsearch.learning.bilinear import SHARPNESS, Floats
from attnsearch.learning.memory import MemoryMass
from attnsearch.search.setting import LEXICAL

LEAST_LEXICAL = 0.1  # λ that is learned

SHARPNESSES = np.array([*range(8, 16), *np.arange(16, 26, 0.5), *range(26, 36, 2), 36, 40, 45, 50])  # 1/τ, to be tried
_SHARPEST_WITH_LEXICAL = 30  # the largest 1/τ that is tried together with λ
_LEXICALS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)  # λ, to be tried
_USUAL_REQUESTS = 80
_FOLDS = 5

Doubles = NDArray[np.float64]


class FoldLogits(NamedTuple):
    """Held-out queries: logits z (m, i) at `SHARPNESS`, BM25 (m, i), the right items of each, and what they recall."""

    z: Floats
    bm25: Floats | None
    right: Sequence[NDArray[np.int64]]
    mass: MemoryMass | None = None

    def scaled(self, beta: float, lexical: float) -> Floats:
        """The logits (m, i) at the sharpness β, with λ times BM25, without what they recall."""
        z: Floats = self.z * np.float32(beta / SHARPNESS)
        return z + np.float32(lexical) * self.bm25 if lexical and self.bm25 is not None else z


class FittedTemperature(NamedTuple):
    """A temperature τ, and the KL of each query (m,) before, and after at the τ that the other queries ask for."""

    temperature: float
    before: Doubles
    after: Doubles


def fit_temperature(folds: Iterable[FoldLogits], lexical: float = 0.0) -> float:
    """The τ that minimizes KL, with λ = `lexical`/(20 τ): `lexical` is what λ would be at the usual τ.

    By KL, weights are the shares of the right items, however many a request has. By the top weight alone they would be
    the chance that the top item is right, which they can be only where one item is.
    """
    candidates = [(beta, lexical * beta / SHARPNESS) for beta in SHARPNESSES]
    return float(1 / SHARPNESSES[int(score_candidates(folds, candidates).mean(axis=1).argmin())])


def fit_temperature_alone(folds: Iterable[FoldLogits], usual: float, *, seed: int = 0) -> FittedTemperature:
    """The τ for W = I; `before` is measured at the `usual` temperature, and `after` by cross-validation."""
    kl = score_candidates(folds, [(beta, 0.0) for beta in [*SHARPNESSES, 1 / usual]])
    candidates, before = kl[:-1], kl[-1]
    fold_of = np.random.default_rng(seed).permutation(len(before)) % _FOLDS
    after = np.empty(len(before))
    for fold in range(_FOLDS):
        training, held_out = fold_of != fold, fold_of == fold
        after[held_out] = candidates[int(candidates[:, training].mean(axis=1).argmin()), held_out]
    return FittedTemperature(float(1 / SHARPNESSES[int(candidates.mean(axis=1).argmin())]), before, after)


def fit_lexical(folds: Iterable[FoldLogits], temperature: float, requests: int) -> float:
    """The λ with the lowest KL, each at the τ that suits it, scaled to `temperature`.

    BM25 makes weights sharper as well as better; λ is judged only by how much better. Few `requests` say little about
    it, so they count beside `_USUAL_REQUESTS` that say the usual λ. It is at least `LEAST_LEXICAL`: whoever asks for
    shared words gets them.
    """
    sharpnesses = SHARPNESSES[SHARPNESSES <= _SHARPEST_WITH_LEXICAL]
    candidates = [(beta, lexical) for lexical in _LEXICALS for beta in sharpnesses]
    beta, lexical = candidates[int(score_candidates(folds, candidates).mean(axis=1).argmin())]
    fitted = float(lexical / beta / temperature)
    shrunk = (requests * fitted + _USUAL_REQUESTS * LEXICAL) / (requests + _USUAL_REQUESTS)
    return max(round(shrunk, 2), LEAST_LEXICAL)


def score_candidates(folds: Iterable[FoldLogits], candidates: Sequence[tuple[float, float]]) -> Doubles:
    """KL (c, m) by each candidate (β, λ), of the queries that have a right item."""
    return np.concatenate([_score_fold(fold, candidates) for fold in folds], axis=1)


def _score_fold(fold: FoldLogits, candidates: Sequence[tuple[float, float]]) -> Doubles:
    queries, pairs = pair_right(fold.right)
    mass = None if fold.mass is None else fold.mass.take(queries.tolist())
    answerable = fold._replace(z=fold.z[queries], bm25=None if fold.bm25 is None else fold.bm25[queries])
    kl = np.empty((len(candidates), len(queries)))
    for candidate, (beta, lexical) in enumerate(candidates):
        log_weights = log_weights_of(answerable.scaled(beta, lexical), pairs)
        if mass is not None:
            log_weights = mass.raise_weights(log_weights, pairs.rows, pairs.items)
        kl[candidate] = divergence(log_weights, pairs)
    return kl


def fit_null_key(
    evidence: Doubles, unanswerable: NDArray[np.bool_], current: NullKey | None, temperature: float = TEMPERATURE
) -> NullKey | None:
    """The null key, from the evidence (m,) of requests, and whether nothing is right for them (m,).

    It is pulled towards the `current` one; without one, `temperature` is that of the evidence. None if it is no better
    on held-out requests.
    """
    if min(unanswerable.sum(), (~unanswerable).sum()) < _FOLDS:
        return None
    start = current or NullKey(0.0, 1.0, temperature)
    fold_of = np.arange(len(evidence)) % _FOLDS
    order = np.argsort(unanswerable, kind="stable")  # so that every fold has both kinds
    evidence, unanswerable = evidence[order], unanswerable[order]
    after = np.empty(len(evidence))
    for fold in range(_FOLDS):
        training, held_out = fold_of != fold, fold_of == fold
        fitted = fit_logistic(evidence[training], unanswerable[training], start)
        after[held_out] = surprise(fitted, evidence[held_out], unanswerable[held_out])
    before = surprise(current or NullKey(0.0, 0.0), evidence, unanswerable)
    return fit_logistic(evidence, unanswerable, start) if after.mean() < before.mean() else None
