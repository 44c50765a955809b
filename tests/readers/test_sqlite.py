from __future__ import annotations

import gzip
import hashlib
import io
import logging
import sqlite3
import sys
from contextlib import closing

import pytest

from attnsearch.errors import InputError
from attnsearch.readers import records, sqlite
from tests.readers.reading import read, refusal

BOOKS = """
    CREATE TABLE books (id INTEGER, title TEXT, price REAL, cover BLOB);
    INSERT INTO books VALUES (7, 'Kettle', 3.5, NULL), (8, '1984', NULL, x'ff00'), (9, '', 1e400 - 1e400, NULL);
"""


@pytest.fixture
def make(tmp_path):
    def write(script: str, name: str = "shop.db"):
        with closing(sqlite3.connect(tmp_path / name)) as db:
            db.executescript(script)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["shop.db", "shop.sqlite3", "shop", "shop.csv", "a?b#c%41 .db"])
def test_the_only_table_is_read_and_named(make, name, caplog):
    rows = read(make(BOOKS, name))
    assert rows == [{"id": 7, "title": "Kettle", "price": 3.5}, {"id": 8, "title": "1984"}, {"id": 9}]
    assert [row.line for row in rows] == [1, 2, 3]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.partition(f"{name}: ")[2] for line in warnings] == [
        "reading its only table, 'books'",
        "'cover' has bytes that are not text, which are left out",
    ]


def test_several_tables_are_named_with_their_sizes(make):
    path = make(BOOKS + "CREATE TABLE shops (a); INSERT INTO shops VALUES (1); CREATE TABLE empty (a);"
                "CREATE VIEW cheap AS SELECT * FROM books WHERE price < 5; CREATE VIEW broken AS SELECT * FROM nowhere;"
                "CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words VALUES ('moon');")  # fmt: skip
    sizes = "books (3 rows), cheap (1 row), shops (1 row), words (1 row)"
    assert refusal(path) == f"shop.db: has 4 tables: {sizes}; say which one: --table NAME"
    assert refusal(path, table="nothing") == f"shop.db: has no table 'nothing' with rows; it has {sizes}"
    assert read(path, table="shops") == [{"a": 1}]
    assert read(path, table="CHEAP") == [{"id": 7, "title": "Kettle", "price": 3.5}]
    assert read(path, table="words") == [{"text": "moon"}]
    assert read(path, sql="SELECT count(*) AS n FROM words WHERE words MATCH 'moon'") == [{"n": 1}]


@pytest.mark.parametrize("name", ['a "quoted" table', "order", "x; DROP TABLE y", "ä-1"])
def test_a_table_of_any_name(make, name):
    quoted = name.replace('"', '""')
    path = make(f'CREATE TABLE "{quoted}" (title); INSERT INTO "{quoted}" VALUES (\'moon\');')
    assert read(path) == read(path, table=name) == [{"title": "moon"}]


def test_a_query(make):
    path = make(BOOKS)
    assert read(path, sql="SELECT title, price * 2 AS double FROM books WHERE price") == [
        {"title": "Kettle", "double": 7}
    ]
    assert read(path, sql="WITH b AS (SELECT * FROM books) SELECT title, title FROM b LIMIT 1;") == [
        {"title": ["Kettle", "Kettle"]}
    ]
    assert read(path, sql="SELECT value FROM json_each('[1, 2]')") == [{"value": 1}, {"value": 2}]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM books", "INSERT INTO books DEFAULT VALUES", "UPDATE books SET id = 1", "DROP TABLE books",
        "CREATE TABLE x (a)", "CREATE TEMP TABLE x (a)", "ATTACH 'x.db' AS x", "VACUUM", "VACUUM INTO 'x.db'",
        "PRAGMA query_only = OFF", "PRAGMA database_list", "PRAGMA journal_mode = WAL",
        "BEGIN", "SELECT load_extension('x')",
        "UPDATE sqlite_master SET sql = ''", "SELECT 1; SELECT 2", "SELECT 1; DELETE FROM books", "nonsense", "",
        "SELECT * FROM nowhere", "SELECT hex(zeroblob(100000000))", "SELECT writefile('x', 'y')", "SELECT 1e999 AS x",
        "SELECT ?", "SELECT '\0'",
    ],
)  # fmt: skip
def test_nothing_but_a_select_is_run(make, query):
    path = make(BOOKS)
    before = path.read_bytes()
    assert refusal(path, sql=query).startswith("shop.db:")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["shop.db"]


