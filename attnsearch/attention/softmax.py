"""Scaled dot-product attention over a catalog, in numpy and nothing else.

Axis letters, in every shape below:
    m = queries    n = keys    d = key width    e = value width    k = keys on top

Two roads to one answer. `attend` holds all weights at once. `State` sees the keys block by block, keeps a
running maximum, and merges with the state of other keys; it never holds more than one block.

Vaswani et al. 2017, equation (1): https://arxiv.org/abs/1706.03762
Milakov & Gimelshein 2018, online softmax: https://arxiv.org/abs/1805.02867
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ShapeError

Floats = NDArray[np.floating[Any]]

_FEW = 8  # queries
_NO_KEY = np.iinfo(np.int64).max  # the number of a key that is not there; it comes after all that are


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

    Raises ShapeError when axes disagree, or when a query has every key hidden: such a row has no softmax,
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
    if q.ndim == k.ndim == 2 and len(q) <= _FEW:
        # Many dot products read the keys as fast as the memory gives them; a matrix product of few rows does not.
        z = np.ascontiguousarray(np.vecdot(k[:, None], q).T)
    else:
        z = q @ np.swapaxes(k, -1, -2)
    if bias is not None:
        z = z + bias
    return z if mask is None else np.where(mask, z, -np.inf)


def best_of_each(z: Floats, joined: NDArray[np.bool_]) -> Floats:
    """Logits z (m, n) with all but the highest of each item's keys hidden, the first of equal ones being the highest.

    `joined` (n,) is True where a key goes on with the item of the key before it. An item's score is that of its best
    passage: MaxP, Dai & Callan 2019.

    >>> best_of_each(np.array([[1.0, 3.0, 2.0, 5.0]]), np.array([False, True, True, False])).tolist()
    [[-inf, 3.0, -inf, 5.0]]
    """
    several = joined | np.append(joined[1:], False)  # the keys of items that have more than one
    heads = np.flatnonzero(~joined[several])
    sizes = np.diff(np.append(heads, several.sum()))
    logit = z[:, several]
    highest = np.repeat(np.maximum.reduceat(logit, heads, axis=1), sizes, axis=1)
    place = np.where(logit == highest, np.arange(logit.shape[1]), logit.shape[1])
    first = np.repeat(np.minimum.reduceat(place, heads, axis=1), sizes, axis=1)
    found = z.copy()
    found[:, several] = np.where(place == first, logit, -np.inf)
    return found


class State(NamedTuple):
    """The attention of m queries over the keys seen so far.

    With z the logits of those keys, p = softmax(z), and M = max z:
        maximum (m,)      M, or -inf before the first key
        total (m,)        Σ exp(z - M), the softmax's denominator
        moment (m,)       Σ exp(z - M) · (z - M), which gives the entropy
        output (m, e)     Σ exp(z - M) · v; None when nobody asked for it
        top_logits (m, ≤k), top_keys (m, ≤k)
                          the highest logits and the numbers of their keys, best first, ties by key number;
                          where a query has fewer, the logit -inf fills the row
        visible (m,)         how many keys the mask let through

    Everything but the key numbers and counts is float64: the sums run over millions of keys. Within a block they
    have the type of its logits.
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
    def of(
        cls,
        z: Floats,
        v: Floats | None = None,
        *,
        k: int,
        first: int = 0,
        columns: NDArray[np.int64] | None = None,
        least: NDArray[np.float64] | None = None,
    ) -> State:
        """The state of one block: logits z (m, n), -inf where hidden, and, if wanted, values v (n, e).

        The block's keys are numbered from `first` on; of a block of which only some columns are there, `columns` (n,)
        says which, in their order. Those with a logit below `least` (m,) are left out of the top: there are k better
        ones elsewhere.
        """
        maximum = z.max(axis=1, initial=-np.inf)
        shifted = z - _finite(maximum)[:, None]
        share = np.exp(shifted)
        visible = np.full(len(z), z.shape[1])
        if z.min(initial=np.inf) == -np.inf:
            visible = np.isfinite(z).sum(axis=1)
            np.maximum(shifted, np.finfo(z.dtype).min, out=shifted)  # 0 · -inf is no number
        top_logits, top_keys = _top(z, k, np.full(len(z), -np.inf) if least is None else least)
        there = top_keys != _NO_KEY
        top_keys[there] = first + (top_keys[there] if columns is None else columns[top_keys[there]])
        return cls(
            k=k,
            maximum=maximum.astype(np.float64),
            total=share.sum(axis=1).astype(np.float64),
            moment=np.vecdot(share, shifted).astype(np.float64),
            output=None if v is None else (share.astype(v.dtype, copy=False) @ v).astype(np.float64),
            top_logits=top_logits,
            top_keys=top_keys,
            visible=visible,
        )

    def least(self) -> NDArray[np.float64]:
        """The logit (m,) that another key needs to come into the top: the k-th best, or -inf before there are k."""
        if not self.k:
            return np.full(len(self.total), np.inf)
        return self.top_logits[:, -1] if self.top_logits.shape[1] == self.k else np.full(len(self.total), -np.inf)

    def merge(self, other: State) -> State:
        """The state of the union of two disjoint sets of keys. Order and grouping do not matter."""
        maximum = np.maximum(self.maximum, other.maximum)
        # A part that saw no key has nothing to shift: its maximum is -inf and its sums are 0.
        (shift_a, a), (shift_b, b) = (_shift(part.maximum, maximum) for part in (self, other))
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
        """The softmax weights of the top keys (m, ≤k): shares of all keys seen, not of the top alone."""
        return np.exp(self.top_logits - _finite(self.log_normalizer())[:, None])

    def log_normalizer(self) -> NDArray[np.float64]:
        """log Σ exp z (m,); -inf for a query that saw no key."""
        with np.errstate(divide="ignore"):
            return self.maximum + np.log(self.total)

    def entropy(self) -> NDArray[np.float64]:
        """-Σ p log p (m,), in nats: exp of it is the number of keys that share the attention."""
        total = np.where(self.total > 0, self.total, 1.0)
        return np.maximum(np.log(total) - self.moment / total, 0.0)

    def mean_value(self) -> NDArray[np.float64]:
        """softmax(z) v (m, e), the output of equation (1); ShapeError when the state was made without values."""
        if self.output is None:
            raise ShapeError("this state saw no values, so it has no output")
        return self.output / np.where(self.total > 0, self.total, 1.0)[:, None]


