"""The weights and a field → what attention reads out: a mean and a spread, or shares.

It is softmax(z) V, the output of equation (1), with the field as V.

Axis letters: N = all keys.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.cache import Postings
from attnsearch.postings.conditions import Filter
from attnsearch.sources.dates import EPOCH

MOST = 10  # values of a category that are listed

_DAY = 86_400.0


class Readout(NamedTuple):
    """A field as attention sees it.

    `known` is the share of the attention on items that have a value. For numbers and dates, `mean` and `spread` (the
    standard deviation; of dates in days) are over these items. For all other fields, `shares` is the share of the whole
    attention that each value has, largest first; an item with several values counts for each, so they may add up to
    more than 1.
    """

    field: str
    known: float
    mean: float | str | None
    spread: float | None
    shares: dict[str, float]


def read_out(postings: Postings, field: str, weights: NDArray[np.float64]) -> Readout:
    """What attention reads out of a field; `weights` (N,) hold each item's at its first key."""
    has_value = np.zeros(len(weights), bool)
    has_value[postings.select_keys(Filter(field, "?", ()))] = True
    known = min(float(weights[has_value].sum()), 1.0)
    measured = postings.read_measured(field)
    if measured is None:
        shares = {value: float(weights[keys].sum()) for value, keys in postings.read_facets(field)}
        largest = sorted(shares, key=lambda value: -shares[value])[:MOST]
        return Readout(field, known, None, None, {value: shares[value] for value in largest if shares[value]})
    weight = weights[measured.keys]
    total = float(weight.sum())
    if not total:
        return Readout(field, known, None, None, {})
    # Divided by a power of two, which loses nothing, the squares of the largest numbers stay finite.
    exponent = math.frexp(float(np.abs(measured.numbers).max()))[1] - 1
    numbers = np.ldexp(np.repeat(measured.numbers, measured.counts), -exponent)
    center = float(weight @ numbers) / total
    mean = math.ldexp(center, exponent)
    spread = math.ldexp(math.sqrt(float(weight @ (numbers - center) ** 2) / total), exponent)
    if measured.is_date:
        return Readout(field, known, (EPOCH + timedelta(seconds=mean)).date().isoformat(), spread / _DAY, {})
    return Readout(field, known, mean, spread, {})


def item_weights(
    z: NDArray[np.floating], log_normalizer: float, heads: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """The softmax weights (N,) of logits z (N,), each moved to the first key of its item: see `Store.heads`."""
    weights = np.exp(z.astype(np.float64) - log_normalizer)
    return weights if heads is None else np.bincount(heads, weights, minlength=len(z)).astype(np.float64)
