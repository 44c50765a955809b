"""An address → what `indexing.update` needs of a catalog that is not in the home."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

from attnsearch.indexing.target import Stored
from attnsearch.postgres import schema
from attnsearch.postgres.address import Address, parse_address
from attnsearch.postgres.connection import connect, reading
from attnsearch.postgres.writer import DatabaseWriter
from attnsearch.storage.files import home_folder


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
            if not schema.schema_exists(connection, self.address):
                return None
            schema.check_tables(connection, self.address)
            names = [str(name) for (name,) in connection.execute("SELECT name FROM fields ORDER BY rowid")]
            return Stored(schema.read_info(connection), names)

    def open_writer(self, wait: float) -> DatabaseWriter:
        """The catalog, open for writing. Raises as `DatabaseWriter` does."""
        return DatabaseWriter(self.address, self.folder, wait)


def _checkpoint_folder(address: Address) -> Path:
    place = [address.parameters.get(part, "") for part in ("service", "host", "hostaddr", "port", "dbname")]
    digest = hashlib.sha256("\0".join([*place, address.schema]).encode()).hexdigest()[:12]
    return home_folder() / f"@{address.name}-in-a-database-{digest}"
