"""Items → the words in them, and how many items have each: what a misspelled word of a request may stand for.

Words are in lower case and whole, where terms are stems; those of titles, texts and the values of all fields count.
They are counted on first use, and stored beside the keys as `words.v1`, a file of `postings.stored`. Nothing else of
the postings is imported, so that a request with an unknown word waits for little.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from attnsearch.postings.stored import create_database, open_stored, store_copy
from attnsearch.sources.fields import leaves
from attnsearch.sources.items import Item
from attnsearch.sources.letters import normalize_text
from attnsearch.storage.failures import writing
from attnsearch.storage.files import POSTINGS
from attnsearch.storage.store import Store

WORDS = "words.v1"
COUNTED = 50_000  # items, at most, whose words a query counts, within seconds; those of more are counted by `index`
SHORTEST, LONGEST = 3, 40  # letters of a word that is kept
LETTERS = 64  # different ones, at most, that a word is tried with: no alphabet has as many
COMPARED = 20_000  # words of one catalog, at most, that a word is compared with: the commonest; it takes 20 ms

_TABLES = (
    "CREATE TABLE letters (letters TEXT NOT NULL)",
    "CREATE TABLE words (word TEXT PRIMARY KEY, items INTEGER NOT NULL) WITHOUT ROWID",
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


def write_words(db: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    """Write the words, and how many items have each, to an empty database."""
    letters: Counter[str] = Counter()
    for word, count in counts.items():
        for letter in set(word):
            letters[letter] += count
    for table in _TABLES:
        db.execute(table)
    db.execute("INSERT INTO letters VALUES (?)", ("".join(letter for letter, _ in letters.most_common(LETTERS)),))
    db.executemany("INSERT INTO words VALUES (?, ?)", sorted(counts.items()))


class Vocabulary:
    """The words of one or several databases, whose items are taken together. Threads may share it."""

    def __init__(self, databases: Sequence[sqlite3.Connection]) -> None:
        self.databases: Sequence[sqlite3.Connection] = databases
        self._lock = threading.Lock()  # one statement at a time

    def close(self) -> None:
        """Close the databases."""
        with self._lock:
            for db in self.databases:
                db.close()
            self.databases = ()  # in which nothing is found

    @property
    def letters(self) -> set[str]:
        """The commonest letters of the words."""
        with self._lock:
            rows = [db.execute("SELECT letters FROM letters").fetchone() for db in self.databases]
        return {letter for (letters,) in rows for letter in letters[:LETTERS]}

    def count(self, words: Iterable[str]) -> Counter[str]:
        """Those of these words that some item has, and how many items have each."""
        asked = list(words)
        chunks = [asked[start : start + _CHUNK] for start in range(0, len(asked), _CHUNK)]
        places = [f"word IN ({', '.join('?' * len(chunk))})" for chunk in chunks]
        return self._sum(row for where, chunk in zip(places, chunks, strict=True) for row in self._select(where, chunk))

    def beginning_with(self, letter: str, shortest: int, longest: int) -> Counter[str]:
        """The words that begin with a letter and have so many of them, and how many items have each.

        Of a catalog with more than `COMPARED` of them, only the commonest.
        """
        where = "word >= ? AND word < ? AND length(word) BETWEEN ? AND ? ORDER BY items DESC, word LIMIT ?"
        return self._sum(self._select(where, (letter, chr(ord(letter) + 1), shortest, longest, COMPARED)))

    def _select(self, where: str, parameters: Sequence[str | int]) -> list[tuple[str, int]]:
        statement = f"SELECT word, items FROM words WHERE typeof(items) = 'integer' AND {where}"  # noqa: S608 (our own words)
        with self._lock:  # until all rows are here: an interrupt must not leave it held by a generator
            return [row for db in self.databases for row in db.execute(statement, parameters).fetchall()]

    @staticmethod
    def _sum(rows: Iterable[tuple[str, int]]) -> Counter[str]:
        total: Counter[str] = Counter()
        for word, items in rows:
            total[word] += items
        return total


def find_vocabulary(store: Store) -> Vocabulary | None:
    """The words of an open store; None if they are not counted yet, and a query should not wait until they are.

    It waits for `COUNTED` items at most, and not where every query would have to count them again.
    """
    store.check_open()
    db = find_words(store)
    if db is None:
        is_of_pipe = not store.folder.exists()  # which is asked once
        if store.info.items > COUNTED or not (is_of_pipe or os.access(store.folder, os.W_OK)):
            return None
        db = count_words(store)
    return Vocabulary([db])


def find_words(store: Store) -> sqlite3.Connection | None:
    """The stored words, if they are those of the catalog's state."""
    db = open_stored(store.folder / POSTINGS, WORDS, store.info.commit)
    if db is None or _is_ours(db):
        return db
    db.close()
    return None


def _is_ours(db: sqlite3.Connection) -> bool:
    """Whether a database has the tables that `write_words` makes: a right checksum may be made by anyone."""
    with suppress(sqlite3.Error):
        schema = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema")}
        rows = db.execute("SELECT typeof(letters) FROM letters LIMIT 2").fetchall() if schema == {*_TABLES} else []
        return rows == [("text",)]
    return False


def count_words(store: Store) -> sqlite3.Connection:
    """Count the words of all items, and store them."""
    log.info("reading all %d items of %s, once", store.info.items, store.info.name)
    counts: Counter[str] = Counter()
    with writing(store.folder, "read"):
        for _, item in store.items():  # noqa: PERF102 (it is not a dict)
            counts.update(collect_words(item))
        db = create_database()
        write_words(db, counts)
        db.execute("COMMIT")
    store_copy(db, store.folder / POSTINGS, WORDS, store.info.commit)
    return db
