"""Requests and their right items → the W_Q that sends attention there.

Axis letters: m = queries, n = keys, i = items, d = width, r = rank (at most m).

W = I + A, and the logits are β (x W) Xᵀ. The loss is the mean cross-entropy between the right shares t and the softmax
over the whole catalog, plus a pull of A towards zero:

    L(A) = -1/m Σ t log softmax(β (x + x A) Xᵀ) + pull/2 · ‖A‖²

With W_K = I this covers every bilinear map x M Xᵀ: a W_K of its own would add nothing, since M = W_Q W_Kᵀ. The loss is
convex if each item has one key, and the pull makes its minimum unique, so no seed decides. Only the span of the queries
has a gradient, so the rows of A lie there, and few queries leave few numbers to learn: A = B C, where B (d, r) is an
orthonormal basis of the queries. The minimizer is L-BFGS (Liu & Nocedal 1989).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads

SHARPNESS = 20.0  # β while W is learned; the temperature is fitted afterwards
PART_LOGITS = 1 << 16, 1 << 22  # in a part of the loss: fewer are not worth a thread, more are over 16 MB

_STEPS = 40
_TOLERANCE = 1e-4  # of the loss, relative: below what held-out requests can show

Floats = NDArray[Any]  # float32; numpy's types lose that on the way


class Keys(NamedTuple):
    """Keys X (n, d), ordered by item, and where each item's keys begin (i,); None if each item has one key.

    `offset` (i,) is added to each item's logit in the normalizer: the log of the number of items that it stands for.
    None means 0.
    """

    vectors: Floats
    starts: NDArray[np.int64] | None = None
    offset: Floats | None = None

    def best_per_item(self, z: Floats) -> Floats:
        """The logits of the items (m, i), each that of its best key, from the logits of the keys z (m, n)."""
        return z if self.starts is None else np.maximum.reduceat(z, self.starts, axis=1)


class Targets(NamedTuple):
    """The share t of the attention that should go from a query to an item: query number, item number, share.

    Query numbers are in ascending order.
    """

    queries: NDArray[np.int64]
    items: NDArray[np.int64]
    shares: Floats

    def between(self, start: int, stop: int) -> Targets:
        """The targets of the queries from `start` to before `stop`, numbered from 0."""
        rows = slice(*np.searchsorted(self.queries, [start, stop]))
        return Targets(self.queries[rows] - start, self.items[rows], self.shares[rows])

    def take(self, queries: NDArray[np.int64]) -> Targets:
        """The targets of these queries, numbered by their position in `queries`."""
        parts = [self.between(query_number, query_number + 1) for query_number in queries]
        numbers = np.repeat(np.arange(len(queries)), [len(part.items) for part in parts])
        items, shares = (np.concatenate([part[field] for part in parts]) for field in (1, 2))
        return Targets(numbers, items, shares)


def item_logits(keys: Keys, x: Floats, w: Floats | None = None) -> Floats:
    """β (x W) Xᵀ, the logits of the items (m, i), for queries x (m, d) and W (d, d); None is I."""
    q = (x if w is None else x @ w) * np.float32(SHARPNESS)
    return keys.best_per_item(q @ keys.vectors.T)


class Loss:
    """The cross-entropy of queries x (m, d), and its gradient, as a function of A.

    A lies in the span of the queries, or, if `whole`, is any matrix. The queries are worked on in parts;
    `part_logits` are the fewest and the most logits of a part.
    """

    def __init__(
        self,
        keys: Keys,
        x: Floats,
        targets: Targets,
        *,
        whole: bool = False,
        part_logits: tuple[int, int] = PART_LOGITS,
    ) -> None:
        self.keys = keys
        self.basis = np.eye(x.shape[1], dtype=np.float32) if whole else _basis(x)
        fewest, most = (logits // len(keys.vectors) for logits in part_logits)
        rows = max(min(max(-(-len(x) // threads.count()), fewest), most), 1)
        bounds = [(start, min(start + rows, len(x))) for start in range(0, len(x), rows)]
        self.parts = [(x[start:stop], targets.between(start, stop)) for start, stop in bounds]
        self.m = len(x)

    def __call__(self, c: Floats) -> tuple[float, Floats]:
        """The loss at A = B C, for C (r, d), and its gradient (r, d)."""
        losses, gradients = zip(*threads.each(lambda part: self._part_loss(c, *part), self.parts), strict=True)
        return sum(losses) / self.m, sum(gradients) / np.float32(self.m)

    def _part_loss(self, c: Floats, x: Floats, targets: Targets) -> tuple[float, Floats]:
        """The sum of the losses of some of the queries, and its gradient."""
        keys, beta = self.keys, np.float32(SHARPNESS)
        in_basis = x @ self.basis
        z_keys = ((x + in_basis @ c) * beta) @ keys.vectors.T
        z = keys.best_per_item(z_keys)
        shifted = z if keys.offset is None else z + keys.offset
        top = shifted.max(axis=1, keepdims=True)
        p = np.exp(shifted - top)
        total = p.sum(axis=1, keepdims=True)
        log_total = (top + np.log(total))[:, 0]
        right = targets.queries, targets.items
        loss = float(targets.shares @ (log_total[targets.queries] - z[right]))
        p /= total
        p[right] -= targets.shares
        if keys.starts is not None:  # only an item's best key contributes
            sizes = np.diff(np.append(keys.starts, len(keys.vectors)))
            behind = z_keys < np.repeat(z, sizes, axis=1)
            p = np.repeat(p, sizes, axis=1)
            p[behind] = 0
        return loss, beta * (in_basis.T @ (p @ keys.vectors))


def fit_w(loss: Loss, pull: float, start: Floats | None = None, *, symmetric: bool = False) -> Floats:
    """W (d, d) at the minimum of the loss with that pull, searched for from `start`; None is I.

    With `symmetric` the search is among W = Wᵀ alone; the loss must then be that of a `whole` A.
    """
    from scipy.optimize import minimize

    d = len(loss.basis)
    shape = loss.basis.shape[1], d
    c = np.zeros(shape, np.float32) if start is None else loss.basis.T @ (start - np.eye(d, dtype=np.float32))

    def pulled_loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        c = flat.reshape(shape).astype(np.float32)
        value, gradient = loss(c)
        gradient = (gradient + gradient.T) / 2 if symmetric else gradient  # so c, which starts symmetric, stays so
        value += pull / 2 * float(np.vdot(c, c))
        return value, (gradient + np.float32(pull) * c).ravel().astype(np.float64)

    options: dict[str, Any] = {"maxiter": _STEPS, "ftol": _TOLERANCE, "gtol": 1e-5}
    result = minimize(pulled_loss, c.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options=options)
    a: Floats = loss.basis @ result.x.reshape(shape).astype(np.float32)
    return np.eye(d, dtype=np.float32) + a


def _basis(x: Floats) -> Floats:
    """An orthonormal basis (d, r) of the rows of x (m, d)."""
    _, sizes, rows = np.linalg.svd(x, full_matrices=False)
    return np.ascontiguousarray(rows[sizes > sizes[0] * 1e-4].T)
