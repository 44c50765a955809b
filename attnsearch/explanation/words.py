"""Word pieces → words, and a logit as a sum over the words of a text."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.pieces import Pieces, Span
from attnsearch.search.result import Sum, Word

_HAN = "\u3400-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(rf"[{_HAN}]|[^\s{_HAN}]+")
_PUNCTUATION = " .,;:!?…。、，\"'`“”‘’«»()[]{}<>"  # around a word


class WordPieces(NamedTuple):
    """A word of a text, its characters from `start` to before `stop`, and the numbers of the `pieces` that make it."""

    word: str
    start: int
    stop: int
    pieces: list[int]


def add_up(text: str, pieces: Pieces, direction: NDArray[np.floating[Any]], logit: float) -> Sum:
    """Split `logit`, the product of a text's vector and `direction` (d,), into shares of the text's words.

    >>> vectors = np.array([[0.0, 0.5], [1.0, 0.0], [0.5, 0.0], [2.0, 1.0]])
    >>> pieces = Pieces([None, (0, 4), (4, 5), (6, 9)], vectors, ["[CLS]", "moon", ",", "sea"])
    >>> total = add_up("moon, sea", pieces, np.array([2.0, 2.0]), 10.0)
    >>> [(word.word, word.share) for word in total.words], total.marks, total.rounding
    ([('moon', 3.0), ('sea', 6.0)], 1.0, 0.0)
    """
    shares = (pieces.vectors @ direction).tolist()
    groups, marks = group_pieces(text, pieces.spans)
    words = [Word(word, start, stop, sum(shares[i] for i in numbers)) for word, start, stop, numbers in groups]
    of_marks = sum((shares[i] for i in marks), 0.0)
    return Sum(text, words, of_marks, logit - of_marks - sum(word.share for word in words))


def group_pieces(text: str, spans: Sequence[Span]) -> tuple[list[WordPieces], list[int]]:
    """The words of a text, each with its pieces, in order; and the numbers of all other pieces: the encoder's marks.

    A word ends at a space or a Chinese character; punctuation that touches it counts as part of it.

    >>> words, marks = group_pieces("moon, sea", [None, (0, 4), (4, 5), (6, 9)])
    >>> [(*word,) for word in words], marks
    ([('moon', 0, 4, [1, 2]), ('sea', 6, 9, [3])], [0])
    """
    places = [match.span() for match in _WORD.finditer(text)]
    starts = [start for start, _ in places]
    marks, pieces_of_word = list[int](), dict[int, list[int]]()
    for i, span in enumerate(spans):
        if span is None or not places:
            marks.append(i)
        else:  # some pieces begin with the space before them, so their last character decides
            number = max(bisect.bisect_right(starts, max(span[1] - 1, span[0])) - 1, 0)
            pieces_of_word.setdefault(number, []).append(i)
    return [
        WordPieces(*_trim_word(text, *places[number]), pieces) for number, pieces in sorted(pieces_of_word.items())
    ], marks


def _trim_word(text: str, start: int, stop: int) -> tuple[str, int, int]:
    """A word and its place without the punctuation around it, unless it is nothing else."""
    bare = text[start:stop].strip(_PUNCTUATION)
    if not bare:
        return text[start:stop], start, stop
    start = text.index(bare, start)
    return bare, start, start + len(bare)
