"""A catalog of an older form is brought to this form, with all that it says, or refused whole."""

from __future__ import annotations

import functools
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
from attnsearch.indexing.writer import Writer
from attnsearch.opening.index import Index
from attnsearch.sources.fields import Fields
from attnsearch.storage import home, lock, migration, seal
from attnsearch.storage.database import FORM, write_info
from attnsearch.storage.store import Store
from tests.asking import query
from tests.conftest import SmallEncoder, titles
from tests.indexing.damage import change, select

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


def test_the_number_of_the_form_is_in_the_same_transaction(folder, monkeypatch):
    """Else a kill in between would leave the new tables under the old number."""
    forms = []

    class Watched(sqlite3.Connection):
        def execute(self, statement, *parameters):
            cursor = super().execute(statement, *parameters)
            if statement == "COMMIT":
                forms.extend(select(folder, "PRAGMA user_version"))
            return cursor

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Watched))
        migration.migrate(folder)
    assert forms == [(FORM,)]


def test_a_head_for_a_catalog_of_an_older_form(folder, two, tmp_path):
    report = update([str(tmp_path / "old.json")], name="old", heads=["vowels"])
    assert (report.info.heads[0].model, report.info.items) == ("vowels", 2)
    update([str(tmp_path / "old.json")], name="new", heads=["vowels"])
    with Store(folder) as old, Store(folder.with_name("new")) as new:
        assert old.embeddings(old.living()) == pytest.approx(new.embeddings(new.living()), abs=1e-6)


def test_the_lock_is_held_before_and_after(folder):
    with closing(lock.acquire(folder)) as db:
        migration.migrate_locked(db, folder)
        assert db.in_transaction
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            lock.acquire(folder, wait=0)


def test_a_writer_converts_what_it_opens(folder):
    with Writer(folder) as writer:
        assert (writer.info.items, writer.info.created) == (2, "2026-01-01T00:00:00+00:00")
    assert check.find_problems(folder) == []


def test_the_second_of_two_finds_nothing_to_do(folder, caplog):
    migration.migrate(folder)
    before = home.read_catalog_info(folder)
    caplog.clear()
    migration.migrate(folder)
    assert caplog.text == ""
    assert home.read_catalog_info(folder) == before


def test_a_text_becomes_one_passage_from_its_beginning_to_its_end(folder):
    migration.migrate(folder)
    assert select(folder, "SELECT start, stop FROM keys ORDER BY key") == [(0, len("moon")), (0, len(f"tide. {LONG}"))]


def test_a_tombstone_of_the_first_row(folder):
    change(folder, "UPDATE info SET value = 1 WHERE name IN ('items', 'keys')")
    change(folder, "INSERT INTO tombstones VALUES (0)")
    change(folder, "DELETE FROM keys WHERE key = 0")
    change(folder, "DELETE FROM items WHERE id = 'a'")
    assert titles("old") == {"tide"}
    assert check.find_problems(folder) == []


@pytest.mark.parametrize(("length", "is_whole"), [(254, True), (255, False)])
def test_which_texts_may_have_been_cut(folder, length, is_whole):
    """The hash of such a text is dropped, so that the next run embeds it as passages."""
    change(folder, f"UPDATE items SET title = '{'x' * length}' WHERE id = 'a'")
    migration.migrate(folder)
    assert select(folder, "SELECT length(text_sha256) > 0 FROM items WHERE id = 'a'") == [(is_whole,)]


def test_a_form_that_never_was(folder):
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        db.execute("PRAGMA user_version=0")
    with pytest.raises(CatalogError, match="there is no form 0"):
        home.read_catalog_info(folder)


