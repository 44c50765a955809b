"""The tables of a catalog: created, read again, and not taken for what they are not."""

from __future__ import annotations

from contextlib import closing

import pytest

from attnsearch.errors import CatalogError
from attnsearch.postgres import schema
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.connection import connect
from attnsearch.storage.home import catalog_folder
from attnsearch.storage.store import Store
from tests.postgres.filling import fill_from


@pytest.fixture
def filled(server, database, shop):
    """The address of a catalog with the items of the shop."""
    url = server.url(database, "shop")
    fill_from(catalog_folder("shop"), url)
    return url


class TestTables:
    def test_info_and_segments_are_those_of_the_folder(self, filled, shop):
        address = parse_address(filled)
        with closing(connect(address)) as connection, Store(catalog_folder("shop")) as store:
            schema.check_tables(connection, address)
            info = schema.read_info(connection)
            segments = schema.read_segments(connection, info.listing).segments
            assert info._replace(listing=0) == store.info._replace(listing=0)
            assert [row[:3] for row in segments] == [row[:3] for row in store.segments]

    def test_missing(self, server, database):
        address = parse_address(server.url(database, "nothing"))
        with closing(connect(address)) as connection, pytest.raises(CatalogError, match="no such catalog"):
            schema.check_tables(connection, address)
