"""Disk → a catalog's keys and items, for reading.

A catalog is a folder: `index.sqlite` (the items, whose key is which, the list of segments) and `segments/<uuid>.npy`
(X, never changed, mapped into memory). A reader's SQLite transaction is its snapshot. Data whose checksum is not the
one that it was written with is never used.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.sources.items import Item
from attnsearch.storage import lock, segment
from attnsearch.storage.database import ITEM, KEY, KeyRow, read_counts, read_fields, read_info, read_item, read_key
from attnsearch.storage.failures import changed, closed, damaged, missing, reading
from attnsearch.storage.files import SEGMENTS
from attnsearch.storage.segment import Mapped

if TYPE_CHECKING:
    from attnsearch.sources.summary import Field

BLOCK = 32_768  # rows that `blocks` yields at once
FETCHED = 256  # rows read from the database at once
PARAMETERS = 500  # of one SQL statement

_KEY_COLUMNS = KEY.count(",") + 1
_SELECT_KEYS = f"SELECT {KEY}, {ITEM} FROM keys JOIN items USING (item)"  # noqa: S608 (our own words)


class ItemPassage(NamedTuple):
    """The item of a key, and the part of its text that the key stands for; None if that is the whole text."""

    item: Item
    passage: str | None


class ItemSpan(NamedTuple):
    """The item of a key, and the characters of its text, `start` to before `stop`, that the key stands for."""

    item: Item
    start: int
    stop: int


class Store:
    """A catalog open for reading: one snapshot, which no writer changes, until it is closed. Threads may share it.

    Opening it verifies the checksum of every vector, or without `vectors` of none; what was not verified is as it is
    read. Keys are numbered from 0 to before `size`, in the order in which they were added; numbers of removed keys are
    unused. `mapped` are segments that another store has open, see there.

    Raises CatalogError if there is no catalog, or if it is damaged or has another form; and when it is asked after
    `close`.
    """

    def __init__(self, folder: Path, *, vectors: bool = True, mapped: Mapped | None = None) -> None:
        self.folder = folder
        self._lock = threading.Lock()  # one statement at a time: the connection is one
        self.is_open = True
        for attempt in range(3):
            self._db = lock.connect_to_read(folder)
            try:
                self._open_snapshot(mapped, vectors=vectors)
            except FileNotFoundError as error:
                # A writer may have dropped a segment after we read the list and before we opened the file.
                self._db.close()
                if attempt == 2:
                    raise damaged(folder, f"the segment {Path(error.filename).name} is gone") from None
            except BaseException:
                self._db.close()
                raise
            else:
                return

    def _open_snapshot(self, mapped: Mapped | None, *, vectors: bool) -> None:
        with reading(self.folder):
            self._db.execute("BEGIN")
            info = read_info(self._db, self.folder)
            if info is None:
                raise missing(self.folder)
            self.info = info
            self.segments = segment.read_segments(self._db, info.listing).segments
        self._x: list[NDArray[np.float32] | None] = [None] * len(self.segments)
        if vectors:
            load = partial(segment.load_listed, self.folder, d=info.d, mapped=mapped or {})
            self._x = list(threads.each(load, self.segments))

    @property
    def mapped(self) -> Mapped:
        """Its segments, verified: the store of a later commit maps those that it still has no second time."""
        pairs = zip(self.segments, self._x, strict=True)
        return {(row.file, row.sums): x for row, x in pairs if x is not None}

    def load_rows(self, number: int, rows: range | None = None) -> NDArray[np.float32]:
        """The vectors of a segment, by its number, or some of them: verified now. Raises CatalogError."""
        folder = self.files[number].parent.parent
        try:
            return segment.load_listed(folder, self.segments[number], d=self.info.d, rows=rows)
        except FileNotFoundError as error:  # a writer may remove what nobody has mapped
            raise changed(self.info.name) from error

    def _vectors(self, number: int) -> NDArray[np.float32]:
        """All vectors of a segment, by its number."""
        x = self._x[number]
        if x is None:
            x = self._x[number] = self.load_rows(number)
        return x

    def _rows(self, number: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Some rows (n,) of a segment, of which only the parts that they are in are verified, if none was before."""
        x = self._x[number]
        if x is not None:
            return x[rows]
        some = np.empty((len(rows), self.info.d), np.float32)
        parts = rows // segment.ROWS
        for part in set(parts.tolist()):
            first = part * segment.ROWS
            x = self.load_rows(number, range(first, min(first + segment.ROWS, self.segments[number].rows)))
            some[parts == part] = x[rows[parts == part] - first]
        return some

    @property
    def dead(self) -> int:
        """How many rows of the segments are no longer anyone's key."""
        return sum(int(row.dead.sum()) for row in self.segments if row.dead is not None)

    @property
    def size(self) -> int:
        """One more than the highest number of a key."""
        return self.segments[-1].first + self.segments[-1].rows if self.segments else 0

    @property
    def files(self) -> list[Path]:
        """The file of each of the segments."""
        return [self.folder / SEGMENTS / row.file for row in self.segments]

    def block(self, number: int, rows: range) -> segment.Block:
        """Some rows of the segment of this number, which begin and end with an item."""
        self.check_open()
        return self.segments[number].block(rows, self._vectors(number)[rows.start : rows.stop])

    def blocks(self, *, rows: int = BLOCK) -> Iterator[segment.Block]:
        """All rows, in order, about `rows` at a time; a block ends with its segment, and no item is in two."""
        for number, row in enumerate(self.segments):
            for part in row.cut(rows):
                yield self.block(number, part)

    def living(self) -> NDArray[np.int64]:
        """The numbers of all keys (n,), ascending."""
        numbers = [np.empty(0, np.int64)]
        for row in self.segments:
            rows = np.arange(row.rows) if row.dead is None else np.flatnonzero(~row.dead)
            numbers.append(row.first + rows)
        return np.concatenate(numbers)

    def embeddings(self, keys: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows of X (n, d) for the keys of these numbers."""
        self.check_open()
        x = np.empty((len(keys), self.info.d), np.float32)
        firsts = np.array([row.first for row in self.segments], np.int64)
        rows = np.asarray(keys, np.int64)
        numbers = np.searchsorted(firsts, rows, side="right") - 1
        for number in set(numbers.tolist()):  # np.unique would import numpy.ma, a twentieth of a query
            x[numbers == number] = self._rows(number, rows[numbers == number] - firsts[number])
        return x

    def fields(self) -> list[Field]:
        """What the catalog knows of its fields, in the order in which they came. Raises CatalogError if damaged."""
        with self.reading(), self._asking():
            return read_fields(self._db)

    def value_counts(self) -> list[tuple[str, str]]:
        """See `database.read_counts`. Raises CatalogError if damaged."""
        with self.reading(), self._asking():
            return read_counts(self._db)

    def mentions(self, name: str) -> bool:
        """Whether any item has a field of this name, at the top or in another, or has the name as a value."""
        statement, quoted = "SELECT 1 FROM items WHERE instr(fields, ?) LIMIT 1", json.dumps(name, ensure_ascii=False)
        with self.reading(), self._asking():
            return self._db.execute(statement, (quoted,)).fetchone() is not None

    def items(self, first: int = 0, end: int = 1 << 62) -> Iterator[tuple[int, Item]]:
        """The first key from `first` to before `end` of every item, and the item, ordered. CatalogError if damaged."""
        statement = f"{_SELECT_KEYS} WHERE start = 0 AND key >= ? AND key < ? ORDER BY key"
        with self.reading():
            for row in self._select(statement, first, end):
                yield read_key(row[:_KEY_COLUMNS]).key, read_item(row[_KEY_COLUMNS:], self.info.fields)

    def key_rows(self) -> Iterator[KeyRow]:
        """Every key, ordered by its number. Raises CatalogError for a damaged row."""
        with self.reading():
            yield from map(read_key, self._select(f"SELECT {KEY} FROM keys ORDER BY key"))  # noqa: S608 (our own words)

    def items_at(self, keys: Sequence[int]) -> list[ItemPassage]:
        """The item of each of these keys, and the passage that the key stands for. Raises as `spans_at` does."""
        return [ItemPassage(span.item, _passage(span)) for span in self.spans_at(keys)]

    def spans_at(self, keys: Sequence[int]) -> list[ItemSpan]:
        """The item of each of these keys, and the characters of its text that it stands for. Raises CatalogError."""
        spans = dict(self._find_spans("key", map(int, keys)))
        with self.reading():
            if gone := [key for key in keys if int(key) not in spans]:
                raise ValueError(f"the key {gone[0]} has no item")
            return [spans[int(key)] for key in keys]

    def keys_of(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """The keys of each item with one of these ids, ascending, without unknown ids. Raises CatalogError."""
        keys: dict[str, list[int]] = {}
        for key, span in self._find_spans("id", ids):
            keys.setdefault(span.item.id, []).append(key)
        return keys

    def has_any(self, ids: Sequence[str]) -> bool:
        """Whether an item has one of these ids. All are read: an index, where `keys_of` looks, may be damaged."""
        marks = ", ".join("?" * len(ids))  # no index has a title
        statement = f"SELECT 1 FROM items WHERE title >= '' AND id || '' IN ({marks}) LIMIT 1"  # noqa: S608
        with self.reading(), self._asking():
            return bool(ids) and self._db.execute(statement, ids).fetchone() is not None

    def short_id(self, name: str) -> str:
        """The shortest name for the item with this id: of one catalog, the id."""
        return name

    @cached_property
    def first_keys(self) -> NDArray[np.int64] | None:
        """The first key of each key's item (size,), by the key's number; None if every item has one key."""
        return segment.find_first_keys(self.segments, self.size)

    def _find_spans(self, column: str, values: Iterable[int | str]) -> Iterator[tuple[int, ItemSpan]]:
        """The keys for which `column`, a name of ours, has one of the values, and what each stands for."""
        remaining = iter(values)
        with self.reading():
            while batch := list(itertools.islice(remaining, PARAMETERS)):
                marks = ", ".join("?" * len(batch))  # question marks, no text
                with self._asking():
                    statement = f"{_SELECT_KEYS} WHERE {column} IN ({marks}) ORDER BY key"
                    rows = self._db.execute(statement, batch).fetchall()
                for row in rows:
                    key, item = read_key(row[:_KEY_COLUMNS]), read_item(row[_KEY_COLUMNS:], self.info.fields)
                    yield key.key, ItemSpan(item, key.start, key.stop)

    def _select(self, statement: str, *parameters: int) -> Iterator[Any]:
        """The rows that a statement selects, of which few at a time are in memory."""
        with self._asking():
            cursor = self._db.execute(statement, parameters)
        while rows := self._fetch(cursor):
            yield from rows

    def _fetch(self, cursor: sqlite3.Cursor) -> list[Any]:
        with self._asking():
            return cursor.fetchmany(FETCHED)

    def reading(self) -> AbstractContextManager[None]:
        """Turn the errors of reading into CatalogError, see `failures.reading`."""
        return reading(self.folder)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """The body has the connection to itself. Raises ClosedError."""
        with self._lock:
            self.check_open()
            yield

    def check_open(self) -> None:
        """Raise ClosedError after `close`."""
        if not self.is_open:
            raise closed(self.folder)

    def close(self) -> None:
        """End the snapshot."""
        with self._lock:
            self.is_open = False
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _passage(span: ItemSpan) -> str | None:
    # `stop` may lie past the end: older catalogs embedded the final full stop.
    is_whole = span.start == 0 and span.stop >= len(span.item.text)
    return None if is_whole else span.item.text[span.start : span.stop]
