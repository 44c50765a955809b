"""Scaled dot-product attention over a catalog, in numpy and nothing else.

Axis letters, in every shape below:
    m = queries    n = keys    d = key width    e = value width    k = top keys

Two ways to the same answer. `attend` holds all weights at once. `State` takes the keys block by block, keeps a
running maximum and merges with the states of other keys; it never holds more than one block.

Vaswani et al. 2017, equation (1): https://arxiv.org/abs/1706.03762
Milakov & Gimelshein 2018, online softmax: https://arxiv.org/abs/1805.02867
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import multiply_fast
from attnsearch.errors import ShapeError

Floats = NDArray[np.floating[Any]]

_NO_KEY = np.iinfo(np.int64).max  # fills `top_keys` for a query with too few keys; sorts after every key number


class Attention(NamedTuple):
    """What `attend` returns: logits (…, m, n), weights (…, m, n), output (…, m, e)."""

    logits: Floats
    weights: Floats
    output: Floats


def attend(
    q: Floats,
    k: Floats,
    v: Floats,
    *,
    scale: float | None = None,
    bias: Floats | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> Attention:
    """softmax(q kᵀ · scale + bias) v.

    q (…, m, d), k (…, n, d), v (…, n, e); `scale` is 1/√d unless given. `bias` broadcasts to (…, m, n), in
    units of logits, added after the scale. `mask` broadcasts to (…, m, n); True keeps a key, False hides it.

    Raises ShapeError when axes disagree, or when every key is hidden from a query: such a row has no softmax,
    and a uniform guess would look like an answer.

    >>> three_to_one = attend(np.eye(1, 2), np.eye(2), np.array([[1.0], [0.0]]), scale=math.log(3))
    >>> three_to_one.weights.round(6).tolist(), three_to_one.output.round(6).tolist()
    ([[0.75, 0.25]], [[0.75]])
    """
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(f"attend needs q (…, m, d), k (…, n, d), v (…, n, e), not {q.shape}, {k.shape}, {v.shape}")
    z = logits(q, k, scale=scale, bias=bias, mask=mask)
    top = z.max(axis=-1, keepdims=True, initial=-np.inf)
    if np.isneginf(top).any():
        raise ShapeError("a query has every key hidden, so its weights are not defined")
    z_exp = np.exp(z - top)
    weights = z_exp / z_exp.sum(axis=-1, keepdims=True)
    return Attention(z, weights, weights @ v)


def logits(
    q: Floats,
    k: Floats,
    *,
    scale: float | None = None,
    bias: Floats | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> Floats:
    """q kᵀ · scale + bias (…, m, n); -inf where a key is hidden."""
    q = q * q.dtype.type(1 / math.sqrt(q.shape[-1]) if scale is None else scale)  # fewer numbers than q kᵀ
    z = multiply_fast(q, k)
    if bias is not None:
        z = z + bias
    return z if mask is None else np.where(mask, z, -np.inf)


def best_of_each(z: Floats, joined: NDArray[np.bool_]) -> Floats:
    """The logits z (m, n) with all but the best key of each item hidden; of equal keys, the first is the best.

    `joined` (n,) is True where a key belongs to the same item as the key before it. An item scores as its best passage
    does: MaxP, Dai & Callan 2019, https://arxiv.org/abs/1905.09217.

    >>> best_of_each(np.array([[1.0, 3.0, 2.0, 5.0]]), np.array([False, True, True, False])).tolist()
    [[-inf, 3.0, -inf, 5.0]]
    """
    grouped = joined | np.append(joined[1:], False)  # keys of items with more than one key
    starts = np.flatnonzero(~joined[grouped])
    sizes = np.diff(np.append(starts, grouped.sum()))
    logit = z[:, grouped]
    highest = np.repeat(np.maximum.reduceat(logit, starts, axis=1), sizes, axis=1)
    position = np.where(logit == highest, np.arange(logit.shape[1]), logit.shape[1])
    first = np.repeat(np.minimum.reduceat(position, starts, axis=1), sizes, axis=1)
    best = z.copy()
    best[:, grouped] = np.where(position == first, logit, -np.inf)
    return best


class State(NamedTuple):
    """The attention of m queries over the keys seen so far.

    With z the logits of those keys, p = softmax(z), and M = max z:
        maximum (m,)      M, or -inf before the first key
        total (m,)        Σ exp(z - M), the softmax's denominator
        moment (m,)       Σ exp(z - M) · (z - M), which gives the entropy
        output (m, e)     Σ exp(z - M) · v, or None if not requested
        top_logits (m, ≤k), top_keys (m, ≤k)
                          the highest logits and their key numbers, best first, ties by key number;
                          a query with fewer keys has -inf in the remaining logits
        visible (m,)      how many keys the mask kept

    Logits and sums are float64, since the sums run over millions of keys. Within a block they have the type of its
    logits.
    """

    k: int
    maximum: NDArray[np.float64]
    total: NDArray[np.float64]
    moment: NDArray[np.float64]
    output: NDArray[np.float64] | None
    top_logits: NDArray[np.float64]
    top_keys: NDArray[np.int64]
    visible: NDArray[np.int64]

    @classmethod
    def empty(cls, m: int, k: int, e: int | None = None) -> State:
        """The state before any key; `e` asks for the output and gives its width. Merging it changes nothing."""
        return cls(
            k=k,
            maximum=np.full(m, -np.inf),
            total=np.zeros(m),
            moment=np.zeros(m),
            output=None if e is None else np.zeros((m, e)),
            top_logits=np.empty((m, 0)),
            top_keys=np.empty((m, 0), np.int64),
            visible=np.zeros(m, np.int64),
        )

    @classmethod
    def from_logits(
        cls,
        z: Floats,
        v: Floats | None = None,
        *,
        k: int,
        first: int = 0,
        columns: NDArray[np.int64] | None = None,
    ) -> State:
        """The state of one block: logits z (m, n), -inf where hidden, and optionally values v (n, e).

        Keys are numbered from `first`. If z holds only some columns of the block, `columns` (n,) lists them in
        ascending order.
        """
        maximum = z.max(axis=1, initial=-np.inf)
        shifted = z - _zero_if_empty(maximum)[:, None]
        z_exp = np.exp(shifted)
        visible = np.full(len(z), z.shape[1])
        if z.min(initial=np.inf) == -np.inf:
            visible = np.isfinite(z).sum(axis=1)
            np.maximum(shifted, np.finfo(z.dtype).min, out=shifted)  # 0 · -inf would be NaN
        sums = cls(
            k=0,
            maximum=maximum.astype(np.float64),
            total=z_exp.sum(axis=1).astype(np.float64),
            moment=np.vecdot(z_exp, shifted).astype(np.float64),
            output=None if v is None else (z_exp.astype(v.dtype, copy=False) @ v).astype(np.float64),
            top_logits=np.empty((len(z), 0)),
            top_keys=np.empty((len(z), 0), np.int64),
            visible=visible,
        )
        return sums.with_top(z, find_candidates(z, k), k, first, columns) if k else sums

    def with_top(
        self, z: Floats, candidates: Candidates, k: int, first: int = 0, columns: NDArray[np.int64] | None = None
    ) -> State:
        """The state of a block, with the k best of the `candidates` among its logits z (m, n) on top.

        Numbers of keys are as in `from_logits`.
        """
        top_logits, top_keys = rank_candidates(z, candidates, k)
        filled = top_keys != _NO_KEY
        top_keys[filled] = first + (top_keys[filled] if columns is None else columns[top_keys[filled]])
        return self._replace(k=k, top_logits=top_logits, top_keys=top_keys)

    def merge(self, other: State) -> State:
        """The state of the union of two disjoint sets of keys. Order and grouping do not matter."""
        maximum = np.maximum(self.maximum, other.maximum)
        (shift_a, a), (shift_b, b) = (_compute_shift(state.maximum, maximum) for state in (self, other))
        z = np.concatenate([self.top_logits, other.top_logits], axis=1)
        keys = np.concatenate([self.top_keys, other.top_keys], axis=1)
        order = np.lexsort((keys, -z))[:, : self.k]
        output = None
        if self.output is not None and other.output is not None:
            output = a[:, None] * self.output + b[:, None] * other.output
        return State(
            k=self.k,
            maximum=maximum,
            total=a * self.total + b * other.total,
            moment=a * (self.moment + shift_a * self.total) + b * (other.moment + shift_b * other.total),
            output=output,
            top_logits=np.take_along_axis(z, order, axis=1),
            top_keys=np.take_along_axis(keys, order, axis=1),
            visible=self.visible + other.visible,
        )

    def weights(self) -> NDArray[np.float64]:
        """The softmax weights (m, ≤k) of the top keys, normalized over all keys seen, not over the top alone."""
        weights = np.exp(self.top_logits - _zero_if_empty(self.log_normalizer())[:, None])
        return np.minimum(weights, 1.0)  # the sums are of faster products than the top

    def log_normalizer(self) -> NDArray[np.float64]:
        """log Σ exp z (m,); -inf for a query that saw no key."""
        with np.errstate(divide="ignore"):
            return self.maximum + np.log(self.total)

    def entropy(self) -> NDArray[np.float64]:
        """-Σ p log p (m,), in nats; its exp is the effective number of keys that share the attention."""
        total = np.where(self.total > 0, self.total, 1.0)
        return np.maximum(np.log(total) - self.moment / total, 0.0)

    def mean_value(self) -> NDArray[np.float64]:
        """softmax(z) v (m, e), the output of equation (1). Raises ShapeError if the state was made without values."""
        if self.output is None:
            raise ShapeError("this state saw no values, so it has no output")
        return self.output / np.where(self.total > 0, self.total, 1.0)[:, None]


def _zero_if_empty(maximum: Floats) -> Floats:
    """Replace -inf, the maximum over no keys, by 0, so that differences stay numbers."""
    return np.where(np.isneginf(maximum), maximum.dtype.type(0), maximum)


def _compute_shift(
    maximum: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The shift maximum - target (m,) and its exp, which turns Σ exp(z - maximum) into Σ exp(z - target).

    A state that saw no key has nothing to shift: its maximum is -inf and its sums are 0.
    """
    shift = np.where(np.isneginf(maximum), 0.0, maximum - _zero_if_empty(target))
    return shift, np.exp(shift)


