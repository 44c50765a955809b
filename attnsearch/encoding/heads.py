"""Several encoders as one: the heads of a catalog, in one softmax over Σ_h cosine_h / τ_h.

Axis letters: n = texts, h = heads, t = word pieces, d = width, the sum of the heads' widths.

With weights a_h that add up to 1, x = [√a_1 x_1; √a_2 x_2; …] is a unit vector again, the product of two is
Σ a_h cosine_h, and that divided by τ is Σ cosine_h / τ_h with τ_h = τ/a_h. So all that works on an encoder's vectors
works on those of several, at the same τ: the attention is as sharp as before. Unlike the heads of Vaswani et al. 2017,
section 3.2.2, which have a softmax each, these add up before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import (
    Encoder,
    OnTexts,
    Precision,
    batch_by_length,
    join_precisions,
    parts_of,
    record_use,
)
from attnsearch.encoding.pieces import Pieces
from attnsearch.errors import InputError
from attnsearch.models.model import TABLE, Model
from attnsearch.models.prompts import resolve_use
from attnsearch.models.record import LEAST_WEIGHT, MOST_HEADS, Head, identify
from attnsearch.models.use import Role, Use

USUAL = {TABLE: 0.25}
"""The weight a_h of a head that is given without one, by its model; any other counts as much as the first."""

NO_HEAD = "none"  # in place of a model: the catalog is to have the first head alone

_ROUNDING = 1e-9  # of a sum of weights
_BATCH = 30_000  # characters that every head reads before the next batch: a second's work, or less

Floats = NDArray[np.float32]


class Choice(NamedTuple):
    """A head that a user wants beside the first: its model, and its weight a_h; None leaves the weight to us."""

    model: str
    weight: float | None = None


def parse_choices(texts: Sequence[str]) -> tuple[Choice, ...]:
    """The heads that texts such as MODEL or MODEL=WEIGHT mean; `none` alone means that there are none.

    Raises InputError for an invalid weight, and for a text that can mean two things.

    >>> parse_choices(["wordllama=0.2", "./mine"])
    (Choice(model='wordllama', weight=0.2), Choice(model='./mine', weight=None))
    """
    if list(texts) == [NO_HEAD]:
        return ()
    if NO_HEAD in texts:
        raise InputError("--head none stands for no heads, but others are named beside it", hint="name heads, or none")
    return tuple(map(_parse_choice, texts))


def _parse_choice(text: str) -> Choice:
    model, equals, number = text.rpartition("=")
    try:
        weight = float(number) if equals else None
    except ValueError:
        weight = None
    if weight is None:
        if model == TABLE:  # not a folder, whose name may have an equals sign
            raise _invalid_weight(model, number)
        model = text
    elif Path(text).is_dir():
        hint = f"write {text}=0.5 for the folder, or rename it"
        raise InputError(f"--head can mean the folder {text}, or {model} with the weight {number}", hint=hint)
    elif not LEAST_WEIGHT <= weight <= 1 - LEAST_WEIGHT:  # NaN included
        raise _invalid_weight(model, number)
    if not model.strip():
        raise InputError("--head names no model", hint=f"write --head {TABLE}, or --head {TABLE}={USUAL[TABLE]}")
    return Choice(model, weight)


def _invalid_weight(model: str, number: str) -> InputError:
    hint = f"give a number from {LEAST_WEIGHT} to {1 - LEAST_WEIGHT}, such as {USUAL[TABLE]}"
    return InputError(f"invalid weight {number} of the head {model}", hint=hint)


def fill_weights(weights: Sequence[float | None]) -> list[float]:
    """The weights of the heads beside the first; one that is None becomes as large as the first head's.

    Raises InputError if they leave nothing for the first, and for too many heads.

    >>> fill_weights([None]), fill_weights([0.25, None])
    ([0.5], [0.25, 0.375])
    """
    if len(weights) >= MOST_HEADS:
        raise InputError(f"{len(weights)} heads beside the first model", hint=f"name {MOST_HEADS - 1} at most")
    known = math.fsum(weight for weight in weights if weight is not None)
    rest = (1 - known) / (1 + sum(weight is None for weight in weights))
    if rest < LEAST_WEIGHT - _ROUNDING:
        hint = "give weights that add up to less than 1: the rest is the first model's"
        raise InputError(f"the weights of the heads add up to {known:.4g}", hint=hint)
    return [rest if weight is None else weight for weight in weights]


def join(blocks: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """[√a_1 x_1; √a_2 x_2; …] (n, d) of each head's unit vectors (n, d_h).

    >>> join([np.array([[1.0]], np.float32), np.array([[0.0, 1.0]], np.float32)], [0.75, 0.25]).round(3).tolist()
    [[0.8659999966621399, 0.0, 0.5]]
    """
    scaled = [x * np.float32(math.sqrt(weight)) for x, weight in zip(blocks, weights, strict=True)]
    return np.concatenate(scaled, axis=1)


def part(x: Floats, widths: Sequence[int]) -> list[Floats]:
    """Each head's unit vectors (n, d_h) in x (n, d): its columns at length 1 again."""
    blocks = np.split(x, np.cumsum(widths)[:-1], axis=1)
    return [block / np.linalg.norm(block, axis=1, keepdims=True) for block in blocks]


