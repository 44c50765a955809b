"""Texts → their embeddings, in the checkpoint as they come: an interrupted run loses little.

Axis letters: n = keys, d = width.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding import trial
from attnsearch.encoding.encoder import (
    Encoder,
    Precision,
    batch_by_length,
    join_precisions,
    parts_of,
    record_use,
    vectors_agree,
)
from attnsearch.encoding.heads import identify_others, match_heads, recode
from attnsearch.encoding.passages import passage_text
from attnsearch.errors import AttnsearchError, CatalogError
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import MissingText, Recalled, Writer
from attnsearch.models.record import identify, identify_heads, join_identities
from attnsearch.networks.coverage import find_gap
from attnsearch.sources.items import Item
from attnsearch.storage import home
from attnsearch.storage.database import Info, KeyRow
from attnsearch.storage.segment import all_heads

CHUNK = 1_024  # texts embedded at once, in batches of similar length
_CHARACTERS = 4 << 20  # of a chunk, about
_SENT = 1 << 17  # characters of a chunk that goes to another process, about: it is lost if that process dies
_SHARE, _LEAST = 64, 128  # such a chunk has one in so many texts, and no fewer than so many: for all to end together
_LENGTH = 30_000  # characters that new heads read at once: a second's work, or less
_SAMPLE = [text for text in trial.TEXTS if text.strip()]  # on which a new head's two roads are compared
_SECONDS = 1.0  # of embedding that a killed run may lose, and the batch at which it was

Progress = Callable[[int, int | None], None]
"""Called with how many texts are embedded, and of how many; or with how many items are read, and None."""

Floats = NDArray[np.float32]
EncodeBatches = Callable[[Encoder, Iterator[Sequence[str]]], Generator[tuple[int, Floats], None, None]]
"""Called with batches of texts, it yields the number of each and its unit vectors (n, d), as they come. It draws few
batches ahead, and raises ModelError or CatalogError if some don't come."""

log = logging.getLogger("attnsearch")


def open_checkpoint(encoder: Encoder, folder: Path, precision: Precision | None = None) -> Checkpoint:
    """The checkpoint in `folder` of what this encoder embeds in its precision, or in another one."""
    use = record_use(encoder)
    own = identify(encoder.model.identity, use and use.of_keys())  # of the query prompt, no key knows
    identity = join_identities(own, identify_others(encoder))
    return Checkpoint(folder, f"{identity[:16]}-{precision or encoder.precision}")


@contextmanager
def keeping(checkpoint: Checkpoint, recalled: Recalled) -> Iterator[None]:
    """Say, if the body is interrupted or fails, how many texts the next run need not embed."""
    before = checkpoint.rows
    try:
        yield
    except (KeyboardInterrupt, AttnsearchError):
        embedded, total = recalled.embedded + checkpoint.rows - before, recalled.embedded + recalled.missing
        if embedded and checkpoint.is_kept:
            log.warning("%s of %s texts are kept, and the next run goes on from there", f"{embedded:,}", f"{total:,}")
        raise


def embed_missing(
    encoder: Encoder,
    writer: Writer,
    checkpoint: Checkpoint,
    progress: Progress | None,
    total: int,
    encode_batches: EncodeBatches | None = None,
) -> None:
    """Embed the missing texts, `total` of them, and write them to the checkpoint, at least each second.

    With `encode_batches`, that embeds them, and each batch is written when it comes.
    """
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, total)

    if encode_batches:
        hashes: dict[int, list[bytes]] = {}
        # Closed also if an error is kept, and with it this frame: else the writer's lock would be.
        with (
            closing(_draw_batches(writer, hashes, total)) as batches,
            closing(encode_batches(encoder, batches)) as embedded_batches,
        ):
            for number, x in embedded_batches:
                writer.put_embeddings(checkpoint, hashes.pop(number), x)
                count(len(x))
        return
    for chunk in _split_chunks(writer.missing_texts(), CHUNK, _CHARACTERS):
        embedded = _Embedded(writer, checkpoint, chunk, count)
        try:
            x = encoder.encode([missing.text for missing in chunk], progress=embedded.add)
            embedded.add_others(x)
        finally:
            embedded.write()


