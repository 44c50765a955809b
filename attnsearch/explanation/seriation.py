"""The order in which the rows and columns of a matrix are drawn, so that what is alike stands together.

Axis letters: m = rows, n = columns.

Rows go by a hierarchical clustering whose leaves are in optimal order: of all orders that its tree allows, the one in
which neighbors are nearest. Bar-Joseph et al. 2001, https://doi.org/10.1093/bioinformatics/17.suppl_1.S22
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DIGITS = 9  # of a weight that count: the last ones depend on how a sum was split

Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]


def order_rows(weights: Doubles) -> Numbers:
    """The numbers (m,) of the rows of weights (m, n) from 0 to 1, in an order in which neighbors are alike.

    It depends on the weights alone, not on the order in which the rows come, unless two are equal. Of the two ends, the
    one with the higher weight comes first.
    """
    rounded = weights.round(_DIGITS)
    order = np.lexsort(rounded.T[::-1]) if rounded.size else np.arange(len(weights))
    if len(order) > 2:
        order = order[_order_leaves(rounded[order])]
    if len(order) and rounded[order[-1]].max(initial=0.0) > rounded[order[0]].max(initial=0.0):
        order = order[::-1]
    return order


def order_columns(weights: Doubles) -> Numbers:
    """The numbers (n,) of the columns of weights (m, n), so that the high ones lie along the diagonal.

    A column goes by the row in which its weight is highest; of those of one row, by the mean row, squares of weights
    counting. Columns without any weight come last.
    """
    rounded = weights.round(_DIGITS)
    if not rounded.size:
        return np.arange(weights.shape[1])
    squares = rounded**2
    total = squares.sum(axis=0)
    mean_row = np.arange(len(weights)) @ squares / np.where(total > 0, total, 1.0)
    return np.lexsort((mean_row.round(_DIGITS), rounded.argmax(axis=0), total == 0))


def _order_leaves(weights: Doubles) -> Numbers:
    """The order (m,) of the rows by their Hellinger distances: those of the square roots of weights (m, n)."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # a fifth of a second, which other commands do without

    roots = np.sqrt(weights)
    products = roots @ roots.T
    squares = np.diag(products)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0.0))
    condensed = distances[np.triu_indices(len(weights), 1)]
    leaves: Numbers = leaves_list(linkage(condensed, "average", optimal_ordering=True))
    return leaves
