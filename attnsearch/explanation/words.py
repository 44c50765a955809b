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
_AROUND = " .,;:!?…。、，\"'`“”‘’«»()[]{}<>"  # a word


def add_up(text: str, shares: Pieces, toward: NDArray[np.floating[Any]], whole: float) -> Sum:
    """The logit `whole` of a text's vector with `toward` (d,), by words.

    A word ends where a space is, or a Chinese character; what stands around it without a space counts to it.

    >>> shares = Pieces([None, (0, 4), (4, 5), (6, 9)], np.array([[0.0, 0.5], [1.0, 0.0], [0.5, 0.0], [2.0, 1.0]]))
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
