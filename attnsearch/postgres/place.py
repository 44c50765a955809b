"""An address → what `indexing.update` needs of a catalog that is not in the home, and its notebook."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.target import Stored
from attnsearch.postgres import lock, schema
from attnsearch.postgres.address import Address, parse_address
from attnsearch.postgres.connection import connect, missing, reading, reporting, search_path
from attnsearch.postgres.store import PostgresStore, parse_learned
from attnsearch.postgres.writer import DatabaseWriter
from attnsearch.readers import json_file
from attnsearch.readers.text_file import LINE
from attnsearch.storage.database import Info
from attnsearch.storage.failures import DamagedError, MissingError
from attnsearch.storage.files import home_folder
from attnsearch.storage.learned import Learned, pack_learned
from attnsearch.storage.lock import WAIT
from attnsearch.syntax.values import Mapping

if TYPE_CHECKING:
    from psycopg import Connection


class DatabasePlace:
    """A catalog in a database, which may not exist yet. Raises InputError for an invalid address.

    `folder` is in the home, and has what an interrupted run has embedded; it is of no user and no password.
    """

    def __init__(self, ref: str) -> None:
        self.address = parse_address(ref)
        self.name = self.address.name
        self.folder = _checkpoint_folder(self.address)

    def read_stored(self) -> Stored | None:
        """What is stored; None if there is no catalog. Raises CatalogError."""
        with closing(connect(self.address)) as connection, reading(self.address):
            if not schema.has_catalog(connection, self.address):
                return None
            names = [str(name) for (name,) in connection.execute("SELECT name FROM fields ORDER BY rowid")]
            return Stored(schema.read_info(connection), names)

    def open_writer(self, wait: float) -> DatabaseWriter:
        """The catalog, open for writing. Raises as `DatabaseWriter` does."""
        return DatabaseWriter(self.address, self.folder, wait)

    def remove(self, *, everything: bool) -> list[str]:
        """Remove the catalog; what it was taught stays, unless `everything` goes. Returns the tables that stay.

        Raises CatalogError if there is none, or if others read it for so long that it can't be removed.
        """
        with closing(connect(self.address)) as connection, reporting(self.address):
            lock.acquire(connection, self.address, WAIT)
            with connection.transaction():
                taught = [] if everything else self._find_taught(connection)
                if taught:
                    schema.hold_tables(connection, self.address)
                else:
                    schema.drop_tables(connection, self.address)
                for table in set(schema.table_names()) - {"form", *schema.TAUGHT} if taught else ():
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 (our own words)
        shutil.rmtree(self.folder, ignore_errors=True)
        return taught

    def read_taught(self, *, everything: bool) -> list[str]:
        """Which tables have what people taught the catalog, or what a removed one was taught, if `everything` goes.

        Raises CatalogError if there is no catalog.
        """
        with closing(connect(self.address)) as connection, reporting(self.address):
            if not everything and not schema.has_catalog(connection, self.address):
                raise missing(connection, self.address)
            try:
                return self._find_taught(connection)
            except MissingError:
                raise
            except CatalogError:
                if not everything:
                    raise
                return []  # tables of a newer attnsearch

    def _find_taught(self, connection: Connection[Any]) -> list[str]:
        schema.check_tables(connection, self.address)
        tables = [(table, connection.execute(f"SELECT 1 FROM {table}").fetchone()) for table in schema.TAUGHT]  # noqa: S608
        return [table for table, row in tables if row]


class TableNotebook:
    """That of a catalog in a database: a row for each line, and one for what was learned. See `Notebook`.

    Rows that stay are not written again. No transaction is open while requests are embedded: the lock is the
    connection's, and whoever lost that can't write.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.where = f"{address.shown}, feedback"
        self.name = address.shown
        self._connection: Connection[Any] | None = None

    def open_items(self) -> PostgresStore:
        """As that of `Notebook`."""
        return PostgresStore(self.address)

    def read_records(self) -> list[Mapping]:
        """As that of `Notebook`, with the number of the row."""
        statement = "SELECT number, substr(content, 1, %s) FROM feedback ORDER BY number"
        with self._transaction() as connection:
            rows = connection.execute(statement, [LINE + 1]).fetchall()
        return list(json_file.read_lines(map(self._decode, rows), self.where))

    def _decode(self, row: tuple[int, bytes]) -> tuple[int, str]:
        number, content = row
        place = f"{self.where}:{number}"
        if len(content) > LINE:
            raise InputError(f"a row of more than {LINE >> 20} MiB", where=place)
        try:
            line = content.decode().strip()
        except UnicodeDecodeError:
            raise InputError("not UTF-8", where=place) from None
        if "\n" in line:
            raise InputError("has more than one line", where=place)
        return number, line

    def load_learned(self) -> Learned | None:
        """As that of `Notebook`."""
        with self._transaction() as connection:
            return parse_learned(self.address, connection.execute("SELECT content FROM learned").fetchall())

    def forget_learned(self) -> Learned | None:
        """As that of `Notebook`."""
        with closing(connect(self.address)) as connection, reporting(self.address):
            lock.acquire(connection, self.address, WAIT)
            with connection.transaction():
                schema.hold_tables(connection, self.address, schema.TAUGHT)
                contents = connection.execute("DELETE FROM learned RETURNING content").fetchall()
        if not contents:
            raise FileNotFoundError
        with suppress(DamagedError, InputError):
            return parse_learned(self.address, contents)
        return None

    @contextmanager
    def writing(self, wait: float) -> Iterator[None]:
        """As that of `Notebook`."""
        with closing(connect(self.address)) as connection, reporting(self.address):
            lock.acquire(connection, self.address, wait)
            self._connection = connection
            try:
                yield
            finally:
                self._connection = None

    def read_info(self) -> Info:
        """As that of `Notebook`."""
        with self._transaction() as connection, reading(self.address):
            return schema.read_info(connection)

    def write(self, lines: Sequence[bytes] | None, before: Learned | None, after: Learned | None) -> None:
        """As that of `Notebook`, in one transaction; so nobody sees `before`."""
        del before
        with self._transaction() as connection:
            schema.hold_tables(connection, self.address, schema.TAUGHT)
            if lines is not None:
                _replace_lines(connection, lines)
            if after is not None:
                connection.execute("DELETE FROM learned")
                if after.trained or after.memory is not None:
                    connection.execute("INSERT INTO learned VALUES (%s)", [pack_learned(after)])

    @contextmanager
    def _transaction(self) -> Iterator[Connection[Any]]:
        """A transaction of the connection that holds the lock; without one, of another, for a reader."""
        with ExitStack() as stack:
            stack.enter_context(reporting(self.address))
            connection = self._connection or stack.enter_context(closing(connect(self.address)))
            stack.enter_context(connection.transaction())
            connection.execute(search_path(self.address, "LOCAL"))
            if not schema.has_catalog(connection, self.address):
                raise missing(connection, self.address)
            yield connection


def _replace_lines(connection: Connection[Any], lines: Sequence[bytes]) -> None:
    """Make these all rows, in this order; those before the first that differs stay."""
    rows = connection.execute("SELECT number, content FROM feedback ORDER BY number").fetchall()
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0][1] == pair[1], zip(rows, lines, strict=False)))
    last = rows[same - 1][0] if same else 0
    connection.execute("DELETE FROM feedback WHERE number = ANY(%s)", [[number for number, _ in rows[same:]]])
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO feedback VALUES (%s, %s)", list(enumerate(lines[same:], last + 1)))


def _checkpoint_folder(address: Address) -> Path:
    place = [address.parameters.get(part, "") for part in ("service", "host", "hostaddr", "port", "dbname")]
    digest = hashlib.sha256("\0".join([*place, address.schema]).encode()).hexdigest()[:12]
    return home_folder() / f"@{address.name}-in-a-database-{digest}"
