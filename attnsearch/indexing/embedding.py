"""Texts → their embeddings, in the checkpoint as they come: an interrupted run loses little."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Encoder
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import MissingText, Recalled, Writer

CHUNK = 1_024  # texts embedded at once, in batches of similar length
_CHARACTERS = 4 << 20  # of a chunk, about
_SECONDS = 1.0  # of embedding that a killed run may lose, and the batch at which it was

Progress = Callable[[int, int | None], None]
"""Called with how many texts are embedded, and of how many; or with how many items are read, and None."""

log = logging.getLogger("attnsearch")


def open_checkpoint(encoder: Encoder, folder: Path) -> Checkpoint:
    """The checkpoint in `folder` of what this encoder embeds in its precision."""
    return Checkpoint(folder, f"{encoder.model.identity[:16]}-{encoder.precision}")


@contextmanager
def keeping(checkpoint: Checkpoint, recalled: Recalled) -> Iterator[None]:
    """Say, if the body is interrupted, how many texts the next run need not embed."""
    before = checkpoint.rows
    try:
        yield
    except KeyboardInterrupt:
        embedded, total = recalled.embedded + checkpoint.rows - before, recalled.embedded + recalled.missing
        if embedded and checkpoint.is_kept:
            log.warning("%s of %s texts are kept, and the next run goes on from there", f"{embedded:,}", f"{total:,}")
        raise


def embed_missing(
    encoder: Encoder, writer: Writer, checkpoint: Checkpoint, progress: Progress | None, total: int
) -> None:
    """Embed the missing texts, `total` of them, and write them to the checkpoint, at least each second."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, total)

    for chunk in _split_chunks(writer.missing_texts()):
        embedded = _Embedded(writer, checkpoint, chunk, count)
        try:
            x = encoder.encode([missing.text for missing in chunk], progress=embedded.add)
            embedded.add_others(x)
        finally:
            embedded.write()


class _Embedded:
    """Those texts of a chunk that are embedded; `count` is told how many more."""

    def __init__(
        self, writer: Writer, checkpoint: Checkpoint, chunk: Sequence[MissingText], count: Callable[[int], None]
    ) -> None:
        self._writer, self._checkpoint, self._chunk, self._count = writer, checkpoint, chunk, count
        self._rows: set[int] = set()
        self._unwritten: list[tuple[Sequence[int], NDArray[np.float32]]] = []
        self._written = time.monotonic()

    def add(self, rows: Sequence[int], x: NDArray[np.float32]) -> None:
        """Take the embeddings x (n, d) of the texts with these numbers; write them if it is time."""
        self._rows.update(rows)
        self._unwritten.append((rows, x))
        if time.monotonic() - self._written > _SECONDS:
            self.write()
        self._count(len(rows))

    def add_others(self, x: NDArray[np.float32]) -> None:
        """Take those of x (n, d), the embeddings of all texts of the chunk, that did not come before."""
        if rows := [row for row in range(len(x)) if row not in self._rows]:
            self.add(rows, x[rows])

    def write(self) -> None:
        """Write what is not in the checkpoint yet."""
        parts, self._unwritten = self._unwritten, []
        if parts:
            hashes = [self._chunk[row].sha256 for rows, _ in parts for row in rows]
            self._writer.put_embeddings(self._checkpoint, hashes, np.concatenate([x for _, x in parts]))
        self._written = time.monotonic()


def _split_chunks(texts: Iterable[MissingText]) -> Iterator[list[MissingText]]:
    """The texts in lists of `CHUNK`, or of fewer if they are long."""
    chunk: list[MissingText] = []
    characters = 0
    for missing in texts:
        chunk.append(missing)
        characters += len(missing.text)
        if len(chunk) == CHUNK or characters > _CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
