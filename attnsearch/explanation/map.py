"""Result → the items as points of a plane, with the request and the output among them.

The plane is that of the two directions in which the keys of the catalog differ most, so it is the same for every
request and every filter.

Axis letters: n = items that count, h = hits, d = width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.engines.covariance import principal_axes
from attnsearch.errors import InputError
from attnsearch.explanation.phrases import trace_of
from attnsearch.opening.index import Index
from attnsearch.search.result import Hit, Result
from attnsearch.search.scoring import score_all
from attnsearch.search.setting import Setting

Doubles = NDArray[np.float64]
Point = tuple[float, float]


class Map(NamedTuple):
    """The items that no filter hides, in the plane of the first two principal components of the catalog's keys.

    `points` (n, 2) are the places of the items, in the order in which they were indexed, `weights` (n,) their shares of
    the attention. An item of several passages has the place of its best one, which attention reads. So `output`, the
    place of softmax(z) X, is the weighted mean of the points. `request` is the place of x. `variance` (2,) is the share
    of the keys' variance that each axis shows; 0 if they do not differ. `hits` are those of the result, best first,
    `hit_rows` (h,) the rows of `points` that are theirs. `hidden` counts the items that a filter hides. `has_values` is
    False if W_V is not I: then softmax(z) X W_V has no place in the plane.
    """

    query: str
    catalog: str
    points: Doubles
    weights: Doubles
    request: Point
    output: Point
    variance: Point
    hits: Sequence[Hit]
    hit_rows: NDArray[np.int64]
    hidden: int
    has_values: bool = True


def map_items(index: Index, text: str, setting: Setting, result: Result) -> Map:
    """The map of the items for a request `text` in this setting, whose `result` this is.

    Raises InputError for a result without a trace, and if every item is hidden.
    """
    trace = trace_of(result)
    scores, z = score_all(index.engine, setting.resolve(index, [text]), trace.x[None])
    keys = np.flatnonzero(np.isfinite(z[0]))  # of each item the best
    if not len(keys):
        raise InputError("every item is hidden, so there is nothing to draw", where=index.info.name)
    weights = np.exp(z[0, keys].astype(np.float64) - float(scores.state.maximum[0]))
    weights /= weights.sum()
    covariance = index.engine.measure_covariance()
    axes, variances = principal_axes(covariance, 2)
    total = float(np.trace(covariance.scatter)) / covariance.size
    axes = _complete_axes(axes, trace.x - covariance.mean)
    points = index.engine.project(axes)[keys] - covariance.mean @ axes.T
    return Map(
        query=result.query,
        catalog=result.catalog,
        points=points,
        weights=weights,
        request=_point((trace.x - covariance.mean) @ axes.T),
        output=_point(weights @ points),
        variance=_point(variances / total if total else variances),
        hits=result.hits,
        hit_rows=np.searchsorted(keys, trace.hit_keys),
        hidden=result.masked,
        has_values=np.array_equal(trace.projections.w_v, np.eye(len(trace.x))),
    )


def _complete_axes(axes: Doubles, x: Doubles) -> Doubles:
    """The axes (2, d), but the first that is 0 leads to the centered request x (d,), as far as the other does not.

    Where no item is apart from the others, the request is.
    """
    axes = axes.copy()
    missing = np.flatnonzero(~axes.any(axis=1))
    rest = x - axes.T @ (axes @ x)
    length = float(np.linalg.norm(rest))
    if len(missing) and length > 1e-6:
        axes[missing[0]] = rest / length
    return axes


def _point(pair: Doubles) -> Point:
    return float(pair[0]), float(pair[1])
