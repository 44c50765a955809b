"""Attention over the keys on this machine, in one pass on all its cores.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

import itertools
import operator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.engines.engine import States
from attnsearch.engines.pieces import DEFAULT, Cut, cut_pieces
from attnsearch.engines.scan import Scan
from attnsearch.storage.store import Store

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias

Floats = NDArray[np.float32]


class LocalEngine:
    """The engine over an open catalog: see `engine.Engine`, the protocol. Threads share the blocks of keys."""

    def __init__(self, store: Store, cut: Cut = DEFAULT) -> None:
        self._store = store
        self._cut = cut

    def attend(
        self, q: Floats, plain: Floats | None = None, *, k: int = 0, output: bool = False, bias: Bias | None = None
    ) -> States:
        """The states, with the `k` best keys of each query and, with `output`, softmax(z) X (m, d)."""
        return self._read(Scan(q, plain, k=k, output=output, bias=bias))

    def logits(
        self, q: Floats, plain: Floats | None = None, *, output: bool = False, bias: Bias | None = None
    ) -> tuple[States, Floats]:
        """The states, without best keys, and every logit (m, N); -inf where a key does not count."""
        every_logit = np.full((len(q), self._store.size), -np.inf, np.float32)
        return self._read(Scan(q, plain, k=0, output=output, bias=bias, every_logit=every_logit)), every_logit

    def close(self) -> None:
        """Nothing is open but the catalog, which is closed by its own `close`."""

    def _read(self, scan: Scan) -> States:
        """The states of all keys."""
        store = self._store
        rows = self._cut.block_rows(store.size, len(scan.queries))
        blocks = [
            (number, piece.segment, part)
            for number, piece in enumerate(cut_pieces(store.segments, self._cut.piece))
            for part in store.segments[piece.segment].cut(rows, piece.rows.start, piece.rows.stop)
        ]

        def attend_block(block: tuple[int, int, range]) -> tuple[int, States]:
            number, segment, part = block
            return number, scan.attend(store.block(segment, part))

        with closing(threads.each(attend_block, blocks)) as states:
            of_pieces = itertools.groupby(states, operator.itemgetter(0))
            return scan.finish(scan.merge(state for _, state in group) for _, group in of_pieces)