class TestDamage:
    """What can be saved of a damaged catalog of form 1 is saved. Its rows have no checksums: all is embedded again."""

    @pytest.fixture(params=["segment", "segment is gone", "row", "column", "info of the segments"])
    def damaged(self, request, folder):
        (path,) = (folder / "segments").iterdir()
        with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
            match request.param:
                case "segment":
                    path.write_bytes(path.read_bytes()[:-1] + b"x")
                case "segment is gone":
                    path.unlink()
                case "row":
                    db.execute("UPDATE items SET fields = '{\"price' WHERE id = 'b'")
                case "column":
                    db.execute("ALTER TABLE keys RENAME COLUMN item TO thing")
                case "info of the segments":
                    db.execute("UPDATE segments SET rows = 'x'")
        return folder

    def test_every_command_says_what_to_do(self, damaged, run, tmp_path):
        for argv in (
            ["query", "moon", "-c", "old"],
            ["info", "old"],
            ["index", tmp_path / "old.json"],
            ["check", "old"],
        ):
            ran = run(*argv)
            assert ran.code == 3, argv
            assert "run 'attnsearch check old --repair'" in ran.err, argv

    @pytest.mark.parametrize("has_source", [True, False])
    def test_a_repair_saves_it(self, damaged, run, tmp_path, has_source):
        if not has_source:
            (tmp_path / "old.json").unlink()
        with closing(sqlite3.connect(damaged / "index.sqlite")) as db:
            row_is_damaged = not db.execute("SELECT json_valid(fields) FROM items WHERE id = 'b'").fetchone()[0]
        ran = run("check", "old", "--repair")
        lost = row_is_damaged and not has_source
        assert ran.code == (3 if lost else 0)
        assert ("old: lost: b\n" in ran.out) == lost
        assert titles("old") == ({"moon"} if lost else {"moon", "tide"})
        assert run("check", "old").out == "old: ok\n"
        with Index.open("old") as opened:
            assert opened.info.created == "2026-01-01T00:00:00+00:00"
            if not lost:
                assert query(opened, "robot").hits[0].passage.endswith("robot")

    def test_a_text_without_its_hash_comes_from_the_source_else_it_stays(self, folder, run, tmp_path):
        (path,) = (folder / "segments").iterdir()
        path.unlink()
        with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
            db.execute("UPDATE items SET title = 'noon' WHERE id = 'a'")
            db.execute("UPDATE items SET title = 'time' WHERE id = 'b'")
        (tmp_path / "old.json").write_text('[{"id": "a", "title": "moon"}, {"id": "c", "title": "sea"}]')
        assert run("check", "old", "--repair").code == 0
        assert titles("old") == {"moon", "time"}

    def test_without_a_record_it_is_no_dead_end(self, folder, run):
        with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
            db.execute("DELETE FROM info WHERE name = 'model'")
        ran = run("check", "old", "--repair")
        assert ran.code == 3
        assert "'attnsearch remove old', then index it again" in ran.err


def test_so_does_info(folder, run):
    ran = run("info", "old")
    assert ran.code == 0
    assert "As it was." in ran.out


