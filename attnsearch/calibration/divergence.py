"""Logits and the right items → KL, how far a softmax is from the shares that are right.

Axis letters: m = queries, i = items, p = pairs of a query and an item that is right for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Pairs(NamedTuple):
    """The right items of queries that have one at least: `rows` (p,), `items` (p,), and how many each has (m,)."""

    rows: Numbers
    items: Numbers
    sizes: Numbers


def pair_right(right: Sequence[Numbers]) -> tuple[Numbers, Pairs]:
    """The numbers of the queries with an answer, and their right items; pairs number the queries among these."""
    queries = np.array([query_number for query_number, numbers in enumerate(right) if len(numbers)], np.int64)
    sizes = np.array([len(right[query_number]) for query_number in queries], np.int64)
    items = np.concatenate([np.empty(0, np.int64), *right])
    return queries, Pairs(np.repeat(np.arange(len(queries)), sizes), items, sizes)


def log_weights_of(z: Floats, pairs: Pairs) -> Doubles:
    """The logs of the weights (p,) of the right items, from the logits of all items z (m, i)."""
    highest = z.max(axis=1)
    log_total = highest + np.log(np.exp(z - highest[:, None]).sum(axis=1)).astype(np.float64)
    log_weights: Doubles = z[pairs.rows, pairs.items] - log_total[pairs.rows]
    return log_weights


def divergence(log_weights: Doubles, pairs: Pairs) -> Doubles:
    """KL (m,) of equal shares for the right items from the weights, given the logs (p,) of those of the right items.

    >>> queries, pairs = pair_right([np.array([0])])
    >>> z = np.log(np.array([[3.0, 1.0]]))  # weights 3/4 and 1/4
    >>> divergence(log_weights_of(z, pairs), pairs).round(4).tolist()  # log 4/3
    [0.2877]
    """
    kl: Doubles = -np.log(pairs.sizes) - np.bincount(pairs.rows, log_weights, len(pairs.sizes)) / pairs.sizes
    return kl
