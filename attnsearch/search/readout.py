"""The weights and a field → what attention reads out: a mean and a spread, or shares.

It is softmax(z) V, the output of equation (1), with the field as V.

Axis letters: N = all keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.cache import Postings
from attnsearch.postings.conditions import Filter
from attnsearch.sources.dates import EPOCH

MOST = 10  # values of a category that are listed

_DAY = 86_400.0  # seconds
_YEAR = 365.2425  # days


class Readout(NamedTuple):
    """A field as attention sees it.

    `known` is the share of the attention on items that have a value. For numbers and dates, `mean` and `spread` (the
    standard deviation; of dates in days) are over these items. For all other fields, `shares` is the share of the whole
    attention that each value has, largest first; an item with several values counts for each, so they may add up to
    more than 1. `total` is the weight that the mean is over: an item with several numbers counts for each.
    """

    field: str
    known: float
    mean: float | str | None
    spread: float | None
    shares: dict[str, float]
    total: float = 0.0

    @property
    def spelled(self) -> tuple[str, str]:
        """The mean and the spread in words, such as "1968" and "14", or "2021-03-04" and "12 days"; empty without."""
        spread = self.spread or 0.0
        if self.mean is None:
            return "", ""
        if isinstance(self.mean, str):
            return self.mean, f"{spread / _YEAR:.1f} years" if spread > 2 * _YEAR else f"{spread:.0f} days"
        digits = max(1 - math.floor(math.log10(spread)), 0) if spread else 2
        return _format_number(self.mean, digits), _format_number(spread, digits)


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
        return Readout(field, known, _day(mean), spread / _DAY, {}, total)
    return Readout(field, known, mean, spread, {}, total)


def read_values(postings: Postings, field: str, keys: Sequence[int]) -> list[list[float | str]]:
    """The values of a field that each item has, by its first key: numbers, days for dates, else texts."""
    measured = postings.read_measured(field)
    values: Sequence[float | str]
    if measured is None:
        facets = postings.read_facets(field)
        values = [value for value, _ in facets]
        counts = [len(facet.keys) for facet in facets]
        owners = np.concatenate([np.empty(0, np.int64), *(facet.keys for facet in facets)])
    else:
        values = measured.numbers.tolist()
        if measured.is_date:
            values = [_day(seconds) for seconds in measured.numbers.tolist()]
        counts, owners = measured.counts.tolist(), measured.keys.astype(np.int64)
    numbers = np.repeat(np.arange(len(counts)), counts)
    return [[values[number] for number in numbers[owners == key].tolist()] for key in keys]


def _day(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).date().isoformat()


def _format_number(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if abs(number) < 1e15 and digits < 12 else f"{number:.4g}"


def item_weights(
    z: NDArray[np.floating], log_normalizer: float, first_keys: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """The softmax weights (N,) of logits z (N,), each moved to the first key of its item: see `Store.first_keys`."""
    weights = np.exp(z.astype(np.float64) - log_normalizer)
    return weights if first_keys is None else np.bincount(first_keys, weights, minlength=len(z)).astype(np.float64)