def identify_others(encoder: Encoder) -> list[tuple[str, float]]:
    """The identity of each head beside the first and its use, and its weight."""
    if not isinstance(encoder, HeadsEncoder):
        return []
    return [
        (identify(part.model.identity, record_use(part)), weight)
        for part, weight in zip(encoder.encoders[1:], encoder.weights[1:], strict=True)
    ]


def describe_others(encoder: Encoder, stored: Sequence[Head]) -> tuple[Head, ...]:
    """What a catalog records of each head beside the first; a width is measured unless it is `stored`."""
    if not isinstance(encoder, HeadsEncoder):
        return ()
    known = {head.identity: head.d for head in stored}
    return tuple(
        Head(
            part.model.name,
            part.model.sha256,
            part.model.identity,
            part.model.stamp,
            known.get(part.model.identity) or part.encode(["a"]).shape[1],
            weight,
            record_use(part),
        )
        for part, weight in zip(encoder.encoders[1:], encoder.weights[1:], strict=True)
    )


def match_heads(stored: Sequence[Head], encoder: Encoder) -> list[int | None]:
    """For each head of the encoder, the number of the stored one that gives keys the same vectors; None without one."""
    return [
        next((number for number, head in enumerate(stored) if _gives_the_same(part, head)), None)
        for part in parts_of(encoder)
    ]


def _gives_the_same(part: Encoder, head: Head) -> bool:
    """Whether a head's model, its prompt of keys and its width are those of an encoder."""
    is_same = part.model.made(head.sha256, head.identity)
    return is_same and part.use.of_keys() == resolve_use(head.use, part.model).of_keys()


def recode(
    x: Floats, stored: Sequence[Head], encoder: Encoder, matches: Sequence[int | None], new: Mapping[int, Floats] = {}
) -> Floats:
    """The vectors (n, d) that the encoder would give, from x, those of the `stored` heads.

    `matches` is what `match_heads` returns; `new` has the unit vectors (n, d_h) of each head that matches none, by its
    number in the encoder.
    """
    blocks = part(x, [head.d for head in stored]) if len(stored) > 1 else [x]
    chosen = [new[number] if place is None else blocks[place] for number, place in enumerate(matches)]
    return join(chosen, encoder.weights) if isinstance(encoder, HeadsEncoder) else chosen[0]


