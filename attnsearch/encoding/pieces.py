"""A text's vector as a sum over its word pieces, so that any logit is a sum over the text's words.

Axis letters: t = word pieces, d = width.

Mean pooling makes it exact: with h the hidden states, x = mean(h) / ‖mean(h)‖ = Σ h_t / (t ‖mean(h)‖), and whatever is
linear in x is a sum over its pieces.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats = NDArray[np.floating[Any]]
Span = tuple[int, int] | None

_HAN = "\u3400-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(rf"[{_HAN}]|[^\s{_HAN}]+")
_AROUND = " .,;:!?…。、，\"'`“”‘’«»()[]{}<>"  # a word
_EXACT = 1e-5  # of a component: what float32 may lose


class Shares(NamedTuple):
    """The word pieces that the encoder read of a text: where each lies, and its part of the unit vector, (t, d).

    The encoder's own marks lie nowhere in the text; their span is None.
    """

    spans: Sequence[Span]
    vectors: NDArray[np.float64]


class Word(NamedTuple):
    """A word of a text, its characters from `start` to before `stop`, and what it adds to a logit."""

    word: str
    start: int
    stop: int
    share: float


class Sum(NamedTuple):
    """A logit as a sum over what the encoder read of a text: Σ shares of `words` + `marks` + `rounding`.

    `rounding` is what a stored vector lost: next to nothing in float32, a hundredth where it was made in bfloat16.
    """

    text: str
    words: list[Word]
    marks: float
    rounding: float


class Why(NamedTuple):
    """A hit's logit as a sum: semantic + Σ lexical + Σ prior.

    `semantic` = x W_Q W_Kᵀ kᵀ / √d_k is a sum again, by the query's words and by the item's; None where the encoder's
    vector is not a mean over word pieces.
    """

    semantic: float
    lexical: Mapping[str, float]
    prior: Mapping[str, float]
    query: Sum | None
    item: Sum | None


def of_mean(hidden: Floats, offsets: Sequence[tuple[int, int]], marks: Sequence[int]) -> Shares:
    """What each of the hidden states (t, d) adds to the unit vector that their mean points to.

    `offsets` (t) say where each piece lies, `marks` (t), with a 1, which are no part of the text.

    >>> of_mean(np.array([[3.0, 0.0], [0.0, 4.0]]), [(0, 0), (0, 4)], [1, 0]).vectors.tolist()
    [[0.6, 0.0], [0.0, 0.8]]
    """
    spans = [None if is_mark else span for span, is_mark in zip(offsets, marks, strict=True)]
    states = hidden.astype(np.float64)
    return Shares(spans, states / (len(states) * np.linalg.norm(states.mean(axis=0))))


def add_up(text: str, shares: Shares, toward: Floats, whole: float) -> Sum:
    """The logit `whole` of a text's vector with `toward` (d,), by words.

    A word ends where a space is, or a Chinese character; what stands around it without a space counts to it.

    >>> shares = Shares([None, (0, 4), (4, 5), (6, 9)], np.array([[0.0, 0.5], [1.0, 0.0], [0.5, 0.0], [2.0, 1.0]]))
    >>> found = add_up("moon, sea", shares, np.array([2.0, 2.0]), 10.0)
    >>> [(word.word, word.share) for word in found.words], found.marks, found.rounding
    ([('moon', 3.0), ('sea', 6.0)], 1.0, 0.0)
    """
    runs = [run.span() for run in _WORD.finditer(text)]
    starts = [start for start, _ in runs]
    marks, of_run = 0.0, dict[int, float]()
    for span, share in zip(shares.spans, (shares.vectors @ toward).tolist(), strict=True):
        if span is None or not runs:
            marks += share
        else:  # some pieces begin with the space before them, so the last character tells
            at = max(bisect.bisect_right(starts, max(span[1] - 1, span[0])) - 1, 0)
            of_run[at] = of_run.get(at, 0.0) + share
    words = [Word(*_trimmed(text, *runs[at]), share) for at, share in sorted(of_run.items())]
    return Sum(text, words, marks, whole - marks - sum(word.share for word in words))


def _trimmed(text: str, start: int, stop: int) -> tuple[str, int, int]:
    """A word without what stands around it, unless there is nothing else."""
    bare = text[start:stop].strip(_AROUND)
    if not bare:
        return text[start:stop], start, stop
    start = text.index(bare, start)
    return bare, start, start + len(bare)


def by_sentence_transformers(
    model: SentenceTransformer, texts: Sequence[str], x: Floats, *, query: bool
) -> Iterator[Shares | None]:
    """The shares of texts whose unit vectors are x (n, d); None for each whose pieces do not add up to its vector."""
    run = model.encode_query if query else model.encode_document
    for text, vector in zip(texts, x, strict=True):
        read: dict[str, Any] = run([text], output_value=None, show_progress_bar=False)[0]
        yield _checked(read, *_places(model, text, read), vector)


def _places(model: SentenceTransformer, text: str, read: Mapping[str, Any]) -> tuple[list[tuple[int, int]], list[int]]:
    """Where each word piece lies in the text, and which of them are marks, as a prompt before it is."""
    if "input_ids" in read and getattr(model.tokenizer, "is_fast", False):
        for prompt in ("", *(model.prompts or {}).values()):
            told = model.tokenizer(
                (prompt or "") + text,
                truncation=True,
                max_length=model.max_seq_length,
                return_offsets_mapping=True,
                return_special_tokens_mask=True,
            )
            if told["input_ids"] == read["input_ids"].tolist():
                n = len(prompt or "")
                places = zip(told["offset_mapping"], told["special_tokens_mask"], strict=True)
                found = [(max(a - n, 0), b - n, int(is_mark or b <= n)) for (a, b), is_mark in places]
                return [(a, b) for a, b, _ in found], [is_mark for *_, is_mark in found]
    return [], []


def _checked(
    read: Mapping[str, Any], offsets: list[tuple[int, int]], marks: list[int], vector: Floats
) -> Shares | None:
    """The pieces with the prompt's among them, or without, as the model pools; None if neither adds up."""
    if "token_embeddings" not in read or len(read["token_embeddings"]) != len(offsets):
        return None
    hidden = read["token_embeddings"].detach().float().cpu().numpy()
    for first in (0, int(read.get("prompt_length") or 0)):
        if len(hidden) > first:
            found = of_mean(hidden[first:], offsets[first:], marks[first:])
            if np.abs(found.vectors.sum(axis=0) - vector).max() < _EXACT:
                return found
    return None
