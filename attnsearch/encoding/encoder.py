"""The protocol of everything that turns texts into unit vectors, and what its implementations share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.model import Model
from attnsearch.errors import ModelError

if TYPE_CHECKING:
    from attnsearch.encoding.pieces import Pieces

Role = Literal["query", "key"]
Precision = Literal["float32", "bfloat16"]
OnTexts = Callable[[int], None]

_SURE = 100  # characters of a word at most, a longer one being a single token: what one cut in two may lose


class Encoder(Protocol):
    """What turns texts into vectors. Two of them are the same when their models' names and hashes are."""

    @property
    def model(self) -> Model:
        """Which model it runs."""

    @property
    def precision(self) -> Precision:
        """Of its arithmetic; the vectors are float32 whatever it is."""

    @property
    def quick(self) -> bool:
        """Whether it starts within milliseconds."""

    @property
    def window(self) -> int:
        """How many tokens it reads of a text."""

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> NDArray[np.float32]:
        """Unit vectors (n, d). `progress` is told how many more texts are done."""

    def tokens(self, text: str) -> list[str]:
        """The word pieces of a text, the encoder's own marks among them, however long it is."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters, from the first to before the last, of each word piece of a text; the marks have none."""

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece adds to the unit vector of its text; None where that is no mean over word pieces."""

    def suited(self, length: int, precision: Precision | None = None) -> Encoder:
        """The same model as it embeds texts of `length` characters soonest, in that precision if one is asked for."""


def vectors_agree(one: Encoder, other: Encoder, texts: Sequence[str]) -> bool:
    """Whether two encoders of one model give the same vectors, as far as their precisions can tell."""
    cosines = np.vecdot(one.encode(texts), other.encode(texts))
    return bool((cosines > 1 - (1e-5 if one.precision == other.precision else 0.02)).all())


def is_cut(reader: Encoder, text: str) -> bool:
    """Whether the encoder stops before the end of the text; a token has at least one character."""
    if len(text) > _SURE * reader.window and len(reader.tokens(text[: _SURE * reader.window])) > reader.window + _SURE:
        return True  # tokens take hundreds of bytes a character, so the whole text is read only where it must be
    return len(text) > reader.window - 2 and len(reader.tokens(text)) > reader.window


def batch_by_length(texts: Sequence[str], length: int) -> Iterator[list[int]]:
    """Which texts to read at once: some of much the same length, which together have about that many characters."""
    batch: list[int] = []
    for at in sorted(range(len(texts)), key=lambda at: len(texts[at])):
        if batch and (len(batch) + 1) * len(texts[at]) > length:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def normalize_rows(x: NDArray[np.float32], who: str) -> NDArray[np.float32]:
    """The rows of x (n, d) at length one; ModelError, naming `who`, for a row that has no direction."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError("gave a vector without a direction (NaN, infinity or zeros)", where=who)
    found: NDArray[np.float32] = np.divide(x, norms, dtype=np.float32)
    return found
