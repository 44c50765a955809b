"""The protocol of all engines: whatever answers queries from keys, wherever these lie.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from attnsearch.attention.softmax import State
    from attnsearch.engines.bias import Bias

Floats = NDArray[np.float32]


class States(NamedTuple):
    """The state of m queries after every key, and that of their plain logits, which has neither top nor output."""

    attention: State
    plain: State


class Engine(Protocol):
    """Attention over every key of a catalog: complete, or an error.

    q (m, d) are folded queries, x W_Q W_Kᵀ / √d_k, so that a logit is q · key + bias. `plain` (m, d) are queries whose
    logits are wanted besides, without the bias: the null key judges by them. None says that they are q. Logits are
    float32; what is summed over keys is float64.
    """

    def attend(
        self, q: Floats, plain: Floats | None = None, *, k: int = 0, output: bool = False, bias: Bias | None = None
    ) -> States:
        """The states of the queries, with the `k` best keys of each and, if asked for, the output."""

    def logits(
        self, q: Floats, plain: Floats | None = None, *, output: bool = False, bias: Bias | None = None
    ) -> tuple[States, Floats]:
        """The states, and every logit (m, N) by the number of its key.

        It is -inf where a query does not see the key, and for all but the best key of each item.
        """
