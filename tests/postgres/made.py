"""Keys in segments on disk → the same keys in PostgreSQL, without items: what an engine reads of a catalog."""

from __future__ import annotations

import copy
from contextlib import closing

from attnsearch.postgres import schema
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.connection import connect
from attnsearch.postgres.rows import copy_keys
from attnsearch.postgres.store import PostgresStore
from attnsearch.storage.store import Store


class MadeStore(PostgresStore):
    """The living keys of a store, as a catalog at this address, which is new."""

    def __init__(self, url: str, store: Store) -> None:
        address = parse_address(url)
        living = store.living()
        keys = ((int(key), int(key), 0, 0) for key in living)
        if store.first_keys is not None:
            keys = ((int(key), int(store.first_keys[key]), 0, 0) for key in living)
        with closing(connect(address)) as connection, connection.transaction():
            schema.create_tables(connection, address)
            schema.place_vectors(connection, address, store.info.d)
            copy_keys(connection, zip(keys, store.embeddings(living), strict=True))
        self._made = store
        super().__init__(address)

    def again(self) -> MadeStore:
        """The catalog as it is now, whatever was done to its tables."""
        opened = copy.copy(self)
        PostgresStore.__init__(opened, self.address)
        return opened

    def _read_catalog(self) -> None:
        self.info, self.segments = self._made.info, self._made.segments