class HeadsEncoder:
    """Several encoders as one, each with its weight a_h: its vectors are [√a_1 x_1; √a_2 x_2; …].

    The first head decides how texts are cut: `window`, `tokens` and `spans` are its own. A head with a smaller window
    reads only the beginning of a passage, one with a larger window reads no more than the passage. `model` is the first
    head's; a catalog records the others beside it.
    """

    def __init__(self, encoders: Sequence[Encoder], weights: Sequence[float]) -> None:
        self.encoders = tuple(encoders)
        self.weights = tuple(weights)

    @property
    def model(self) -> Model:
        """The first head's model."""
        return self.encoders[0].model

    @property
    def use(self) -> Use:
        """How the first head uses its model; the others have uses of their own."""
        return self.encoders[0].use

    @property
    def precision(self) -> Precision:
        """The lowest precision of any head."""
        return join_precisions(encoder.precision for encoder in self.encoders)

    @property
    def quick(self) -> bool:
        """Whether all of them start within milliseconds."""
        return all(encoder.quick for encoder in self.encoders)

    @property
    def window(self) -> int:
        """How many tokens of a key text the first head reads."""
        return self.encoders[0].window

    @property
    def query_window(self) -> int:
        """How many tokens of a request the first head reads."""
        return self.encoders[0].query_window

    def encode(self, texts: Sequence[str], role: Role = "key", progress: OnTexts | None = None) -> Floats:
        """The unit vectors (n, d) of the texts. Raises ModelError as each head does."""
        x: Floats | None = None
        for batch in batch_by_length([len(text) for text in texts], _BATCH):
            read = [texts[i] for i in batch]
            vectors = join([encoder.encode(read, role) for encoder in self.encoders], self.weights)
            if x is None:
                x = np.empty((len(texts), vectors.shape[1]), np.float32)
            x[batch] = vectors
            if progress:
                progress(batch, vectors)
        return join([encoder.encode([], role) for encoder in self.encoders], self.weights) if x is None else x

    def suited(self, length: int, precision: Precision | None = None) -> HeadsEncoder:
        """The same heads, each as it is fastest for `length` characters of text, in `precision` if given."""
        return HeadsEncoder([encoder.suited(length, precision) for encoder in self.encoders], self.weights)

    def tokens(self, text: str) -> list[str]:
        """All word pieces of a text as the first head reads it, and that head's own marks."""
        return self.encoders[0].tokens(text)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of a text begins and ends, as the first head reads it."""
        return self.encoders[0].spans(text)

    def whole_words(self, words: Iterable[str]) -> list[str]:
        """Those of these words that are one piece each of the first head's vocabulary, in its order."""
        return self.encoders[0].whole_words(words)

    def pieces(self, texts: Sequence[str], role: Role = "key") -> list[Pieces | None]:
        """What each word piece of each head adds to its text's unit vector: √a_h times what it adds to the head's.

        One head's pieces follow those of another, and are zero in the columns of all others. None if some head's vector
        is not a sum over word pieces.
        """
        of_heads = [encoder.pieces(texts, role) for encoder in self.encoders]
        return [_join_pieces(pieces, self.weights) for pieces in zip(*of_heads, strict=True)]


def _join_pieces(pieces: Sequence[Pieces | None], weights: Sequence[float]) -> Pieces | None:
    """The pieces of all heads; None if some head has none."""
    of_heads = [some for some in pieces if some is not None]
    if len(of_heads) < len(pieces):
        return None
    ends = np.cumsum([some.vectors.shape[1] for some in of_heads]).tolist()
    vectors = np.zeros((sum(len(some.vectors) for some in of_heads), ends[-1]))
    row = 0
    for some, weight, end in zip(of_heads, weights, ends, strict=True):
        t, d = some.vectors.shape
        vectors[row : row + t, end - d : end] = some.vectors * math.sqrt(weight)
        row += t
    spans = [span for some in of_heads for span in some.spans]
    tokens = [token for some in of_heads for token in some.tokens]
    return Pieces(spans, vectors, tokens)
