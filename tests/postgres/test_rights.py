"""What a role may not do, what a database can't do, and what is no catalog: one sentence, and nothing half done."""

from __future__ import annotations

import json

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.postgres import rows, schema
from attnsearch.postgres.check import find_problems
from attnsearch.postgres.place import DatabasePlace
from attnsearch.storage.failures import MissingError
from tests.conftest import SHOP
from tests.postgres.test_writer import contents, index


@pytest.fixture
def path(write, small):
    return write("shop.yaml", SHOP)


def refused(path, url) -> str:
    """What is said when the file can't be indexed, before anything was embedded."""
    with pytest.raises(CatalogError) as error:
        index(path, url)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestRights:
    def test_password(self, server, database, path):
        message = refused(path, server.guest_url(database, "shop", password="wrong-secret"))
        assert "can't connect" in message
        assert "PGPASSWORD" in message
        assert "wrong-secret" not in message

    def test_role_without_rights(self, server, database, path, small):
        url = server.guest_url(database, "shop")
        assert "may not create it" in refused(path, url)
        server.execute("CREATE EXTENSION vector", database=database)
        assert "the role lacks a right: permission denied for database" in refused(path, url)
        server.execute(f"GRANT CREATE ON DATABASE {database} TO guest")
        assert index(path, url).added == 3
        assert find_problems(url) == []
        assert small.read == ["moon", "sea 3", "robot"] or len(small.read) == 3

    def test_role_that_may_only_read(self, server, database, path):
        index(path, server.url(database, "shop"))
        url = server.guest_url(database, "shop")
        assert "the role lacks a right: permission denied for schema attnsearch_shop" in refused(path, url)
        server.execute(
            "GRANT USAGE ON SCHEMA attnsearch_shop TO guest",
            "GRANT SELECT ON ALL TABLES IN SCHEMA attnsearch_shop TO guest",
            database=database,
        )
        assert "the role lacks a right: permission denied for table form" in refused(path, url)
        assert find_problems(url) == []

    def test_database_that_is_not_there(self, server, path):
        message = refused(path, server.url("nowhere", "shop"))
        assert 'database "nowhere" does not exist; name one that is there, or let createdb make it' in message

    def test_server_that_is_not_there(self, path):
        message = refused(path, "postgresql://me:secret@127.0.0.1:1/lib/shop")
        assert "can't connect" in message
        assert "see that the server runs" in message

    def test_database_in_another_encoding(self, server, path):
        server.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
        try:
            assert "has the encoding LATIN1; use one with UTF8" in refused(path, server.url("latin", "shop"))
        finally:
            server.execute("DROP DATABASE latin WITH (FORCE)")

    def test_database_that_is_read_only(self, server, database, path):
        server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        assert "read-only transaction" in refused(path, server.url(database, "shop"))


class TestHabits:
    @pytest.mark.parametrize("setting", ["standard_conforming_strings", "synchronous_commit"])
    def test_database_with_other_habits(self, server, database, path, setting, monkeypatch):
        """Without the first, libpq escapes bytes in another way; without the second, a commit may be lost."""
        server.execute(f"ALTER DATABASE {database} SET {setting} = off")
        url, settings = server.url(database, "shop"), []
        write_info = rows.write_info

        def note(connection, info):
            settings.append(connection.execute(f"SHOW {setting}").fetchone())
            write_info(connection, info)

        monkeypatch.setattr(rows, "write_info", note)
        index(path, url)
        assert settings == [("on",)]
        assert find_problems(url) == []


class TestDamaged:
    def test_keys_without_info(self, server, database, path):
        """As if the catalog had been removed, but for them."""
        url = server.url(database, "shop")
        index(path, url)
        server.execute("DELETE FROM attnsearch_shop.info", database=database)
        assert "the catalog is damaged: duplicate key value" in refused(path, url)


class TestLost:
    def test_connection_while_rights_are_proved(self, server, database, path, run, monkeypatch):
        """After the attempt, which is taken back."""
        url = server.url(database, "shop")
        index(path, url)
        hold = schema.hold_tables

        def lose(connection, address):
            hold(connection, address)
            names = schema.table_names()

            def last_names():
                yield from names
                server.execute(f"SELECT pg_terminate_backend({connection.info.backend_pid})")

            monkeypatch.setattr(schema, "table_names", last_names)

        monkeypatch.setattr(schema, "hold_tables", lose)
        ran = run("index", path, "--name", url)
        assert ran.code == 3
        assert "the connection" in ran.err
        assert ran.err.count("\n") == 1


