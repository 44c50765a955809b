"""docs/postgresql.md: its SQL runs, and its tables are those that there are."""

from __future__ import annotations

import re

from attnsearch.postgres import schema
from attnsearch.postgres.place import DatabasePlace
from tests.documents import ROOT, blocks
from tests.postgres.test_writer import index

DOCUMENT = ROOT / "docs" / "postgresql.md"


def test_sql_runs(server, database, write, small):
    path = write("books.yaml", "- {id: dune, title: moon sea, year: 1965}\n- {id: emma, title: robot}\n")
    index(path, server.url(database, "books"))
    answers = []
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'reader'"):
        server.execute("CREATE ROLE reader")
    try:
        for block in blocks(DOCUMENT, "sql"):
            for statement in block.split(";\n"):
                if re.sub(r"--.*", "", statement).strip():
                    path = "SET search_path TO attnsearch_books, public"
                    answers.append(server.execute(path, statement, database=database))
    finally:
        server.execute("DROP OWNED BY reader", database=database)
        server.execute("DROP ROLE reader")
    items, near, weights = [rows for rows in answers if rows]
    assert items == [("dune", "moon sea", "1965"), ("emma", "robot", None)]
    assert [ident for ident, _ in near] == [ident for ident, _ in weights] == ["dune", "emma"]
    assert abs(near[0][1] - 1) < 1e-6
    assert abs(sum(weight for _, weight in weights) - 1) < 1e-12


def test_tables_are_described():
    described = re.findall(r"^\| (`.*?`) \|", DOCUMENT.read_text(), re.MULTILINE)
    names = {name for cell in described for name in re.findall(r"`(\w+)`", cell)}
    assert set(schema.table_names()) <= names


def test_rights_that_are_named_are_enough(server, database, write, small):
    """A role with the rights for writing that the page names can write a catalog of another one."""
    path = write("books.yaml", "- {id: a, title: moon}\n")
    index(path, server.url(database, "books"))
    tables = "ALL TABLES IN SCHEMA attnsearch_books"
    server.execute(
        "GRANT USAGE ON SCHEMA attnsearch_books TO guest",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO guest",
        database=database,
    )
    path.write_text("- {id: a, title: sea}\n")
    url = server.guest_url(database, "books")
    assert index(path, url).changed == 1
    assert DatabasePlace(url).read_stored().info.items == 1
