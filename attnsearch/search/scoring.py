"""Resolved queries → the state of attention after every key, and the chance that nothing answers.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import null_key
from attnsearch.attention.projections import TEMPERATURE, Projections, identity
from attnsearch.attention.softmax import State, find_top
from attnsearch.engines.engine import Engine, Parts, States
from attnsearch.errors import InputError
from attnsearch.models.record import Head
from attnsearch.search.setting import LARGEST, Asked

if TYPE_CHECKING:
    from attnsearch.search.memory import Recalled

_ROUNDING = 1e-9  # of a sum of weights

Floats = NDArray[np.float32]


class Scores(NamedTuple):
    """What m queries score.

    x (m, d) are the embedded queries, `state` is the attention of each after every key, and `none_of_these` (m,) the
    null key's weight; None without a null key. `recalled` is what memory did to both; None if that is nothing. `parts`
    say which other processes answered; None if none did.
    """

    x: Floats
    state: State
    none_of_these: NDArray[np.float64] | None
    recalled: Recalled | None = None
    parts: Parts | None = None

    def with_top(self, keys: NDArray[np.int64], logits: NDArray[np.float64]) -> Scores:
        """The scores with these keys (m, k) on top of each query, which have these logits (m, k)."""
        state = self.state._replace(k=keys.shape[1], top_keys=keys, top_logits=logits)
        return self._replace(state=state)

    def with_best(self, z: Floats, k: int | None, top_p: float) -> Scores:
        """The scores with the k best keys on top; without k, as many as some query needs for the share `top_p`.

        z (m, N) are all logits. All visible keys have the share 1, however small the last weight is. For any other
        share, the weights are summed again, in float64: the state's sums depend on how the keys were split, and that on
        the number of queries.
        """
        state, needed = self.state, self.state.visible
        if top_p < 1:
            sums = [_sum_weights(*pair, top_p) for pair in zip(z, state.maximum, strict=True)]
            state = state._replace(total=np.array([total for total, _ in sums]))
            needed = np.minimum([count for _, count in sums], needed)
        logits, keys = find_top(z, int(needed.max(initial=0)) if k is None else k)
        return self._replace(state=state).with_top(keys, logits)


def score(engine: Engine, asked: Asked, x: Floats, *, k: int = 0, output: bool = False) -> Scores:
    """The scores of the embedded queries x (m, d), with the `k` best keys of each and, if asked for, the output."""
    q, plain = _fold_both(asked, x)
    states = engine.attend(q, plain, k=k, output=output, bias=asked.bias)
    return _recall(engine, asked, q, _scores(asked, x, states), states.plain)


def score_all(engine: Engine, asked: Asked, x: Floats, *, output: bool = False) -> tuple[Scores, Floats]:
    """The scores of the embedded queries x (m, d), with no keys on top, and every logit (m, N): see `Engine.logits`."""
    q, plain = _fold_both(asked, x)
    states, z = engine.logits(q, plain, output=output, bias=asked.bias)
    scores = _recall(engine, asked, q, _scores(asked, x, states), states.plain)
    if scores.recalled:
        z[:, scores.recalled.keys] = scores.recalled.raised
    return scores, z


def _scores(asked: Asked, x: Floats, states: States) -> Scores:
    """The scores in these states. Raises InputError if a maximum is not a number below infinity."""
    for state in (states.attention, states.plain):
        if not (state.maximum < np.inf).all():  # NaN included; -inf has every key hidden
            raise InputError("a logit is not a finite number", hint="check the catalog, and what it is asked with")
    return Scores(x, states.attention, _null_weights(asked, states), parts=states.parts)


def _recall(engine: Engine, asked: Asked, q: Floats, scores: Scores, plain: State) -> Scores:
    """The scores with memory, of queries that are folded q (m, d); `plain` is the state of the plain logits.

    Judged requests compete with items at the usual temperature, whatever the null key's is.
    """
    if asked.memory is None:
        return scores
    if asked.plain_temperature != TEMPERATURE:
        plain = engine.attend(fold_plain(scores.x, asked.first), bias=asked.bias).plain
    recalled = asked.memory.recall(scores.x, q, scores.state.log_normalizer(), plain.log_normalizer())
    if recalled is None:
        return scores
    none_of_these = None if scores.none_of_these is None else recalled.share_of_none(scores.none_of_these)
    return scores._replace(state=recalled.raise_state(scores.state), none_of_these=none_of_these, recalled=recalled)


def fold_queries(projections: Projections, x: Floats) -> Floats:
    """x W_Q W_Kᵀ / √d_k (m, d): queries to be compared with the embeddings as they are stored."""
    return (projections.fold(x) * projections.scale).astype(np.float32, copy=False)


def fold_plain(x: Floats, first: Head | None, temperature: float = TEMPERATURE) -> Floats:
    """Folded queries (m, d) of the plain logits cosine / τ; with several heads, of the cosine of the `first` alone.

    The null key was fitted for that one, at this temperature.
    """
    if first:  # whose columns have √a x_1, in keys too
        x = np.hstack([x[:, : first.d] / np.float32(first.weight), np.zeros_like(x[:, first.d :])])
    return fold_queries(identity(x.shape[1], temperature), x)


def _fold_both(asked: Asked, x: Floats) -> tuple[Floats, Floats | None]:
    """The folded queries, and those of the plain logits, see `fold_plain`; None if both are the same.

    Raises InputError for projections that make logits beyond `LARGEST`.
    """
    projections, plain = asked.projections, identity(x.shape[1], asked.plain_temperature)
    is_plain = (
        asked.first is None
        and np.array_equal(projections.w_q, plain.w_q)
        and np.array_equal(projections.w_k, plain.w_k)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        q = fold_queries(projections, x)
    lengths = np.linalg.norm(q.astype(np.float64), axis=1)
    if not (lengths <= LARGEST).all():  # NaN included; keys are unit vectors, so no logit is larger than that
        hint = "ask without them, or train again"
        raise InputError("the projections make logits that are too large, or not numbers", hint=hint)
    return q, None if is_plain else fold_plain(x, asked.first, asked.plain_temperature)


def _null_weights(asked: Asked, states: States) -> NDArray[np.float64] | None:
    """The weight (m,) of the null key beside all items together; None without a null key."""
    if asked.null is None:
        return None
    plain = states.plain
    return null_key.chance(asked.null, plain.maximum, plain.log_normalizer(), plain.visible)


def is_within_share(weights: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Which weights (k,), highest first, are needed to hold that share: those before them hold less than it."""
    before = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
    return before < share - _ROUNDING


def _sum_weights(z: Floats, maximum: float, share: float) -> tuple[float, int]:
    """Σ exp(z - maximum) over the logits z (N,), and how many of the best keys have that share of the attention."""
    if maximum == -np.inf:
        return 0.0, 0
    highest_first = np.sort(z)[::-1].astype(np.float64)
    total = float(np.exp(highest_first - maximum).sum())
    weights = np.exp(highest_first - (maximum + np.log(total)))
    return total, max(int(is_within_share(weights, share).sum()), 1)
