"""Tensors ↔ a safetensors file: an encoder's weights, and what a catalog has learned.

The form: 8 bytes, the length of the header as a little-endian integer; the header, JSON; the data, each byte of it one
tensor's. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 4 << 20  # bytes at most of a model's header; a model of 24 layers has 40,000

_TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_METADATA = "__metadata__"


class Tensors(NamedTuple):
    """What a file holds: arrays by name, and the texts of its metadata."""

    arrays: dict[str, NDArray[Any]]
    metadata: Mapping[str, Any]


def unpack(data: NDArray[np.uint8], *, longest: int = HEADER) -> Tensors:
    """The tensors in the bytes of a file (n,), as views of them; types other than float32 and float16 are left out.

    `longest` is how many bytes the header may have. Raises ValueError for bytes that are not a complete file: a header
    past the end, a name used twice, offsets that overlap, leave a hole or point past the end, a shape that does not fit
    its data.
    """
    try:
        length = int.from_bytes(data[:8].tobytes(), "little")
        if not 2 <= length <= min(longest, len(data) - 8):
            raise ValueError("its header is longer than the file, or than any model's")
        header = json.loads(data[8 : 8 + length].tobytes(), object_pairs_hook=_unique)
        metadata = header.pop(_METADATA, {})
        body = data[8 + length :]
        _check_offsets([entry["data_offsets"] for entry in header.values()], len(body))
        arrays = {name: _tensor(body, entry) for name, entry in header.items() if entry["dtype"] in _TYPES}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return Tensors(arrays, metadata)


def pack(arrays: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file with these tensors, all of them float32."""
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    parts: list[bytes] = []
    end = 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [end, end + len(raw)]}
        parts.append(raw)
        end += len(raw)
    listing = json.dumps(header).encode()
    listing += b" " * (-len(listing) % 8)
    return b"".join([struct.pack("<Q", len(listing)), listing, *parts])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a name is used twice")
    return unique


def _check_offsets(offsets: list[Any], end: int) -> None:
    """ValueError unless the tensors lie one behind the other from the first byte of the data to its last."""
    expected = 0
    for start, stop in sorted(map(_whole_numbers, offsets)):
        if start != expected or stop < start:
            raise ValueError("offsets that overlap, or leave a hole")
        expected = stop
    if expected != end:
        raise ValueError("offsets past its end" if expected > end else "data that belongs to no tensor")


def _whole_numbers(listed: Any) -> list[int]:
    whole = isinstance(listed, list) and len(listed) < 9 and all(type(n) is int and n >= 0 for n in listed)
    if not whole:
        raise ValueError(f"{str(listed)[:40]} where whole numbers belong")
    return list(listed)


def _tensor(body: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    kind = _TYPES[entry["dtype"]]
    shape = _whole_numbers(entry["shape"])
    if math.prod(shape) * kind.itemsize != end - start:
        raise ValueError(f"a shape of {math.prod(shape)} numbers for {end - start} bytes")
    return body[start:end].view(kind).reshape(shape)
