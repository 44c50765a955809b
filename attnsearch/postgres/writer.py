"""A catalog in a database, open for writing: the calls of `indexing.writer`, and one transaction of the server."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import changes, compaction
from attnsearch.indexing.changes import Changes, Split
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import Floats, Writer
from attnsearch.postgres import lock, mirror, rows, schema
from attnsearch.postgres.address import Address
from attnsearch.postgres.connection import connect, reading, reporting
from attnsearch.sources.fields import UNNAMED, Fields
from attnsearch.sources.items import Item
from attnsearch.storage.database import Info, read_fields, read_info_rows
from attnsearch.storage.failures import writing
from attnsearch.storage.lock import WAIT
from attnsearch.storage.segment import SegmentRow, read_segments
from attnsearch.syntax.values import Value

if TYPE_CHECKING:
    from psycopg import Connection

_AT_ONCE = 10_000  # rows deleted by one statement


class DatabaseWriter(Writer):
    """A catalog in a database, open for writing, new or not: only `commit` makes anything real.

    The catalog's lock is held until `close`; between reading and the commit, no transaction is open. `folder` has the
    checkpoint. Raises BusyError as `lock.acquire` does, CatalogError if the role lacks a right, and for what is not a
    catalog.
    """

    def __init__(self, address: Address, folder: Path, wait: float = WAIT) -> None:
        self._address = address
        self.folder = folder
        self._wait = wait
        self._shown = time.monotonic()
        self._is_cleared = False
        self._connection = self._connect()
        try:
            self._db = mirror.create_mirror()
            with writing(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with reading(address):
                self._read_state()
            self._stored, self._cells_before = read_segments(self._db).segments, self._segment_cells()
            self._next_key = max((row.first + row.rows for row in self._stored), default=0)
            self.d = self.info.d if self.info else 0
            changes.create_tables(self._db)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Connection[Any]:
        connection = connect(self._address)
        try:
            with reporting(self._address):
                lock.acquire(connection, self._address, self._wait)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read_state(self) -> None:
        """Copy what is stored, and see that this role may write: before anything is embedded."""
        schema.prove_rights(self._connection, self._address)
        self.info = None
        if schema.has_catalog(self._connection, self._address):
            with self._connection.transaction():
                self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                self.info = schema.read_info(self._connection)
                schema.read_segments(self._connection, self.info.listing)
                try:
                    mirror.fill_mirror(self._db, self._connection)
                except sqlite3.IntegrityError as error:
                    raise ValueError(f"two rows have the same name: {error}") from None

    def _segment_cells(self) -> list[rows.SegmentCells]:
        return self._db.execute("SELECT first, rows, file, dead, joined FROM segments ORDER BY first").fetchall()

    def clear(self) -> None:
        """Remove every item and key, so that everything is embedded again."""
        super().clear()
        self._is_cleared = True

    def replace_columns(self, *_: object) -> NoReturn:
        """Raise InputError: every vector would be another."""
        hint = "index it under another name, or remove it first"
        raise InputError("the heads of a catalog in a database can't change", where=self._address.shown, hint=hint)

    def take_items(
        self, items: Iterable[Item], split: Split, *, keep: bool = False, fields: Fields = UNNAMED
    ) -> Changes:
        """As that of `Writer`. Raises InputError also for text that PostgreSQL does not take."""
        return super().take_items(map(_refuse_nul, items), split, keep=keep, fields=fields)

    def put_embeddings(self, checkpoint: Checkpoint, hashes: Sequence[bytes], x: Floats) -> None:
        """As that of `Writer`. Raises CatalogError for vectors that are too wide for pgvector."""
        schema.check_width(x.shape[1], self._address)
        super().put_embeddings(checkpoint, hashes, x)
        self._pass_on(None)

    def _show_life(self) -> None:
        with suppress(CatalogError), reporting(self._address):  # what is lost is lost; the commit connects again
            self._connection.execute("SELECT 1")

    def commit(self, info: Info, checkpoint: Checkpoint) -> Info:
        """Make it all real and durable, in one transaction; returns `info` with its width, counts and times."""
        self._show_life()
        if self._connection.closed:  # it may have been idle for hours
            self._connection = self._connect()
        with writing(self.folder), reading(self._address), self._connection.transaction():
            # A slow network may take long for many vectors; a server that is gone is noticed all the same.
            self._connection.execute("SELECT set_config('statement_timeout', '0', true)")
            durable = "SELECT set_config(name, 'on', true) FROM pg_settings WHERE (name, setting) = (%s, 'off')"
            self._connection.execute(durable, ["synchronous_commit"])  # what is said to be done stays done
            self._claim()
            d = checkpoint.d or self.d
            if not schema.schema_exists(self._connection, self._address):
                schema.create_tables(self._connection, self._address)
            if self.info is None or self._is_cleared:
                schema.place_vectors(self._connection, self._address, d)
            self._add_keys(checkpoint, d)
            dead = self._send_items()
            self._settle_segments(dead)
            changes.update_fields(self._db, self.info.fields if self.info else info.fields, info.fields)
            info = self._write_info(info._replace(d=d))
            self._send_tables(info)
        checkpoint.discard()
        with suppress(OSError):
            self.folder.rmdir()
        return info

    def _claim(self) -> None:
        """Raise CatalogError if the catalog is not as we read it: a lock may end with a connection."""
        if schema.schema_exists(self._connection, self._address):
            schema.hold_tables(self._connection, self._address)
        exists = schema.has_catalog(self._connection, self._address)
        stored = None
        if exists and self.info:
            stored = self._connection.execute("SELECT value FROM info WHERE name = 'commit' FOR UPDATE").fetchone()
        if exists != bool(self.info) or (self.info and stored != (f'"{self.info.commit}"',)):
            hint = "run it again; what was embedded is kept"
            raise CatalogError("the catalog changed while it was indexed", where=self._address.shown, hint=hint)

    def _read_rows(self, d: int, keys: list[int]) -> Floats:
        vectors = rows.read_vectors(self._connection, keys)
        if any(key not in vectors or len(vectors[key]) != d for key in keys):
            raise ValueError("its keys are not those of its segments")
        return np.array([vectors[key] for key in keys], np.float32).reshape(len(keys), d)

    def _add_segment(self, keys: list[tuple[int, int, int, int]], x: Floats, joined: NDArray[np.bool_]) -> None:
        rows.copy_keys(self._connection, zip(keys, x, strict=True))
        row = (keys[0][0], len(keys), uuid.uuid4().hex, b"", None, compaction.pack_bits(joined))
        self._db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)

    def _send_items(self) -> list[int]:
        """Send the items that changed in the place of those that they replace; the keys that nobody has any more."""
        dead = [key for (key,) in self._db.execute("SELECT key FROM dead ORDER BY key")]
        if self._is_cleared:
            self._connection.execute("DELETE FROM items")
            self._connection.execute("DELETE FROM keys WHERE key < %s", [min(self._new_keys(), default=1 << 62)])
        else:
            replaced = [ident for (ident,) in self._db.execute("SELECT id FROM replaced")]
            for column, table, gone in (("key", "keys", dead), ("id", "items", replaced)):
                for start in range(0, len(gone), _AT_ONCE):
                    statement = f"DELETE FROM {table} WHERE {column} = ANY(%s)"  # noqa: S608 (our own words)
                    self._connection.execute(statement, [gone[start : start + _AT_ONCE]])
        rows.copy_rows(self._connection, "items", mirror.new_items(self._db))
        return dead

    def _new_keys(self) -> Iterator[int]:
        """The first key of each segment that this run adds."""
        stored = {row.file for row in self._stored}
        return (row.first for row in read_segments(self._db).segments if row.file not in stored)

    def _settle_segments(self, dead: Sequence[int]) -> None:
        """Mark the keys that are `dead`, drop segments without living ones, and list small neighbors as one.

        No key gets another number, and no vector moves.
        """
        numbers = np.array(dead, np.int64)
        segments = [compaction.mark_dead(self._db, row, numbers) for row in read_segments(self._db).segments]
        living = [row for row in segments if compaction.count_living(row)]
        for neighbors in compaction.choose_rewrites(living):
            if len(neighbors) > 1:
                self._join(neighbors)

    def _join(self, neighbors: Sequence[SegmentRow]) -> None:
        first = neighbors[0].first
        count = neighbors[-1].first + neighbors[-1].rows - first
        dead, joined = np.ones(count, bool), np.zeros(count, bool)
        for row in neighbors:
            place = slice(row.first - first, row.first - first + row.rows)
            dead[place] = False if row.dead is None else row.dead
            joined[place] = False if row.joined is None else row.joined
            self._db.execute("DELETE FROM segments WHERE first = ?", (row.first,))
        row_cells = (first, count, uuid.uuid4().hex, b"", compaction.pack_bits(dead), compaction.pack_bits(joined))
        self._db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", row_cells)

    def _send_tables(self, info: Info) -> None:
        """Send the segments and postings that changed, the fields and the info."""
        segments = read_segments(self._db).segments
        rows.replace_segments(self._connection, self._cells_before, self._segment_cells())
        names = rows.posting_names(read_fields(self._db), info)
        files = {row.file for row in segments}
        gone = [row.first for row in self._stored if row.file not in files]
        rows.delete_postings(self._connection, gone)

        def items(row: SegmentRow) -> Iterator[tuple[int, Item]]:
            for key, item in mirror.items_of(self._db, row.first, row.first + row.rows, info.fields):
                yield key - row.first, self._pass_on(item)

        rows.settle_postings(self._connection, segments, items, info, names)
        rows.replace_fields(self._connection, self._db.execute("SELECT * FROM fields ORDER BY rowid").fetchall())
        rows.write_info(self._connection, read_info_rows(self._db))

    def close(self) -> None:
        """Release the lock. What was not committed never happened."""
        with closing(self._connection):
            if hasattr(self, "_db"):
                self._db.close()


def _refuse_nul(item: Item) -> Item:
    """The item. Raises InputError if a text of it has a NUL, which PostgreSQL does not take."""
    for name, text in (("id", item.id), ("title", item.title), ("description", item.description), ("text", item.text)):
        if "\0" in text:
            raise _nul_error(item, name)
    for name, value in item.fields.items():
        if "\0" in name or _has_nul(value):
            raise _nul_error(item, name)
    return item


def _has_nul(value: Value) -> bool:
    if isinstance(value, dict):
        return any("\0" in name or _has_nul(part) for name, part in value.items())
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _nul_error(item: Item, name: str) -> InputError:
    message = f"the field '{name}' of the item '{item.id[:80]}' has a NUL character, which PostgreSQL does not take"
    return InputError(message, where=item.place, hint="remove it")