def make_form_2(folder, fields):
    """Turn a catalog into what an attnsearch of form 2 wrote, sealed as it was; `fields` as they were in its info."""
    with closing(sqlite3.connect(folder / "index.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN")
        info = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM info")}
        for name in ("given", "reading", "is_exact", "sum"):
            del info[name]
        write_info(db, {**info, "fields": fields})
        db.execute("DROP TABLE fields")
        db.execute("PRAGMA user_version=2")
        db.execute("COMMIT")
        seal.write_seal(db, folder, info["commit"])


def make_form(folder, form):
    """Turn a catalog into what an attnsearch of form 3, 4 or 5 wrote, sealed as it was; its info."""
    with Store(folder) as store:
        info = store.info
    with closing(sqlite3.connect(folder / "index.sqlite", isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version={form}")
        seal.write_seal(db, folder, info.commit)
    return info


class TestForm2:
    """Form 2 knows neither its fields nor which of them a user named."""

    SHOP = "- {id: a, title: moon, price: 3}\n- {id: b, title: sea, price: 9, x: {y: [u, v]}}\n"

    @pytest.fixture
    def index(self, write, small, home):
        """Index a file as form 2 did; its path, and what the present form knows of its fields."""

        def index(content=self.SHOP, fields=("id", "title", ()), given=Fields(text=("title",))):  # noqa: B008
            path = write("shop.yaml", content)
            update([str(path)], fields=given)
            with Store(home / "shop") as store:
                known = store.fields()
            make_form_2(home / "shop", fields)
            return path, known

        return index

    def test_it_knows_its_fields(self, index, home, small):
        path, known = index()
        assert titles("shop") == {"moon", "sea"}
        with Store(home / "shop") as store:
            assert store.fields() == known
            assert {field.name for field in known} == {"id", "title", "price", "x.y"}
            assert store.info.fields == Fields(("id",), "title", ("title", "description", "tags"))
            assert (store.info.given, store.info.is_exact) == (Fields(), False)
        assert check.find_problems(home / "shop") == []
        small.read.clear()
        report = update([str(path)])
        assert (report.added, report.changed, report.removed, small.read) == (0, 0, 0, [])
        assert (report.info.is_exact, report.read.text) == (True, ("title",))

    def test_what_a_user_named_stays_named(self, index):
        given = Fields(("price",), "id", ("title",))
        index(fields=["price", "id", ["title"]], given=given)
        info = home.read_catalog_info(home.catalog_folder("shop"))
        assert (info.given, info.fields) == (given, given)

    def test_ids_made_of_titles_stay_so(self, index):
        """Though the file has a field that would be taken for the id today."""
        path, _ = index("- {title: A moon, url: x}\n- {title: sea!, url: y}\n")
        with Index.open("shop") as opened:
            assert {hit.id for hit in query(opened, "moon").hits} == {"a-moon", "sea"}
        path.write_text("- {title: A moon, url: x}\n- {title: sea!, url: y}\n- {title: new, url: z}\n")
        report = update([str(path)])
        assert (report.added, report.changed, report.removed, report.read.id) == (1, 0, 0, ())

    @pytest.mark.parametrize(
        "damage", ["UPDATE items SET fields = '{'", "UPDATE info SET value = '7' WHERE name = 'd'"]
    )
    def test_a_damaged_one_stays_as_it_is(self, index, home, damage):
        index()
        with closing(sqlite3.connect(home / "shop" / "index.sqlite")) as db, db:
            db.execute(damage)
        with pytest.raises(CatalogError, match="run 'attnsearch check shop --repair'"):
            Index.open("shop")
        with closing(sqlite3.connect(home / "shop" / "index.sqlite")) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (2,)
            assert not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'fields'").fetchone()

    def test_a_damaged_one_is_repaired(self, index, home, run):
        index()
        with closing(sqlite3.connect(home / "shop" / "index.sqlite")) as db, db:
            db.execute("UPDATE items SET fields = '{' WHERE id = 'a'")
        assert run("check", "shop", "--repair").code == 0
        assert titles("shop") == {"moon", "sea"}
        assert run("check", "shop").out == "shop: ok\n"


class TestForms3To5:
    """Their tables are those of form 6, but a row stood for whatever its item was."""

    @pytest.mark.parametrize("form", [3, 4, 5])
    def test_a_query_brings_it_up(self, write, small, home, form):
        update([str(write("shop.yaml", TestForm2.SHOP))])
        folder = home / "shop"
        before = make_form(folder, form)
        assert titles("shop") == {"moon", "sea"}
        with Store(folder) as store:
            after = store.info
            assert store.info.commit != before.commit
        assert after._replace(commit="") == before._replace(commit="")
        assert select(folder, "PRAGMA user_version") == [(FORM,)]
        assert check.find_problems(folder) == []

    def test_a_damaged_info_is_not_blessed(self, write, small, home):
        update([str(write("shop.yaml", TestForm2.SHOP))])
        make_form(home / "shop", 5)
        change(home / "shop", "UPDATE info SET value = '0.5' WHERE name = 'lexical'")
        with pytest.raises(CatalogError, match="the table info is not what was written"):
            Index.open("shop")
        assert select(home / "shop", "PRAGMA user_version") == [(5,)]
