"""A text longer than the encoder's window → overlapping passages that the encoder reads whole.

An item's score is that of its best passage: MaxP, Dai & Callan 2019, https://arxiv.org/abs/1905.09217
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Encoder, is_cut
from attnsearch.models.model import MARKS
from attnsearch.sources.items import key_text

OVERLAP = 1 / 4  # of a passage, about, that its neighbor has too, so that what one cuts in two is whole in the other

_SLAB = 1 << 16  # characters tokenized at once, so that the longest text takes little memory


class Passage(NamedTuple):
    """The characters from `start` to before `stop` of a key text, and the text that the encoder reads for them."""

    start: int
    stop: int
    text: str


class _Heading(NamedTuple):
    """The title as it stands before later passages, and how many word pieces it takes of each."""

    title: str
    length: int


def split_passages(encoder: Encoder, title: str, text: str) -> list[Passage]:
    """The passages of an item's key text, in order: the whole text if the encoder reads it whole, else a few parts.

    Together they hold every word, in as few passages as overlap by about `OVERLAP`. They begin and end between words
    if there is such a place nearby. All but the first are read with the title before them, if the text begins with
    the title and it is short.
    """
    if not is_cut(encoder, text):
        return [Passage(0, len(text), text)]
    heading = _heading(encoder, title, text)
    spans = _spans(encoder, text)
    passages = []
    room = encoder.window - MARKS - heading.length
    for first, end in _ranges(spans, room - min(_split_letters(spans), room // 4)):
        start = int(spans[first, 0]) if first else 0
        stop = int(spans[end - 1, 1]) if end < len(spans) else len(text)
        part = text[start:stop]
        passages.append(Passage(start, stop, key_text(heading.title, part, {}) if first else part))
    return passages


def passage_text(encoder: Encoder, title: str, text: str, start: int, stop: int) -> str:
    """The text that the encoder read for the passage from `start` to before `stop` of an item's key text."""
    return key_text(_heading(encoder, title, text).title, text[start:stop], {}) if start else text[:stop]


def _heading(encoder: Encoder, title: str, text: str) -> _Heading:
    """The heading of a text's later passages: its title, or nothing if that is long or does not begin the text."""
    if not title or not text.startswith(title) or is_cut(encoder, title):
        return _Heading("", 0)
    length = len(encoder.tokens(title)) - MARKS + 1
    return _Heading(title, length) if length <= encoder.window // 4 else _Heading("", 0)


def _spans(encoder: Encoder, text: str) -> NDArray[np.int64]:
    """Where each word piece of the text begins and ends (n, 2)."""
    spans = [start + np.array(encoder.spans(slab), np.int64).reshape(-1, 2) for start, slab in _slabs(text)]
    return np.concatenate(spans)


def _split_letters(spans: NDArray[np.int64]) -> int:
    """How many more word pieces a passage may have than lie in it: those of the letters in which it begins and ends.

    A letter may be several pieces, such as its bytes, and the mark before a word lies where its first letter does.
    """
    _, counts = np.unique(spans[:, 0], return_counts=True)
    return 2 * (int(counts.max()) - 1) if counts.size else 0


def _ranges(spans: NDArray[np.int64], room: int) -> Iterator[tuple[int, int]]:
    """The word pieces of each passage, first and past the last: `room` at most; spans (n, 2) are where they lie."""
    n = len(spans)
    slack = int(room * OVERLAP / 2)  # how many pieces either end may move inward to fall between words
    count = max(1 + math.ceil((n - room) / max(room - 2 * slack - 1, 1)), 1)
    gaps = np.flatnonzero(spans[1:, 0] > spans[:-1, 1]) + 1  # pieces that begin a word
    for number in range(count):
        first = round(number * (n - room) / (count - 1)) if number else 0
        end = min(first + room, n)
        if first:
            after = np.searchsorted(gaps, first)
            first = int(gaps[after]) if after < len(gaps) and gaps[after] <= first + slack else first
        if end < n:
            before = np.searchsorted(gaps, end, side="right") - 1
            end = int(gaps[before]) if before >= 0 and gaps[before] >= end - slack else end
        yield first, end


def _slabs(text: str) -> Iterator[tuple[int, str]]:
    """Where each part of the text begins, and the part: at most `_SLAB` characters, cut at a space if it has any."""
    start = 0
    while start < len(text):
        end = start + _SLAB
        if end < len(text):
            end = text.rfind(" ", start + 1, end) if " " in text[start + 1 : end] else end
        yield start, text[start:end]
        start = end
