"""Ranks and weights → measures of how good they are, in numpy and nothing else.

Axis letters, in every shape below:
    n = ranks    j = judged items    m = queries

The first four agree with TREC's evaluator to the last digit: https://github.com/usnistgov/trec_eval
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Gain = Literal["linear", "exp"]

LEVELS = np.arange(1, 10) / 10  # shares of the attention, at which its calibration is measured


def ndcg(ranked: Floats, judged: Floats, k: int = 10, gain: Gain = "linear") -> float:
    """Discounted cumulative gain of the first `k` ranks, divided by that of the best possible order; 0 if that is 0.

    `ranked` (n,) holds the grade of the item on each rank, 0 if it is not judged; `judged` (j,) the grades of all
    judged items, ranked or not. A gain is divided by log2(rank + 1). It is the grade g itself if `linear`, as in
    Järvelin & Kekäläinen 2002 and in trec_eval; 2^g - 1 if `exp`, as in Burges et al. 2005.

    >>> ranked, judged = np.array([0.0, 2.0, 1.0]), np.array([1.0, 2.0])
    >>> round(ndcg(ranked, judged), 4)  # (2/log2 3 + 1/2) / (2 + 1/log2 3)
    0.6697
    >>> round(ndcg(ranked, judged, gain="exp"), 4)  # (3/log2 3 + 1/2) / (3 + 1/log2 3)
    0.659
    """
    highest = float(judged.max(initial=0.0))
    if not highest > 0:
        return 0.0
    best = _discounted_gain(np.sort(judged)[::-1][:k], highest, gain)
    return _discounted_gain(ranked[:k], highest, gain) / best


def _discounted_gain(grades: Floats, highest: float, gain: Gain) -> float:
    """The gain of grades (n,) in the order of their ranks, as a share of that of the `highest`: none overflows."""
    gains = grades / highest if gain == "linear" else np.exp2(grades - highest) - np.exp2(-highest)
    return float(np.sum(gains / np.log2(np.arange(2, len(grades) + 2))))


def reciprocal_rank(ranked: Floats) -> float:
    """1 over the rank of the first right item, 0 if there is none; `ranked` (n,) as in `ndcg`.

    Its mean over queries is the MRR: Voorhees 1999.

    >>> reciprocal_rank(np.array([0.0, 2.0, 1.0]))
    0.5
    """
    right = np.flatnonzero(ranked > 0)
    return 1.0 / (int(right[0]) + 1) if len(right) else 0.0


def recall(ranked: Floats, judged: Floats, k: int) -> float:
    """The share of the right items that stand on the first `k` ranks; `ranked` (n,) and `judged` (j,) as in `ndcg`.

    >>> recall(np.array([0.0, 2.0, 1.0]), np.array([1.0, 2.0]), k=2)
    0.5
    """
    right = np.count_nonzero(judged > 0)
    return float(np.count_nonzero(ranked[:k] > 0) / right) if right else 0.0


def precision_at_1(ranked: Floats) -> float:
    """1 if the first item is right, else 0; `ranked` (n,) as in `ndcg`.

    >>> precision_at_1(np.array([0.0, 2.0, 1.0]))
    0.0
    """
    return float(len(ranked) > 0 and ranked[0] > 0)


def divergence(log_weights: Floats) -> float:
    """KL(p ‖ w) in nats, from equal shares p of the right items to their weights w.

    `log_weights` (j,) are logarithms because a weight may be too small for a float. KL is -log j - mean log w
    (Kullback & Leibler 1951): 0 if the right items have all of the attention, in equal shares.

    >>> divergence(np.log([0.5, 0.5])), round(divergence(np.log([0.25, 0.25])), 4)  # log 2
    (0.0, 0.6931)
    """
    return float(max(-np.log(len(log_weights)) - np.mean(log_weights), 0.0))


def find_covered(weights: Floats, right: NDArray[np.bool_], levels: Floats = LEVELS) -> Floats:
    """The share of the right items (l,) that the top holds, for tops with these shares (l,) of the attention.

    `weights` (n,), highest first, add up to 1; `right` (n,) says which items are right, at least one. A top is the
    fewest items with the share, as `--top-p` lists them, and of the last one only the fraction that is needed: so the
    top has exactly the share. If a right item that is picked at random is each item as often as the weights say, the
    mean of this over requests is exactly the level. Such sets are those of Romano, Sesia & Candès 2020, and their
    curve that of Kuleshov, Fenner & Ermon 2018.

    >>> weights, right = np.array([0.5, 0.25, 0.25]), np.array([False, True, True])
    >>> find_covered(weights, right, np.array([0.5, 0.625, 0.9])).round(6).tolist()
    [0.0, 0.25, 0.8]
    """
    attention, share = (np.concatenate([[0.0], np.cumsum(part)]) for part in (weights, right / np.count_nonzero(right)))
    covered: Floats = np.interp(levels, attention, share)
    return covered


def coverage_error(covered: Floats) -> float:
    """The mean distance between `LEVELS` (l,) and the shares of the right items (l,) that tops of them hold.

    It is to `find_covered` what the calibration error is to the top weight.

    >>> round(coverage_error(LEVELS - 0.05), 6)
    0.05
    """
    return float(np.mean(np.abs(covered - LEVELS)))


def brier(chances: Floats, true: NDArray[np.bool_]) -> float:
    """The mean square of what chances (m,) miss of the truth (m,), 1 or 0: Brier 1950. 0 is best, 1/4 is a coin's.

    >>> brier(np.array([0.5, 1.0]), np.array([True, True]))
    0.125
    """
    return float(np.mean((chances - true) ** 2))


class Bin(NamedTuple):
    """The cases whose confidence is above `low`, and at most `high`: their number, and two means.

    `confidence` is the mean of theirs, `accuracy` the share of them that is right.
    """

    low: float
    high: float
    cases: int
    confidence: float
    accuracy: float


def bin_by_confidence(confidence: Floats, right: Floats, bins: int = 10) -> list[Bin]:
    """The cases in bins of equal width, (0, 0.1], (0.1, 0.2], …, but for empty ones.

    `confidence` (m,) is from 0 to 1, `right` (m,) is 1 for a case that is right, else 0. Drawn, they are a reliability
    diagram: DeGroot & Fienberg 1983.

    >>> for part in bin_by_confidence(np.array([0.75, 0.75, 0.5]), np.array([1, 0, 1]), bins=2):
    ...     print(*part)
    0.0 0.5 1 0.5 1.0
    0.5 1.0 2 0.75 0.5
    """
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.digitize(confidence, edges[1:-1], right=True)
    return [
        Bin(
            low=float(edges[number]),
            high=float(edges[number + 1]),
            cases=int(np.count_nonzero(bin_of == number)),
            confidence=float(confidence[bin_of == number].mean()),
            accuracy=float(right[bin_of == number].mean()),
        )
        for number in sorted(set(bin_of.tolist()))
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """How far confidence is from accuracy: 0 without a case.

    The expected calibration error of Naeini et al. 2015: the distance between the two means in each bin, weighted by
    the number of cases in it.

    >>> bins = bin_by_confidence(np.array([0.75, 0.75, 0.5, 0.25]), np.array([1, 0, 1, 0]))
    >>> calibration_error(bins)  # (2·0.25 + 0.5 + 0.25) / 4
    0.3125
    """
    cases = sum(part.cases for part in bins)
    return sum(part.cases * abs(part.confidence - part.accuracy) for part in bins) / max(cases, 1)


def balanced_accuracy(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """The mean of the accuracies of a prediction (m,) on the cases that are true (m,), and on those that are false.

    >>> balanced_accuracy(np.array([True, False, False]), np.array([True, True, False]))
    0.75
    """
    return float(np.mean(predicted[true]) + np.mean(~predicted[~true])) / 2
