"""Cosines of judged catalogs → an encoder's temperature and null key, as far as they hold on held-out requests.

Axis letters: m = requests.

Each catalog is left out in turn: what is fitted to the others is tried on it. The temperature has to lower KL there,
beyond chance, and below that of equal weights, or the usual one stays. The null key has to tell requests that the
catalog answers from others, beyond chance, or there is none. What is accepted is then fitted to all catalogs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import null_key
from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import TEMPERATURE
from attnsearch.calibration.divergence import divergence, log_weights_of, pair_right
from attnsearch.calibration.logistic import fit_logistic
from attnsearch.calibration.shipped import Cosines

LOWEST, HIGHEST = 0.001, 1.0  # τ that can be fitted
_LEAST_GAIN = 1e-3  # in KL, from which another temperature is worth having
_DIGITS = 2  # of τ: what requests in the hundreds can show
_SURE = 1.96  # standard errors on either side of a mean: a confidence of 95%

Doubles = NDArray[np.float64]


class Mean(NamedTuple):
    """A mean over held-out requests, and the interval around it, `low` to `high`, with 95% confidence."""

    mean: float
    low: float
    high: float


class Fitted(NamedTuple):
    """The temperature τ and the null key; None if that is no better than chance on held-out requests.

    Of the held-out `requests` with an answer, `gain` is how much lower KL is at the fitted τ than at the usual one, and
    `accuracy` the balanced accuracy of the null key: half of it from a request where it has an answer, half from where
    it has none. `accuracies` are those of each catalog, by its name, with its own requests that have no answer.
    """

    temperature: float
    null: NullKey | None
    requests: int
    gain: Mean
    accuracy: Mean
    accuracies: Mapping[str, float]


def fit(catalogs: Sequence[Cosines]) -> Fitted:
    """Fit an encoder's temperature and null key to judged catalogs, of which there are two at least."""
    others = [[other for other in catalogs if other is not catalog] for catalog in catalogs]
    temperatures = [fit_temperature(some) for some in others]
    pairs = list(zip(catalogs, temperatures, strict=True))
    fitted_kl = np.concatenate([measure_kl(catalog, temperature) for catalog, temperature in pairs])
    gain = _mean(np.concatenate([measure_kl(catalog, TEMPERATURE) for catalog in catalogs]) - fitted_kl)
    gain_over_equal = _mean(np.concatenate([measure_equal_kl(catalog) for catalog in catalogs]) - fitted_kl)
    temperature = TEMPERATURE
    if min(gain.low, gain_over_equal.low) > _LEAST_GAIN:
        temperature = fit_temperature(catalogs)
    else:
        temperatures = [TEMPERATURE] * len(catalogs)
    nulls = [fit_null(some, own_temperature) for some, own_temperature in zip(others, temperatures, strict=True)]
    is_right = [_is_right(catalog, null) for catalog, null in zip(catalogs, nulls, strict=True)]
    accuracy = _mean(_balance(catalogs, is_right))
    return Fitted(
        temperature=temperature,
        null=fit_null(catalogs, temperature) if accuracy.low > 0.5 else None,
        requests=sum(int(catalog.has_answer.sum()) for catalog in catalogs),
        gain=gain,
        accuracy=accuracy,
        accuracies={
            catalog.name: float(right @ _shares(catalog)) for catalog, right in zip(catalogs, is_right, strict=True)
        },
    )


def fit_temperature(catalogs: Sequence[Cosines]) -> float:
    """The τ that minimizes the mean KL of the requests with an answer, which is convex in 1/τ."""
    from scipy.optimize import minimize_scalar

    def mean_kl(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        return float(np.concatenate([measure_kl(catalog, temperature) for catalog in catalogs]).mean())

    best = minimize_scalar(mean_kl, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded")
    return float(f"{math.exp(best.x):.{_DIGITS}g}")


def measure_kl(catalog: Cosines, temperature: float) -> Doubles:
    """KL at a temperature of each request that has an answer in the catalog."""
    queries, pairs = pair_right(catalog.right)
    return divergence(log_weights_of(catalog.cosines[queries] / temperature, pairs), pairs)


def measure_equal_kl(catalog: Cosines) -> Doubles:
    """KL of each request that has an answer in the catalog if all items had the same weight."""
    _, pairs = pair_right(catalog.right)
    kl: Doubles = math.log(catalog.cosines.shape[1]) - np.log(pairs.sizes)
    return kl


def fit_null(catalogs: Sequence[Cosines], temperature: float) -> NullKey:
    """The null key whose evidence is that of a temperature.

    In each catalog, requests with an answer weigh as much as those without: its own, and those of the other catalogs.
    The mean of the evidence is subtracted first: where all cosines are high, the pull must not be another.
    """
    evidence = np.concatenate([measure_evidence(catalog, temperature) for catalog in catalogs])
    unanswerable = np.concatenate([~catalog.has_answer for catalog in catalogs])
    shares = np.concatenate([_shares(catalog) * len(catalog.right) for catalog in catalogs])
    mean = float(np.average(evidence, weights=shares))
    null = fit_logistic(evidence - mean, unanswerable, NullKey(0.0, 1.0, temperature), counts=shares)
    return null._replace(logit=null.logit + null.sharpness * mean)


def measure_evidence(catalog: Cosines, temperature: float) -> Doubles:
    """The evidence (m,) that something in the catalog answers each request."""
    z = catalog.cosines / temperature
    maximum: Doubles = z.max(axis=1)
    log_normalizer = maximum + np.log(np.exp(z - maximum[:, None]).sum(axis=1))
    evidence: Doubles = null_key.evidence(maximum, log_normalizer, np.full(len(z), z.shape[1], np.int64))
    return evidence


def _shares(catalog: Cosines) -> Doubles:
    """The weight (m,) of each request: those with an answer here weigh 1/2 together, and so do the others."""
    answered = catalog.has_answer
    shares: Doubles = np.where(answered, 0.5 / max(answered.sum(), 1), 0.5 / max((~answered).sum(), 1))
    return shares


def _is_right(catalog: Cosines, null: NullKey) -> NDArray[np.bool_]:
    """For which requests (m,) a null key is right whether the catalog answers them."""
    is_answered = null.sharpness * measure_evidence(catalog, null.temperature) > null.logit
    right: NDArray[np.bool_] = is_answered == catalog.has_answer
    return right


def _balance(catalogs: Sequence[Cosines], is_right: Sequence[NDArray[np.bool_]]) -> Doubles:
    """For each request that has an answer somewhere, half of whether that is seen, half of how often it is elsewhere.

    So a request that is asked of three catalogs counts once in the interval of the mean: only requests are independent.
    """
    right, answered = np.array(is_right, float), np.array([catalog.has_answer for catalog in catalogs])
    queries = answered.any(axis=0) & ~answered.all(axis=0)
    seen = (right * answered).sum(axis=0)[queries] / answered.sum(axis=0)[queries]
    refused = (right * ~answered).sum(axis=0)[queries] / (~answered).sum(axis=0)[queries]
    balanced: Doubles = (seen + refused) / 2
    return balanced


def _mean(values: Doubles) -> Mean:
    """The mean of values (m,), of which there are so many that the normal distribution will do."""
    mean = float(values.mean())
    error = _SURE * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return Mean(mean, mean - error, mean + error)
