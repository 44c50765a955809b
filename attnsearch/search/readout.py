"""The weights and a field → what attention reads out: a mean and a spread, or shares.

It is softmax(z) V, the output of equation (1), with the field as V.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.cache import Postings
from attnsearch.postings.filters import EPOCH, Filter

MOST = 10  # values of a category that are told

_DAY = 86_400.0


class Readout(NamedTuple):
    """What a field is, for what attention carries home.

    `known` is the share of the attention that goes to items with a value. Of numbers and dates, `mean` and `spread`
    (the standard deviation; of dates in days) over these. Of anything else, the `shares` of the whole attention that
    each value has, the largest first; they add up to more than one where items have several.
    """

    field: str
    known: float
    mean: float | str | None
    spread: float | None
    shares: dict[str, float]


def read_out(postings: Postings, field: str, weights: NDArray[np.float64]) -> Readout:
    """What the weights (N,), told at the first key of each item, read out of a field."""
    has = np.zeros(len(weights), bool)
    has[postings.select_keys(Filter(field, "?", ()))] = True
    known = min(float(weights[has].sum()), 1.0)
    measured = postings.read_measured(field)
    if measured is None:
        found = postings.read_facets(field)
        shares = sorted(((float(weights[keys].sum()), value) for value, keys in found), key=lambda one: -one[0])
        return Readout(field, known, None, None, {value: share for share, value in shares[:MOST] if share})
    weight = weights[measured.keys]
    total = float(weight.sum())
    if not total:
        return Readout(field, known, None, None, {})
    numbers = np.repeat(measured.numbers, measured.counts)
    mean = float(weight @ numbers) / total
    spread = math.sqrt(float(weight @ (numbers - mean) ** 2) / total)
    if measured.is_date:
        return Readout(field, known, (EPOCH + timedelta(seconds=mean)).date().isoformat(), spread / _DAY, {})
    return Readout(field, known, mean, spread, {})


def item_weights(
    z: NDArray[np.floating], log_normalizer: float, heads: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """The softmax weights (N,) of logits z (N,), each told at the first key of its item."""
    weights = np.exp(z.astype(np.float64) - log_normalizer)
    return weights if heads is None else np.bincount(heads, weights, minlength=len(z)).astype(np.float64)
