"""Bytes, or the cells of a row → a checksum. It detects damage; it does not prevent forgery.

XXH3 of 64 bits (https://xxhash.com) runs at memory speed, so even a query can verify every key first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xxhash import xxh3_64_digest

SIZE = 8  # bytes of one checksum

Cell = str | int | bytes | None


def part_checksums(data: memoryview[Any] | bytes, length: int) -> bytes:
    """The checksums of each `length` bytes of the data (and of what is left at its end), `SIZE` bytes each."""
    return b"".join(xxh3_64_digest(data[start : start + length]) for start in range(0, len(data), length))


def row_checksum(*cells: Cell) -> int:
    """The checksum of a row's cells, as a signed 64-bit integer, which SQLite can store.

    Each cell stands after its type and length, so that no two different rows have the same bytes.
    """
    parts: list[bytes] = []
    for cell in cells:
        if isinstance(cell, str):
            raw = cell.encode()
            parts += (b"s%d:" % len(raw), raw)
        elif isinstance(cell, bytes):
            parts += (b"b%d:" % len(cell), cell)
        else:
            text = str(cell)
            parts.append(f"{'N' if cell is None else 'i'}{len(text)}:{text}".encode())
    return int.from_bytes(xxh3_64_digest(b"".join(parts)), "little", signed=True)


def info_checksum(rows: Mapping[str, str]) -> int:
    """The checksum of the rows of the table `info`."""
    return row_checksum(*(cell for row in sorted(rows.items()) if row[0] != "sum" for cell in row))
