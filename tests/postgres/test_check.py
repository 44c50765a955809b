"""Whatever is changed in the tables, `check` says so."""

from __future__ import annotations

from contextlib import closing

import pytest

from attnsearch.errors import CatalogError
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.check import check_snapshot, find_problems
from attnsearch.postgres.connection import connect
from tests.postgres.test_writer import index

ITEMS = """
- {id: a, title: moon, price: 3, tags: [x, y]}
- {id: b, title: sea moon, price: 5}
- {id: c, title: robot, price: 7}
"""
OTHERS = "(SELECT array_agg(x ORDER BY key DESC) FROM keys)"

# What is changed, and a part of what is said of it.
DAMAGE = {
    "UPDATE info SET value = '\"other\"' WHERE name = 'name'": "the table info is not what was written",
    "DELETE FROM info WHERE name = 'sum'": "sum",
    "UPDATE segments SET rows = 4": "the list of segments is not what was written",
    "DELETE FROM segments": "the list of segments is not what was written",
    "UPDATE items SET title = 'mood' WHERE id = 'a'": "the item 1 is not what was written",
    "UPDATE items SET fields = '{}' WHERE id = 'a'": "the item 1 is not what was written",
    "DELETE FROM items WHERE id = 'b'": "the key 1 has no item",
    "DELETE FROM keys WHERE key = 1": "its keys are not the living rows of its segments",
    "UPDATE keys SET item = 3 WHERE key = 1": "the key 1 is not what was written",
    f"UPDATE keys SET x = {OTHERS}[1] WHERE key = 0": "the vector of the key 0 is not what was written",
    "UPDATE keys SET x = '[1,2]' WHERE key = 0": "the vector of the key 0 is not what was written",
    "UPDATE fields SET items = 9 WHERE name = 'price'": "the field 'price' is not what was written",
    "DELETE FROM fields WHERE name = 'price'": "the field 'price' is not what the items hold",
    "DELETE FROM texts": "the postings are not those of its segments and fields",
    "DELETE FROM about WHERE name = 'price'": "the postings are not those of its segments and fields",
    "DELETE FROM terms WHERE term = 'sea'": "the terms of the keys from 0 on are not those of the items",
    "INSERT INTO terms SELECT segment, 'more', rows, counts FROM terms LIMIT 1": "the terms of the keys",
    "INSERT INTO terms SELECT segment, term, rows, counts FROM terms LIMIT 1": "is there twice",
    "INSERT INTO terms VALUES (7, 'x', '', '')": "1 rows of postings belong to nothing",
    "UPDATE terms SET counts = '\\x02' WHERE term = 'sea'": "the terms of the keys",
    "UPDATE terms SET rows = '\\x0900' WHERE term = 'sea'": "a list of rows names one that is not there",
    "UPDATE texts SET lengths = set_byte(lengths, 0, 9)": "the terms of the keys",
    "UPDATE texts SET lengths = ''": "the lengths of texts are not those of the segment",
    "DELETE FROM facets WHERE value = '5'": "the values of the field 'price'",
    "UPDATE facets SET rows = '\\x0000' WHERE value = '5'": "the values of the field 'price'",
    "UPDATE facets SET number = NULL WHERE value = '5'": "the values of the field 'price'",
    "UPDATE facets SET folded = 'z' WHERE value = 'x'": "the values of the field 'tags'",
    "DELETE FROM forms": "the values of the field",
    "INSERT INTO facets SELECT 99, value, folded, number, begin, rows FROM facets LIMIT 1": "belong to nothing",
    "DELETE FROM form": "the table form does not have one row",
}


@pytest.fixture(scope="module")
def addresses(server):
    """The address of the catalog of all tests, once there is one: each test undoes its damage."""
    database = server.database()
    yield {"new": server.url(database, "shop")}
    server.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def url(addresses, write, small):
    if new := addresses.pop("new", None):
        index(write("shop.yaml", ITEMS), new)
        addresses["url"] = new
    return addresses["url"]


def test_whole(url):
    assert find_problems(url) == []


@pytest.mark.parametrize("statement", DAMAGE)
def test_damage(url, statement):
    from psycopg import Rollback

    address = parse_address(url)
    with closing(connect(address)) as connection, connection.transaction():
        connection.execute(statement)
        try:
            problems = "\n".join(check_snapshot(connection, address))
        except CatalogError as error:
            problems = str(error)
        raise Rollback
    assert DAMAGE[statement] in problems
