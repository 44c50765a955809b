"""One file of vectors ↔ memory: written once, mapped for reading, each of its bytes under a checksum."""

from __future__ import annotations

import io
import math
import mmap
import os
import re
import stat
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnsearch.storage import checksum
from attnsearch.storage.files import FLAGS_NO_LINK, sync

ROWS = 256  # under one checksum: what a damaged byte costs at most

_NAME = re.compile(r"[0-9a-f]{32}\.npy")
_ALIGNED = 64  # what the length of a .npy file's header is a multiple of
_LONGEST = 1 << 16  # bytes of such a header


def write_segment(folder: Path, x: NDArray[np.float32]) -> tuple[str, bytes]:
    """Write x (n, d) to a new file in `folder`, durable before it has its name; the name, and the checksums."""
    file = f"{uuid.uuid4().hex}.npy"
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(x))
    header, rows = stream.getvalue(), x.data.cast("B")
    temporary = folder / f".{file}"
    with temporary.open("xb", buffering=0) as out:
        for part in (memoryview(header), rows):
            while len(part):
                part = part[out.write(part) :]
        os.fsync(out.fileno())
    temporary.rename(folder / file)
    sync(folder)
    return file, segment_checksums(folder, file, x.shape)


def load_segment(folder: Path, file: str, shape: tuple[int, ...], written: bytes) -> NDArray[np.float32]:
    """The vectors (rows, d) of a file, mapped. Raises ValueError where its checksums are not those `written`."""
    x, broken = examine_segment(folder, file, shape, written)
    for rows in broken:
        raise ValueError(describe_damage(rows))
    return x


def examine_segment(
    folder: Path, file: str, shape: tuple[int, ...], written: bytes
) -> tuple[NDArray[np.float32], list[range]]:
    """The vectors (rows, d) of a file, mapped, and which of its rows are not what was written; range(0): its header.

    Raises OSError where it can't be opened, ValueError where it is not such a file at all.
    """
    mapped, header = _map(folder, file, shape)
    found = _sums(mapped, header, shape)
    if len(found) != len(written):
        raise ValueError("its checksums are too few or too many")
    parts = [range(0), *(range(first, min(first + ROWS, shape[0])) for first in range(0, shape[0], ROWS))]
    at = range(0, len(found), checksum.SIZE)
    broken = [part for part, i in zip(parts, at, strict=True) if found[i : i + at.step] != written[i : i + at.step]]
    return np.frombuffer(mapped, "<f4", offset=header).reshape(shape), broken


def segment_checksums(folder: Path, file: str, shape: tuple[int, ...]) -> bytes:
    """The checksums of a file as it is: of its header, then of every `ROWS` rows. Raises as `examine` does."""
    return _sums(*_map(folder, file, shape), shape)


def _map(folder: Path, file: str, shape: tuple[int, ...]) -> tuple[memoryview[int], int]:
    """The bytes of a file of that many float32 numbers, and how many of them are its header."""
    if not _NAME.fullmatch(file):
        raise ValueError("that is no segment's name")
    with os.fdopen(os.open(folder / file, FLAGS_NO_LINK), "rb") as stream:
        told = os.fstat(stream.fileno())
        header = told.st_size - math.prod(shape) * 4
        if not stat.S_ISREG(told.st_mode) or not 0 < header < _LONGEST or header % _ALIGNED or min(shape) < 1:
            raise ValueError(f"it has {told.st_size:,} bytes, which is not what {shape} needs")
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)), header


def _sums(mapped: memoryview[int], header: int, shape: tuple[int, ...]) -> bytes:
    return checksum.part_checksums(mapped[:header], header) + checksum.part_checksums(
        mapped[header:], ROWS * shape[1] * 4
    )


def describe_damage(rows: range) -> str:
    """What is wrong with some of its rows, or with its header."""
    broken = f"its rows {rows[0]:,} to {rows[-1]:,} are" if rows else "its header is"
    return f"{broken} not what was written"
