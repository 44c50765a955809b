"""The protocol of everything that turns texts into unit vectors, and what its implementations share.

Axis letters: n = texts, d = width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ModelError
from attnsearch.models.model import MARKS, Model

if TYPE_CHECKING:
    from attnsearch.encoding.pieces import Pieces

Role = Literal["query", "key"]
Precision = Literal["float32", "bfloat16"]
OnTexts = Callable[[Sequence[int], NDArray[np.float32]], None]
"""Called with the numbers of n more texts that are embedded, and their unit vectors (n, d)."""

_WORD = 100  # characters: longer words are one token each, so a cut within a word adds fewer tokens than this


class Encoder(Protocol):
    """What turns texts into vectors. Two encoders are the same if their models have the same name and hash."""

    @property
    def model(self) -> Model:
        """The model that it runs."""

    @property
    def precision(self) -> Precision:
        """The precision of its arithmetic; its vectors are float32 all the same."""

    @property
    def quick(self) -> bool:
        """Whether it starts within milliseconds."""

    @property
    def window(self) -> int:
        """How many tokens of a text it reads; it ignores the rest."""

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> NDArray[np.float32]:
        """The unit vectors (n, d) of the texts; `progress` gets them as they come, if they come in parts.

        Raises ModelError for a vector that has no direction.
        """

    def tokens(self, text: str) -> list[str]:
        """All word pieces of a text, beyond the window too, and the encoder's own marks."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of a text begins and ends (before which character); without the encoder's marks."""

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece adds to its text's unit vector; None if the vector is not a mean over word pieces."""

    def suited(self, length: int, precision: Precision | None = None) -> Encoder:
        """The encoder of the same model that is fastest for `length` characters of text, in `precision` if given."""


def vectors_agree(encoder: Encoder, peer: Encoder, texts: Sequence[str]) -> bool:
    """Whether two encoders of one model give the same vectors, as far as their precisions can tell."""
    cosines = np.vecdot(encoder.encode(texts), peer.encode(texts))
    return bool((cosines > 1 - (1e-5 if encoder.precision == peer.precision else 0.02)).all())


def is_cut(encoder: Encoder, text: str) -> bool:
    """Whether the encoder stops before the end of the text."""
    start = text[: _WORD * encoder.window]
    if len(start) < len(text) and len(encoder.tokens(start)) > encoder.window + _WORD:
        return True  # a tokenizer takes hundreds of bytes a character, so only a doubtful text is read whole
    return len(text) > encoder.window - MARKS and len(encoder.tokens(text)) > encoder.window


def batch_by_length(texts: Sequence[str], length: int) -> Iterator[list[int]]:
    """The indices of the texts in batches of similar length, shortest first.

    A batch has `length` characters at most, with each text padded to the longest; a longer text is a batch of its own.
    """
    batch: list[int] = []
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if batch and (len(batch) + 1) * len(texts[i]) > length:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def normalize_rows(x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """The rows of x (n, d) at length 1; ModelError, for the encoder of that name, if a row has no direction."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError("gave a vector without a direction (NaN, infinity or zeros)", where=name)
    unit: NDArray[np.float32] = np.divide(x, norms, dtype=np.float32)
    return unit
