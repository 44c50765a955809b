"""Bytes, or the cells of a row, → a checksum that finds damage. It is no proof against forgery.

XXH3 of 64 bits (https://xxhash.com) runs at the memory's speed, so that even a query can look at every key first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xxhash import xxh3_64_digest

SIZE = 8  # bytes of one checksum

Cell = str | int | bytes | None


def part_checksums(data: memoryview[Any] | bytes, length: int) -> bytes:
    """The checksums of every `length` bytes of the data, one behind the other."""
    return b"".join(xxh3_64_digest(data[start : start + length]) for start in range(0, len(data), length))


def row_checksum(*cells: Cell) -> int:
    """The checksum of a row's cells, as SQLite keeps it: a signed integer."""
    return int.from_bytes(xxh3_64_digest(b"".join(_told(cells))), "little", signed=True)


def _told(cells: tuple[Cell, ...]) -> Iterator[bytes]:
    """Each cell with its type and length before it, so that no two rows look alike."""
    for cell in cells:
        raw = cell if isinstance(cell, bytes) else str(cell).encode()
        yield b"%b%d:%b" % (type(cell).__name__[0].encode(), len(raw), raw)
