"""The protocol of all networks: token ids → hidden states.

Axis letters: b = texts, t = tokens, d = width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Network(Protocol):
    """What the fast path runs."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The network in a model's folder, in whose configuration there is no `gap`.

        Raises ModelError for a weights file that contradicts itself or the configuration, and for an invalid
        configuration.
        """

    @staticmethod
    def gap(config: Mapping[str, Any]) -> str:
        """What a model's configuration asks for that this network does not compute, as in "its activation is selu".

        Empty if there is nothing. Raises as reading any JSON value does: LookupError, TypeError, AttributeError.
        """

    @staticmethod
    def reach(config: Mapping[str, Any]) -> int:
        """How many tokens a text may have, by a configuration, which may lie."""

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
