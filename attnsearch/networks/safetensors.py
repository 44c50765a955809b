"""Tensors ↔ a safetensors file: an encoder's weights, and what a catalog has learned.

The form: 8 bytes with the length of the header, a little-endian integer; the header, in JSON; the data, of which every
byte belongs to one tensor. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 4 << 20  # bytes of a header, at most; a model of 24 layers has 40,000

# BF16 is the upper half of a float32, which numpy does not have: `weights.widen` reads it.
_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I8": np.dtype("<i1"),
}
_METADATA = "__metadata__"


class Tensors(NamedTuple):
    """A file's content: arrays by name, and the texts of its metadata."""

    arrays: dict[str, NDArray[Any]]
    metadata: Mapping[str, Any]


def unpack(data: NDArray[np.uint8], *, longest: int = HEADER) -> Tensors:
    """The tensors in the bytes of a file (n,), as views of these; types that no model needs (`_TYPES`) are left out.

    `longest` is how many bytes the header may have. Raises ValueError for bytes that are not a complete file: a header
    past the end, a name used twice, offsets that overlap, leave a hole or point past the end, a shape that does not fit
    its data.
    """
    try:
        length = int.from_bytes(data[:8].tobytes(), "little")
        if not 2 <= length <= min(longest, len(data) - 8):
            raise ValueError("its header is longer than the file, or than any model's")
        header = json.loads(data[8 : 8 + length].tobytes(), object_pairs_hook=_unique_names)
        metadata = header.pop(_METADATA, {})
        body = data[8 + length :]
        _check_offsets([entry["data_offsets"] for entry in header.values()], len(body))
        arrays = {name: _read_tensor(body, entry) for name, entry in header.items() if entry["dtype"] in _TYPES}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its header is invalid: {error}") from None
    return Tensors(arrays, metadata)


def pack(arrays: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file with these float32 tensors."""
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    parts: list[bytes] = []
    end = 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [end, end + len(raw)]}
        parts.append(raw)
        end += len(raw)
    header_bytes = json.dumps(header).encode()
    header_bytes += b" " * (-len(header_bytes) % 8)  # so that the data is aligned
    return b"".join([struct.pack("<Q", len(header_bytes)), header_bytes, *parts])


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs of a JSON object; ValueError for a name that it has twice."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name is used twice")
    return entries


def _check_offsets(offsets: list[Any], end: int) -> None:
    """ValueError unless the tensors lie one behind the other from the first byte of the data to its last."""
    expected = 0
    for start, stop in sorted(map(_check_whole_numbers, offsets)):
        if start != expected or stop < start:
            raise ValueError("its offsets overlap, or leave a hole")
        expected = stop
    if expected != end:
        raise ValueError("its offsets point past its end" if expected > end else "it has data that no tensor uses")


def _check_whole_numbers(value: Any) -> list[int]:
    """The value, a short list of whole numbers; ValueError for anything else."""
    if isinstance(value, list) and len(value) < 9 and all(type(n) is int and n >= 0 for n in value):
        return value
    raise ValueError(f"{str(value)[:40]} is not a list of whole numbers")


def _read_tensor(body: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    kind = _TYPES[entry["dtype"]]
    shape = _check_whole_numbers(entry["shape"])
    if math.prod(shape) * kind.itemsize != end - start:
        raise ValueError(f"a tensor has a shape of {math.prod(shape)} numbers, but {end - start} bytes")
    return body[start:end].view(kind).reshape(shape)