class Candidates(NamedTuple):
    """Places in logits z (m, n), ordered by row and then by column: `row` (c,), `column` (c,)."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]


def find_top(z: Floats, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k highest logits (m, ≤k) of each row of z (m, n), and their columns; hidden keys are left out."""
    return rank_candidates(z, find_candidates(z, k), k)


def find_candidates(
    z: Floats, k: int, threshold: NDArray[np.float64] | None = None, error: NDArray[np.float64] | None = None
) -> Candidates:
    """The logits of z (m, n) that may be among the k highest of their row, and reach `threshold` (m,).

    `error` (m,) is how far each may be from its true value, 0 by default. Hidden keys are never candidates.
    """
    m, n = z.shape
    threshold = np.full(m, -np.inf) if threshold is None else threshold
    if not k:
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64))
    cutoff = np.maximum(threshold, np.finfo(z.dtype).min)  # a hidden key never reaches the top
    unbounded = np.flatnonzero(np.isneginf(threshold))
    if k < n and len(unbounded):
        kth = np.partition(z[unbounded], n - k, axis=1)[:, n - k]
        cutoff[unbounded] = np.maximum(cutoff[unbounded], kth)
    if error is not None:  # the k-th highest may be lower than it seems, and another logit higher
        cutoff = cutoff - 2 * error
    return Candidates(*np.divmod(np.flatnonzero(z >= cutoff[:, None].astype(z.dtype)), max(n, 1)))


def rank_candidates(z: Floats, candidates: Candidates, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k highest candidates (m, ≤k) of each row of the logits z (m, n), and their columns. Ties go by column."""
    row, column = candidates
    order = np.lexsort((-z[row, column], row))  # stable, and candidates are ordered by column
    row, column = row[order], column[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    within = rank < k
    row, column, rank = row[within], column[within], rank[within]
    shape = len(z), rank.max(initial=-1) + 1
    logit, key = np.full(shape, -np.inf), np.full(shape, _NO_KEY)
    logit[row, rank] = z[row, column]
    key[row, rank] = column
    return logit, key
