"""Two settings compared on the same requests, and how much of the difference may be chance.

Axis letter: m = queries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.evaluation.mass import SHOWN_TOPS
from attnsearch.evaluation.report import Evaluation

CONFIDENCE = 0.95  # of the interval around a mean, or a difference
FEW = 50  # requests: a mean over fewer says little without its interval


class Comparison(NamedTuple):
    """What another setting changes: the differences of all means, and a paired t-test of the difference in nDCG.

    `low` and `high` are the confidence interval at `CONFIDENCE`, `p_value` is the probability of such a difference if
    there were none; all over the `queries` with an answer, and None for fewer than two. Of the tests in use, the t-test
    agrees with the randomization test, which assumes nothing (Smucker, Allan & Carterette 2007).
    """

    differences: Mapping[str, float | None]
    queries: int
    low: float | None
    high: float | None
    p_value: float | None


def compare_evaluations(before: Evaluation, after: Evaluation) -> Comparison:
    """What the setting of `after` changes; both evaluations are of the same requests."""
    changed = _numbers(after)
    differences = {name: _subtract(changed.get(name), number) for name, number in _numbers(before).items()}
    ndcg_before, ndcg_after = (
        np.array([row.ndcg for row in evaluation.answerable], np.float64) for evaluation in (before, after)
    )
    test = t_test(ndcg_after - ndcg_before)
    return Comparison(differences, len(ndcg_after), *(test or (None, None, None)))


class Interval(NamedTuple):
    """The confidence interval of a mean at `CONFIDENCE`."""

    low: float
    high: float


def intervals(evaluation: Evaluation) -> dict[str, Interval | None]:
    """The interval of each of the `means`; None for fewer than two requests."""
    return {
        name: mean_interval(
            np.array([value for row in evaluation.rows if (value := getattr(row, name)) is not None]),
            math.inf if name == "kl" else 1.0,
        )
        for name in evaluation.means
    }


def mean_interval(values: NDArray[np.float64], highest: float = 1.0) -> Interval | None:
    """The confidence interval of the mean of values (m,) from 0 to `highest`, by the t-test; None for fewer than two.

    Values that are all 0, or all 1, have no spread, and the t-test would be sure after two of them. If the true mean is
    μ, then m values are all 1 with a probability of μ^m at most, so μ is at least (1 - `CONFIDENCE`)^(1/m): Clopper &
    Pearson 1934.
    """
    test = t_test(values)
    if test is None:
        return None
    low, high = max(test.low, 0.0), min(test.high, highest)
    least = (1 - CONFIDENCE) ** (1 / len(values))
    if np.ptp(values) == 0 and highest == 1:
        low, high = (least, 1.0) if low == 1 else (0.0, 1 - least) if high == 0 else (low, high)
    return Interval(low, high)


def _subtract(value: float | None, subtrahend: float | None) -> float | None:
    return None if value is None or subtrahend is None else value - subtrahend


def _numbers(evaluation: Evaluation) -> dict[str, float | None]:
    """What two settings are compared by."""
    numbers = {**evaluation.means, "calibration_error": evaluation.calibration_error}
    if mass := evaluation.mass:
        numbers |= {"mass": mass.weight, "mass_calibration_error": mass.calibration_error}
        numbers |= {f"top_{top.share:.0%}".rstrip("%"): top.covered for top in mass.tops if top.share in SHOWN_TOPS}
    return numbers


class TTest(NamedTuple):
    """The interval around a mean at `CONFIDENCE`, and the probability of a mean so far from 0 if the true one is 0."""

    low: float
    high: float
    p_value: float


def t_test(differences: NDArray[np.float64]) -> TTest | None:
    """The t-test of paired differences (m,); None for fewer than two."""
    if len(differences) < 2:
        return None
    if np.ptp(differences) < 1e-12:  # without a spread there is no t
        mean = float(differences[0])
        return TTest(mean, mean, float(mean == 0))
    from scipy import stats

    result = stats.ttest_1samp(differences, 0.0)
    low, high = result.confidence_interval(CONFIDENCE)
    return TTest(float(low), float(high), float(result.pvalue))
