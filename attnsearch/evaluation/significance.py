"""Two settings compared on the same requests, and how much of the difference may be chance.

Axis letter: m = queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.evaluation.report import Evaluation

CONFIDENCE = 0.95  # of the interval around a difference


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
    means = {**before.means, "calibration_error": before.calibration_error}
    changed = {**after.means, "calibration_error": after.calibration_error}
    differences = {name: _subtract(changed[name], mean) for name, mean in means.items()}
    ndcg_before, ndcg_after = (
        np.array([row.ndcg for row in evaluation.answerable], np.float64) for evaluation in (before, after)
    )
    test = t_test(ndcg_after - ndcg_before)
    return Comparison(differences, len(ndcg_after), *(test or (None, None, None)))


def _subtract(value: float | None, subtrahend: float | None) -> float | None:
    return None if value is None or subtrahend is None else value - subtrahend


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
