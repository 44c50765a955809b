"""Embeddings of a run that is not finished: on disk as soon as they are made, found again by the next run.

One file of records, which only ever grows: the SHA-256 of a text, its embedding, and a checksum of both. A run that is
killed, or a machine that loses its power, can only spoil the end, which is cut off.
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

_PREFIX = "unfinished-"
_CHUNK = 4_096  # records read at once
_WIDEST = 65_536  # components; more is no width but the torn start of a file


class Checkpoint:
    """The embeddings that `maker`, a name for the encoder and its precision, has made so far.

    Those of other makers are of no more use, and deleted. Raises CatalogError where it can't be written.
    """

    def __init__(self, folder: Path, maker: str) -> None:
        self._path = folder / f"{_PREFIX}{maker}"
        with writing(folder):
            for path in folder.glob(f"{_PREFIX}*"):
                if path != self._path:
                    path.unlink()
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
            self._stream = os.fdopen(handle, "a+b")
            self._stream.seek(0)
            d = int.from_bytes(self._stream.read(4), "little")
        self.d = d if d <= _WIDEST else 0
        self.rows = 0

    def recall(self) -> Iterator[bytes]:
        """The SHA-256 of each text that is there, in the order of their rows; what comes after a torn record goes."""
        while self.d:
            self._stream.seek(4 + self.rows * self._record.itemsize)
            raw = self._stream.read(_CHUNK * self._record.itemsize)
            found = np.frombuffer(raw, self._record, count=len(raw) // self._record.itemsize)
            whole = next((at for at, one in enumerate(found) if one["crc"] != _crc(one)), len(found))
            self.rows += whole
            yield from (one["text"].tobytes() for one in found[:whole])
            if whole < _CHUNK:
                self._stream.truncate(4 + self.rows * self._record.itemsize)
                return

    def append(self, texts: Sequence[bytes], x: NDArray[np.float32]) -> int:
        """Keep the embeddings x (n, d) of the texts with these SHA-256; the row of the first."""
        if not self.d:
            self.d = x.shape[1]
            self._stream.truncate(0)
            self._stream.write(self.d.to_bytes(4, "little"))
        records = np.empty(len(texts), self._record)
        records["text"] = np.frombuffer(b"".join(texts), np.uint8).reshape(-1, 32)
        records["x"] = x
        records["crc"] = [_crc(one) for one in records]
        self._stream.write(records.tobytes())
        self._stream.flush()
        first, self.rows = self.rows, self.rows + len(texts)
        return first

    def embeddings(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The embeddings in these rows (n, d)."""
        found: NDArray[np.float32] = np.memmap(self._stream, self._record, "r", 4, (self.rows,))["x"][list(rows)]
        return found

    @property
    def _record(self) -> np.dtype[np.void]:
        return np.dtype([("text", "u1", 32), ("x", "<f4", self.d), ("crc", "<u4")])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk, which was told already
            self._stream.close()  # and leave it for the next run

    def discard(self) -> None:
        """The run is finished: nobody needs it any more."""
        with suppress(OSError):  # the next run will
            self._path.unlink()


def _crc(record: np.void) -> int:
    return zlib.crc32(record["x"].tobytes(), zlib.crc32(record["text"].tobytes()))
