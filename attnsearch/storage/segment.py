"""The list of files of vectors; and each file ↔ memory: written once, then mapped, every byte verified."""

from __future__ import annotations

import errno
import io
import math
import mmap
import os
import re
import sqlite3
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.models.record import Head, identify, identify_heads, join_identities, list_heads
from attnsearch.storage import checksum
from attnsearch.storage.database import Info
from attnsearch.storage.failures import damaged, unreadable
from attnsearch.storage.files import SEGMENTS, fit_file, open_to_read, sync

ROWS = 256  # rows under one checksum: the most that a damaged byte can cost

NAME = re.compile(r"[0-9a-f]{32}\.npy")
_ALIGNMENT = 64  # the length of a .npy file's header is a multiple of this
LONGEST_HEADER = 1 << 16  # bytes
MOST_KEYS = 1 << 32  # their numbers are stored in four bytes where postings list them


def all_heads(info: Info) -> tuple[Head, ...]:
    """The heads of a catalog in the order of their columns in X, the first among them: at least that one."""
    return list_heads(info.model, info.sha256, info.identity, info.stamp, info.d, info.heads, info.use)


def first_of_several(info: Info) -> Head | None:
    """The first head of a catalog that has others; None if it has no others."""
    return all_heads(info)[0] if info.heads else None


def find_fit_file(info: Info) -> Path | None:
    """The file of what was fitted to a catalog's encoder, or to its first head; None if there is none."""
    file = fit_file(identify(info.identity, info.use))
    return file if os.path.exists(file) else None  # noqa: PTH110 (never raises)


def plain_weights(info: Info) -> str:
    """The SHA-256 of a catalog's weights; "" if they are used with prompts or in part, which changes all cosines."""
    return info.sha256 if info.use is None else ""


def whole_identity(info: Info) -> str:
    """The identity of all heads of a catalog together, and of their uses."""
    return join_identities(identify(info.identity, info.use), identify_heads(info.heads))


Mapped = Mapping[tuple[str, bytes], NDArray[np.float32]]
"""The vectors X (rows, d) of segments, verified, by file and checksums: no file is written a second time."""


class SegmentRow(NamedTuple):
    """A segment as the database lists it: its first key, its rows, its file, and the checksums of that.

    `dead` (rows,) marks rows that are no longer anyone's key, `joined` (rows,) rows of the same item as the row before;
    None if no row is marked.
    """

    first: int
    rows: int
    file: str
    sums: bytes
    dead: NDArray[np.bool_] | None
    joined: NDArray[np.bool_] | None

    def next_item(self, row: int) -> int:
        """That row if it begins an item, else the next row that does; `rows` if none does."""
        row = min(max(row, 0), self.rows)
        while self.joined is not None and row < self.rows and self.joined[row]:
            row += 1
        return row

    def cut(self, rows: int, start: int = 0, stop: int | None = None) -> Iterator[range]:
        """The rows from `start` to before `stop`, about `rows` at a time; an item is never cut."""
        start, stop = self.next_item(start), self.next_item(self.rows if stop is None else stop)
        while start < stop:
            end = min(self.next_item(start + rows), stop)
            yield range(start, end)
            start = end

    def block(self, rows: range, x: NDArray[np.float32]) -> Block:
        """Some of its rows, of which x (n, d) are the vectors."""
        dead, joined = (_slice_marks(marks, rows.start, rows.stop) for marks in (self.dead, self.joined))
        return Block(self.first + rows.start, x, None if dead is None else ~dead, joined)


class Block(NamedTuple):
    """Successive rows of a segment: the number of the first, and X (n, d).

    `alive` (n,) marks the rows that are keys; None if all are. `joined` (n,) marks the rows of the same item as the row
    before; None if no row is. The rows of one item are never in two blocks.
    """

    first: int
    x: NDArray[np.float32]
    alive: NDArray[np.bool_] | None
    joined: NDArray[np.bool_] | None


class SegmentList(NamedTuple):
    """The segments, ordered by their first keys, and the checksum of the list."""

    segments: list[SegmentRow]
    checksum: int


class Examined(NamedTuple):
    """The vectors x (rows, d) of a segment, mapped, and its damaged parts as ranges of rows; range(0): the header."""

    x: NDArray[np.float32]
    damaged: list[range]


