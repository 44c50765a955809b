"""Items → the words in them, and how many items have each: what a misspelled word of a request may stand for.

Words are in lower case and whole, where terms are stems; those of titles, texts and the values of all fields count.
They are collected on first use, and stored beside the keys as `<segment>.words-<hash of fields>.v2.<checksum>`, a file
of `postings.stored`. Nothing else of the postings is imported, so that a request with an unknown word waits for little.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from attnsearch.postings import stored
from attnsearch.postings.stored import Folder, Part, pack_rows, row_type, write_about
from attnsearch.sources.fields import leaves
from attnsearch.sources.items import Item
from attnsearch.sources.letters import normalize_text
from attnsearch.storage.database import Info
from attnsearch.storage.failures import reading, writing
from attnsearch.storage.segment import SegmentRow
from attnsearch.storage.store import Store

COUNTED = 50_000  # items, at most, whose words a query counts, within seconds; those of more are counted by `index`
SHORTEST, LONGEST = 3, 40  # letters of a word that is kept
LETTERS = 64  # different ones, at most, that a word is tried with: no alphabet has as many
COMPARED = 20_000  # words of one catalog, at most, that a word is compared with: the commonest; it takes 20 ms

_FORM = "v2"  # of the tables, and of the rule for words
_TABLES = (
    "CREATE TABLE letters (letter TEXT PRIMARY KEY, words INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE words (word TEXT PRIMARY KEY, rows BLOB NOT NULL) WITHOUT ROWID",
)
_WORD = re.compile(rf"[^\W\d_]{{{SHORTEST},}}")
_CHUNK = 500  # words asked of SQLite at once

log = logging.getLogger("attnsearch")


def collect_words(item: Item) -> set[str]:
    """The words of an item.

    >>> item = Item("d", "Dune", "", {"author": {"name": "Frank Herbert"}, "year": 1965, "tags": ["sand"]}, "Spice!")
    >>> sorted(collect_words(item))
    ['dune', 'frank', 'herbert', 'sand', 'spice']
    """
    texts = [item.title, item.text]
    for _, value in leaves(item.fields):
        texts += [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, str)]
    return {word for word in _WORD.findall(normalize_text("\n".join(texts).lower())) if len(word) <= LONGEST}


def words_label(info: Info) -> str:
    """The label of the words of a catalog."""
    return stored.make_label("words", _FORM, *info.fields)


def write_words(db: sqlite3.Connection, rows_of: Mapping[str, Sequence[int]], count: int) -> None:
    """Write the words, and which of the `count` rows of a segment have each, to an empty database."""
    letters: Counter[str] = Counter()
    for word, rows in rows_of.items():
        for letter in set(word):
            letters[letter] += len(rows)
    for table in _TABLES:
        db.execute(table)
    db.executemany("INSERT INTO letters VALUES (?, ?)", sorted(letters.items()))
    words = ((word, np.array(rows, row_type(count)).tobytes()) for word, rows in sorted(rows_of.items()))
    db.executemany("INSERT INTO words VALUES (?, ?)", words)


class Vocabulary:
    """The words of the segments of one or several catalogs, whose items are taken together. Threads may share it."""

    def __init__(self, parts: Sequence[Part], folder: Path) -> None:
        self.parts = parts
        self._folder = folder
        self._lock = threading.Lock()  # one statement at a time

    def close(self) -> None:
        """Close the databases."""
        with self._lock:
            stored.close_all(self.parts)
            self.parts = ()  # in which nothing is found

    @property
    def letters(self) -> set[str]:
        """The commonest letters of the words: those of items that are gone count until their segment is rewritten."""
        letters: Counter[str] = Counter()
        with reading(self._folder), self._lock:
            for part in self.parts:
                letters.update(dict(part.db.execute("SELECT letter, words FROM letters").fetchall()))
        commonest = sorted(letters, key=lambda letter: (-letters[letter], letter))
        return set(commonest[:LETTERS])

    def count(self, words: Iterable[str]) -> Counter[str]:
        """Those of these words that some item has, and how many items have each."""
        asked = list(words)
        counts: Counter[str] = Counter()
        for start in range(0, len(asked), _CHUNK):
            chunk = asked[start : start + _CHUNK]
            counts += self._count_where(f"word IN ({', '.join('?' * len(chunk))})", chunk)
        return counts

    def beginning_with(self, letter: str, shortest: int, longest: int) -> Counter[str]:
        """The words that begin with a letter and have so many of them, and how many items have each.

        Of a catalog with more than `COMPARED` of them, only the commonest.
        """
        where = "word >= ? AND word < ? AND length(word) BETWEEN ? AND ?"
        counts = self._count_where(where, (letter, chr(ord(letter) + 1), shortest, longest))
        commonest = sorted(counts, key=lambda word: (-counts[word], word))
        return Counter({word: counts[word] for word in commonest[:COMPARED]})

    def _count_where(self, where: str, parameters: Sequence[str | int]) -> Counter[str]:
        """The words for which a condition in SQL holds, one of ours, and how many living items have each."""
        statement = f"SELECT word, rows FROM words WHERE {where}"  # noqa: S608 (our own words)
        with reading(self._folder):
            with self._lock:  # until all rows are here: an interrupt must not leave it held by a generator
                selected = [(part, part.db.execute(statement, parameters).fetchall()) for part in self.parts]
            return self._sum(selected)

    @staticmethod
    def _sum(selected: Iterable[tuple[Part, Sequence[tuple[str, bytes]]]]) -> Counter[str]:
        total: Counter[str] = Counter()
        for part, rows in selected:
            owners, _ = part.entries([raw for _, raw in rows])
            for (word, _), items in zip(rows, np.bincount(owners, minlength=len(rows)).tolist(), strict=True):
                total[word] += items
        return +total


def find_vocabulary(store: Store) -> Vocabulary | None:
    """The words of an open store; None if they are not collected yet, and a query should not wait until they are.

    It waits for `COUNTED` items at most, and not where every query would have to read them again.
    """
    store.check_open()
    with reading(store.folder):
        parts, missing = _find_words(store)
        if missing:
            is_of_pipe = not store.folder.exists()  # which is asked once
            items = sum(int(stored.living_rows(segment).sum()) for segment in missing)
            if items > COUNTED or not (is_of_pipe or os.access(store.folder, os.W_OK)):
                stored.close_all(parts)
                return None
            parts += _collect_missing(store, missing)
        return Vocabulary(parts, store.folder)


def collect_all(store: Store) -> None:
    """Collect and store the words of all segments that lack them."""
    parts, missing = _find_words(store)
    stored.close_all(parts)
    stored.close_all(_collect_missing(store, missing))


def _find_words(store: Store) -> tuple[list[Part], list[SegmentRow]]:
    """The stored words, and the segments without."""
    parts = dict(Folder(store.folder).open_all(store.segments, words_label(store.info), _TABLES))
    return list(parts.values()), [each for number, each in enumerate(store.segments) if number not in parts]


def _collect_missing(store: Store, segments: Sequence[SegmentRow]) -> list[Part]:
    """Collect the words of these segments, and store them."""
    stored.note_reading(store, segments)
    files = Folder(store.folder)
    parts = []
    for segment in segments:
        rows_of: defaultdict[str, list[int]] = defaultdict(list)
        covered = np.zeros(segment.rows, bool)
        with writing(store.folder, "read"):
            for row, item in stored.items_of(store, segment):
                covered[row] = True
                for word in collect_words(item):
                    rows_of[word].append(row)
            part = stored.create_part(segment)
            write_about(part.db, pack_rows(covered))
            write_words(part.db, rows_of, segment.rows)
            part.db.execute("COMMIT")
        files.store(part, segment, words_label(store.info))
        parts.append(part)
    return parts