def test_a_query_without_end(make, monkeypatch):
    path = make(BOOKS)
    endless = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT {} FROM c"
    monkeypatch.setattr(sqlite, "STEPS", 3_000_000)
    assert refusal(path, sql=endless.format("count(*)")) == "shop.db: the query goes on without a row; simplify it"
    slow = (
        "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000 + value) SELECT max(x) FROM c"
    )
    slow = f"SELECT ({slow}) AS n FROM json_each('{list(range(50))}')"
    assert [row["n"] for row in read(path, sql=slow)] == [20_000 + number for number in range(50)]
    monkeypatch.setattr(sqlite, "ROWS", 1000)
    assert refusal(path, sql=endless.format("x")) == "shop.db: more than 1,000 rows; add a LIMIT to the query"


def test_a_view_without_end(make, monkeypatch):
    """It is not left out in silence, nor does it keep anybody from reading another table."""
    endless = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 0"
    path = make(f"{BOOKS} CREATE VIEW slow AS {endless};")
    monkeypatch.setattr(sqlite, "STEPS", 3_000_000)
    monkeypatch.setattr(sqlite, "COUNTING", 2_000_000)
    assert "slow (rows not counted: it takes too long)" in refusal(path)
    assert refusal(path, table="slow") == "shop.db: the query goes on without a row; simplify it"
    monkeypatch.setattr(sqlite, "COUNTING", 10**12)
    assert read(path, table="books")


@pytest.mark.parametrize("script", ["", "CREATE TABLE a (b);", "CREATE TABLE a (b); CREATE TABLE c (d);"])
def test_no_rows(make, script):
    path = make(f"PRAGMA user_version = 1; {script}")
    assert refusal(path) == "shop.db: has no table with rows; a catalog needs at least one item"


@pytest.mark.parametrize("option", ["delimiter", "encoding", "items", "form"])
def test_an_option_that_does_not_apply(make, option):
    value = {"encoding": "cp1252", "form": "csv", "delimiter": ";"}.get(option, "x")
    assert "is an SQLite database, where --" in refusal(make(BOOKS), **{option: value})
    assert refusal(make(BOOKS, "y.db"), table="books", sql="x").startswith("--table and --sql exclude each other")


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:5000], lambda raw: raw[:30], lambda raw: raw[:100] + b"\xff" * 9000]
)
def test_a_damaged_database(make, damage):
    path = make(BOOKS)
    path.write_bytes(damage(path.read_bytes()))
    assert refusal(path).startswith("shop.db: ")


def test_a_text_that_is_not_utf_8(make):
    path = make("CREATE TABLE a (b); INSERT INTO a VALUES (CAST(x'ff' AS TEXT));")
    assert refusal(path).startswith("shop.db: SQLite: Could not decode to UTF-8")


@pytest.mark.parametrize("name", [b"title", b"books", b"CREATE"])
def test_a_schema_that_is_not_utf_8(make, name):
    path = make(BOOKS)
    path.write_bytes(path.read_bytes().replace(name, name[:-1] + b"\xe9"))
    assert refusal(path).startswith("shop.db: ")


def test_only_a_file_can_be_read(make, monkeypatch):
    path = make(BOOKS)
    packed = path.with_name("shop.db.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert refusal(packed) == "shop.db.gz: is an SQLite database; name it as a file, not compressed"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    with pytest.raises(InputError, match="standard input: is an SQLite database; name it as a file"):
        records.read_records("-")


def test_the_hash_is_the_files_own_unless_changes_may_lie_beside_it(make):
    """A log of changes is read, but later ones would not show in the file."""

    def observed(path) -> str:
        digest = hashlib.sha256()
        list(records.read_records(str(path), observe=digest.update).items)
        return digest.hexdigest()

    path, logged = make(BOOKS), make("PRAGMA journal_mode = WAL;" + BOOKS, "logged.db")
    assert observed(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert observed(logged) != hashlib.sha256(logged.read_bytes()).hexdigest()
    with closing(sqlite3.connect(logged)) as db:
        db.execute("INSERT INTO books VALUES (10, 'Lamp', 1, NULL)")
        db.commit()
        assert read(logged)[-1]["title"] == "Lamp"
