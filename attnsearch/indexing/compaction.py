"""The list of segments, kept short: new rows go in, dead ones and small files do not pile up.

What is rewritten keeps its order, and so do ties. Each row is rewritten O(log n) times, since a file is only put
together with one that is not much smaller (log-structured merge: O'Neil et al. 1996).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnsearch.storage import checksum, segment
from attnsearch.storage.database import SegmentRow, read_segments

SEGMENT = 65_536  # rows at most of one file: 96 MiB at 384 columns
DEAD = 1 / 3  # of a file's rows: more, and it is written anew without them


def add_segment(
    db: sqlite3.Connection, folder: Path, first: int, x: NDArray[np.float32], joined: NDArray[np.bool_]
) -> None:
    """List a new segment of the rows x (n, d), whose keys are numbered from `first` on."""
    file, sums = segment.write_segment(folder / "segments", x)
    row = (first, len(x), file, sums, None, _packed(joined))
    db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)


def settle_segments(db: sqlite3.Connection, folder: Path, d: int, buried: Sequence[int]) -> None:
    """Mark the `buried` keys dead, by number; drop what has no living row; write anew what is worth it.

    Raises ValueError or OSError for a segment that is damaged, and so can't be copied.
    """
    listed = [_marked(db, one, np.array(buried, np.int64)) for one in read_segments(db)[0]]
    for run in _worth_writing([one for one in listed if _living(one)]):
        _write_anew(db, folder, d, run)


def _marked(db: sqlite3.Connection, listed: SegmentRow, buried: NDArray[np.int64]) -> SegmentRow:
    """The segment with its part of the `buried` keys dead; off the list if none is left."""
    rows = buried[(buried >= listed.first) & (buried < listed.first + listed.rows)] - listed.first
    if not len(rows):
        return listed
    dead = np.zeros(listed.rows, bool) if listed.dead is None else listed.dead.copy()
    dead[rows] = True
    if dead.all():
        db.execute("DELETE FROM segments WHERE first = ?", (listed.first,))
    else:
        db.execute("UPDATE segments SET dead = ? WHERE first = ?", (_packed(dead), listed.first))
    return listed._replace(dead=dead)


def _living(listed: SegmentRow) -> int:
    return listed.rows - (0 if listed.dead is None else int(listed.dead.sum()))


def _worth_writing(listed: list[SegmentRow]) -> Iterator[list[SegmentRow]]:
    """Neighbors to put into one file, and files with too many dead rows."""
    run: list[SegmentRow] = []
    together = 0
    while listed and together + _living(listed[-1]) <= SEGMENT and (not run or _living(listed[-1]) < 2 * together):
        together += _living(listed[-1])
        run.insert(0, listed.pop())
    if len(run) > 1:
        yield run
    else:
        listed += run
    for one in listed:
        if one.rows - _living(one) > DEAD * one.rows:
            yield [one]


def _write_anew(db: sqlite3.Connection, folder: Path, d: int, run: list[SegmentRow]) -> None:
    """One segment in the place of some neighbors: their living rows, in order, and no others."""
    kept, joined, keys = [], [], []
    for one in run:
        x = segment.load_segment(folder / "segments", one.file, (one.rows, d), one.sums)
        alive = np.ones(one.rows, bool) if one.dead is None else ~one.dead
        kept.append(x[alive])
        joined.append(np.zeros(int(alive.sum()), bool) if one.joined is None else one.joined[alive])
        keys.append(np.flatnonzero(alive) + one.first)
        db.execute("DELETE FROM segments WHERE first = ?", (one.first,))
    first = run[0].first
    # A key's number only goes down, and to one that was dead or has moved already.
    for number, key in enumerate(np.concatenate(keys).tolist(), first):
        if number != key:
            (told,) = db.execute("SELECT item, start, stop FROM keys WHERE key = ?", (key,))
            db.execute(
                "UPDATE keys SET key = ?, sum = ? WHERE key = ?", (number, checksum.row_checksum(number, *told), key)
            )
    add_segment(db, folder, first, np.concatenate(kept), np.concatenate(joined))


def _packed(bits: NDArray[np.bool_]) -> bytes | None:
    """One bit a row, the first in the highest place; None where none is set."""
    return np.packbits(bits).tobytes() if bits.any() else None
