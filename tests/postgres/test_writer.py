"""Items → the tables: what changed and nothing else, in one transaction, as in a folder."""

from __future__ import annotations

from contextlib import closing

import pytest

from attnsearch.errors import InputError
from attnsearch.indexing.update import update
from attnsearch.postgres import rows, schema
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.connection import connect
from attnsearch.postgres.place import DatabasePlace
from attnsearch.storage.home import catalog_folder
from attnsearch.storage.store import Store
from tests.conftest import SHOP


def index(path, url, **options):
    """Index a file into a database."""
    return update([str(path)], place=DatabasePlace(url), **options)


def contents(url):
    """Each item by its id: all of it, and each of its passages with its vector."""
    address = parse_address(url)
    with closing(connect(address)) as connection:
        schema.check_tables(connection, address)
        stored = connection.execute(
            "SELECT id, title, description, fields, key, start, stop FROM items JOIN keys USING (item) ORDER BY key"
        ).fetchall()
        vectors = rows.read_vectors(connection, [row[4] for row in stored])
    found = {}
    for ident, *item, key, start, stop in stored:
        found.setdefault(ident, (*item, []))[-1].append((start, stop, vectors[key].tolist()))
    return found


def contents_of(folder):
    """The same of a catalog in a folder."""
    with Store(folder) as store:
        found = {}
        for key in store.key_rows():
            (place,) = store.spans_at([key.key])
            item = place.item
            (x,) = store.embeddings([key.key])
            _, passages = found.setdefault(item.id, ((item.title, item.description, item.fields), []))
            passages.append((key.start, key.stop, x.tolist()))
        return found


class TestUpdate:
    def test_new(self, server, database, shop, small):
        url = server.url(database, "shop")
        report = index(shop, url)
        assert (report.added, report.changed, report.removed, report.embedded) == (3, 0, 0, 3)
        assert [*contents(url)] == ["a", "b", "c"]
        assert {ident: part[-1] for ident, part in contents(url).items()} == {
            ident: part[-1] for ident, part in contents_of(catalog_folder("shop")).items()
        }

    def test_only_what_changed_is_embedded_and_rewritten(self, server, database, write, small):
        url = server.url(database, "shop")
        path = write("shop.yaml", SHOP)
        index(path, url)
        places = dict(server.execute("SELECT key, ctid::text FROM attnsearch_shop.keys", database=database))
        path.write_text(
            SHOP.replace("sea, price: 3", "sea, price: 4").replace("robot", "robots") + "- {id: d, title: new}\n"
        )
        report = index(path, url)
        assert (report.added, report.changed, report.removed, report.embedded) == (1, 2, 0, 2)
        after = dict(server.execute("SELECT key, ctid::text FROM attnsearch_shop.keys", database=database))
        assert after[0] == places[0]
        assert sorted(after) == [0, 3, 4, 5]
        assert contents(url)["b"][2] == '{"price":4}'

    def test_nul(self, server, database, write, small):
        path = write("nul.json", '[{"id": "x", "title": "a", "more": {"deep": ["b\\u0000"]}}]')
        with pytest.raises(InputError, match="the field 'more' of the item 'x' has a NUL"):
            index(path, server.url(database, "nul"))
