"""The database: what is not one, or not ours, or of a newer form, is refused."""

from __future__ import annotations

import sqlite3

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing.writer import Writer
from attnsearch.storage.home import remove_catalog
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
