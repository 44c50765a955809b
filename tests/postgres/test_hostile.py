"""A database whose owner is hostile: whoever asks, indexes or checks there runs nobody's code."""

from __future__ import annotations

import pytest

from attnsearch.errors import CatalogError
from attnsearch.postgres.check import find_problems
from attnsearch.postgres.place import DatabasePlace
from tests.conftest import SHOP_FILE
from tests.postgres.test_writer import index

# `evil` leaves a trace that no transaction of the victim takes back.
EVIL = """
CREATE SEQUENCE public.trace;
CREATE FUNCTION public.evil() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT nextval(''public.trace'')';
"""
# Functions whose parameters fit a call better than those of PostgreSQL, which take any type.
BETTER = [
    ("array_send(bigint[])", "bytea"),
    ("array_send(double precision[])", "bytea"),
    ("array_send(real[])", "bytea"),
    ("array_fill(real, integer[])", "real[]"),
    ("generate_series(integer, bigint)", "SETOF bigint"),
    ("unnest(bigint[])", "SETOF bigint"),
    ("set_config(text, text, boolean)", "text"),
    ("get_bit(bytea, bigint)", "integer"),
    ("format_type(oid, integer)", "text"),
    ("count(bigint)", "bigint"),
    ("exp(real)", "real"),
    ("strpos(text, text)", "integer"),
    ("pg_total_relation_size(oid)", "bigint"),
]
AGGREGATES = ["text", "bigint", "double precision", "real"]
VECTORS = """
CREATE FUNCTION {0}.product(public.vector, public.vector) RETURNS double precision LANGUAGE sql
    AS 'SELECT public.evil()::double precision';
CREATE OPERATOR {0}.<#> (LEFTARG = public.vector, RIGHTARG = public.vector, FUNCTION = {0}.product);
CREATE FUNCTION {0}.times(public.vector, public.vector) RETURNS public.vector LANGUAGE sql
    AS 'SELECT CASE WHEN public.evil() > 0 THEN $1 END';
"""


def functions(schema: str) -> str:
    """The statements that make them all."""
    statements = []
    for call, result in BETTER:
        kind = result.removeprefix("SETOF ")
        body = f"SELECT CASE WHEN public.evil() > 0 THEN NULL::{kind} END"
        statements.append(f"CREATE FUNCTION {schema}.{call} RETURNS {result} LANGUAGE sql AS '{body}'")
    for kind in AGGREGATES:
        statements.append(
            f"CREATE FUNCTION {schema}.step({kind}[], {kind}) RETURNS {kind}[] LANGUAGE sql"
            f" AS 'SELECT CASE WHEN public.evil() > 0 THEN NULL::{kind}[] END'"
        )
        statements.append(f"CREATE AGGREGATE {schema}.array_agg({kind}) (SFUNC = {schema}.step, STYPE = {kind}[])")
    return ";".join(statements)


@pytest.fixture
def path(write, small):
    return write("shop.yaml", SHOP_FILE)


@pytest.fixture
def ran(server, database):
    """Whether the code of someone else has run."""
    return lambda: server.execute("SELECT is_called FROM public.trace", database=database) == [(True,)]


def use(run, path, url):
    """Do all there is."""
    codes = [run(*argv).code for argv in (
        ["query", "moon", "-c", url, "--lexical", "-w", "title = moon"],
        ["query", "moon", "-c", url, "--vector", "--json"],
        ["explain", "moon", "a", "-c", url],
        ["check", url], ["info", url], ["show", "a", "-c", url],
    )]  # fmt: skip
    path.write_text(path.read_text().replace("sea", "the sea"))
    return [*codes, run("index", path, "--name", url).code]


def test_functions_of_the_same_name(server, database, path, run, ran):
    url = server.url(database, "shop")
    index(path, url)
    server.execute(EVIL, functions("public"), database=database)
    assert use(run, path, url) == [0] * 7
    assert not ran()


def test_search_path_of_the_database(server, database, path, run, ran):
    url = server.url(database, "shop")
    index(path, url)
    server.execute(
        EVIL, "CREATE SCHEMA other", functions("other"),
        f"ALTER DATABASE {database} SET search_path = other, pg_catalog, public",
        database=database,
    )  # fmt: skip
    assert use(run, path, url) == [0] * 7
    assert not ran()


@pytest.mark.parametrize(
    "statement",
    [
        functions("attnsearch_shop"),
        VECTORS.format("attnsearch_shop"),
        "CREATE DOMAIN attnsearch_shop.vector AS public.vector CHECK (public.evil() > 0)",
        "ALTER TABLE attnsearch_shop.items ADD CHECK (public.evil() > 0) NOT VALID",
        "ALTER TABLE attnsearch_shop.form ADD CHECK (public.evil() > 0) NOT VALID",
        'CREATE COLLATION attnsearch_shop.mine FROM "C"',
        "CREATE INDEX ON attnsearch_shop.items ((public.evil()))",
        "CREATE INDEX ON attnsearch_shop.items (id) WHERE public.evil() > 0",
        "CREATE TABLE public.more () INHERITS (attnsearch_shop.items)",
        "ALTER TABLE attnsearch_shop.items ALTER sum SET DEFAULT public.evil()",
        "ALTER TABLE attnsearch_shop.items DROP sum, ADD sum bigint NOT NULL GENERATED ALWAYS AS (item) STORED",
    ],
)
def test_more_than_tables(server, database, path, run, ran, statement):
    url = server.url(database, "shop")
    index(path, url)
    server.execute(EVIL, statement, "ALTER SEQUENCE public.trace RESTART", database=database)
    assert run("query", "moon", "-c", url).code == run("index", path, "--name", url).code == 3
    assert not ran()
    with pytest.raises(CatalogError, match="is not a catalog of attnsearch"):
        find_problems(url)
    with pytest.raises(CatalogError, match="is not a catalog of attnsearch"):
        DatabasePlace(url).remove(everything=True)


def test_indexes_of_the_owner(server, database, path, run):
    """They run nothing but what comes with PostgreSQL and pgvector."""
    url = server.url(database, "shop")
    index(path, url)
    server.execute(
        "CREATE INDEX ON attnsearch_shop.keys USING hnsw ((x::vector(4)) vector_cosine_ops)",
        "CREATE INDEX ON attnsearch_shop.items ((fields->>'year')) WHERE length(id) > 1",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA attnsearch_shop GRANT SELECT ON TABLES TO guest",
        database=database,
    )
    assert use(run, path, url) == [0] * 7
