"""W_Q, W_K, W_V: what a librarian knows, as matrices.

Axis letters: m = queries, d = width of the embeddings, d_k = width of queries and keys (here d_k = d).

Q = x W_Q, K = X W_K, V = X W_V. The scores Q Kᵀ / √d_k = (x W_Q W_Kᵀ) Xᵀ / √d_k need W_K only on the
query's side, and the output softmax(…) V = (softmax(…) X) W_V needs W_V only at the end. So X alone is stored,
and other projections need no other index.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError

Floats = NDArray[np.floating[Any]]

TEMPERATURE = 0.05  # that with which the default encoder was trained: its loss had a scale of 20


class Projections(NamedTuple):
    """W_Q (d, d_k), W_K (d, d_k), W_V (d, d), and the temperature that W_Q holds."""

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
        return x @ self.w_q

    def fold(self, x: Floats) -> Floats:
        """x W_Q W_Kᵀ: (m, d) → (m, d), a query to be compared with the embeddings as they are stored."""
        return self.project(x) @ self.w_k.T


def identity(d: int, temperature: float = TEMPERATURE) -> Projections:
    """W_Q = (√d_k/τ) I, W_K = W_V = I: the logit q kᵀ / √d_k is then cosine / τ.

    Raises InputError unless τ is a finite number above 0.

    >>> two = identity(4, temperature=0.5)
    >>> x = np.eye(1, 4)
    >>> float((two.fold(x) @ x.T * two.scale).item())
    2.0
    """
    check_temperature(temperature)
    eye = np.eye(d, dtype=np.float32)
    return Projections(eye * np.float32(math.sqrt(d) / temperature), eye, eye, temperature)


def check_temperature(temperature: float) -> None:
    """InputError unless the temperature is a finite number, and large enough that logits stay finite."""
    if not (math.isfinite(temperature) and temperature >= 1e-6):
        raise InputError(f"a temperature of {temperature:g} is no use", hint="give a number above 0, such as 0.05")


def textbook(d: int) -> Projections:
    """W_Q = W_K = W_V = I: equation (1) with nothing learned, whose temperature is then √d_k."""
    return identity(d, temperature=math.sqrt(d))