def _finite(maximum: Floats) -> Floats:
    """-inf, the maximum of no key at all, as 0, so that differences stay numbers."""
    return np.where(np.isneginf(maximum), maximum.dtype.type(0), maximum)


def _shift(maximum: NDArray[np.float64], to: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a sum about `maximum` needs to be one about the maximum `to`: the shift (m,), and its exp."""
    shift = np.where(np.isneginf(maximum), 0.0, maximum - _finite(to))
    return shift, np.exp(shift)


def _top(z: Floats, k: int, least: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k highest logits of each row that reach `least` (m,), and their columns, by which ties go."""
    m, n = z.shape
    if not k:
        return np.empty((m, 0)), np.empty((m, 0), np.int64)
    bar = np.maximum(least, np.finfo(z.dtype).min)  # a hidden key is nobody's best
    unknown = np.flatnonzero(np.isneginf(least))
    if k < n and len(unknown):
        bar[unknown] = np.maximum(bar[unknown], np.partition(z[unknown], n - k, axis=1)[:, n - k])
    row, column = np.divmod(np.flatnonzero(z >= bar[:, None].astype(z.dtype)), max(n, 1))
    order = np.lexsort((column, -z[row, column], row))
    row, column = row[order], column[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    row, column, rank = (part[rank < k] for part in (row, column, rank))
    shape = m, rank.max(initial=-1) + 1
    logit, key = np.full(shape, -np.inf), np.full(shape, _NO_KEY)
    logit[row, rank] = z[row, column]
    key[row, rank] = column
    return logit, key
