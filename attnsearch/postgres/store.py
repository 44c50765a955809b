"""A catalog in PostgreSQL, for reading: what `storage.store` is for one in a folder.

A reader's transaction is its snapshot. Rows whose checksum is not the one that they were written with are never used.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import CatalogError, InputError
from attnsearch.postgres import connection, schema
from attnsearch.postgres.address import Address, parse_address
from attnsearch.postgres.rows import vector_checksum
from attnsearch.storage import segment
from attnsearch.storage.failures import DamagedError
from attnsearch.storage.files import quoted
from attnsearch.storage.learned import Learned, unpack_learned
from attnsearch.storage.store import Store
from attnsearch.syntax.formats import AS_FOUND, Reading

if TYPE_CHECKING:
    from psycopg import Connection, Cursor, ServerCursor

# Nothing is gained by compiling our few statements. The logits of a hundred thousand keys stay in memory.
_BEGIN = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL jit = off;
SET LOCAL work_mem = '64MB'
"""
_MARK = "SAVEPOINT asked"

# Of an array as the server sends it.
_TYPES = {"f4": 700, "f8": 701, "i8": 20}  # by numpy's name of a type, the number of PostgreSQL's
_HEADER = struct.Struct(">iiI")  # how many dimensions, whether there is a NULL, the type
_DIMENSION = struct.Struct(">ii")  # how many numbers, and the index of the first


class _Database:
    """A connection that takes statements as `Store` writes them, for SQLite."""

    def __init__(self, connected: Connection[Any]) -> None:
        self._connection = connected
        self._names = map(str, itertools.count())

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor[Any]:
        """All rows at once."""
        return self._connection.execute(_translate(statement), parameters)

    def open_cursor(self, statement: str, parameters: Sequence[Any]) -> ServerCursor[Any]:
        """Rows that stay with the server until they are fetched."""
        cursor = self._connection.cursor(f"attnsearch_{next(self._names)}")
        return cursor.execute(_translate(statement), parameters)


def _translate(statement: str) -> Any:
    return statement.replace("?", "%s")


class PostgresStore(Store):
    """A catalog open for reading: one snapshot, see `Store`. Threads may share it, one statement at a time.

    Raises CatalogError if the server can't be reached, or if there is no catalog, or if it is damaged.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.folder = Path(os.devnull, address.name)  # which names it in messages: there is no such folder
        self.is_open = True
        self._lock = threading.Lock()
        self._connection = connection.connect(address)
        self._db: Any = _Database(self._connection)
        try:
            _adapt_numbers(self._connection)
            with self.reading():
                self._connection.execute(_BEGIN)
                self._connection.execute(connection.search_path(address, "LOCAL"))  # a pool's sessions are many users'
                schema.check_tables(self._connection, address)
                self._read_catalog()
                self._connection.execute(_MARK)
        except BaseException:
            self._connection.close()
            raise

    def _read_catalog(self) -> None:
        if not self._connection.execute("SELECT 1 FROM info").fetchone():  # it was removed; what it was taught stays
            raise connection.missing(self._connection, self.address)
        self.info = schema.read_info(self._connection)
        self.segments = schema.read_segments(self._connection, self.info.listing).segments

    def reading(self) -> AbstractContextManager[None]:
        """Turn what the server reports into CatalogError; what rows raise that nobody wrote, into DamagedError."""
        return connection.reading(self.address)

    def limit(self, seconds: float) -> None:
        """Let no statement take longer; the server ends it, or if that is stuck, we do."""
        with self.reading(), self._asking():
            connection.limit_statements(self._connection, seconds)
            self._connection.execute(_MARK)  # what is set after a mark is undone with what failed

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """As that of `Store`. A statement that fails, or is interrupted, leaves the snapshot as it was."""
        with super()._asking():
            try:
                yield
            except BaseException:
                self._go_back()
                raise

    def _go_back(self) -> None:
        from psycopg.pq import TransactionStatus

        if self._connection.info.transaction_status == TransactionStatus.INERROR:
            self._connection.execute(f"ROLLBACK TO {_MARK}")

    def ask(self, statement: str, parameters: Any = None, *, binary: bool = False) -> list[Any]:
        """The rows that a statement selects. Raises CatalogError, and ClosedError."""
        with self.reading(), self._asking(), self._connection.cursor(binary=binary) as cursor:
            return cursor.execute(statement, parameters).fetchall()

    @property
    def vectors(self) -> str:
        """The schema that pgvector is in, as a statement has it."""
        from psycopg import sql

        home = vars(self._connection)["vectors"] or "public"
        return sql.Identifier(home).as_string(self._connection).replace("%", "%%")

    @property
    def files(self) -> list[Path]:
        """There are none. Raises CatalogError."""
        message = "other machines can't read a catalog in a database"
        raise CatalogError(message, where=self.address.shown, hint="ask it without --on: its server compares the keys")

    @property
    def mapped(self) -> segment.Mapped:
        """Nothing of it is mapped."""
        return {}

    @cached_property
    def living_firsts(self) -> NDArray[np.int64]:
        """The first keys of all items (n,), ascending."""
        living = self.living()
        return living if self.first_keys is None else living[self.first_keys[living] == living]

    def block(self, number: int, rows: range) -> segment.Block:
        """Some rows of the segment of this number, which are fetched; those that are no key are zeros."""
        row = self.segments[number]
        x = np.zeros((len(rows), self.info.d), np.float32)
        alive = np.arange(len(rows)) if row.dead is None else np.flatnonzero(~row.dead[rows.start : rows.stop])
        x[alive] = self.embeddings(row.first + rows.start + alive)
        return row.block(rows, x)

    def embeddings(self, keys: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows of X (n, d) for the keys of these numbers, verified."""
        wanted, place = np.unique(np.asarray(keys, np.int64), return_inverse=True)
        statement = "SELECT key, x, x_sum FROM keys WHERE key = ANY(%s::bigint[]) ORDER BY key"
        rows = self.ask(statement, [Numbers(wanted)], binary=True)
        with self.reading():
            if [key for key, *_ in rows] != wanted.tolist():
                raise ValueError("a key has no vector")
            x = np.empty((len(rows), self.info.d), np.float32)
            for number, (key, vector, vector_sum) in enumerate(rows):
                if vector.dimensions() != self.info.d:
                    raise ValueError(f"the vector of the key {key} has another width")
                x[number] = vector.to_numpy()
                if vector_checksum(x[number]) != vector_sum:
                    raise ValueError(f"the vector of the key {key} is not what was written")
        return x[place]

    def mentions(self, name: str) -> bool:
        """Whether any item has a field of this name, at the top or in another, or has the name as a value."""
        statement = "SELECT EXISTS (SELECT 1 FROM items WHERE strpos(fields::text, %s) > 0)"
        return bool(self.ask(statement, [json.dumps(name, ensure_ascii=False)])[0][0])

    def _select(self, statement: str, *parameters: int) -> Iterator[Any]:
        with self._asking():
            cursor = self._db.open_cursor(statement, parameters)
        try:
            while rows := self._fetch(cursor):
                yield from rows
        finally:
            with self._lock:
                self._close(cursor)

    def _close(self, cursor: ServerCursor[Any]) -> None:
        """Close a cursor, which a statement that failed may have taken along."""
        import psycopg

        try:
            cursor.close()
        except psycopg.Error:
            cursor.close()  # without asking the server
            self._go_back()

    def measure(self) -> int:
        """How many bytes its tables and their indexes take."""
        statement = """SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
            FROM pg_class JOIN pg_namespace AS home ON home.oid = relnamespace WHERE nspname = %s AND relkind = 'r'"""
        return int(self.ask(statement, [self.address.schema])[0][0])

    def load_learned(self) -> Learned | None:
        """What was learned for the catalog; None if nothing. Raises CatalogError, InputError for a newer version."""
        rows = self.ask("SELECT content FROM learned")
        return parse_learned(self.address, rows)

    def close(self) -> None:
        """End the snapshot."""
        with self._lock:
            self.is_open = False
            self._connection.close()


