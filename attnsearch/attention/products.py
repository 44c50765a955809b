"""The products of queries and keys: each summed in the same order, or faster and almost the same.

Axis letters, in every shape below:
    m = queries    n = keys    d = key width    p = pairs of a query and a key

A matrix product sums in an order that depends on where a row lies and on how many there are. So two equal keys may get
products that differ in the last digits, and a query's products may change with the queries beside it. A dot product
depends on its two vectors alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

FEW = 8  # queries: dot products read the keys at full memory speed; a matrix product of few rows does not
PAIRS = 256  # are copied at once: their vectors stay in the cache


def multiply(q: Floats, k: Floats) -> Floats:
    """q kᵀ (m, n) of q (m, d) and k (n, d): equal pairs of rows have equal products, whatever the other rows are."""
    return np.ascontiguousarray(np.vecdot(k[:, None], q).T)


def multiply_fast(q: Floats, k: Floats) -> Floats:
    """q kᵀ (…, m, n) of q (…, m, d) and k (…, n, d): that of `multiply` for few queries, else within `error_bound`."""
    if q.ndim == k.ndim == 2 and len(q) <= FEW:
        return multiply(q, k)
    return q @ np.swapaxes(k, -1, -2)


def multiply_pairs(q: Floats, k: Floats, row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
    """The products (p,) of the queries q[row] and the keys k[column]: the same numbers as in `multiply`."""
    products = np.empty(len(row), np.result_type(q, k))
    for start in range(0, len(row), PAIRS):
        part = slice(start, start + PAIRS)
        products[part] = np.vecdot(k[column[part]], q[row[part]])
    return products


def error_bound(q: Floats) -> NDArray[np.float64]:
    """How far apart (m,) two ways to sum the product of each query with a unit vector may be.

    Each is within d·u/(1 - d·u)·Σ|qᵢkᵢ| of the true sum, with u half of the type's epsilon: Higham 2002, Accuracy and
    Stability of Numerical Algorithms, section 3.1. Σ|qᵢkᵢ| is at most ‖q‖.
    """
    relative = (q.shape[1] + 4) * float(np.finfo(q.dtype).eps)  # 4 more: keys are not quite of length 1
    lengths = np.linalg.norm(q.astype(np.float64), axis=1)
    bound: NDArray[np.float64] = relative * lengths
    return bound
