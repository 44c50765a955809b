"""The weights of all items → how far they are the shares of the right ones, be it one or several.

Axis letters: n = items, l = levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.evaluation import metrics
from attnsearch.search.scoring import is_within_share

SHOWN_TOPS = (0.5, 0.9)  # of the levels, where there is room for two

Doubles = NDArray[np.float64]


class Top(NamedTuple):
    """What the top with a `share` of the attention holds, in the mean over requests.

    `covered` is the share of the right items that is in it: `share` itself if weights are calibrated. `items` is how
    many it needs, and `right` the share of these that is right.
    """

    share: float
    covered: float
    items: float
    right: float


class Mass(NamedTuple):
    """How far the weights are the shares of the right items, over requests of which one has a rank.

    `weight` is the mean of that on all right items together. `tops` are those of `metrics.LEVELS`, and
    `calibration_error` the mean distance between what they cover and their share.
    """

    weight: float
    calibration_error: float
    tops: Sequence[Top]


def measure_tops(weights: Doubles, right: NDArray[np.bool_]) -> Doubles:
    """`covered`, `items` and `right` of the top (l, 3) for each of `metrics.LEVELS`.

    `weights` (n,) are highest first, and `right` (n,) says which items are right, at least one.
    """
    counts = np.array([np.count_nonzero(is_within_share(weights, share)) for share in metrics.LEVELS])
    precision = np.cumsum(right)[counts - 1] / counts
    return np.stack([metrics.find_covered(weights, right), counts, precision], axis=1)


def measure_mass(masses: Sequence[float], tops: Sequence[Doubles]) -> Mass | None:
    """The means over requests: of the weights on their right items, and of what their tops (l, 3) hold."""
    if not masses:
        return None
    means = np.mean(tops, axis=0)
    error = metrics.coverage_error(means[:, 0])
    return Mass(
        float(np.mean(masses)), error, [Top(*map(float, row)) for row in np.column_stack([metrics.LEVELS, means])]
    )
