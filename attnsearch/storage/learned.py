"""What a catalog's librarian has learned ↔ a small file: W_Q, the temperature, λ, the null key, and from what.

The file is in the safetensors format, with one matrix `w` (d, d), W_Q = (√d/τ) w, and everything else as JSON in its
metadata. It is tied to the weights of the encoder whose embeddings it was learned from. W_K and W_V are I.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import Projections, check_temperature, identity
from attnsearch.errors import CatalogError, InputError
from attnsearch.storage import checksum, segment

FILE = "learned.safetensors"
VERSION = 1

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # nobody waits for a pipe
_LARGEST = 1 << 30  # bytes of a file that is read at all


class Learned(NamedTuple):
    """What was learned for an encoder's weights, by their SHA-256.

    w (d, d) is W_Q but for its scale, `temperature` τ; `lexical` is λ, and `null` the null key, None where nothing was
    learned of them. `requests` are the short hashes of those it was learned from, `story` how: JSON for `info`.
    """

    model: str
    sha256: str
    w: NDArray[np.float32]
    temperature: float
    lexical: float | None = None
    null: NullKey | None = None
    requests: frozenset[str] = frozenset()
    story: Mapping[str, Any] = {}

    @property
    def projections(self) -> Projections:
        """W_Q, W_K and W_V."""
        plain = identity(len(self.w), self.temperature)
        return plain._replace(w_q=self.w * np.float32(math.sqrt(len(self.w)) / self.temperature))

    def suits(self, sha256: str, d: int) -> bool:
        """Whether it is for the encoder with these weights, whose vectors have d numbers."""
        return self.sha256 == sha256 and len(self.w) == d

    def taught(self, queries: Sequence[str]) -> int:
        """How many of the queries it was learned from."""
        return sum(short_hash(query) in self.requests for query in queries)


def short_hash(query: str) -> str:
    """By which a request that something was learned from is known again; its words are not kept.

    >>> short_hash("science fiction") == short_hash(" Science  fiction ")
    True
    """
    import hashlib  # of which a query has no need

    return hashlib.sha256(" ".join(query.casefold().split()).encode()).hexdigest()[:16]


def write(path: Path, learned: Learned) -> None:
    """Put it into a file, all of it or nothing: see `segment.put`."""
    said = {
        "version": VERSION,
        "model": learned.model,
        "sha256": learned.sha256,
        "temperature": learned.temperature,
        "lexical": learned.lexical,
        "null": learned.null,
        "requests": sorted(learned.requests),
        "story": learned.story,
    }
    told = json.dumps(said)
    w = np.ascontiguousarray(learned.w, "<f4").tobytes()
    header = {
        "__metadata__": {"attnsearch": told, "sum": str(_sum(told, learned.w.shape, w))},
        "w": {"dtype": "F32", "shape": learned.w.shape, "data_offsets": [0, len(w)]},
    }
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    segment.put(path, struct.pack("<Q", len(raw)) + raw + w)


def read(path: Path) -> Learned:
    """What is in a file.

    Raises FileNotFoundError, InputError for one of a newer version, ValueError where it is not what was written.
    """
    with os.fdopen(os.open(path, _FLAGS), "rb") as stream:
        raw = stream.read(_LARGEST)
    try:
        (length,) = struct.unpack_from("<Q", raw)
        header = json.loads(raw[8 : 8 + length])
        told, written = header["__metadata__"]["attnsearch"], header["__metadata__"]["sum"]
        shape, w = tuple(header["w"]["shape"]), raw[8 + length :]
        if str(_sum(told, shape, w)) != written:
            raise ValueError("the checksum is another")
        said = json.loads(told)
        if said.pop("version") > VERSION:
            hint = "upgrade attnsearch, or train again"
            raise InputError("was learned by a newer attnsearch", where=str(path), hint=hint)
        null = said.pop("null")
        found = Learned(
            w=np.frombuffer(w, "<f4").reshape(shape),
            null=None if null is None else NullKey(*map(float, null)),
            requests=frozenset(said.pop("requests")),
            **said,
        )
        _check(found)
    except (struct.error, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it is not what was written ({error})") from None
    return found


def _check(found: Learned) -> None:
    """ValueError, or TypeError, for what no training makes: whoever made a file may have made its checksum."""
    numbers = (found.temperature, found.lexical or 0.0, *(found.null or ()))
    square = found.w.ndim == 2 and len(set(found.w.shape)) == 1
    if not (square and np.isfinite(found.w).all() and all(map(math.isfinite, numbers)) and numbers[1] >= 0):
        raise ValueError("its numbers can't be")
    try:
        check_temperature(found.temperature)
    except InputError as error:
        raise ValueError(error.message) from None
    if not isinstance(found.story, dict) or not all(isinstance(word, str) for word in (found.model, found.sha256)):
        raise TypeError("its words are none")
    json.dumps(found.story, allow_nan=False)


def of(folder: Path) -> Learned | None:
    """What the catalog in a folder has learned, None where that is nothing; CatalogError where it is damaged."""
    try:
        return read(folder / FILE)
    except FileNotFoundError:
        return None
    except ValueError as error:
        hint = f"'attnsearch reset {folder.name}' goes back to the untrained; then train again"
        raise CatalogError(f"{FILE}: {error}", where=folder.name, hint=hint) from None


def _sum(told: str, shape: tuple[int, ...], w: bytes) -> int:
    return checksum.of_row(told, str(list(shape)), w)
