"""What a catalog has learned ↔ a small file: W_Q, the temperature, λ, the null key, and where they come from.

The file is in the safetensors format, with one matrix `w` (d, d), W_Q = (√d/τ) w, and everything else as JSON in its
metadata. It belongs to the encoder weights from whose embeddings it was learned. W_K and W_V are I.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import Projections, check_temperature, identity
from attnsearch.encoding import safetensors
from attnsearch.errors import CatalogError, InputError
from attnsearch.storage import checksum, lock
from attnsearch.storage.database import Info, read_info
from attnsearch.storage.failures import reading, unreadable, writing
from attnsearch.storage.files import LEARNED, open_to_read, quoted, replace_file, sync

VERSION = 1

_DEEPEST = 8  # levels of lists and objects in a story

LONGEST = 320 << 20  # bytes of a file; the matrix of an encoder 8,192 wide has 256 MiB


class Learned(NamedTuple):
    """What was learned for the encoder `model` with this `identity`; the SHA-256 of its weights is `sha256`.

    w (d, d) is W_Q without its scale. `temperature` is τ, `lexical` λ and `null` the null key; the last two are
    None if not learned. `requests` are the hashes (see `short_hash`) of the training requests. `story` is how it
    was learned: JSON, for `info`.
    """

    model: str
    sha256: str
    w: NDArray[np.float32]
    temperature: float
    lexical: float | None = None
    null: NullKey | None = None
    requests: frozenset[str] = frozenset()
    story: Mapping[str, Any] = {}
    identity: str = ""  # what an older attnsearch learned has none

    @property
    def projections(self) -> Projections:
        """W_Q, W_K and W_V."""
        untrained = identity(len(self.w), self.temperature)
        with np.errstate(over="ignore"):  # a query with an infinite W_Q is refused
            return untrained._replace(w_q=self.w * np.float32(math.sqrt(len(self.w)) / self.temperature))

    def suits(self, info: Info) -> bool:
        """Whether it was learned for a catalog's encoder; if either has no identity, equal weights have to do."""
        is_same = self.identity == info.identity or not (self.identity and info.identity)
        return is_same and self.sha256 == info.sha256 and len(self.w) == info.d

    def taught(self, queries: Sequence[str]) -> int:
        """How many of these queries it was trained on."""
        return sum(short_hash(query) in self.requests for query in queries)


def short_hash(query: str) -> str:
    """Fingerprint of a training request: `eval` recognizes it, and its words are not stored.

    >>> short_hash("science fiction") == short_hash(" Science  fiction ")
    True
    """
    import hashlib  # which a query does without

    return hashlib.sha256(" ".join(query.casefold().split()).encode()).hexdigest()[:16]


def write_learned(path: Path, learned: Learned) -> None:
    """Replace a file with what was learned, atomically. Raises OSError."""
    members = json.dumps(
        {
            "version": VERSION,
            "model": learned.model,
            "sha256": learned.sha256,
            "identity": learned.identity,
            "temperature": learned.temperature,
            "lexical": learned.lexical,
            "null": learned.null,
            "requests": sorted(learned.requests),
            "story": learned.story,
        }
    )
    metadata = {"attnsearch": members, "sum": str(_compute_checksum(members, learned.w))}
    replace_file(path, safetensors.pack({"w": learned.w}, metadata))


def store_learned(folder: Path, learned: Learned, commit: str) -> None:
    """Make this what the catalog in a folder has learned, if its state still is `commit`, from which it was learned.

    Raises CatalogError if the catalog has another state by now, is gone, damaged, or can't be written.
    """
    with writing(folder), closing(lock.acquire(folder, create=False)) as db:
        with reading(folder):
            info = read_info(db, folder)
        if info is None or info.commit != commit:
            message = "the catalog has changed since the training began, so nothing was kept"
            raise CatalogError(message, where=folder.name, hint="train it again")
        for orphan in folder.glob(f".{LEARNED}-*"):  # of a killed training: nobody else holds the lock
            orphan.unlink(missing_ok=True)
        write_learned(folder / LEARNED, learned)


