"""Evidence, and which requests have no answer → the null key: logistic regression (Platt 1999).

Axis letters: m = queries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey

PULL = 2.0  # towards the null key that the fit begins with, as strong as a few requests

Doubles = NDArray[np.float64]


def fit_logistic(
    evidence: Doubles, unanswerable: NDArray[np.bool_], start: NullKey, *, counts: Doubles | None = None
) -> NullKey:
    """The null key that finds what is true least surprising; `start` is what it is pulled towards.

    Of m requests, `evidence` (m,) is that of `attention.null_key`, at the temperature of `start`, and `unanswerable`
    (m,) says that nothing is right. Each counts once, or as often as `counts` (m,) says.
    """
    from scipy.optimize import minimize

    logit_and_sharpness = np.array(start[:2])

    def pulled_loss(parameters: Doubles) -> float:
        distance = np.sum(((parameters - logit_and_sharpness) / np.maximum(np.abs(logit_and_sharpness), 1.0)) ** 2)
        losses = surprise(start._replace(logit=parameters[0], sharpness=parameters[1]), evidence, unanswerable)
        return float(losses.sum() if counts is None else losses @ counts) + PULL * float(distance)

    logit, sharpness = map(float, minimize(pulled_loss, logit_and_sharpness, method="Nelder-Mead").x)
    return start._replace(logit=logit, sharpness=sharpness)


def surprise(null: NullKey, evidence: Doubles, unanswerable: NDArray[np.bool_]) -> Doubles:
    """-log of the probability given to what is true (m,)."""
    against = null.sharpness * evidence - null.logit
    return np.logaddexp(0.0, np.where(unanswerable, against, -against))
