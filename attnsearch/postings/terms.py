"""Texts → the terms of each, and the BM25 score of every term in every text: the additive bias.

Robertson & Zaragoza 2009, The Probabilistic Relevance Framework: https://doi.org/10.1561/1500000019, with Lucene's idf.
What is stored are counts: a score also depends on how many texts have the term, in all segments of all catalogs.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.stored import Part, row_type
from attnsearch.sources.letters import has_marks, normalize_text, word_patterns
from attnsearch.syntax.languages import ENGLISH, NONE

if TYPE_CHECKING:
    from Stemmer import Stemmer

TABLES = (
    "CREATE TABLE texts (lengths BLOB NOT NULL)",
    "CREATE TABLE terms (term TEXT PRIMARY KEY, rows BLOB NOT NULL, counts BLOB NOT NULL) WITHOUT ROWID",
)
_LENGTHS = np.dtype("<u4")
_COUNTS = (np.dtype("u1"), np.dtype("<u4"))  # the first if all are below 256

_K1, _B = 1.5, 0.75

# A letter with + or # is a name: C++, F#. A letter by itself is a word, but not in "don't" or "e.g.".
_NAME = r"(?<!\w)[^\W\d_][+#]++(?![^\W\d_])"
_ALONE = r"(?<![\w'’])(?<!\w\.)[^\W\d_](?![\w'’]|\.\w)"
# Chinese, Japanese and Korean, and Thai, Lao, Burmese and Khmer, use few spaces or none, so there every two neighbors
# count as a word: two characters, each with its marks.
_UNSPACED = re.compile(
    r"([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af"
    r"\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u1780-\u17d3]+)"
)
_STOP = frozenset(  # of English
    "a an and are as at be but by for i if in into is it no not of on or such"  # noqa: SIM905 (a list would fill a page)
    " that the their then there these they this to was will with".split()
)


class Term(NamedTuple):
    """The first keys (n,) of the items that contain a term, ascending, and its BM25 score in each (n,)."""

    keys: NDArray[np.uint32]
    scores: NDArray[np.float32]


def split_terms(text: str, language: str = ENGLISH) -> list[tuple[str, str]]:
    """The words of a text in lower case, each with its term: its stem in one of `languages.LANGUAGES`.

    The most frequent words of English are left out.

    >>> split_terms("The Martians are landing"), split_terms("東京都")
    ([('martians', 'martian'), ('landing', 'land')], [('東京', '東京'), ('京都', '京都')])
    >>> split_terms("Häuser in C++", "german")
    [('häuser', 'haus'), ('in', 'in'), ('c++', 'c++')]
    """
    words = list(_split_words(normalize_text(text.lower())))
    if language == NONE:
        return [(word, word) for word in words]
    if language == ENGLISH:
        words = [word for word in words if word not in _STOP]
    return list(zip(words, _load_stemmer(language).stemWords(words), strict=True))


def _split_words(text: str) -> Iterator[str]:
    marked = has_marks(text)
    pattern = _word_pattern(marked=marked)
    for number, part in enumerate(_UNSPACED.split(text)):
        if number % 2:
            characters = word_patterns().cluster.findall(part) if marked else part
            yield from ("".join(characters[start : start + 2]) for start in range(max(len(characters) - 1, 1)))
        else:
            yield from pattern.findall(part)


@cache
def _word_pattern(*, marked: bool) -> re.Pattern[str]:
    """The pattern of a word, in text with combining marks or without."""
    several = word_patterns().word.pattern if marked else r"\w\w+"
    return re.compile(f"{_NAME}|{several}|{_ALONE}")


_local = threading.local()


def _load_stemmer(language: str) -> Stemmer:
    """The stemmer of a language, and of the thread that asks: PyStemmer's must not be shared."""
    stemmers: dict[str, Stemmer] = vars(_local)
    if language not in stemmers:
        from Stemmer import Stemmer

        stemmers[language] = Stemmer(language)
    return stemmers[language]


