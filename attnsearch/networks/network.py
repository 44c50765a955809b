"""The protocol of all networks: token ids → hidden states.

Axis letters: b = texts, t = tokens, d = width.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Network(Protocol):
    """What the fast path runs. It is loaded from a model's folder, whose configuration `coverage` accepted."""

    @property
    def width(self) -> int:
        """d."""

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows: their numbers are below this."""

    @property
    def longest(self) -> int:
        """How many tokens a text may have."""

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Hidden states (b, t, d) of the token ids (b, t); `mask` (b, t) is True where a token is, False on padding."""
