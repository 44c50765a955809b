"""An export as arrays of NumPy, an .npz file, which is a zip: no pickle, and no array that is larger than it says.

attnsearch_export.json   the header
items.jsonl              an item on each line
embeddings.npy           the vectors (n, d) of all passages, float32, in the order of their items
items.npy                the number of each passage's item (n,), from 0
starts.npy, stops.npy    where each passage begins and ends in the item's text (n,)
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from attnsearch.exports.form import (
    PARTS,
    Entry,
    Header,
    check_counts,
    damaged,
    encode_json,
    header_as_json,
    item_as_json,
    make_entry,
    parse_header,
)
from attnsearch.exports.sink import Sink
from attnsearch.readers.text_file import WHOLE
from attnsearch.syntax import strict_json
from attnsearch.syntax.formats import EXPORT
from attnsearch.syntax.values import Mapping

_ZIP = b"PK\x03\x04"
_NAME = 30  # bytes before the first name in a zip
_HEADER = f"{EXPORT}.json"
_ITEMS = "items.jsonl"
_LONGEST_HEADER = 1 << 20  # bytes
_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, NotImplementedError,
           ValueError, OverflowError, KeyError)  # fmt: skip


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with `head` is such an archive."""
    return head.startswith(_ZIP) and head[_NAME : _NAME + len(_HEADER)] == _HEADER.encode()


def write_arrays(header: Header, read: Callable[[], Iterable[Entry]]) -> Iterator[bytes]:
    """The bytes of the archive, piece by piece; `read` gives the items, twice, one at a time."""
    sink = Sink()
    items, starts, stops = array("q"), array("q"), array("q")
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER), encode_json(header_as_json(header)))
        compressed = zipfile.ZipInfo(_ITEMS)
        compressed.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(compressed, "w", force_zip64=True) as member:
            for entry in read():
                member.write(f"{encode_json(item_as_json(entry))}\n".encode())
                yield from sink.drain()
        with archive.open(zipfile.ZipInfo("embeddings.npy"), "w", force_zip64=True) as member:
            _write_header(member, "<f4", (header.keys, header.d))
            for number, entry in enumerate(read()):
                member.write(entry.x.astype("<f4").tobytes())
                items.extend([number] * len(entry.x))
                starts.extend(entry.starts)
                stops.extend(entry.stops)
                yield from sink.drain()
        for name, numbers in (("items", items), ("starts", starts), ("stops", stops)):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                _write_header(member, "<i8", (len(numbers),))
                member.write(np.array(numbers, "<i8").tobytes())
            yield from sink.drain()
    yield from sink.drain()


def _write_header(member: IO[bytes], descr: str, shape: tuple[int, ...]) -> None:
    npy.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": shape})


def read_arrays(content: BinaryIO, where: str) -> tuple[Header, Iterator[Entry]]:
    """The header of an archive, and its items, read one by one. Raises InputError for what no export has."""
    with _locate_faults(where):
        archive = zipfile.ZipFile(content)
        with archive.open(_HEADER) as member:
            text = member.read(_LONGEST_HEADER).decode()
    header = parse_header(strict_json.parse_line(text, where=where), where)
    return header, check_counts(_read_entries(archive, header, where), header, where)


def _read_entries(archive: zipfile.ZipFile, header: Header, where: str) -> Iterator[Entry]:
    n = header.keys
    with _locate_faults(where), archive, archive.open(_ITEMS) as lines, archive.open("embeddings.npy") as embeddings:
        _read_header(embeddings, "<f4", (n, header.d), where)
        names = ("items.npy", "starts.npy", "stops.npy")
        items, starts, stops = (_read_numbers(archive, name, n, where) for name in names)
        next_item = next(items, None)
        for number, line in enumerate(iter(lambda: lines.readline(WHOLE), b"")):
            place = f"{where}: {_ITEMS}:{number + 1}"
            record = strict_json.parse_line(line.decode(), where=f"{where}: {_ITEMS}", line=number + 1, parts=PARTS)
            if not isinstance(record, Mapping):
                raise damaged("an item is not a JSON object", place)
            count = 0
            while next_item == number and count <= len(line):
                next_item, count = next(items, None), count + 1
            passages = {"starts": [next(starts) for _ in range(count)], "stops": [next(stops) for _ in range(count)]}
            raw = _read_exactly(embeddings, 4 * count * header.d)
            x = np.frombuffer(raw, "<f4").astype(np.float32).reshape(count, header.d)
            yield make_entry({**record, **passages}, x, header, place)


def _read_numbers(archive: zipfile.ZipFile, name: str, n: int, where: str) -> Iterator[int]:
    """The numbers in an array (n,), read piece by piece."""
    with archive.open(name) as member:
        _read_header(member, "<i8", (n,), where)
        while n:
            count = min(n, 1 << 16)
            numbers: NDArray[np.int64] = np.frombuffer(_read_exactly(member, 8 * count), "<i8")
            yield from numbers.tolist()
            n -= count


def _read_header(member: IO[bytes], descr: str, shape: tuple[int, ...], where: str) -> None:
    """Raise InputError if a member is not an array of this type and shape."""
    if npy.read_magic(member) != (1, 0):
        raise ValueError("another version of the form")
    if npy.read_array_header_1_0(member) != (shape, False, np.dtype(descr)):
        kind = "float32" if descr == "<f4" else "int64"
        raise damaged(f"{member.name} is not an array {shape} of {kind}", where)


def _read_exactly(member: IO[bytes], size: int) -> bytes:
    raw = member.read(size)
    if len(raw) < size:
        raise EOFError("it ends too early")
    return raw


@contextmanager
def _locate_faults(where: str) -> Iterator[None]:
    """Turn what the libraries raise for a damaged archive into an InputError."""
    try:
        yield
    except _FAULTS as error:
        raise damaged(str(error).strip("'\"") or type(error).__name__, where) from None
