"""The part of a large vocabulary that a few texts can need, read in a tenth of the time that all of it takes.

XLM-R's 250,000 pieces take a second to load, and a request needs ten of them. Of a unigram model (Kudo 2018,
https://arxiv.org/abs/1804.10959), the pieces that are no part of a text's words can't be among the text's pieces, nor
do they change which of the others are. So a tokenizer with only those that are gives the same pieces.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import ModelError
from attnsearch.models.faults import SILENCE, model_errors
from attnsearch.tokens.tokenizer import Spelling, copy_uncut, set_up

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LEAST = 4 << 20  # bytes of a tokenizer's file: a smaller one is loaded in less time than this saves
SHORT = 2_000  # characters of texts, at most

_VOCABULARY = b'"vocab":'
_BACKSLASH, _QUOTE = b"\x00", b"\x01"  # instead of what stands for them in JSON, where these two can't be
_SCORE = re.compile(rb",\s*(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*\]")
_USUAL_WORD = 32  # characters: of a longer word, only parts as long as the longest piece are looked for


class Vocabulary(NamedTuple):
    """A unigram tokenizer's file, taken apart: all but the vocabulary, and that as it is written.

    `numbers` has the number of each piece. What follows the n-th piece is `rest[n]`: its score.
    """

    frame: Mapping[str, Any]
    numbers: Mapping[bytes, int]
    pieces: Sequence[bytes]
    rest: Sequence[bytes]


def open_excerpt(file: Path, window: int, spelling: Spelling) -> Excerpt | None:
    """The excerpt of a tokenizer's file; None if that is small, or of another kind, or not written as usual."""
    try:
        if file.stat().st_size < LEAST:
            return None
        with SILENCE, model_errors("it is not written as usual", str(file)):
            vocabulary = _take_apart(file.read_bytes())
            return Excerpt(vocabulary, window, spelling) if vocabulary else None
    except (OSError, ModelError):
        return None  # the whole tokenizer may cope, or says what is wrong


def _take_apart(data: bytes) -> Vocabulary | None:
    start, end = data.index(_VOCABULARY), data.rindex(b"]")
    opening = data.index(b"[", start)
    listing = data[opening + 1 : end]
    frame = json.loads(data[:opening] + b"[]" + data[end + 1 :])
    model = frame["model"]
    if b"\\" in listing:
        listing = listing.replace(b"\\\\", _BACKSLASH).replace(b'\\"', _QUOTE)
    parts = listing.split(b'"')
    pieces, rest = parts[1::2], parts[2::2]
    is_usual = (
        data.count(_VOCABULARY) == 1
        and model["type"] == "Unigram"
        and model["vocab"] == []
        and not model.get("byte_fallback")
        and b"\\" not in listing
        and len(pieces) == len(rest)
        and {part[:1] for part in rest} == {b","}  # no key of something else, which a colon would follow
        and 0 <= model["unk_id"] < len(pieces)
    )
    return Vocabulary(frame, dict(zip(pieces, range(len(pieces)), strict=True)), pieces, rest) if is_usual else None


