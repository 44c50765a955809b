"""Attention over the keys on this machine, in one pass on all its cores.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.engines.engine import States
from attnsearch.engines.pieces import DEFAULT, Cut, cut_pieces
from attnsearch.engines.scan import Scan
from attnsearch.storage.store import Store

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias
    from attnsearch.engines.covariance import Covariance
    from attnsearch.engines.groups import Groups, Matches, Pair, Progress
    from attnsearch.storage.segment import Block

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]
Answer = TypeVar("Answer")


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

    def group_items(
        self, first_keys: Numbers, counts: Numbers, min_score: float, *, progress: Progress | None = None
    ) -> Groups:
        """Group items by their keys: see `engine.Engine.group_items`."""
        from attnsearch.engines.groups import group_items, match

        store, rows = self._store, self._cut.pairs

        def compare(pair: Pair) -> Iterator[Matches]:
            share = min(rows, -(-int(pair.leaders.counts.sum()) // threads.count()))
            parts = [pair] if pair.may_lead else pair.split(max(share, 1))
            return threads.each(lambda part: match(part, store.embeddings, min_score), parts)

        return group_items(first_keys, counts, compare, rows=rows, progress=progress)

    def measure_covariance(self) -> Covariance:
        """The covariance of all keys, in float64."""
        from attnsearch.engines.covariance import measure_block, merge_covariances

        d = self._store.info.d
        with closing(self._each(measure_block, self._cut.block)) as pieces:
            return merge_covariances((merge_covariances(piece, d) for piece in pieces), d)

    def project(self, axes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The coordinates (N, a) of each key along the axes (a, d), in float64, by key number; 0 where none has it."""
        from attnsearch.engines.covariance import project_block

        points = np.zeros((self._store.size, len(axes)))

        def place(block: Block) -> None:
            points[block.first : block.first + len(block.x)] = project_block(block, axes)

        with closing(self._each(place, self._cut.block)) as pieces:
            for piece in pieces:
                list(piece)
        return points

    def close(self) -> None:
        """Nothing is open but the catalog, which is closed by its own `close`."""

    def _read(self, scan: Scan) -> States:
        """The states of all keys."""
        rows = self._cut.block_rows(self._store.size, len(scan.queries))
        with closing(self._each(scan.attend, rows)) as pieces:
            return scan.finish(map(scan.merge, pieces))

    def _each(self, function: Callable[[Block], Answer], rows: int) -> Generator[Iterator[Answer], None, None]:
        """What a function of blocks of about `rows` rows returns for the blocks of each piece, in order."""
        store = self._store
        blocks = [
            (number, piece.segment, part)
            for number, piece in enumerate(cut_pieces(store.segments, self._cut.piece))
            for part in store.segments[piece.segment].cut(rows, piece.rows.start, piece.rows.stop)
        ]

        def answer(block: tuple[int, int, range]) -> tuple[int, Answer]:
            number, segment, part = block
            return number, function(store.block(segment, part))

        with closing(threads.each(answer, blocks)) as answers:
            for _, group in itertools.groupby(answers, operator.itemgetter(0)):
                yield (of_block for _, of_block in group)
