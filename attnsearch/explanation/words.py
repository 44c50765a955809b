"""A logit as a sum over the words of a text."""

from __future__ import annotations

import bisect
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.pieces import Pieces
from attnsearch.search.result import Sum, Word

_HAN = "\u3400-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(rf"[{_HAN}]|[^\s{_HAN}]+")
_PUNCTUATION = " .,;:!?…。、，\"'`“”‘’«»()[]{}<>"  # around a word


def add_up(text: str, pieces: Pieces, direction: NDArray[np.floating[Any]], logit: float) -> Sum:
    """Split `logit`, the product of a text's vector and `direction` (d,), into shares of the text's words.

    A word ends at a space or a Chinese character; punctuation that touches it counts as part of it.

    >>> pieces = Pieces([None, (0, 4), (4, 5), (6, 9)], np.array([[0.0, 0.5], [1.0, 0.0], [0.5, 0.0], [2.0, 1.0]]))
    >>> total = add_up("moon, sea", pieces, np.array([2.0, 2.0]), 10.0)
    >>> [(word.word, word.share) for word in total.words], total.marks, total.rounding
    ([('moon', 3.0), ('sea', 6.0)], 1.0, 0.0)
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    starts = [start for start, _ in spans]
    marks, share_of_word = 0.0, dict[int, float]()
    for span, share in zip(pieces.spans, (pieces.vectors @ direction).tolist(), strict=True):
        if span is None or not spans:
            marks += share
        else:  # some pieces begin with the space before them, so their last character decides
            number = max(bisect.bisect_right(starts, max(span[1] - 1, span[0])) - 1, 0)
            share_of_word[number] = share_of_word.get(number, 0.0) + share
    words = [Word(*_trim_word(text, *spans[number]), share) for number, share in sorted(share_of_word.items())]
    return Sum(text, words, marks, logit - marks - sum(word.share for word in words))


def _trim_word(text: str, start: int, stop: int) -> tuple[str, int, int]:
    """A word and its place without the punctuation around it, unless it is nothing else."""
    bare = text[start:stop].strip(_PUNCTUATION)
    if not bare:
        return text[start:stop], start, stop
    start = text.index(bare, start)
    return bare, start, start + len(bare)
