"""The null key: the chance that nothing in the catalog answers a request ("none of these").

Axis letters: m = queries, n = items that are not hidden.

A softmax always hands out all of its attention, even when nothing fits. So the items as a whole compete with one more
key, the null key, which stands for "nothing":

    evidence e = log(Σ exp(z)/n + exp(max z)/1000)        z = cosine / τ, over the n items
    chance   p = exp(b) / (exp(b) + exp(a · e))           b the null key's logit, a the sharpness

The mean of exp(z) measures how well the request fits the catalog as a whole. Unlike the sum and the maximum, it does
not grow with the catalog; but it overlooks one right item among many unrelated ones. So the best item counts a second
time, as one of a thousand, however large the catalog is. z comes from plain cosines at the encoder's own temperature τ:
the user's temperature, bias and training change which items stand out, not whether the catalog has an answer. Where
cosines are twice as near to each other, τ is half as high, so z is the same but for a constant, and b takes that up.

p is a logistic function of e, fitted to queries labeled as meant for the catalog or not (Platt 1999). The null key
follows the zero attention of Ai et al. 2019, https://arxiv.org/abs/1908.11322. benchmarks/README.md shows how it was
chosen and measured.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.projections import TEMPERATURE

_CROWD = 1000  # the best item counts as one of this many, however large the catalog is


class NullKey(NamedTuple):
    """The key that stands for "nothing": its logit b, the sharpness a that scales the items' evidence, and its τ."""

    logit: float
    sharpness: float
    temperature: float = TEMPERATURE


# Keyed by the SHA-256 of an encoder's weights: each encoder has its own distribution of cosines.
# Printed by `python -m benchmarks.nothing`. Those of other encoders are fitted by `calibration`.
FITTED = {
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db": NullKey(6.73, 2.48),  # all-MiniLM-L6-v2
}


def chance(
    null: NullKey, maximum: NDArray[np.float64], log_normalizer: NDArray[np.float64], visible: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The chance (m,) that nothing answers each query.

    `maximum` (m,) is max z, `log_normalizer` (m,) is log Σ exp z, and `visible` (m,) is n: the `State` of the logits
    z = cosine / τ has all three. If every item is hidden, the chance is 1.

    >>> chance(NullKey(2.0, 1.0), np.array([-np.inf]), np.array([-np.inf]), np.array([0])).tolist()
    [1.0]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # 0 · -inf, where every item is hidden
        log_odds = null.sharpness * evidence(maximum, log_normalizer, visible) - null.logit  # that something answers
        return np.where(visible > 0, np.exp(-np.logaddexp(0.0, log_odds)), 1.0)


def evidence(
    maximum: NDArray[np.float64], log_normalizer: NDArray[np.float64], visible: NDArray[np.int64]
) -> NDArray[np.float64]:
    """log(Σ exp(z)/n + exp(max z)/1000) (m,), or -inf for a query that sees no item.

    >>> single = evidence(np.array([0.0]), np.array([0.0]), np.array([1]))  # log(1 + 1/1000)
    >>> float(single[0].round(6))
    0.001
    """
    mean = log_normalizer - np.log(np.maximum(visible, 1))
    return np.logaddexp(mean, maximum - math.log(_CROWD))
