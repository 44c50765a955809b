"""A catalog of form 1 is brought to this form, with all that it says, or refused whole."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing import check
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from attnsearch.search.search import query
from attnsearch.storage import home
from tests.conftest import SmallEncoder, titles

FORM_1 = """
CREATE TABLE info (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, file TEXT NOT NULL UNIQUE,
                       sha256 TEXT NOT NULL);
CREATE TABLE items (item INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL,
                    fields TEXT NOT NULL, text_sha256 BLOB NOT NULL);
CREATE TABLE keys (key INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items);
CREATE INDEX keys_by_item ON keys (item);
CREATE TABLE tombstones (key INTEGER PRIMARY KEY);
PRAGMA user_version=1;
PRAGMA application_id=0x6174746E;
PRAGMA journal_mode=WAL;
"""
LONG = "sea " + "filler " * 200 + "robot"
ITEMS = [("a", "moon", "", {}), ("b", "tide", LONG, {"price": 3})]


@pytest.fixture
def folder(home, tmp_path, small):
    """Three rows: two items and a tombstone between them."""
    (tmp_path / "old.json").write_text(
        json.dumps([{"id": i, "title": t, "description": d, **fields} for i, t, d, fields in ITEMS])
    )
    folder = home / "old"
    (folder / "segments").mkdir(parents=True)
    texts = [f"{title}. {description}" if description else title for _, title, description, _ in ITEMS]
    x = SmallEncoder().encode([texts[0], "gone", texts[1]])
    file = f"{'0' * 31}1.npy"
    np.save(folder / "segments" / file, x)
    sha256 = hashlib.sha256((folder / "segments" / file).read_bytes()).hexdigest()
    info = {"name": "old", "description": "As it was.", "sources": [[str(tmp_path / "old.json"), "ab"]],
            "fields": ["id", "title", []], "model": "small", "sha256": "5" * 64, "stamp": "5" * 64, "d": 4,
            "temperature": 0.05, "precision": "float32", "quick": True, "items": 2, "keys": 2,
            "created": "2026-01-01T00:00:00+00:00", "updated": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
        db.executescript(FORM_1)
        db.executemany("INSERT INTO info VALUES (?, ?)", [(name, json.dumps(value)) for name, value in info.items()])
        db.execute("INSERT INTO segments VALUES (0, 3, ?, ?)", (file, sha256))
        for number, ((ident, title, description, fields), text) in enumerate(zip(ITEMS, texts, strict=True), 1):
            row = (number, ident, title, description, json.dumps(fields), hashlib.sha256(text.encode()).digest())
            db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", row)
        db.executemany("INSERT INTO keys VALUES (?, ?)", [(0, 1), (2, 2)])
        db.execute("INSERT INTO tombstones VALUES (1)")
    return folder


def test_a_query_brings_it_up(folder, caplog):
    assert titles("old") == {"moon", "tide"}
    assert "old was made by an older attnsearch; converting it to the present form" in caplog.text
    assert "index old again, so that its long texts are searched to their ends" in caplog.text
    caplog.clear()
    with Index.open("old") as opened:
        (first, second) = query(opened, "moon").hits
    assert (first.id, second.fields) == ("a", {"price": 3})
    assert opened.info.created == "2026-01-01T00:00:00+00:00"
    assert caplog.text == ""
    assert check.find_problems(folder) == []


def test_so_does_indexing_which_makes_passages_of_long_texts(folder, small, tmp_path):
    small.read.clear()
    report = update([str(tmp_path / "old.json")])
    assert (report.changed, report.embedded, report.info.keys) == (1, 3, 4)
    with Index.open("old") as opened:
        assert query(opened, "robot").hits[0].passage.endswith("robot")
    assert check.find_problems(folder) == []


def test_so_does_the_list(folder, run):
    ran = run("list")
    assert "old" in ran.out
    assert "problem" not in ran.out
    assert run("check", "old").out == "old: ok\n"


def test_a_damaged_segment_is_not_blessed(folder):
    (path,) = (folder / "segments").iterdir()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CatalogError, match=r"the segment 0+1\.npy is not what was written"):
        Index.open("old")
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM tombstones").fetchone() == (1,)


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_segment_is_opened_without_waiting_and_no_link_is_followed(folder, tmp_path, kind):
    (path,) = (folder / "segments").iterdir()
    path.rename(tmp_path / "away.npy")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "away.npy")
    with pytest.raises(CatalogError, match="is not what was written" if kind == "pipe" else "can't be written: "):
        Index.open("old")


def test_it_happens_whole_or_not_at_all(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("attnsearch.storage.migration.write_info", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Index.open("old")
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_form_that_never_was(folder):
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        db.execute("PRAGMA user_version=0")
    with pytest.raises(CatalogError, match="there is no form 0"):
        home.read_catalog_info(folder)
