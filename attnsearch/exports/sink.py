"""What a library writes to a file → pieces of bytes, so that no whole file is in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any


class Sink(io.RawIOBase):
    """A file of which `drain` takes what was written to it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.length = 0

    def writable(self) -> bool:
        """Whether it can be written: always."""
        return True

    def write(self, piece: Any) -> int:
        """Take a piece."""
        self.pieces.append(bytes(piece))
        self.length += len(self.pieces[-1])
        return len(self.pieces[-1])

    def tell(self) -> int:
        """How many bytes were written."""
        return self.length

    def drain(self) -> Iterator[bytes]:
        """What was written since the last time."""
        pieces, self.pieces = self.pieces, []
        yield from pieces
