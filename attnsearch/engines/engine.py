"""The protocol of all engines: folded queries in, the state of attention after every key out.

Axis letters: m = queries, N = all keys, d = width.

This is the waist of the house. Above it, texts, filters and what was learned have become numbers: q, and a bias by key
number. Below it, keys lie in files, on threads or on other machines. Only a `State` comes back: maximum, sum and best
keys of a softmax. States of disjoint keys merge into that of their union, so whoever holds some keys can answer for
them. Milakov & Gimelshein 2018, online softmax: https://arxiv.org/abs/1805.02867
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from attnsearch.attention.softmax import State
    from attnsearch.engines.bias import Bias
    from attnsearch.engines.covariance import Covariance
    from attnsearch.engines.groups import Groups, Progress

Floats = NDArray[np.float32]


class Parts(NamedTuple):
    """Who answered: how many segments were read, each once, and by how many other processes."""

    segments: int
    workers: int


class States(NamedTuple):
    """Two states of the same m queries after every visible key: two softmaxes, from one pass.

    `attention` is the answer: the softmax of q · key + bias, with the best keys and, if asked for, the output.
    `plain` is the same softmax without bias, training or temperature, so that the null key can judge how well anything
    fits at all. It has neither best keys nor output, unless both are one state. `parts` say who answered; None if only
    this process did.
    """

    attention: State
    plain: State
    parts: Parts | None = None

    def merge(self, other: States) -> States:
        """The states of the union of two disjoint sets of keys; see `State.merge`."""
        return States(self.attention.merge(other.attention), self.plain.merge(other.plain))


class Engine(Protocol):
    """Attention over every key of a catalog: a complete answer, or CatalogError.

    q (m, d) are folded queries, x W_Q W_Kᵀ / √d_k, so that a logit is q · key + bias. `plain` (m, d) are the queries of
    the plain logits, q by default; the mask applies to these too, the bias does not. Logits are float32; sums over keys
    are float64. An item's best key counts, its other keys do not.
    """

    def attend(
        self, q: Floats, plain: Floats | None = None, *, k: int = 0, output: bool = False, bias: Bias | None = None
    ) -> States:
        """The states, with the `k` best keys of each query and, with `output`, softmax(z) X (m, d)."""

    def logits(
        self, q: Floats, plain: Floats | None = None, *, output: bool = False, bias: Bias | None = None
    ) -> tuple[States, Floats]:
        """The states, without best keys, and every logit (m, N) by key number.

        A logit is -inf where the key is hidden or removed, or is not the best of its item's.
        """

    def group_items(
        self,
        first_keys: NDArray[np.int64],
        counts: NDArray[np.int64],
        min_score: float,
        *,
        progress: Progress | None = None,
    ) -> Groups:
        """Group items by their keys: item i has `counts[i]` keys in a row, from `first_keys[i]` on, both (n,).

        The score of two items is the cosine of their keys. Of several, each key is compared with the best of the other
        item's: the score is the mean of these, from the item for which it is lower. So passages that two long texts
        share count only as far as they make up both. An item is near another with a score of at least `min_score`.
        """

    def measure_covariance(self) -> Covariance:
        """The covariance of all keys, in float64."""

    def project(self, axes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The coordinates (N, a) of each key along the axes (a, d), in float64, by key number; 0 where none has it."""

    def close(self) -> None:
        """Release what the engine has open besides the catalog. It is not asked again."""
