"""The list of segments, kept short: new rows go in; dead rows and small files do not pile up.

Rewriting preserves the order of the keys, and so of ties. Each row is rewritten O(log n) times, since a file is only
merged with others that are not much smaller (log-structured merge: O'Neil et al. 1996).
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.storage import checksum, segment
from attnsearch.storage.failures import reading
from attnsearch.storage.files import SEGMENTS
from attnsearch.storage.segment import SegmentRow, read_segments

SEGMENT = 65_536  # rows at most of one file: 96 MiB at 384 columns
_AT_ONCE = 1_024  # rows that get other columns
DEAD = 1 / 3  # of a file's rows; with more, it is rewritten without them


Floats = NDArray[np.float32]


class NewPassage(NamedTuple):
    """A passage that gets a new key, and its embedding: stored under the key `key`, or in `row` of the checkpoint."""

    item: int
    start: int
    stop: int
    key: int | None
    row: int | None


def split_segments(passages: Iterable[NewPassage]) -> Iterator[list[NewPassage]]:
    """The passages in lists of at most `SEGMENT`, or more if a single item has more; no item is in two of them."""
    rows: list[NewPassage] = []
    for _, group in itertools.groupby(passages, key=lambda passage: passage.item):
        item_passages = list(group)
        if rows and len(rows) + len(item_passages) > SEGMENT:
            yield rows
            rows = []
        rows += item_passages
    if rows:
        yield rows


def add_segment(
    db: sqlite3.Connection, folder: Path, first: int, x: NDArray[np.float32], joined: NDArray[np.bool_]
) -> None:
    """Write the rows x (n, d) to a new segment and list it; their keys are numbered from `first` on.

    `joined` (n,) marks the rows that belong to the item of the row before.
    """
    file, sums = segment.write_segment(folder / SEGMENTS, x)
    row = (first, len(x), file, sums, None, pack_bits(joined))
    db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)


def replace_columns(
    db: sqlite3.Connection, folder: Path, d: int, recode: Callable[[NDArray[np.int64], Floats], Floats]
) -> int:
    """Replace every segment by one with other columns; returns how many.

    `recode` makes them of the numbers of some living keys, and their x (n, d); dead rows become zeros. Raises
    CatalogError for a damaged segment.
    """
    width = d
    for row in read_segments(db)[0]:
        with reading(folder):
            x = segment.load_segment(folder / SEGMENTS, row.file, (row.rows, d), row.sums)
        living = np.arange(row.rows) if row.dead is None else np.flatnonzero(~row.dead)
        parts = [living[start : start + _AT_ONCE] for start in range(0, len(living), _AT_ONCE)]
        recoded = np.concatenate([recode(row.first + rows, x[rows]) for rows in parts])
        whole = np.zeros((row.rows, recoded.shape[1]), np.float32)
        whole[living] = recoded
        width = recoded.shape[1]
        file, sums = segment.write_segment(folder / SEGMENTS, whole)
        db.execute("UPDATE segments SET file = ?, sums = ? WHERE first = ?", (file, sums, row.first))
    return width


def read_rows(db: sqlite3.Connection, folder: Path, d: int, keys: Sequence[int]) -> Floats:
    """The vectors (n, d) of these keys. Raises ValueError or OSError for a damaged segment."""
    x = np.empty((len(keys), d), np.float32)
    numbers = np.array(keys, np.int64)
    for row in read_segments(db)[0]:
        own = (numbers >= row.first) & (numbers < row.first + row.rows)
        if own.any():
            vectors = segment.load_segment(folder / SEGMENTS, row.file, (row.rows, d), row.sums)
            x[own] = vectors[numbers[own] - row.first]
    return x


def settle_segments(db: sqlite3.Connection, folder: Path, d: int, dead: Sequence[int]) -> None:
    """Mark the keys with the numbers `dead`; drop segments without a living row; rewrite those that are worth it.

    Raises ValueError or OSError for a damaged segment, which can't be copied.
    """
    segments = [mark_dead(db, row, np.array(dead, np.int64)) for row in read_segments(db)[0]]
    for neighbors in choose_rewrites([row for row in segments if count_living(row)]):
        _rewrite(db, folder, d, neighbors)


def mark_dead(db: sqlite3.Connection, segment_row: SegmentRow, keys: NDArray[np.int64]) -> SegmentRow:
    """The segment with those of the keys marked that are its own; it is dropped from the list if none is left."""
    rows = keys[(keys >= segment_row.first) & (keys < segment_row.first + segment_row.rows)] - segment_row.first
    if not len(rows):
        return segment_row
    dead = np.zeros(segment_row.rows, bool) if segment_row.dead is None else segment_row.dead.copy()
    dead[rows] = True
    if dead.all():
        db.execute("DELETE FROM segments WHERE first = ?", (segment_row.first,))
    else:
        db.execute("UPDATE segments SET dead = ? WHERE first = ?", (pack_bits(dead), segment_row.first))
    return segment_row._replace(dead=dead)


def count_living(segment_row: SegmentRow) -> int:
    """How many rows of a segment are keys."""
    return segment_row.rows - (0 if segment_row.dead is None else int(segment_row.dead.sum()))


def choose_rewrites(segments: list[SegmentRow]) -> Iterator[list[SegmentRow]]:
    """What to rewrite as one file each: the neighbors at the end of the list, and files with too many dead rows."""
    merged: list[SegmentRow] = []
    size = 0
    while segments and size + count_living(segments[-1]) <= SEGMENT:
        if merged and count_living(segments[-1]) >= 2 * size:
            break
        size += count_living(segments[-1])
        merged.insert(0, segments.pop())
    if len(merged) > 1:
        yield merged
    else:
        segments += merged
    for segment_row in segments:
        if segment_row.rows - count_living(segment_row) > DEAD * segment_row.rows:
            yield [segment_row]


def _rewrite(db: sqlite3.Connection, folder: Path, d: int, neighbors: list[SegmentRow]) -> None:
    """Replace neighboring segments by one with only their living rows, in order."""
    vectors, joined, keys = [], [], []
    for segment_row in neighbors:
        x = segment.load_segment(folder / SEGMENTS, segment_row.file, (segment_row.rows, d), segment_row.sums)
        alive = np.ones(segment_row.rows, bool) if segment_row.dead is None else ~segment_row.dead
        vectors.append(x[alive])
        joined.append(np.zeros(int(alive.sum()), bool) if segment_row.joined is None else segment_row.joined[alive])
        keys.append(np.flatnonzero(alive) + segment_row.first)
        db.execute("DELETE FROM segments WHERE first = ?", (segment_row.first,))
    first = neighbors[0].first
    # A key's number only goes down, and to one that was dead or has moved already.
    for number, key in enumerate(np.concatenate(keys).tolist(), first):
        if number != key:
            (columns,) = db.execute("SELECT item, start, stop FROM keys WHERE key = ?", (key,))
            row_sum = checksum.row_checksum(number, *columns)
            db.execute("UPDATE keys SET key = ?, sum = ? WHERE key = ?", (number, row_sum, key))
    add_segment(db, folder, first, np.concatenate(vectors), np.concatenate(joined))


def pack_bits(bits: NDArray[np.bool_]) -> bytes | None:
    """One bit per row, the first row in the highest bit; None if none is set."""
    return np.packbits(bits).tobytes() if bits.any() else None
