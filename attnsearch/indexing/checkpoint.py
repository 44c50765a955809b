"""The embeddings of an unfinished run: on disk as soon as they are made, and reused by the next run.

One file of records, which only grows: the SHA-256 of a text, its embedding, and a checksum of both. A killed run or a
power failure can only damage the end, which is cut off.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.storage.failures import writing

RECORDS = 4_096  # read at once

_PREFIX = "unfinished-"
_WIDEST = 65_536  # components; a larger width is that of a damaged file
_HEADER = 4  # bytes, for the width


class Checkpoint:
    """The embeddings that `maker`, a name for an encoder and its precision, has made so far.

    `d` is their width, 0 before the first. Checkpoints of other makers are deleted, since nothing can use them.
    Used as a context manager; leaving it keeps the file. Raises CatalogError if it can't be written.
    """

    def __init__(self, folder: Path, maker: str) -> None:
        self._folder = folder
        self._path = folder / f"{_PREFIX}{maker}"
        with writing(folder):
            for path in folder.glob(f"{_PREFIX}*"):
                if path != self._path:
                    path.unlink()
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
            self._stream = os.fdopen(handle, "a+b")
            self._stream.seek(0)
            d = int.from_bytes(self._stream.read(_HEADER), "little")
        self.d = d if d <= _WIDEST else 0
        self.rows = 0

    @property
    def is_kept(self) -> bool:
        """Whether a later run can find it: not that of a pipe, whose folder is deleted."""
        return not self._folder.name.startswith(".")

    def recall(self, *, records: int = RECORDS) -> Iterator[bytes]:
        """The SHA-256 of each text with an embedding, in the order of their rows, read `records` at a time.

        A torn or damaged record is cut off, and so is everything after it.
        """
        while self.d:
            self._stream.seek(self._offset(self.rows))
            raw = self._stream.read(records * self._record.itemsize)
            batch = np.frombuffer(raw, self._record, count=len(raw) // self._record.itemsize)
            intact = next((row for row, record in enumerate(batch) if record["crc"] != _crc(record)), len(batch))
            self.rows += intact
            yield from (record["text"].tobytes() for record in batch[:intact])
            if intact < records:
                self._stream.truncate(self._offset(self.rows))
                return

    def append(self, hashes: Sequence[bytes], x: NDArray[np.float32]) -> int:
        """Write the embeddings x (n, d) of the texts with these SHA-256; returns the row of the first."""
        with writing(self._folder):
            if not self.d:
                self.d = x.shape[1]
                self._stream.truncate(0)
                self._stream.write(self.d.to_bytes(_HEADER, "little"))
            records = np.empty(len(hashes), self._record)
            records["text"] = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
            records["x"] = x
            records["crc"] = [_crc(record) for record in records]
            self._stream.write(records.tobytes())
            self._stream.flush()
        first, self.rows = self.rows, self.rows + len(hashes)
        return first

    def embeddings(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The embeddings in these rows (n, d)."""
        records = np.memmap(self._stream, self._record, "r", _HEADER, (self.rows,))
        x: NDArray[np.float32] = records["x"][list(rows)]
        return x

    @property
    def _record(self) -> np.dtype[np.void]:
        return np.dtype([("text", "u1", 32), ("x", "<f4", self.d), ("crc", "<u4")])

    def _offset(self, row: int) -> int:
        return _HEADER + row * self._record.itemsize

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk, which `append` has reported
            self._stream.close()

    def discard(self) -> None:
        """Delete the file: the run is finished."""
        with suppress(OSError):  # the next run will delete it
            self._path.unlink()


def _crc(record: np.void) -> int:
    return zlib.crc32(record["x"].tobytes(), zlib.crc32(record["text"].tobytes()))
