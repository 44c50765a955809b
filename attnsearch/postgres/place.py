"""An address → what `indexing.update` needs of a catalog that is not in the home."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.target import Stored
from attnsearch.postgres import lock, schema
from attnsearch.postgres.address import Address, parse_address
from attnsearch.postgres.connection import connect, missing, reading, reporting
from attnsearch.postgres.writer import DatabaseWriter
from attnsearch.storage.failures import MissingError
from attnsearch.storage.files import home_folder
from attnsearch.storage.learned import Learned, pack_learned, read_learned
from attnsearch.storage.lock import WAIT

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

    def store_learned(self, learned: Learned, commit: str) -> None:
        """Make this what the catalog has learned, if its state still is `commit`, from which it was learned.

        Raises CatalogError if it has another state by now, or can't be written.
        """
        with closing(connect(self.address)) as connection, reading(self.address):
            lock.acquire(connection, self.address, WAIT)
            with connection.transaction():
                exists = schema.has_catalog(connection, self.address)
                if exists:
                    schema.hold_tables(connection, self.address)
                if not exists or schema.read_info(connection).commit != commit:
                    message = "the catalog has changed since the training began, so nothing was kept"
                    raise CatalogError(message, where=self.address.shown, hint="train it again")
                connection.execute("DELETE FROM learned")
                connection.execute("INSERT INTO learned VALUES (%s)", [pack_learned(learned)])

    def forget_learned(self) -> Learned | None:
        """Delete what the catalog has learned, and return it; None if it is damaged or has a newer version.

        Raises FileNotFoundError if it has learned nothing, CatalogError if there is none, or it can't be changed.
        """
        with closing(connect(self.address)) as connection, reporting(self.address):
            lock.acquire(connection, self.address, WAIT)
            with connection.transaction():
                schema.hold_tables(connection, self.address)
                contents = connection.execute("DELETE FROM learned RETURNING content").fetchall()
        if not contents:
            raise FileNotFoundError
        with suppress(ValueError, InputError):
            return read_learned(Path(), contents[0][0] or b"\0")
        return None

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


def _checkpoint_folder(address: Address) -> Path:
    place = [address.parameters.get(part, "") for part in ("service", "host", "hostaddr", "port", "dbname")]
    digest = hashlib.sha256("\0".join([*place, address.schema]).encode()).hexdigest()[:12]
    return home_folder() / f"@{address.name}-in-a-database-{digest}"
