"""The database: what is not one, or not ours, or of a newer form, is refused."""

from __future__ import annotations

import json
import sqlite3

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing.writer import Writer
from attnsearch.models.record import Head
from attnsearch.storage import checksum
from attnsearch.storage.database import FORM, write_info
from attnsearch.storage.store import Store
from attnsearch.upkeep.removal import remove_catalog
from tests.storage.examples import contents, put


@pytest.fixture
def folder(home):
    return home / "shop"


def refused(folder, match):
    with pytest.raises(CatalogError, match=match) as caught:
        contents(folder)
    assert caught.value.code == 3
    assert caught.value.hint


def test_no_database(folder):
    put(folder, [1, 2, 3])
    (folder / "index.sqlite").write_bytes(b"not a database, but long enough to look at" * 100)
    refused(folder, "is damaged: file is not a database")
    with pytest.raises(CatalogError, match="is damaged"):
        Writer(folder)
    remove_catalog(folder)
    assert not folder.exists()


def test_somebody_elses_database(folder):
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "index.sqlite") as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    refused(folder, "was not made by attnsearch")


def test_a_newer_form(folder):
    put(folder, [1, 2, 3])
    with sqlite3.connect(folder / "index.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    refused(folder, "was made by a newer attnsearch")


class TestForged:
    """The checksums are right; what they cover is not what attnsearch writes."""

    def forge(self, folder, **values):
        with sqlite3.connect(folder / "index.sqlite") as db:
            info = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM info")}
            del info["sum"]
            write_info(db, {**info, **values})
        db.close()

    @pytest.mark.parametrize(
        "values",
        [
            {"d": "3"},
            {"d": 0},
            {"model": ""},
            {"d": 1 << 40},
            {"d": True},
            {"items": "1"},
            {"items": -1},
            {"keys": 1.5},
            {"name": 1},
            {"model": 7},
            {"model": None},
            {"sha256": []},
            {"commit": {}},
            {"temperature": "0.05"},
            {"temperature": float("nan")},
            {"temperature": 0},
            {"lexical": float("inf")},
            {"lexical": "x"},
            {"precision": "float8"},
            {"precision": ["float32"]},
            {"quick": 1},
            {"fields": [1, "title", []]},
            {"fields": ["id", "title", [2]]},
            {"fields": "abc"},
            {"fields": ["id", "title", "text"]},
            {"fields": 5},
            {"sources": [[1, None]]},
            {"sources": [["x", 2]]},
            {"sources": 3},
            {"surplus": 1},
            {"heads": 3},
            {"heads": [["b", "6" * 64, "6" * 64, "", 1]]},
            {"heads": [["b", "6" * 64, "6" * 64, "", 99, 0.5]]},
        ],
        ids=str,
    )
    def test_values_of_info(self, folder, values):
        put(folder, [1, 2, 3])
        self.forge(folder, **values)
        refused(folder, "is damaged: ")

    @pytest.mark.parametrize(
        ("values", "whole"),
        [({}, True), ({"identity": ""}, False), ({"model": "b"}, False), ({"heads": [["b"]]}, False)],
        ids=str,
    )
    def test_values_of_info_with_heads(self, folder, values, whole):
        put(folder, [1, 2, 3])
        self.forge(folder, **{"identity": "5" * 64, "heads": [["b", "6" * 64, "6" * 64, "", 1, 0.5]], **values})
        if whole:
            with Store(folder) as store:
                assert store.info.heads == (Head("b", "6" * 64, "6" * 64, "", 1, 0.5),)
        else:
            refused(folder, "is damaged: ")

    @pytest.mark.parametrize(
        "change", ["first = 5000000000", "first = -1", "rows = 0", "rows = 1.5", "file = x'07'", "sums = 'x'"]
    )  # fmt: skip
    def test_the_list_of_segments(self, folder, change):
        put(folder, [1, 2, 3])
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute(f"UPDATE segments SET {change}")
            rows = db.execute("SELECT first, rows, file, sums, dead, joined FROM segments ORDER BY first").fetchall()
            listing = checksum.row_checksum(*(cell for row in rows for cell in row))
        db.close()
        self.forge(folder, listing=listing)
        refused(folder, "is damaged: the list of segments")

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE VIEW v AS SELECT 1",
            "CREATE TRIGGER t AFTER INSERT ON keys BEGIN DELETE FROM items; END",
            "CREATE TABLE more (x)",
            "CREATE INDEX more ON items (title)",
            "ALTER TABLE items ADD COLUMN more AS (length(title))",
        ],
    )
    @pytest.mark.parametrize("form", [1, FORM])
    def test_the_schema(self, folder, statement, form):
        put(folder, [1, 2, 3])
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute(statement)
            if form == 1 and not {"VIEW", "TRIGGER"} & set(statement.split()):
                return  # what form 1 has, `migration` says
            db.execute(f"PRAGMA user_version={form}")
        db.close()
        refused(folder, "is damaged: index.sqlite has other tables than attnsearch creates")

    def test_a_view_that_runs_for_ever_in_the_place_of_info(self, folder):
        put(folder, [1, 2, 3])
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute("DROP TABLE info")
            endless = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n, n FROM r"
            db.execute(f"CREATE VIEW info (name, value) AS {endless}")
        db.close()
        refused(folder, "has other tables")
