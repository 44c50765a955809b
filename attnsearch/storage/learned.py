"""What a catalog's librarian has learned ↔ a small file: W_Q, the temperature, λ, the null key, and from what.

The file is in the safetensors format, with one matrix `w` (d, d), W_Q = (√d/τ) w, and everything else as JSON in its
metadata. It is tied to the weights of the encoder whose embeddings it was learned from. W_K and W_V are I.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import Projections, check_temperature, identity
from attnsearch.encoding import safetensors
from attnsearch.errors import CatalogError, InputError
from attnsearch.storage import checksum, lock
from attnsearch.storage.failures import writing
from attnsearch.storage.files import FLAGS, LEARNED, replace_file, sync

VERSION = 1

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


def write_learned(path: Path, learned: Learned) -> None:
    """Replace a file with it, atomically."""
    told = json.dumps(
        {
            "version": VERSION,
            "model": learned.model,
            "sha256": learned.sha256,
            "temperature": learned.temperature,
            "lexical": learned.lexical,
            "null": learned.null,
            "requests": sorted(learned.requests),
            "story": learned.story,
        }
    )
    metadata = {"attnsearch": told, "sum": str(_sum(told, learned.w))}
    replace_file(path, safetensors.pack({"w": learned.w}, metadata))


def read_learned(path: Path) -> Learned:
    """What is in a file.

    Raises FileNotFoundError, InputError for one of a newer version, ValueError where it is not what was written.
    """
    with os.fdopen(os.open(path, FLAGS), "rb") as stream:
        raw = np.frombuffer(stream.read(_LARGEST), np.uint8)
    try:
        arrays, metadata = safetensors.unpack(raw, longest=len(raw))
        w, told = arrays["w"], metadata["attnsearch"]
        if w.dtype != np.float32 or metadata["sum"] != str(_sum(told, w)):
            raise ValueError("the checksum is another")
        said = json.loads(told)
        if said.pop("version") > VERSION:
            hint = "upgrade attnsearch, or train again"
            raise InputError("was learned by a newer attnsearch", where=str(path), hint=hint)
        null = said.pop("null")
        found = Learned(
            w=w,
            null=None if null is None else NullKey(*map(float, null)),
            requests=frozenset(said.pop("requests")),
            **said,
        )
        _check(found)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
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


def load_learned(folder: Path) -> Learned | None:
    """What the catalog in a folder has learned, None where that is nothing; CatalogError where it is damaged."""
    try:
        return read_learned(folder / LEARNED)
    except FileNotFoundError:
        return None
    except ValueError as error:
        hint = f"'attnsearch reset {folder.name}' goes back to the untrained; then train again"
        raise CatalogError(f"{LEARNED}: {error}", where=folder.name, hint=hint) from None


def forget_learned(folder: Path) -> Learned | None:
    """Delete what the catalog in a folder has learned, and return it; None where it is damaged.

    Raises FileNotFoundError where it has learned nothing, CatalogError where it can't be deleted.
    """
    file, found = folder / LEARNED, None
    file.lstat()
    with writing(folder, "changed"):
        taken = lock.acquire_if_whole(folder)
        try:
            with suppress(ValueError, InputError, OSError):
                found = read_learned(file)
            file.unlink(missing_ok=True)
            sync(folder)
        finally:
            if taken:
                taken.close()
    return found


def _sum(told: str, w: NDArray[np.float32]) -> int:
    return checksum.row_checksum(told, str(list(w.shape)), w.tobytes())
