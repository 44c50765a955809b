"""Texts → the terms of each, and what each term says for each text: BM25, the additive bias.

Robertson & Zaragoza 2009, The Probabilistic Relevance Framework: https://doi.org/10.1561/1500000019; bm25s computes it
once for every term and text (Lù 2024, https://arxiv.org/abs/2407.03618), so that a query only adds.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from Stemmer import Stemmer

_NUMBERS = np.dtype("<u4")
_SCORES = np.dtype("<f4")
_K1, _B = 1.5, 0.75

_WORD = re.compile(r"\w\w+")
# Chinese, Japanese and Korean write no spaces, or few: there, every two neighbors are a word.
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]+)")
_STOP = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such"  # noqa: SIM905 (a list would fill a page)
    " that the their then there these they this to was will with".split()
)


class Term(NamedTuple):
    """The first keys (n,) of the items that have a term, and its BM25 in each (n,)."""

    keys: NDArray[np.uint32]
    scores: NDArray[np.float32]


def split_terms(text: str) -> list[tuple[str, str]]:
    """The words of a text, and how they are compared: stemmed as English, lower case, without the most frequent ones.

    >>> split_terms("The Martians are landing"), split_terms("東京都")
    ([('martians', 'martian'), ('landing', 'land')], [('東京', '東京'), ('京都', '京都')])
    """
    return [(word, _stemmer().stemWord(word)) for word in _words(text.lower()) if word not in _STOP]


def _words(text: str) -> Iterator[str]:
    for number, part in enumerate(_UNSPACED.split(text)):
        if number % 2:
            yield from (part[at : at + 2] for at in range(max(len(part) - 1, 1)))
        else:
            yield from _WORD.findall(part)


@cache
def _stemmer() -> Stemmer:
    from Stemmer import Stemmer

    return Stemmer("english")


def write_terms(db: sqlite3.Connection, texts: Iterable[str], keys: Sequence[int]) -> None:
    """Write the terms of the texts to a database of its own. `keys`, theirs, may be filled while they are drawn."""
    db.execute("CREATE TABLE terms (term TEXT PRIMARY KEY, keys BLOB NOT NULL, scores BLOB NOT NULL)")
    db.executemany("INSERT INTO terms VALUES (?, ?, ?)", _rows(texts, keys))


def find_term(db: sqlite3.Connection, term: str) -> Term | None:
    """What a term says, if there is an item that has it."""
    row = db.execute("SELECT keys, scores FROM terms WHERE term = ?", (term,)).fetchone()
    return Term(np.frombuffer(row[0], _NUMBERS), np.frombuffer(row[1], _SCORES)) if row else None


def _rows(texts: Iterable[str], keys: Sequence[int]) -> Iterator[tuple[str, bytes, bytes]]:
    """Each term of the texts, the keys of those that have it (n,), ascending, and its BM25 in each (n,)."""
    import bm25s

    known: dict[str, int] = {}
    read = [np.array([known.setdefault(term, len(known)) for _, term in split_terms(text)], np.int32) for text in texts]
    if not known:
        return
    model = bm25s.BM25(k1=_K1, b=_B, method="lucene", backend="numpy")
    model.index((read, dict(known)), show_progress=False)  # it adds an empty word of its own
    scores, numbers, starts = (model.scores[name] for name in ("data", "indices", "indptr"))
    key_of = np.array(keys, _NUMBERS)
    for term, at in sorted(known.items()):
        part = slice(starts[at], starts[at + 1])
        order = np.argsort(numbers[part])
        yield term, key_of[numbers[part][order]].tobytes(), scores[part][order].astype(_SCORES).tobytes()
