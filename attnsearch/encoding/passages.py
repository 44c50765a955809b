"""A text longer than the encoder's window → overlapping passages, each of which it reads whole.

An item's score is that of its best passage: MaxP, Dai & Callan 2019, https://arxiv.org/abs/1905.09217
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Encoder, is_cut
from attnsearch.encoding.model import MARKS
from attnsearch.sources.items import key_text

OVERLAP = 1 / 4  # of a passage that its neighbor has too, about: what one of them cuts in two is whole in the other

_SLAB = 1 << 16  # characters tokenized at once, so that the longest text takes little memory


class Passage(NamedTuple):
    """The characters from `start` to before `stop` of a key text, and what the encoder is given for them."""

    start: int
    stop: int
    text: str


def split_passages(reader: Encoder, title: str, text: str) -> list[Passage]:
    """The passages of an item's key text, in order: one where the encoder reads it whole, else as few as will do.

    Together they hold every word. They begin and end between words where there is such a place nearby. All but
    the first are read with the title before them, if the text begins with it and it is not long.
    """
    if not is_cut(reader, text):
        return [Passage(0, len(text), text)]
    title, head = _heading(reader, title, text)
    spans = np.concatenate([at + np.array(reader.spans(slab), np.int64).reshape(-1, 2) for at, slab in _slabs(text)])
    found = []
    for first, last in _ranges(spans, reader.window - MARKS - head):
        start = int(spans[first, 0]) if first else 0
        stop = int(spans[last - 1, 1]) if last < len(spans) else len(text)
        part = text[start:stop]
        found.append(Passage(start, stop, key_text(title, part, {}) if first else part))
    return found


def passage_text(reader: Encoder, title: str, text: str, start: int, stop: int) -> str:
    """What the encoder was given for the passage from `start` to before `stop` of an item's key text."""
    return key_text(_heading(reader, title, text)[0], text[start:stop], {}) if start else text[:stop]


def _heading(reader: Encoder, title: str, text: str) -> tuple[str, int]:
    """The title as it stands before later passages, and how many word pieces it takes of each."""
    title = title if text.startswith(title) and not is_cut(reader, title) else ""
    head = len(reader.tokens(title)) - MARKS + 1 if title else 0
    return (title, head) if head <= reader.window // 4 else ("", 0)


def _ranges(spans: NDArray[np.int64], room: int) -> Iterator[tuple[int, int]]:
    """Which word pieces, first and past the last, make each passage; spans (n, 2) are where they lie in the text."""
    n = len(spans)
    slack = int(room * OVERLAP / 2)  # that either end may give up for a better place
    count = max(1 + math.ceil((n - room) / max(room - 2 * slack - 1, 1)), 1)
    gaps = np.flatnonzero(spans[1:, 0] > spans[:-1, 1]) + 1  # pieces that begin a word
    for number in range(count):
        first = round(number * (n - room) / (count - 1)) if number else 0
        last = min(first + room, n)
        if first:
            at = np.searchsorted(gaps, first)
            first = int(gaps[at]) if at < len(gaps) and gaps[at] <= first + slack else first
        if last < n:
            at = np.searchsorted(gaps, last, side="right") - 1
            last = int(gaps[at]) if at >= 0 and gaps[at] >= last - slack else last
        yield first, last


def _slabs(text: str) -> Iterator[tuple[int, str]]:
    """The text in parts of at most `_SLAB` characters, cut at a space where there is one, and where each begins."""
    at = 0
    while at < len(text):
        end = at + _SLAB
        if end < len(text):
            end = text.rfind(" ", at + 1, end) if " " in text[at + 1 : end] else end
        yield at, text[at:end]
        at = end
