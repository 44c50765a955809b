"""Two settings compared over the same requests, and what chance explains of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.evaluation.report import Evaluation

CONFIDENCE = 0.95  # of the interval around a difference


class Comparison(NamedTuple):
    """What another setting changes: the differences of all means, and what chance leaves of that of nDCG.

    `low` and `high` bound it with `CONFIDENCE`, `p_value` is that of no difference, both by a paired t-test over the
    `queries` that have an answer; None for a single one. Of the tests in use, the t-test agrees with the randomization
    test, which assumes nothing: Smucker, Allan & Carterette 2007.
    """

    differences: Mapping[str, float | None]
    queries: int
    low: float | None
    high: float | None
    p_value: float | None


def compare_evaluations(one: Evaluation, other: Evaluation) -> Comparison:
    """What the setting of the `other` report changes, of the same requests."""
    pairs = [*one.means.items(), ("calibration_error", one.calibration_error)]
    others = {**other.means, "calibration_error": other.calibration_error}
    differences = {name: _minus(others[name], mean) for name, mean in pairs}
    after, before = np.array([[row.ndcg for row in report.answerable] for report in (other, one)], np.float64)
    return Comparison(differences, len(after), *t_test(after - before))


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def t_test(differences: NDArray[np.float64]) -> tuple[float | None, float | None, float | None]:
    """The interval around the mean of paired differences (m,), and the chance of as large a mean if there were none.

    None for fewer than two.
    """
    if len(differences) < 2:
        return None, None, None
    if np.ptp(differences) < 1e-12:  # without a spread there is no t
        mean = float(differences[0])
        return mean, mean, float(mean == 0)
    from scipy import stats

    told = stats.ttest_1samp(differences, 0.0)
    low, high = told.confidence_interval(CONFIDENCE)
    return float(low), float(high), float(told.pvalue)
