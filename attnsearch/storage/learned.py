"""What a catalog has learned ↔ a file: W_Q, the temperature, λ, the null key, judged requests, and their origin.

The file is in the safetensors format: the matrix `w` (d, d), W_Q = (√d/τ) w, the vectors `x` (j, d) of the judged
requests that are remembered, and everything else as JSON in its metadata, the words of these requests included. Either
array may be missing. It belongs to the encoder weights from whose embeddings it was learned. W_K and W_V are I.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import TEMPERATURE, Projections, check_temperature, identity
from attnsearch.errors import CatalogError, InputError
from attnsearch.networks import safetensors
from attnsearch.storage import checksum, lock
from attnsearch.storage.database import Info
from attnsearch.storage.failures import unreadable, writing
from attnsearch.storage.files import LEARNED, open_to_read, quoted, replace_file, sync
from attnsearch.storage.segment import whole_identity

if TYPE_CHECKING:
    from attnsearch.attention.memory import Recall

VERSION = 3  # of a file whose null key has a temperature of its own; any other has the oldest version that can read it
LONGEST = 320 << 20  # bytes of a file; the matrix of an encoder 8,192 wide has 256 MiB
MOST_REMEMBERED = 10_000  # judged requests: the latest
MOST_RECALL = 0.99  # μ: what the items themselves say always counts

_IN_JSON = "queries", "right", "recall"  # of a memory
_DEEPEST = 8  # levels of lists and objects in a story
_LENGTHS = 1e-3  # how far from 1 the length of a unit vector may be

Floats = NDArray[np.float32]


class Remembered(NamedTuple):
    """Judged requests (j,): their texts, their unit vectors x (j, d), and what is right for each, as grades by id.

    The latest is the last. No grades mean that nothing is right. `recall` says how far they are followed.
    """

    queries: Sequence[str]
    x: Floats
    right: Sequence[Mapping[str, float]]
    recall: Recall


class Learned(NamedTuple):
    """What was learned for the encoder `model` with this `identity`; the SHA-256 of its weights is `sha256`.

    w (d, d) is W_Q without its scale, `temperature` τ, `lexical` λ, `null` the null key, and `memory` the judged
    requests that are remembered; each is None if not learned. `is_lexical` says that λ counts in queries that name
    none. `requests` are the hashes (see `short_hash`) of the training requests. `story` is how it was learned: JSON,
    for `info`.
    """

    model: str
    sha256: str
    w: Floats | None
    temperature: float | None
    lexical: float | None = None
    null: NullKey | None = None
    requests: frozenset[str] = frozenset()
    story: Mapping[str, Any] = {}
    identity: str = ""  # what an older attnsearch learned has none
    memory: Remembered | None = None
    is_lexical: bool = False

    @property
    def d(self) -> int:
        """The width of the encoder."""
        arrays = [array for array in (self.w, self.memory and self.memory.x) if array is not None]
        return int(arrays[0].shape[1])

    @property
    def trained(self) -> bool:
        """Whether it has more than judged requests to remember."""
        return any(part is not None for part in (self.w, self.temperature, self.lexical, self.null))

    def projections(self, temperature: float) -> Projections:
        """W_Q, W_K and W_V at a temperature."""
        untrained = identity(self.d, temperature)
        if self.w is None:
            return untrained
        with np.errstate(over="ignore"):  # a query with an infinite W_Q is refused
            return untrained._replace(w_q=self.w * np.float32(math.sqrt(self.d) / temperature))

    def suits(self, info: Info) -> bool:
        """Whether it was learned for all heads of a catalog; if either has no identity, equal weights have to do."""
        identity = whole_identity(info)
        is_same = self.identity == identity or not ((self.identity and identity) or info.use)
        return is_same and self.sha256 == info.sha256 and self.d == info.d

    def taught(self, queries: Sequence[str]) -> int:
        """How many of these queries it was trained on, or remembers."""
        known = self.requests | {short_hash(query) for query in (self.memory.queries if self.memory else ())}
        return sum(short_hash(query) in known for query in queries)


def short_hash(query: str) -> str:
    """Fingerprint of a training request, by which `eval` recognizes it.

    >>> short_hash("science fiction") == short_hash(" Science  fiction ")
    True
    """
    import hashlib  # which a query does without

    return hashlib.sha256(" ".join(query.casefold().split()).encode()).hexdigest()[:16]


def write_learned(path: Path, learned: Learned) -> None:
    """Replace a file with what was learned, atomically. Raises OSError."""
    replace_file(path, pack_learned(learned))


def pack_learned(learned: Learned) -> bytes:
    """The bytes of the file with what was learned."""
    memory, null = learned.memory, learned.null
    is_simple = memory is None and learned.w is not None and not learned.is_lexical
    is_own = null is not None and null.temperature != TEMPERATURE
    arrays = {"w": learned.w, "x": memory and memory.x}
    present = {name: array for name, array in arrays.items() if array is not None}
    members = json.dumps(
        {
            "version": VERSION if is_own else 1 if is_simple else 2,
            "model": learned.model,
            "sha256": learned.sha256,
            "identity": learned.identity,
            "temperature": learned.temperature,
            "lexical": learned.lexical,
            "null": null and null[: 2 + is_own],
            "requests": sorted(learned.requests),
            "story": learned.story,
            **({"is_lexical": True} if learned.is_lexical else {}),
            **({} if memory is None else {"memory": {name: getattr(memory, name) for name in _IN_JSON}}),
        }
    )
    metadata = {"attnsearch": members, "sum": str(_compute_checksum(members, present))}
    return safetensors.pack(present, metadata)


def read_learned(path: Path) -> Learned:
    """What was learned, from a file, which may be a link. Raises OSError, and as `unpack_learned` does."""
    with open_to_read(path, follow_links=True) as stream:
        if os.fstat(stream.fileno()).st_size > LONGEST or len(content := stream.read(LONGEST + 1)) > LONGEST:
            raise ValueError(f"it has more than {LONGEST >> 20} MiB")
    return unpack_learned(content, str(path))


def unpack_learned(content: bytes, where: str) -> Learned:
    """What was learned, from the bytes of the file `where`. Raises InputError for a newer version, else ValueError."""
    raw = np.frombuffer(content, np.uint8)
    try:
        arrays, metadata = safetensors.unpack(raw, longest=len(raw))
        text = metadata["attnsearch"]
        if metadata["sum"] != str(_compute_checksum(text, arrays)):
            raise ValueError("wrong checksum")
        members = json.loads(text)
        if members.pop("version") > VERSION:
            hint = "upgrade attnsearch, or train again"
            raise InputError("was learned by a newer attnsearch", where=where, hint=hint)
        null, memory = members.pop("null"), members.pop("memory", None)
        learned = Learned(
            w=arrays.get("w"),
            null=None if null is None else NullKey(*map(float, null)),
            requests=frozenset(members.pop("requests")),
            memory=None if memory is None else _parse_memory(memory, arrays["x"]),
            **members,
        )
        _check_values(learned)
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is not what was written ({error})") from None
    return learned


def _parse_memory(members: Mapping[str, Any], x: NDArray[Any]) -> Remembered:
    from attnsearch.attention.memory import Recall  # which a query without a memory does without

    # A sum refuses what is text, and integers that are too large for a float.
    right = [{ident: grade + 0.0 for ident, grade in dict(grades).items()} for grades in members["right"]]
    return Remembered(list(members["queries"]), x, right, Recall(*map(float, members["recall"])))


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
    """Raise ValueError or TypeError for what no training produces: anyone can make a file with a right checksum."""
    w, d, lexical = learned.w, learned.d, learned.lexical or 0.0
    parts = (learned.null, learned.memory and learned.memory.recall)
    if w is not None and not (w.dtype == np.float32 and w.shape == (d, d) and np.isfinite(w).all()):
        raise ValueError("its W_Q is not a matrix that training can produce")
    if not (lexical >= 0 and all(map(math.isfinite, (lexical, *(learned.null or ()))))):
        raise ValueError("it holds numbers that no training can produce")
    if learned.memory is not None:
        _check_memory(learned.memory, d)
    try:
        for temperature in (learned.temperature, *(part.temperature for part in parts if part)):
            if temperature is not None:
                check_temperature(temperature)
    except InputError as error:
        raise ValueError(error.message) from None
    if not isinstance(learned.is_lexical, bool) or (learned.is_lexical and learned.lexical is None):
        raise TypeError("it does not say how shared words count")
    if not isinstance(learned.story, dict):
        raise TypeError("its story is not a mapping")
    _check_texts((learned.model, learned.sha256, learned.identity, *learned.requests))
    if not _is_shallow(learned.story, _DEEPEST):
        raise ValueError("its story is nested more deeply than any training's")
    json.dumps(learned.story, allow_nan=False)


def _check_memory(memory: Remembered, d: int) -> None:
    """Raise ValueError or TypeError for judged requests that nobody can have judged."""
    x, (most, _, threshold, margin) = memory.x, memory.recall
    if not (len(x) == len(memory.queries) == len(memory.right) and len(x) <= MOST_REMEMBERED and x.shape[1:] == (d,)):
        raise ValueError("it does not have one vector for each judged request")
    lengths = np.linalg.norm(x.astype(np.float64), axis=1)
    if x.dtype != np.float32 or not (np.abs(lengths - 1) <= _LENGTHS).all():  # NaN included
        raise ValueError("the vectors of its judged requests are not of length 1")
    if not (0 <= most <= MOST_RECALL and math.isfinite(threshold + margin)):
        raise ValueError("it follows judged requests further than any training would")
    _check_texts((*memory.queries, *(ident for grades in memory.right for ident in grades)))
    if not all(0 < grade < math.inf for grades in memory.right for grade in grades.values()):
        raise ValueError("it has a grade that is not a positive number")


def _check_texts(texts: Iterable[str]) -> None:
    """Raise ValueError or TypeError unless all of these are texts that UTF-8 can hold."""
    for text in texts:
        if type(text) is not str:
            raise TypeError("its texts are not text")
        text.encode()


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


def _compute_checksum(members: str, arrays: Mapping[str, NDArray[Any]]) -> int:
    """The checksum of a file; of one with W_Q alone as it always was."""
    cells: list[str | bytes] = [members]
    for _, array in sorted(arrays.items()):
        cells += (str(list(array.shape)), array.tobytes())
    return checksum.row_checksum(*cells)