def read_learned(path: Path) -> Learned:
    """What was learned, from a file, which may be a link.

    Raises OSError, InputError if the file has a newer version, ValueError if it is not what was written.
    """
    with open_to_read(path, follow_links=True) as stream:
        if os.fstat(stream.fileno()).st_size > LONGEST or len(content := stream.read(LONGEST + 1)) > LONGEST:
            raise ValueError(f"it has more than {LONGEST >> 20} MiB")
    raw = np.frombuffer(content, np.uint8)
    try:
        arrays, metadata = safetensors.unpack(raw, longest=len(raw))
        w, text = arrays["w"], metadata["attnsearch"]
        if w.dtype != np.float32 or metadata["sum"] != str(_compute_checksum(text, w)):
            raise ValueError("wrong checksum")
        members = json.loads(text)
        if members.pop("version") > VERSION:
            hint = "upgrade attnsearch, or train again"
            raise InputError("was learned by a newer attnsearch", where=str(path), hint=hint)
        null = members.pop("null")
        learned = Learned(
            w=w,
            null=None if null is None else NullKey(*map(float, null)),
            requests=frozenset(members.pop("requests")),
            **members,
        )
        _check_values(learned)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it is not what was written ({error})") from None
    return learned


def read_projections(path: Path, option: str) -> Learned:
    """What was learned, from the file that the user names with `option`. Raises InputError if it is not such a file."""
    try:
        return read_learned(path)
    except OSError as error:
        raise InputError(f"{option}: {error.strerror or error}", where=str(path)) from None
    except ValueError as error:
        hint = "name a file that 'attnsearch train' made"
        raise InputError(f"{option}: {error}", where=str(path), hint=hint) from None


def _check_values(learned: Learned) -> None:
    """Raise ValueError or TypeError for what no training produces: a right checksum may be made by anyone."""
    numbers = (learned.temperature, learned.lexical or 0.0, *(learned.null or ()))
    square = learned.w.ndim == 2 and len(set(learned.w.shape)) == 1
    if not (square and np.isfinite(learned.w).all() and all(map(math.isfinite, numbers)) and numbers[1] >= 0):
        raise ValueError("it holds numbers that no training can produce")
    try:
        check_temperature(learned.temperature)
    except InputError as error:
        raise ValueError(error.message) from None
    if not isinstance(learned.story, dict) or not all(
        isinstance(text, str) for text in (learned.model, learned.sha256, learned.identity)
    ):
        raise TypeError("its text fields are not text")
    if not _is_shallow(learned.story, _DEEPEST):
        raise ValueError("its story is nested more deeply than any training's")
    json.dumps(learned.story, allow_nan=False)


def _is_shallow(value: object, levels: int) -> bool:
    """Whether a JSON value has no more than so many levels of lists and objects."""
    if not isinstance(value, dict | list):
        return True
    parts = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(part, levels - 1) for part in parts)


def load_learned(folder: Path) -> Learned | None:
    """What the catalog in a folder has learned; None if nothing.

    Raises CatalogError if the file is damaged or can't be read, InputError if it has a newer version.
    """
    try:
        return read_learned(folder / LEARNED)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(folder / LEARNED, error) from None
    except ValueError as error:
        hint = f"run 'attnsearch reset {quoted(folder.name)}', then train again"
        raise CatalogError(f"{LEARNED}: {error}", where=folder.name, hint=hint) from None


def forget_learned(folder: Path) -> Learned | None:
    """Delete what the catalog in a folder has learned, and return it; None if it is damaged or has a newer version.

    Raises FileNotFoundError if the catalog has learned nothing, CatalogError if it is gone or can't be changed.
    """
    file, learned = folder / LEARNED, None
    file.lstat()
    with writing(folder, "changed"), lock.guarding(folder):
        held = lock.acquire_if_whole(folder)
        with closing(held) if held else nullcontext():
            with suppress(ValueError, InputError, OSError):
                learned = read_learned(file)
            file.unlink(missing_ok=True)
            sync(folder)
    return learned


def _compute_checksum(members: str, w: NDArray[np.float32]) -> int:
    return checksum.row_checksum(members, str(list(w.shape)), w.tobytes())