def _draw_batches(writer: Writer, hashes: dict[int, list[bytes]], total: int) -> Generator[list[str], None, None]:
    """The missing texts, `total`, in batches; the SHA-256 of those of each go to `hashes`, by the batch's number."""
    count = min(CHUNK, max(total // _SHARE, _LEAST))
    for number, chunk in enumerate(_split_chunks(writer.missing_texts(), count, _SENT)):
        hashes[number] = [missing.sha256 for missing in chunk]
        yield [missing.text for missing in chunk]


class Changed(NamedTuple):
    """What is stored after its heads have changed: its info, with the lowest precision of any of its vectors.

    `embedded` counts the texts that new heads embedded; `precision` is what the rest of the run is to take.
    """

    info: Info | None
    embedded: int
    precision: Precision | None


def change_heads(
    writer: Writer,
    info: Info | None,
    encoder: Encoder,
    precision: Precision | None,
    progress: Progress | None,
    encode_batches: EncodeBatches | None = None,
) -> Changed:
    """Give what is stored, with this `info`, the heads of the encoder, unless it has them already.

    Only heads that it did not have embed its texts, or `encode_batches` does it in their place. What is in the
    checkpoint is not embedded again.
    """
    if info is not None and identify_others(encoder) == identify_heads(info.heads):
        return Changed(info, 0, precision)
    _warn_of_gaps(encoder)
    _warn_of_windows(encoder)
    if info is None:
        return Changed(None, 0, precision)
    stored, parts = all_heads(info), parts_of(encoder)
    matches = match_heads(stored, encoder)
    name = home.displayed_name(writer.folder, info)
    _warn_of_changes(info, encoder, matches, name)
    length = writer.count_characters()
    new = {number: parts[number].suited(length, precision) for number, place in enumerate(matches) if place is None}
    for number, part in new.items():
        trial.try_out(part, unless=home.has_catalog_of)
        if part is not parts[number] and not vectors_agree(parts[number], part, _SAMPLE):
            raise mixed_error(name, parts[number])
    added = join_precisions(part.precision for part in new.values())
    done = 0

    def change(places: Sequence[tuple[KeyRow, Item]], x: Floats) -> Floats:
        nonlocal done
        if not new:
            return recode(x, stored, encoder, matches)
        texts = [passage_text(encoder, item.title, item.text, key.start, key.stop) for key, item in places]
        # Not the hash of the text alone: by an older attnsearch's rules, its x may be of another text.
        hashes = [sha256(b"head" + row.tobytes() + text.encode()).digest() for text, row in zip(texts, x, strict=True)]
        missing = {digest: i for i, digest in enumerate(hashes) if writer.recalled_row(digest) is None}
        numbers = list(missing.values())
        of_batches = [
            [numbers[i] for i in batch] for batch in batch_by_length([len(texts[i]) for i in numbers], _LENGTH)
        ]
        batches = [[texts[i] for i in rows] for rows in of_batches]
        for batch, blocks in _embed_blocks(new, batches, encode_batches):
            rows = of_batches[batch]
            recoded = recode(x[rows], stored, encoder, matches, blocks)
            writer.put_embeddings(checkpoint, [hashes[i] for i in rows], recoded)
            done += len(rows)
            if progress:
                progress(done, info.keys)
        recalled = [row for digest in hashes if (row := writer.recalled_row(digest)) is not None]
        return checkpoint.embeddings(recalled)

    with open_checkpoint(encoder, writer.folder, added) as checkpoint, keeping(checkpoint, Recalled(0, info.keys)):
        writer.replace_columns(checkpoint, change)
    return Changed(
        info._replace(precision=join_precisions((info.precision, added))),
        done,
        added if new else precision,
    )


def _embed_blocks(
    parts: Mapping[int, Encoder], batches: Sequence[Sequence[str]], encode_batches: EncodeBatches | None
) -> Iterator[tuple[int, dict[int, Floats]]]:
    """The number of each batch of texts, as they come, and its unit vectors (n, d_h) by each of the parts."""
    if not encode_batches:
        for batch, texts in enumerate(batches):
            yield batch, {number: part.encode(texts) for number, part in parts.items()}
        return
    blocks: dict[int, dict[int, Floats]] = {batch: {} for batch in range(len(batches))}
    for number, part in parts.items():
        with closing(encode_batches(part, iter(batches))) as embedded:
            for batch, x in embedded:
                blocks[batch][number] = x
                if len(blocks[batch]) == len(parts):
                    yield batch, blocks.pop(batch)


def _warn_of_gaps(encoder: Encoder) -> None:
    """Say which heads take seconds to start, and why."""
    for model in (part.model for part in parts_of(encoder) if not part.quick):
        if gap := find_gap(model.folder):
            log.warning("%s runs through sentence-transformers, which takes seconds to start: %s", model.name, gap)


def _warn_of_windows(encoder: Encoder) -> None:
    """Say which heads read less of a text than the first, by which texts are cut into passages."""
    for part in parts_of(encoder)[1:]:
        if part.window < encoder.window:
            message = "the head %s reads %d word pieces of a passage at most, and a passage may have %d"
            log.warning(message, part.model.name, part.window, encoder.window)


def _warn_of_changes(info: Info, encoder: Encoder, matches: Sequence[int | None], name: str) -> None:
    """Say which heads come and go."""
    new = [part.model.name for part, place in zip(parts_of(encoder), matches, strict=True) if place is None]
    gone = [head.model for number, head in enumerate(all_heads(info)) if number not in matches]
    for model in gone:
        if model not in new:
            log.warning("%s: dropping the head %s", name, model)
    for model in new:
        what = "embedding everything again with the head" if model in gone else "adding the head"
        log.warning("%s: %s %s", name, what, model)


def mixed_error(name: str, encoder: Encoder) -> CatalogError:
    """The error for a catalog that was embedded by a fast path, which turns out to give other vectors."""
    message = f"was embedded without sentence-transformers, which {encoder.model.name} turns out to need"
    return CatalogError(message, where=name, hint=f"'attnsearch remove {shlex.quote(name)}', then index it again")


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


def _split_chunks(texts: Iterable[MissingText], count: int, most: int) -> Iterator[list[MissingText]]:
    """The texts in lists of so many, or of fewer that have `most` characters, about."""
    chunk: list[MissingText] = []
    characters = 0
    for missing in texts:
        chunk.append(missing)
        characters += len(missing.text)
        if len(chunk) == count or characters > most:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
