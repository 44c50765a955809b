"""Requests and what is right for them → the W_Q under which attention goes there.

Axis letters: m = queries, n = keys, i = items, d = width, r = rank (at most m).

W = I + A, and the logits are β (x W) Xᵀ. What is minimized is the mean cross-entropy between the shares that are right
and the softmax over the whole catalog, and a pull of A towards nothing:

    L(A) = -1/m Σ t log softmax(β (x + x A) Xᵀ) + pull/2 · ‖A‖²

With W_K = I this is every bilinear map x M Xᵀ there is: with a W_K of its own, M = W_Q W_Kᵀ would be no other. The loss
is convex where each item has one key, and the pull makes its minimum the only one, so that no seed decides. A has its
rows in the span of the queries, since nothing else has a gradient; so it is sought there, and few queries make few
numbers to learn: A = B C, B (d, r) an orthonormal basis of the queries. The minimizer is L-BFGS, Liu & Nocedal 1989.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads

SHARPNESS = 20.0  # β while W is learned; the temperature is fitted afterwards

_LOGITS = 1 << 22  # that a thread holds at once: 16 MB
_THREAD = 1 << 16  # logits that are worth a thread
_STEPS = 40
_TOLERANCE = 1e-4  # of the loss, relative: below what a held-out request can tell

Floats = NDArray[Any]  # float32; numpy's types lose that on the way


class Keys(NamedTuple):
    """Keys X (n, d), and the first key of each item (i,), None where no item has another.

    `offset` (i,) is added to each item's logit in the normalizer, None is 0: the log of how many items it stands for.
    """

    keys: Floats
    heads: NDArray[np.int64] | None = None
    offset: Floats | None = None

    def best(self, z: Floats) -> Floats:
        """The logits of the items (m, i), each that of its best key, of those of the keys (m, n)."""
        return z if self.heads is None else np.maximum.reduceat(z, self.heads, axis=1)


class Targets(NamedTuple):
    """Which share t of the attention should go where: the number of the query, that of the item, the share."""

    queries: NDArray[np.int64]
    items: NDArray[np.int64]
    shares: Floats

    def of(self, first: int, end: int) -> Targets:
        """Those of the queries from `first` to before `end`; their numbers are in ascending order."""
        part = slice(*np.searchsorted(self.queries, [first, end]))
        return Targets(self.queries[part] - first, self.items[part], self.shares[part])

    def take(self, chosen: NDArray[np.int64]) -> Targets:
        """Those of the `chosen` queries, which are numbered anew in that order."""
        parts = [self.of(one, one + 1) for one in chosen]
        numbers = np.repeat(np.arange(len(chosen)), [len(part.items) for part in parts])
        return Targets(numbers, *(np.concatenate([part[field] for part in parts]) for field in (1, 2)))


def item_logits(catalog: Keys, x: Floats, w: Floats | None = None) -> Floats:
    """β (x w) Xᵀ, those of the items (m, i); `w` is I unless given."""
    q = (x if w is None else x @ w) * np.float32(SHARPNESS)
    return catalog.best(q @ catalog.keys.T)


class Loss:
    """The cross-entropy of some queries, and its gradient, by A in the span of these; or by any A, if it is `whole`."""

    def __init__(self, catalog: Keys, x: Floats, targets: Targets, *, whole: bool = False) -> None:
        self.catalog = catalog
        self.basis = np.eye(x.shape[1], dtype=np.float32) if whole else _basis(x)
        rows = max(-(-len(x) // threads.count()), _THREAD // len(catalog.keys))
        rows = max(min(rows, _LOGITS // len(catalog.keys)), 1)
        spans = [(first, min(first + rows, len(x))) for first in range(0, len(x), rows)]
        self.parts = [(x[first:end], targets.of(first, end)) for first, end in spans]
        self.m = len(x)

    def __call__(self, c: Floats) -> tuple[float, Floats]:
        """The loss at A = B C, of C (r, d), and its gradient (r, d)."""
        losses, gradients = zip(*threads.each(lambda part: self._part(c, *part), self.parts), strict=True)
        return sum(losses) / self.m, sum(gradients) / np.float32(self.m)

    def _part(self, c: Floats, x: Floats, targets: Targets) -> tuple[float, Floats]:
        catalog, beta = self.catalog, np.float32(SHARPNESS)
        in_basis = x @ self.basis
        z_keys = ((x + in_basis @ c) * beta) @ catalog.keys.T
        z = catalog.best(z_keys)
        shifted = z if catalog.offset is None else z + catalog.offset
        top = shifted.max(axis=1, keepdims=True)
        p = np.exp(shifted - top)
        total = p.sum(axis=1, keepdims=True)
        log_total = (top + np.log(total))[:, 0]
        at = targets.queries, targets.items
        loss = float(targets.shares @ (log_total[targets.queries] - z[at]))
        p /= total
        p[at] -= targets.shares
        if catalog.heads is not None:  # only an item's best key has a part in it
            sizes = np.diff(np.append(catalog.heads, len(catalog.keys)))
            behind = z_keys < np.repeat(z, sizes, axis=1)
            p = np.repeat(p, sizes, axis=1)
            p[behind] = 0
        return loss, beta * (in_basis.T @ (p @ catalog.keys))


def fit_w(loss: Loss, pull: float, start: Floats | None = None, *, symmetric: bool = False) -> Floats:
    """W (d, d) at the minimum of the loss with that pull; `start` is where to look from.

    With `symmetric` it is sought among W = Wᵀ alone, for which the loss must be of a `whole` A.
    """
    from scipy.optimize import minimize

    d = len(loss.basis)
    shape = loss.basis.shape[1], d
    c = np.zeros(shape, np.float32) if start is None else loss.basis.T @ (start - np.eye(d, dtype=np.float32))

    def value(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        c = flat.reshape(shape).astype(np.float32)
        told, gradient = loss(c)
        gradient = (gradient + gradient.T) / 2 if symmetric else gradient  # so c, which is symmetric at first, stays so
        return told + pull / 2 * float(np.vdot(c, c)), (gradient + np.float32(pull) * c).ravel().astype(np.float64)

    options: dict[str, Any] = {"maxiter": _STEPS, "ftol": _TOLERANCE, "gtol": 1e-5}
    found = minimize(value, c.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options=options)
    a: Floats = loss.basis @ found.x.reshape(shape).astype(np.float32)
    return np.eye(d, dtype=np.float32) + a


def _basis(x: Floats) -> Floats:
    """An orthonormal basis (d, r) of the rows of x (m, d)."""
    _, sizes, rows = np.linalg.svd(x, full_matrices=False)
    return np.ascontiguousarray(rows[sizes > sizes[0] * 1e-4].T)