def open_store(ref: str, reading: Reading = AS_FOUND) -> PostgresStore:
    """The catalog at an address. Raises InputError for an invalid one, or with a way to read files; CatalogError."""
    address = parse_address(ref)
    if reading != AS_FOUND:
        raise InputError("is a catalog, which was read already", where=address.shown, hint="--from is for a file")
    return PostgresStore(address)


def parse_learned(address: Address, rows: Sequence[tuple[bytes]]) -> Learned | None:
    """What was learned, by the rows of its table. Raises DamagedError, InputError for a newer version."""
    try:
        if len(rows) > 1:
            raise ValueError("it has several rows")
        return unpack_learned(rows[0][0], address.shown) if rows else None
    except ValueError as error:
        hint = f"run 'attnsearch reset {quoted(address.shown)}', then train again"
        message = f"the catalog is damaged: the table learned: {error}"
        raise DamagedError(message, where=address.shown, hint=hint) from None


class Numbers:
    """float32 or int64 numbers (n,) as the parameter of a statement, which must say `real[]` or `bigint[]` there."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def dump(self) -> bytes:
        """The binary form: each number follows its length in bytes."""
        kind = self.array.dtype.str[1:]
        if not len(self.array):
            return _HEADER.pack(0, 0, _TYPES[kind])
        rows = np.empty(len(self.array), _rows_of(kind))
        rows["length"], rows["number"] = self.array.dtype.itemsize, self.array
        return _HEADER.pack(1, 0, _TYPES[kind]) + _DIMENSION.pack(len(rows), 1) + rows.tobytes()


def _adapt_numbers(connection: Connection[Any]) -> None:
    """Let statements have `Numbers` as parameters."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class NumbersDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: Numbers) -> bytes:
            return obj.dump()

    connection.adapters.register_dumper(Numbers, NumbersDumper)


def read_numbers(raw: bytes | None, kind: str) -> NDArray[Any]:
    """The numbers (n,) of an array of this type, f4, f8 or i8, see `array_send`; None has none. Raises ValueError."""
    if raw is None or raw == _HEADER.pack(0, 0, _TYPES[kind]):
        return np.empty(0, kind)
    start = _HEADER.size + _DIMENSION.size
    rows = np.frombuffer(raw, _rows_of(kind), offset=start)
    if raw[:start] != _HEADER.pack(1, 0, _TYPES[kind]) + _DIMENSION.pack(len(rows), 1):
        raise ValueError("the server sent an array of another type")
    return rows["number"].astype(kind)


def _rows_of(kind: str) -> list[tuple[str, str]]:
    return [("length", ">i4"), ("number", f">{kind}")]
