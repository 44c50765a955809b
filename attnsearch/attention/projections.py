"""W_Q, W_K, W_V: what the catalog has learned, as matrices.

Axis letters: m = queries, d = width of the embeddings, d_k = width of queries and keys (here d_k = d).

Q = x W_Q, K = X W_K, V = X W_V. The logits Q Kᵀ / √d_k = (x W_Q W_Kᵀ) Xᵀ / √d_k need W_K only on the
query's side, and the output softmax(…) V = (softmax(…) X) W_V needs W_V only at the end. So only X is stored,
and new projections do not need a new index.

Vaswani et al. 2017, equation (1) and section 3.2.2: https://arxiv.org/abs/1706.03762
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import multiply
from attnsearch.errors import InputError

Floats = NDArray[np.floating[Any]]

TEMPERATURE = 0.05  # the default encoder was trained at it: its loss multiplied cosines by 20
LOWEST_TEMPERATURE = 1e-6  # logits stay finite in float32


class Projections(NamedTuple):
    """W_Q (d, d_k), W_K (d, d_k), W_V (d, d), and the temperature τ, which W_Q contains."""

    w_q: Floats
    w_k: Floats
    w_v: Floats
    temperature: float

    @property
    def scale(self) -> float:
        """1/√d_k, the scale of equation (1)."""
        return 1 / math.sqrt(self.w_k.shape[1])

    def project(self, x: Floats) -> Floats:
        """q = x W_Q: (m, d) → (m, d_k)."""
        return _apply(self.w_q, x)

    def keys(self, x: Floats) -> Floats:
        """K = X W_K: (n, d) → (n, d_k)."""
        return _apply(self.w_k, x)

    def values(self, x: Floats) -> Floats:
        """V = X W_V: (n, d) → (n, d)."""
        return _apply(self.w_v, x)

    def fold(self, x: Floats) -> Floats:
        """x W_Q W_Kᵀ: (m, d) → (m, d): queries to compare with the stored embeddings."""
        return _apply(self.w_k.T, self.project(x))


def _apply(w: Floats, x: Floats) -> Floats:
    """x w (m, d_k) for x (m, d) and w (d, d_k); a row's product does not depend on the other rows."""
    diagonal = np.diagonal(w)
    if len(diagonal) == max(w.shape) and np.count_nonzero(w != 0) == np.count_nonzero(diagonal):
        return x * diagonal
    return multiply(np.atleast_2d(x), np.ascontiguousarray(w.T)).reshape(*x.shape[:-1], w.shape[1])


def identity(d: int, temperature: float = TEMPERATURE) -> Projections:
    """W_Q = (√d_k/τ) I, W_K = W_V = I: the logit q kᵀ / √d_k is then cosine / τ.

    Raises InputError as `check_temperature` does.

    >>> projections = identity(4, temperature=0.5)
    >>> x = np.eye(1, 4)
    >>> float((projections.fold(x) @ x.T * projections.scale).item())
    2.0
    """
    check_temperature(temperature)
    eye = np.eye(d, dtype=np.float32)
    return Projections(eye * np.float32(math.sqrt(d) / temperature), eye, eye, temperature)


def check_temperature(temperature: float) -> None:
    """Raise InputError unless the temperature is finite and at least `LOWEST_TEMPERATURE`."""
    if not (math.isfinite(temperature) and temperature >= LOWEST_TEMPERATURE):
        hint = f"give a number of at least {LOWEST_TEMPERATURE:f}, such as {TEMPERATURE}"
        raise InputError(f"invalid temperature {temperature:g}", hint=hint)


def textbook(d: int) -> Projections:
    """W_Q = W_K = W_V = I: equation (1) with nothing learned; its temperature is √d_k."""
    return identity(d, temperature=math.sqrt(d))