class Excerpt:
    """A tokenizer for the texts that it has seen: it grows with each that has other words."""

    def __init__(self, vocabulary: Vocabulary, window: int, spelling: Spelling) -> None:
        self._vocabulary, self._window, self._spelling = vocabulary, window, spelling
        self._lock = threading.Lock()
        self._needed: set[int] = set(_list_fixed(vocabulary))
        self._words = copy_uncut(self._build(sorted(self._needed))[0])  # of the words that it has no pieces of
        self._built: tuple[Tokenizer, NDArray[np.int64]] | None = None

    def cover(self, texts: Iterable[str]) -> tuple[Tokenizer, NDArray[np.int64]]:
        """A tokenizer that cuts texts at the window, and the number in the whole vocabulary of each of its pieces.

        Raises whatever the tokenizers library does.
        """
        with self._lock:
            words = {word for text in texts for word in self._words.encode(text, add_special_tokens=False).tokens}
            needed = self._needed.union(self._find_pieces(words))
            if self._built is None or needed != self._needed:
                self._built, self._needed = self._build(sorted(needed)), needed
            return self._built

    def number(self, piece: str) -> int | None:
        """The number of a piece."""
        for token in self._vocabulary.frame["added_tokens"]:
            if token["content"] == piece:
                return int(token["id"])
        return self._vocabulary.numbers.get(_as_written(piece))

    def _find_pieces(self, words: Iterable[str]) -> Iterator[int]:
        """The numbers of all pieces that are part of a word, and of the least likely one if a letter is unknown."""
        numbers = self._vocabulary.numbers
        for word in words:
            longest = len(word) if len(word) <= _USUAL_WORD else max(map(len, self._vocabulary.pieces))
            for start in range(len(word)):
                for stop in range(start + 1, min(start + longest, len(word)) + 1):
                    number = numbers.get(_as_written(word[start:stop]))
                    if number is not None:
                        yield number
                    elif stop == start + 1:
                        yield self._least_likely  # by whose score that of an unknown letter is computed

    @cached_property
    def _least_likely(self) -> int:
        return min(range(len(self._vocabulary.rest)), key=self._score)

    def _score(self, number: int) -> float:
        match = _SCORE.match(self._vocabulary.rest[number])
        if match is None:
            raise ValueError(f"piece {number} of the vocabulary has no score")
        return float(match[1])

    def _build(self, numbers: Sequence[int]) -> tuple[Tokenizer, NDArray[np.int64]]:
        """A tokenizer with only the pieces of these numbers, and the number of each of its own."""
        from tokenizers import Tokenizer

        frame = copy.deepcopy(dict(self._vocabulary.frame))
        own = {number: place for place, number in enumerate(numbers)}
        pieces = [_as_text(self._vocabulary.pieces[number]) for number in numbers]
        scores = map(self._score, numbers)
        frame["model"]["vocab"] = list(zip(pieces, scores, strict=True))
        frame["model"]["unk_id"] = own[frame["model"]["unk_id"]]
        added = {token["content"]: token["id"] for token in frame["added_tokens"]}
        for place, token in enumerate(frame["added_tokens"]):
            token["id"] = own.get(token["id"], len(numbers) + place)
        _renumber(frame["post_processor"], own)
        tokenizer = Tokenizer.from_str(json.dumps(frame))
        tokenizer.no_padding()
        set_up(tokenizer, self._window, self._spelling)
        names = [tokenizer.id_to_token(place) for place in range(len(numbers), tokenizer.get_vocab_size())]
        return tokenizer, np.array([*numbers, *(added[name or ""] for name in names)], np.int64)


def _list_fixed(vocabulary: Vocabulary) -> Iterator[int]:
    """The numbers of the pieces that a tokenizer names beside its vocabulary."""
    yield vocabulary.frame["model"]["unk_id"]
    for token in vocabulary.frame["added_tokens"]:
        if token["id"] < len(vocabulary.pieces):
            yield token["id"]
    yield from _marks_of(vocabulary.frame["post_processor"])


def _marks_of(processor: Any) -> Iterator[int]:
    """The numbers of the marks that a post-processor adds to texts."""
    for mark in _list_marks(processor):
        yield from mark["ids"]


def _list_marks(processor: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a post-processor says of each mark that it adds. Raises LookupError for one of another kind."""
    if processor["type"] != "TemplateProcessing":
        raise LookupError(processor["type"])
    yield from processor["special_tokens"].values()


def _renumber(processor: Mapping[str, Any], own: Mapping[int, int]) -> None:
    for mark in _list_marks(processor):
        mark["ids"] = [own[number] for number in mark["ids"]]


def _as_written(piece: str) -> bytes:
    """A piece as `Vocabulary` has it."""
    return piece.encode(errors="replace").replace(b"\\", _BACKSLASH).replace(b'"', _QUOTE)


def _as_text(piece: bytes) -> str:
    return piece.replace(_QUOTE, b'"').replace(_BACKSLASH, b"\\").decode()