def read_segments(db: sqlite3.Connection, listing: int | None = None) -> SegmentList:
    """The list of segments. Raises ValueError if its checksum is not `listing`; None checks nothing."""
    rows = db.execute("SELECT first, rows, file, sums, dead, joined FROM segments ORDER BY first")
    return parse_segments(rows.fetchall(), listing)


def parse_segments(rows: Sequence[tuple[Any, ...]], listing: int | None = None) -> SegmentList:
    """The list of segments in the rows of its table, in order. Raises as `read_segments` does."""
    actual = checksum.row_checksum(*(cell for row in rows for cell in row))
    if listing not in (None, actual):
        raise ValueError("the list of segments is not what was written")
    end = 0
    for first, count, file, sums, *_ in rows:
        if [type(cell) for cell in (first, count, file, sums)] != [int, int, str, bytes] or first < end or count < 1:
            raise ValueError("the list of segments holds values that no commit writes")
        end = first + count
    if end > MOST_KEYS:
        raise ValueError(f"the list of segments has key numbers beyond {MOST_KEYS:,}")
    segments = [SegmentRow(*row[:4], *(_unpack_bits(marks, row[1]) for marks in row[4:])) for row in rows]
    return SegmentList(segments, actual)


def find_first_keys(segments: Sequence[SegmentRow], size: int) -> NDArray[np.int64] | None:
    """The first key of each key's item (size,), by the key's number; None if every item has one key."""
    if all(row.joined is None for row in segments):
        return None
    first_keys = np.arange(size)
    for row in segments:
        if row.joined is not None:
            first_keys[row.first : row.first + row.rows][row.joined] = 0
    return np.maximum.accumulate(first_keys)


def _slice_marks(marks: NDArray[np.bool_] | None, start: int, stop: int) -> NDArray[np.bool_] | None:
    """The marks of some rows; None if none is set."""
    return None if marks is None or not marks[start:stop].any() else marks[start:stop]


def _unpack_bits(raw: bytes | None, count: int) -> NDArray[np.bool_] | None:
    """`count` booleans, packed eight to a byte, the first in the highest bit; None stays None."""
    if raw is None:
        return None
    if len(raw) != -(-count // 8):
        raise ValueError("the list of segments is not what was written")
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=count).astype(bool)


def write_segment(folder: Path, x: NDArray[np.float32]) -> tuple[str, bytes]:
    """Write x (n, d) to a new file in `folder`, durably; return the file's name and its checksums. Raises OSError."""
    file = f"{uuid.uuid4().hex}.npy"
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(x))
    temporary = folder / f".{file}"
    with temporary.open("xb", buffering=0) as out:
        for part in (memoryview(stream.getvalue()), x.data.cast("B")):
            while len(part):
                part = part[out.write(part) :]
        os.fsync(out.fileno())
    temporary.rename(folder / file)
    sync(folder)
    return file, segment_checksums(folder, file, x.shape)


