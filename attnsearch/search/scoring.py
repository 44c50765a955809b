"""Resolved queries → the state of attention after every key, and the chance that nothing answers.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import null_key
from attnsearch.attention.projections import Projections, identity
from attnsearch.attention.softmax import State
from attnsearch.engines.engine import Engine, States
from attnsearch.search.setting import Asked

Floats = NDArray[np.float32]


class Scores(NamedTuple):
    """What m queries score: their `state`, and the null key's weight `none_of_these` (m,), None without a null key."""

    state: State
    none_of_these: NDArray[np.float64] | None


def score(engine: Engine, asked: Asked, x: Floats, *, k: int = 0, output: bool = False) -> Scores:
    """The scores of the embedded queries x (m, d), with the `k` best keys of each and, if asked for, the output."""
    return _scores(asked, engine.attend(*_queries(asked.projections, x), k=k, output=output, bias=asked.bias))


def score_all(engine: Engine, asked: Asked, x: Floats, *, output: bool = False) -> tuple[Scores, Floats]:
    """The scores of the embedded queries x (m, d), without a top, and every logit (m, N): see `Engine.logits`."""
    states, z = engine.logits(*_queries(asked.projections, x), output=output, bias=asked.bias)
    return _scores(asked, states), z


def fold(projections: Projections, x: Floats) -> Floats:
    """x W_Q W_Kᵀ / √d_k (m, d): queries to be compared with the embeddings as they are stored."""
    return (projections.fold(x) * projections.scale).astype(np.float32, copy=False)


def _queries(projections: Projections, x: Floats) -> tuple[Floats, Floats | None]:
    """The folded queries, and those of the plain logits cosine / 0.05; None where they are the same."""
    plain = identity(x.shape[1])
    same = np.array_equal(projections.w_q, plain.w_q) and np.array_equal(projections.w_k, plain.w_k)
    return fold(projections, x), None if same else fold(plain, x)


def _scores(asked: Asked, states: States) -> Scores:
    if asked.null is None:
        return Scores(states.attention, None)
    plain = states.plain
    chance = null_key.chance(asked.null, plain.maximum, plain.log_normalizer(), plain.visible)
    return Scores(states.attention, chance)
