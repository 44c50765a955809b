"""A catalog in a folder → the same in a database, row by row: what the tests of reading need."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from attnsearch.postgres import rows, schema
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.connection import connect
from attnsearch.postings import stored
from attnsearch.storage import database
from attnsearch.storage.segment import parse_segments
from attnsearch.storage.store import Store


def fill_from(folder: Path, url: str) -> None:
    """Make the catalog at `url`, whose database has no such catalog, of the one in the folder."""
    address = parse_address(url)
    with Store(folder) as store, closing(connect(address)) as connection, connection.transaction():
        schema.create_tables(connection, address)
        schema.place_vectors(connection, address, store.info.d)
        numbers = {key.item for key in store.key_rows()}
        with closing(sqlite3.connect(folder / "index.sqlite")) as db:
            segments = [(*row[:3], *row[4:]) for row in db.execute("SELECT * FROM segments ORDER BY first")]
            rows.copy_rows(connection, "items", db.execute("SELECT * FROM items ORDER BY item"))
            fields = [(number, *row) for number, row in enumerate(db.execute("SELECT * FROM fields ORDER BY rowid"))]
        keys = list(store.key_rows())
        assert {key.item for key in keys} == numbers
        rows.copy_keys(connection, zip(keys, store.embeddings([key.key for key in keys]), strict=True))
        rows.copy_rows(connection, "segments", segments)
        rows.copy_rows(connection, "fields", fields)
        names = rows.posting_names(store.fields(), store.info)
        for number, segment in enumerate(store.segments):
            items = stored.items_of(store, segment)
            rows.write_postings(connection, segment, items, store.info, names, number * len(names))
        listing = parse_segments([(*row[:3], b"", *row[3:]) for row in segments]).checksum
        with closing(sqlite3.connect("")) as db:
            db.execute("CREATE TABLE info (name, value)")
            info = store.info._replace(listing=listing)
            heads = [head if head.use else head[:-1] for head in info.heads]
            database.write_info(db, {**info._asdict(), "heads": heads})
            rows.write_info(connection, database.read_info_rows(db))
