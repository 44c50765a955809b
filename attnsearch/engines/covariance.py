"""All keys of a catalog → the directions in which they differ most.

Axis letters: n = keys, d = width.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from attnsearch.storage.segment import Block

ROWS = 4_096  # keys that a thread multiplies at once: 12 MB as float64, for a width of 384

_NOTHING = 1e-12  # variance: keys that are a millionth apart are the same, but for rounding
_EQUAL = 1e-9  # of the largest variance, and of lengths

Doubles = NDArray[np.float64]


class Covariance(NamedTuple):
    """The covariance of n keys, as sums that merge: `size` is n, `scatter` (d, d) is Σ (x - mean)ᵀ (x - mean)."""

    size: int
    mean: Doubles
    scatter: Doubles

    def merge(self, other: Self) -> Self:
        """The covariance of the keys of both: Chan, Golub & LeVeque 1983, equation (2.1)."""
        if not (self.size and other.size):
            return self if self.size else other
        size = self.size + other.size
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.size / size)
        scatter = self.scatter + other.scatter + np.outer(shift, shift) * (self.size * other.size / size)
        return self._replace(size=size, mean=mean, scatter=scatter)


def merge_covariances(parts: Iterable[Covariance], d: int) -> Covariance:
    """The covariance of the keys of all, merged in this order; of none, zeros."""
    return functools.reduce(Covariance.merge, parts, Covariance(0, np.zeros(d), np.zeros((d, d))))


def measure_block(block: Block) -> Covariance:
    """The covariance of a block's keys, in float64."""

    def measure(rows: slice) -> Covariance:
        x = (block.x[rows] if block.alive is None else block.x[rows][block.alive[rows]]).astype(np.float64)
        if not len(x):
            return merge_covariances([], x.shape[1])
        mean = x.mean(axis=0)
        x -= mean
        return Covariance(len(x), mean, x.T @ x)

    parts = (measure(slice(start, start + ROWS)) for start in range(0, len(block.x), ROWS))
    return merge_covariances(parts, block.x.shape[1])


def project_block(block: Block, axes: Doubles) -> Doubles:
    """The coordinates (n, a) of a block's rows along the axes (a, d), in float64."""
    parts = [block.x[start : start + ROWS].astype(np.float64) @ axes.T for start in range(0, len(block.x), ROWS)]
    return np.concatenate(parts)


def principal_axes(covariance: Covariance, count: int) -> tuple[Doubles, Doubles]:
    """The `count` directions (count, d) in which the keys differ most, and the variance (count,) along each.

    Unit vectors at right angles, the largest variance first: principal components (Pearson 1901). One rule decides the
    signs, and which axes stand for directions of equal variance, so that neither the order of the keys nor the machine
    does: each axis points as nearly as it can along one component of the vectors. Of all components that is the one
    that an axis can come nearest to, and the first of equal ones. Where the keys do not differ, an axis is 0.

    >>> x = np.array([[0.0, 3.0], [0.0, -3.0], [1.0, 0.0], [-1.0, 0.0]])
    >>> axes, variances = principal_axes(Covariance(4, x.mean(axis=0), x.T @ x), 2)
    >>> axes.tolist(), variances.tolist()
    ([[0.0, 1.0], [1.0, 0.0]], [4.5, 0.5])
    """
    d = len(covariance.mean)
    axes, variances = np.zeros((count, d)), np.zeros(count)
    values, vectors = np.linalg.eigh(covariance.scatter / max(covariance.size, 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    number = 0
    while number < min(count, d) and values[number] > _NOTHING:
        equal = np.abs(values - values[number]) <= _EQUAL * values[0]
        space = vectors[:, equal & (np.arange(d) >= number)]
        for _ in range(min(space.shape[1], count - number)):
            nearness = np.linalg.norm(space, axis=1)
            component = int(np.argmax(nearness >= nearness.max() - _EQUAL))
            axes[number] = space @ space[component] / nearness[component]
            variances[number] = values[number]
            space = _without(space, axes[number])
            number += 1
    return axes, variances


def _without(space: Doubles, axis: Doubles) -> Doubles:
    """An orthonormal basis of what is at right angles to an axis (d,) in the space with the basis `space` (d, s)."""
    rest, sizes, _ = np.linalg.svd(space - np.outer(axis, axis @ space), full_matrices=False)
    return rest[:, sizes > 0.5]  # all are 1, but for the one that is gone