def load_listed(
    folder: Path, row: SegmentRow, *, d: int, mapped: Mapped | None = None, rows: range | None = None
) -> NDArray[np.float32]:
    """The vectors (n, d) of a segment of the catalog in `folder`, unless they are mapped already; or some `rows` of it.

    Raises CatalogError if it is damaged or can't be read, FileNotFoundError if it is gone.
    """
    x = (mapped or {}).get((row.file, row.sums))
    if x is not None and x.shape == (row.rows, d):
        return x
    try:
        if rows is not None:
            return load_rows(folder / SEGMENTS, row.file, (row.rows, d), row.sums, rows)
        return load_segment(folder / SEGMENTS, row.file, (row.rows, d), row.sums)
    except FileNotFoundError:
        raise
    except ValueError as error:
        raise damaged(folder, f"the segment {row.file[:40]}: {error}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link took its place
            raise damaged(folder, f"the segment {row.file[:40]}: {error.strerror}") from None
        raise unreadable(folder / SEGMENTS / row.file, error) from None


def load_segment(folder: Path, file: str, shape: tuple[int, ...], sums: bytes) -> NDArray[np.float32]:
    """Map the vectors (rows, d) of a file. Raises as `examine_segment` does, and ValueError if any are damaged."""
    x, damaged = examine_segment(folder, file, shape, sums)
    if damaged:
        raise ValueError(describe_damage(damaged[0]))
    return x


def examine_segment(folder: Path, file: str, shape: tuple[int, ...], sums: bytes) -> Examined:
    """Map the vectors (rows, d) of a file, and compare its checksums with `sums`, those that it was written with.

    Raises OSError if it can't be opened, ValueError if it is not such a file at all.
    """
    mapped, header = _map_file(folder, file, shape)
    actual = _compute_checksums(mapped, header, shape)
    if len(actual) != len(sums):
        raise ValueError("it has the wrong number of checksums")
    parts = [range(0), *(range(first, min(first + ROWS, shape[0])) for first in range(0, shape[0], ROWS))]
    places = [slice(start, start + checksum.SIZE) for start in range(0, len(sums), checksum.SIZE)]
    damaged = [part for part, place in zip(parts, places, strict=True) if actual[place] != sums[place]]
    return Examined(np.frombuffer(mapped, "<f4", offset=header).reshape(shape), damaged)


def load_rows(folder: Path, file: str, shape: tuple[int, ...], sums: bytes, rows: range) -> NDArray[np.float32]:
    """Map some of the vectors (n, d) of a file with this shape, and no more of it than needed to verify these.

    Raises as `load_segment` does.
    """
    parts = range(rows.start // ROWS, -(-rows.stop // ROWS))
    if len(sums) != checksum.SIZE * (1 + -(-shape[0] // ROWS)) or not 0 <= rows.start < rows.stop <= shape[0]:
        raise ValueError("it has the wrong number of checksums, or of rows")
    width = shape[1] * 4
    with open_segment(folder, file) as stream:
        header = _measure_header(stream, shape)
        if checksum.part_checksums(stream.read(header), header) != sums[: checksum.SIZE]:
            raise ValueError(describe_damage(range(0)))
        begin, end = header + parts.start * ROWS * width, header + min(parts.stop * ROWS, shape[0]) * width
        page = begin - begin % mmap.ALLOCATIONGRANULARITY
        mapped = memoryview(mmap.mmap(stream.fileno(), end - page, access=mmap.ACCESS_READ, offset=page))
    actual = checksum.part_checksums(mapped[begin - page :], ROWS * width)
    for number, part in enumerate(parts):
        place = slice(number * checksum.SIZE, (number + 1) * checksum.SIZE)
        if actual[place] != sums[checksum.SIZE :][part * checksum.SIZE : (part + 1) * checksum.SIZE]:
            raise ValueError(describe_damage(range(part * ROWS, min((part + 1) * ROWS, shape[0]))))
    x = np.frombuffer(mapped, "<f4", offset=begin - page).reshape(-1, shape[1])
    return x[rows.start - parts.start * ROWS : rows.stop - parts.start * ROWS]


def segment_checksums(folder: Path, file: str, shape: tuple[int, ...]) -> bytes:
    """The checksums of a file as it is: of its header, then of every `ROWS` rows. Raises as `examine_segment` does."""
    return _compute_checksums(*_map_file(folder, file, shape), shape)


def open_segment(folder: Path, file: str) -> io.BufferedReader:
    """Open a segment's file to read its bytes. Raises ValueError if it has another name than a segment's, OSError."""
    if not NAME.fullmatch(file):
        raise ValueError("invalid segment name")
    return open_to_read(folder / file)


def _map_file(folder: Path, file: str, shape: tuple[int, ...]) -> tuple[memoryview[int], int]:
    """The bytes of a file that holds float32 numbers of this shape, and the length of its header."""
    with open_segment(folder, file) as stream:
        header = _measure_header(stream, shape)
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)), header


def _measure_header(stream: io.BufferedReader, shape: tuple[int, ...]) -> int:
    """The length of a file's header, by its size and its shape."""
    status = os.fstat(stream.fileno())
    header = status.st_size - math.prod(shape) * 4
    plausible = 0 < header < LONGEST_HEADER and not header % _ALIGNMENT and min(shape) >= 1
    if not stat.S_ISREG(status.st_mode) or not plausible:
        raise ValueError(f"it has {status.st_size:,} bytes, which does not fit its shape, {shape}")
    return header


def _compute_checksums(mapped: memoryview[int], header: int, shape: tuple[int, ...]) -> bytes:
    sums = checksum.part_checksums(mapped[header:], ROWS * shape[1] * 4)
    return checksum.part_checksums(mapped[:header], header) + sums


def describe_damage(rows: range) -> str:
    """What is wrong with these rows; with the header, if there are none."""
    part = f"its rows {rows[0]:,} to {rows[-1]:,} are" if rows else "its header is"
    return f"{part} not what was written"