def write_terms(
    db: sqlite3.Connection, texts: Iterable[str], rows: Sequence[int], count: int, language: str = ENGLISH
) -> None:
    """Write the terms of the texts of a segment of `count` rows, which are in this language, to an empty database.

    `rows` has the first row of each text's item, ascending; drawing `texts` may fill it.
    """
    numbers: dict[str, int] = {}  # of the terms
    documents = [
        np.array([numbers.setdefault(term, len(numbers)) for _, term in split_terms(text, language)], np.int32)
        for text in texts
    ]
    lengths = np.zeros(count, _LENGTHS)
    lengths[np.array(rows, np.int64)] = [len(document) for document in documents]
    for table in TABLES:
        db.execute(table)
    db.execute("INSERT INTO texts VALUES (?)", (lengths.tobytes(),))
    terms = np.concatenate([np.empty(0, np.int32), *documents])
    order = np.argsort(terms, kind="stable")
    places = np.repeat(np.array(rows, row_type(count)), [len(document) for document in documents])[order]
    db.executemany("INSERT INTO terms VALUES (?, ?, ?)", _term_rows(sorted(numbers.items()), terms[order], places))


def _term_rows(
    numbers: Sequence[tuple[str, int]], terms: NDArray[np.int32], rows: NDArray[np.unsignedinteger]
) -> Iterator[tuple[str, bytes, bytes]]:
    """Each term, the rows (n,) whose texts contain it, ascending, and how often each does (n,).

    `terms` and `rows` (w,) have the number of the term, and the row, of every word, sorted by both.
    """
    is_first = np.append(True, (terms[1:] != terms[:-1]) | (rows[1:] != rows[:-1]))[: len(terms)]  # of a term and a row
    starts = np.flatnonzero(is_first)
    counts = np.diff(np.append(starts, len(terms)))
    terms, rows = terms[starts], rows[starts]
    bounds = np.searchsorted(terms, np.arange(len(numbers) + 1))
    small, large = _COUNTS
    for term, number in numbers:
        column = slice(bounds[number], bounds[number + 1])
        kind = small if counts[column].max() <= np.iinfo(small).max else large
        yield term, rows[column].tobytes(), counts[column].astype(kind).tobytes()


class Terms:
    """The terms of one or several parts, whose texts are taken together; their first keys ascend."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._lengths = [_read_lengths(part) for part in parts]
        self._texts = sum(int(part.living.sum()) for part in parts)
        self._words = sum(
            int(lengths[part.living].sum(dtype=np.int64)) for part, lengths in zip(parts, self._lengths, strict=True)
        )

    def find(self, term: str) -> Term | None:
        """The postings of a term; None if no text contains it.

        The score is log(1 + (N - n + 1/2) / (n + 1/2)) · t / (t + k₁ (1 - b + b l / mean l)) for a term that occurs t
        times in a text of l words, and in n of N texts. Raises ValueError for a part that is not what was written.
        """
        columns = []
        for part, all_lengths in zip(self.parts, self._lengths, strict=True):
            if row := self._find_row(part, term):
                rows = part.all_rows(row[0])
                counts, is_living = read_counts(row[1], rows), part.living[rows]
                rows = rows[is_living]
                columns.append((rows.astype(np.uint32) + np.uint32(part.first), counts[is_living], all_lengths[rows]))
        if not sum(len(keys) for keys, _, _ in columns):
            return None
        keys, counts, lengths = map(np.concatenate, zip(*columns, strict=True))
        rarity = np.log1p((self._texts - len(keys) + 0.5) / (len(keys) + 0.5))
        saturation = counts / (counts + _K1 * (1 - _B + _B * lengths * (self._texts / self._words)))
        return Term(keys, (rarity * saturation).astype(np.float32))

    def _find_row(self, part: Part, term: str) -> Sequence[bytes] | None:
        """The rows of a part whose texts contain a term, and how often each does; None if none does."""
        row: Sequence[bytes] | None
        row = part.db.execute("SELECT rows, counts FROM terms WHERE term = ?", (term,)).fetchone()
        return row


def _read_lengths(part: Part) -> NDArray[np.uint32]:
    """How many terms the text at each row has (rows,)."""
    (raw,) = part.db.execute("SELECT lengths FROM texts").fetchone()
    lengths = np.frombuffer(raw, _LENGTHS)
    if len(lengths) != len(part.living):
        raise ValueError("the lengths of texts are not those of the segment")
    return lengths


def read_counts(raw: bytes, rows: NDArray[np.unsignedinteger]) -> NDArray[np.uint32]:
    """How often each text at these rows (n,) has a term (n,)."""
    kind = next((kind for kind in _COUNTS if len(raw) == len(rows) * kind.itemsize), None)
    if kind is None or (rows[1:] <= rows[:-1]).any():
        raise ValueError("the rows of a term are not what attnsearch writes")
    return np.frombuffer(raw, kind).astype(np.uint32)