class TestForeign:
    @pytest.mark.parametrize(
        ("statement", "what"),
        [
            ("CREATE SCHEMA attnsearch_shop", "it has no tables"),
            ("CREATE SCHEMA attnsearch_shop CREATE TABLE mine (x int)", "it has other tables"),
            (
                "CREATE SCHEMA attnsearch_shop CREATE TABLE form (number integer)",
                "the table form does not have one row",
            ),
        ],
    )
    def test_schema_of_that_name(self, server, database, path, statement, what):
        server.execute(statement, database=database)
        url = server.url(database, "shop")
        assert what in refused(path, url)
        with pytest.raises(CatalogError):
            find_problems(url)

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE VIEW attnsearch_shop.more AS SELECT 1",
            "CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''run''; END'; "
            "CREATE TRIGGER evil BEFORE INSERT ON attnsearch_shop.items FOR EACH ROW EXECUTE FUNCTION public.evil()",
            "CREATE RULE evil AS ON INSERT TO attnsearch_shop.items DO INSTEAD NOTHING",
            "ALTER TABLE attnsearch_shop.items ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE attnsearch_shop.items ADD more int",
            "ALTER TABLE attnsearch_shop.items ALTER id TYPE varchar",
            "DROP TABLE attnsearch_shop.items; CREATE VIEW attnsearch_shop.items AS SELECT 1",
        ],
    )
    def test_more_than_plain_tables(self, server, database, path, statement):
        url = server.url(database, "shop")
        index(path, url)
        server.execute(statement, database=database)
        assert "is not a catalog of attnsearch" in refused(path, url)
        with pytest.raises(CatalogError, match="is not a catalog of attnsearch"):
            find_problems(url)

    def test_newer_form(self, server, database, path):
        url = server.url(database, "shop")
        index(path, url)
        server.execute("UPDATE attnsearch_shop.form SET number = 2", database=database)
        assert "was made by a newer attnsearch (form 2, not 1)" in refused(path, url)
        with pytest.raises(CatalogError, match="newer attnsearch"):  # which may have taught it more than we know
            DatabasePlace(url).remove(everything=False)
        DatabasePlace(url).remove(everything=True)
        assert index(path, url).added == 3

    def test_functions_of_the_same_name_are_not_called(self, server, database, path):
        server.execute(
            "CREATE FUNCTION public.count(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint'",
            "CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''evil'''",
            database=database,
        )
        url = server.url(database, "shop")
        index(path, url)
        assert find_problems(url) == []


class TestRemove:
    def test_removed(self, server, database, path):
        url = server.url(database, "shop")
        index(path, url)
        assert DatabasePlace(url).remove(everything=False) == []
        assert server.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'attnsearch_shop'", database=database) == []
        with pytest.raises(MissingError):
            DatabasePlace(url).remove(everything=False)

    def test_what_it_was_taught_stays(self, server, database, path):
        url = server.url(database, "shop")
        index(path, url)
        server.execute("INSERT INTO attnsearch_shop.learned VALUES ('x')", database=database)
        assert DatabasePlace(url).remove(everything=False) == ["learned"]
        with pytest.raises(MissingError):
            find_problems(url)
        assert index(path, url).added == 3
        assert server.execute("SELECT content FROM attnsearch_shop.learned", database=database) == [(b"x",)]
        assert DatabasePlace(url).remove(everything=True) == []
        assert DatabasePlace(url).read_stored() is None

    def test_others_use_its_tables(self, server, database, path):
        url = server.url(database, "shop")
        index(path, url)
        server.execute("CREATE VIEW mine AS SELECT id FROM attnsearch_shop.items", database=database)
        with pytest.raises(CatalogError, match=r"others use its tables: view public\.mine"):
            DatabasePlace(url).remove(everything=False)
        assert find_problems(url) == []

    def test_foreign_schema_stays(self, server, database):
        server.execute("CREATE SCHEMA attnsearch_shop CREATE TABLE mine (x int)", database=database)
        with pytest.raises(CatalogError, match="is not a catalog"):
            DatabasePlace(server.url(database, "shop")).remove(everything=True)


class TestHostile:
    def test_texts(self, server, database, write, small):
        url = server.url(database, "Ünï co d-e.1")
        ids = ["a'); DROP TABLE items; --", '"; \\', "\u202e\u0301", "x" * 8_000, "ß" * 4_000, "\\Nx", "NULLx", "%s {}"]
        path = write("items.json", json.dumps([{"id": ident, "title": ident, ident: ident} for ident in ids]))
        assert index(path, url).added == len(ids)
        assert set(contents(url)) == set(ids)
        assert find_problems(url) == []
        assert index(path, url).changed == 0

    def test_too_wide(self, server, database, path, monkeypatch):
        monkeypatch.setattr(schema, "WIDEST", 3)
        assert "pgvector takes vectors of 3 dims, and the model's have 4" in refused(path, server.url(database, "shop"))

    def test_heads_stay(self, server, database, write, two):
        url, path = server.url(database, "shop"), write("shop.yaml", SHOP)
        index(path, url, heads=["vowels"])
        assert find_problems(url) == []
        with pytest.raises(InputError, match="heads of a catalog in a database can't change"):
            index(path, url, heads=["none"])
