"""The rows of a catalog → the pieces in which every engine reads and merges them.

A sum of floats depends on how it is grouped. So the groups are fixed by the catalog and the number of queries alone: a
block is compared at once, the states of a piece's blocks are merged first, in their order, and then those of all
pieces. Any number of threads, processes and machines gives the same answer, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attnsearch.storage.segment import SegmentRow

BLOCK = 32_768  # rows of a block, at most
BUDGET = 1 << 22  # logits that a thread holds at once, at most: 16 MB
PARTS = 16  # blocks of a small catalog, if it is asked for much at once: so that as many threads have work
PAIRS = 2_048  # keys that are compared at once with as many others: their products take 16 MB
PIECE = 1 << 18  # rows of a piece, at most: a tenth of a second of work for one thread; 400 MB, 384 wide


class Piece(NamedTuple):
    """Successive rows of a segment, by its number; they begin and end with an item."""

    segment: int
    rows: range


class Cut(NamedTuple):
    """How many rows pieces and blocks have. No engine asks with other numbers than the default; tests do."""

    piece: int = PIECE
    block: int = BLOCK
    budget: int = BUDGET
    parts: int = PARTS
    pairs: int = PAIRS

    def block_rows(self, size: int, queries: int) -> int:
        """The rows of a block, for a catalog of this size."""
        fit = min(self.block, self.budget // max(queries, 1), size // self.parts)
        return max(fit, self.block // max(queries, 1), 1)


DEFAULT = Cut()


def cut_pieces(segments: Sequence[SegmentRow], rows: int = PIECE) -> Iterator[Piece]:
    """All rows of the segments, in order. A segment's pieces are the same in each catalog that has it."""
    for number, segment in enumerate(segments):
        for part in segment.cut(rows):
            yield Piece(number, part)
