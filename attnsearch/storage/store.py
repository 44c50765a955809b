"""Disk → a catalog's keys and items, for reading.

A catalog is a folder: `index.sqlite` (items, which key is whose, the list of segments) and `segments/<uuid>.npy`
(X, never changed, mapped into memory). A reader's SQLite transaction is its snapshot. Nothing is answered from but
what still has the checksum that it was written with.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.sources.items import Item
from attnsearch.storage import segment
from attnsearch.storage.database import (
    ITEM,
    KEY,
    SegmentRow,
    connect_to_read,
    read_info,
    read_item,
    read_key,
    read_segments,
)
from attnsearch.storage.failures import damaged, missing, reading

BLOCK = 32_768  # rows that `blocks` gives at once

_SQL_WORDS = 500  # parameters of one statement
_FIND = f"SELECT {KEY}, {ITEM} FROM keys JOIN items USING (item)"  # noqa: S608 (our own words)


class Block(NamedTuple):
    """Some rows of a segment: the number of the first, and X (n, d).

    `alive` says which rows are keys, `joined` which go on with the item of the row before; None: all are, none does.
    An item's rows are never in two blocks.
    """

    first: int
    x: NDArray[np.float32]
    alive: NDArray[np.bool_] | None
    joined: NDArray[np.bool_] | None


class ItemPassage(NamedTuple):
    """An item, and which part of its text a key of it stands for; None where it is all of it."""

    item: Item
    passage: str | None


class Place(NamedTuple):
    """An item, and the characters of its text, from `start` to before `stop`, that a key of it stands for."""

    item: Item
    start: int
    stop: int


class Store:
    """A catalog open for reading: one snapshot, however long it is held, and every key of it what was written.

    Raises CatalogError: not there, made by another version of attnsearch, damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for attempt in range(3):
            self._db = connect_to_read(folder)
            try:
                self._open()
            except FileNotFoundError as error:
                # A writer may have dropped a segment between our reading of the list and of the file.
                self.close()
                if attempt == 2:
                    raise damaged(folder, f"the segment {Path(error.filename).name} is gone") from None
            except BaseException:
                self.close()
                raise
            else:
                return

    def _open(self) -> None:
        with reading(self.folder):
            self._db.execute("BEGIN")
            info = read_info(self._db, self.folder)
            if info is None:
                raise missing(self.folder)
            self.info = info
            self.segments, _ = read_segments(self._db, info.listing)
        self._x = list(threads.each(self._load, self.segments))

    def _load(self, listed: SegmentRow) -> NDArray[np.float32]:
        try:
            return segment.load_segment(self.folder / "segments", listed.file, (listed.rows, self.info.d), listed.sums)
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise damaged(self.folder, f"the segment {listed.file[:40]}: {error}") from None

    @property
    def dead(self) -> int:
        """How many rows of the segments are nobody's key any more."""
        return sum(int(listed.dead.sum()) for listed in self.segments if listed.dead is not None)

    def parts(self, count: int, *, least: int = BLOCK) -> list[tuple[int, int]]:
        """The numbers of all keys, first and past the last, in at most `count` parts of one length, but for the last.

        That length is `least` or more.
        """
        length = max(least, -(-self.size // count))
        return [(first, min(first + length, self.size)) for first in range(0, self.size, length)]

    def blocks(self, first: int = 0, end: int = 1 << 62, *, rows: int = BLOCK) -> Iterator[Block]:
        """The keys of the items that begin from `first` to before `end`, in order, in blocks of some `rows` of them."""
        for listed, segment_x in zip(self.segments, self._x, strict=True):
            start, last = listed.edge(first - listed.first), listed.edge(end - listed.first)
            while start < last:
                stop = min(listed.edge(start + rows), last)
                dead, joined = (
                    None if bits is None or not bits[start:stop].any() else bits[start:stop]
                    for bits in (listed.dead, listed.joined)
                )
                yield Block(listed.first + start, segment_x[start:stop], None if dead is None else ~dead, joined)
                start = stop

    def living(self) -> NDArray[np.int64]:
        """The numbers of all keys (n,), ascending."""
        numbers = [np.empty(0, np.int64)]
        for block in self.blocks():
            rows = np.arange(len(block.x)) if block.alive is None else np.flatnonzero(block.alive)
            numbers.append(block.first + rows)
        return np.concatenate(numbers)

    def embeddings(self, keys: Sequence[int]) -> NDArray[np.float32]:
        """The rows of X for the keys of these numbers (n, d)."""
        found = np.empty((len(keys), self.info.d), np.float32)
        firsts = np.array([listed.first for listed in self.segments])
        for at, (key, part) in enumerate(zip(keys, np.searchsorted(firsts, keys, side="right") - 1, strict=True)):
            found[at] = self._x[part][key - firsts[part]]
        return found

    def items_at(self, keys: Sequence[int]) -> list[ItemPassage]:
        """The items, and the passages of them, that the keys of these numbers stand for."""
        # More than all, if the text had a full stop when it was read.
        told = (
            (item, start, stop, start == 0 and stop >= len(item.text)) for item, start, stop in self.places_at(keys)
        )
        return [ItemPassage(item, None if whole else item.text[start:stop]) for item, start, stop, whole in told]

    def places_at(self, keys: Sequence[int]) -> list[Place]:
        """The items, and the characters of their texts, that the keys of these numbers stand for."""
        found = dict(self._places("key", map(int, keys)))
        try:
            return [found[int(key)] for key in keys]
        except KeyError as error:
            raise damaged(self.folder, f"the key {error} has no item") from None

    def items(self) -> Iterator[tuple[int, Item]]:
        """Every item and its first key, in the order of the keys."""
        with reading(self.folder):
            for row in self._db.execute(f"{_FIND} WHERE start = 0 ORDER BY key"):
                yield read_key(row[:5])[0], read_item(row[5:], self.info.fields)

    @property
    def size(self) -> int:
        """One more than the highest key."""
        return self.segments[-1].first + self.segments[-1].rows if self.segments else 0

    @cached_property
    def heads(self) -> NDArray[np.int64] | None:
        """For each key its item's first (size,), by their numbers; None where no item has another."""
        if all(listed.joined is None for listed in self.segments):
            return None
        found = np.arange(self.size)
        for listed in self.segments:
            if listed.joined is not None:
                found[listed.first : listed.first + listed.rows][listed.joined] = 0
        return np.maximum.accumulate(found)

    def keys_of(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """The numbers of the keys of the items with these ids; those that the catalog lacks are left out."""
        found: dict[str, list[int]] = {}
        for key, place in self._places("id", ids):
            found.setdefault(place.item.id, []).append(key)
        return found

    def _places(self, column: str, words: Iterable[int | str]) -> Iterator[tuple[int, Place]]:
        """Each key of those whose `column`, a name of ours, is one of the words, and what it stands for."""
        wanted = iter(words)
        with reading(self.folder):
            while some := list(itertools.islice(wanted, _SQL_WORDS)):
                marks = ", ".join("?" * len(some))  # question marks, no text
                for row in self._db.execute(f"{_FIND} WHERE {column} IN ({marks}) ORDER BY key", some):
                    key, _, start, stop = read_key(row[:5])
                    yield key, Place(read_item(row[5:], self.info.fields), start, stop)

    def close(self) -> None:
        """End the snapshot."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
