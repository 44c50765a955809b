"""Judged requests → what held-out requests gain by the number of requests that are learned from.

Each point is measured as `train` measures its own gain: with the same folds, on the same held-out requests. But a fold
learns from only a share of the requests that it does not hold out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attnsearch.attention.memory import Recall
from attnsearch.learning.acceptance import Gain, measure_gains
from attnsearch.learning.cross_validation import CrossValidation, OnFits, cross_validate
from attnsearch.learning.examples import TrainingSet
from attnsearch.learning.memory import validate_memory

SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4)  # of the requests that a fold does not hold out; the last point has all


class Point(NamedTuple):
    """What held-out requests gain if a fold learns from this many requests (the mean over the folds).

    nDCG is better if higher, KL if lower, as in `acceptance.Verdict`.
    """

    requests: float
    ndcg: Gain
    kl: Gain


class Curve(NamedTuple):
    """The points by number of requests, ascending. The last one has all that a fold can learn from: `train`'s gain.

    All points are measured on the same `held_out` requests with an answer, so chance moves them together.
    """

    points: list[Point]
    held_out: int


def measure_curve(
    training_set: TrainingSet,
    validation: CrossValidation,
    *,
    seed: int = 0,
    careful: Recall | None = None,
    progress: OnFits | None = None,
) -> Curve:
    """The curve of a training set whose cross-validation with this seed is `validation`.

    With `careful`, see `validate_memory`, a fold also remembers the requests that it learns from; if `validation` is
    untrained, that is all it does. It takes up to twice as long as the cross-validation did. `progress` is called as
    `cross_validate` does, with the gains of the finished points.
    """
    points: list[Point] = []

    def measure_point(validation: CrossValidation) -> Point:
        gained = (
            validation
            if careful is None
            else validate_memory(training_set, validation.by_others, careful).since(validation)
        )
        return Point(validation.learned_from, *measure_gains(gained))

    for number, share in enumerate(SHARES):

        def count_fits(done: int, total: int, _: Sequence[float], number: int = number) -> None:
            if progress:
                progress(number * total + done, len(SHARES) * total, [point.ndcg.change for point in points])

        part = cross_validate(training_set, seed=seed, share=share, progress=count_fits)
        points.append(measure_point(part.untrained if careful and not validation.chosen else part))
    points.append(measure_point(validation))
    by_requests = {point.requests: point for point in points}  # of a few requests, two shares may be the same number
    return Curve(list(by_requests.values()), int(np.count_nonzero(~np.isnan(validation.before.ndcg))))
