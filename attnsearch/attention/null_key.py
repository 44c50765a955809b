"""None of these: a null key beside the catalog, whose weight is the chance that nothing in it answers the request.

Axis letters: m = queries. A softmax always hands out all of its attention, also where nothing fits. So the items as a
whole stand against one key more, which stands for nothing, and attention is shared between the two:

    evidence e = log(Σ exp(z)/n + exp(max z)/1000)        z = cosine / 0.05, over the n items that are not hidden
    chance   p = exp(b) / (exp(b) + exp(a · e))           b the null key's logit, a the sharpness

The mean of exp(z) says how well the request fits the catalog as a whole, and does not grow with its size, as the sum
and the maximum do; but among many strangers it overlooks the one right item. Therefore the best counts once more, as
one of a thousand: no catalog is so large that it drowns. z is of plain cosines, whatever temperature, bias or training
the user has: they change what stands out, not what is there.

p is a logistic function of e, fitted to queries of which it is known whether they were meant for the catalog
(Platt 1999). A key for nothing: the zero attention of Ai et al. 2019, https://arxiv.org/abs/1908.11322. How it was
chosen and measured: benchmarks/README.md.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CROWD = 1000  # the best item counts as one of so many, however many there are


class NullKey(NamedTuple):
    """The key that stands for nothing: its logit b, and the sharpness a that the items' evidence has beside it."""

    logit: float
    sharpness: float


# By the SHA-256 of an encoder's weights: its cosines are its own. Printed by `python -m benchmarks.nothing`.
FITTED = {
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db": NullKey(6.73, 2.48),  # all-MiniLM-L6-v2
}


def chance(
    null: NullKey, maximum: NDArray[np.float64], log_normalizer: NDArray[np.float64], visible: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The chance (m,) that nothing answers each query.

    `maximum` (m,) is max z, `log_normalizer` (m,) log Σ exp z, `visible` (m,) how many items were not hidden: a `State`
    of the logits z = cosine / 0.05 has all three. Where every item was hidden there is nothing, and the chance is 1.

    >>> chance(NullKey(2.0, 1.0), np.array([-np.inf]), np.array([-np.inf]), np.array([0])).tolist()
    [1.0]
    """
    against = null.sharpness * evidence(maximum, log_normalizer, visible) - null.logit
    return np.exp(-np.logaddexp(0.0, against))


def evidence(
    maximum: NDArray[np.float64], log_normalizer: NDArray[np.float64], visible: NDArray[np.int64]
) -> NDArray[np.float64]:
    """log(Σ exp(z)/n + exp(max z)/1000) (m,), -inf where there is no item.

    >>> one = evidence(np.array([0.0]), np.array([0.0]), np.array([1]))  # log(1 + 1/1000)
    >>> float(one[0].round(6))
    0.001
    """
    mean = log_normalizer - np.log(np.maximum(visible, 1))
    return np.logaddexp(mean, maximum - math.log(_CROWD))
