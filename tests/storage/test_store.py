"""Store and writer: what goes in comes out, or nothing does."""

from __future__ import annotations

import os
import sqlite3
import threading
import time

import numpy as np
import pytest

from attnsearch.encoding.passages import Passage
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import compaction
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.sources.items import Fields, Item
from attnsearch.storage import lock, store
from attnsearch.storage.database import Info, Source
from attnsearch.storage.home import catalog_folder, catalog_folders, file_catalog_folder, remove_catalog
from attnsearch.storage.home import home_folder as home_of
from attnsearch.storage.store import Store

INFO = Info("shop", "A shop.", (Source("shop.yaml", "ab"),), Fields(), "small", "5" * 64, "stamp", 3, 0.05)

STAMPED = ("created", "updated", "commit", "listing")  # what `commit` adds


def item(number: int, text: str = "", **fields) -> Item:
    return Item(f"i{number}", f"Item {number}", "", fields, text or f"Item {number}")


def vectors(*numbers: int) -> np.ndarray:
    return np.array([[n, n + 0.25, n + 0.5] for n in numbers], np.float32)


@pytest.fixture
def folder(home):
    return home / "shop"


def whole(title, text):
    return [Passage(0, len(text), text)]


def embed(w, draft):
    """Embed what is missing: a text is the number in it."""
    w.recall(draft)
    missing = list(w.missing_texts())
    if missing:
        w.put_embeddings(
            draft, [sha256 for sha256, _ in missing], vectors(*(int(text.split()[-1]) for _, text in missing))
        )
    return [text for _, text in missing]


def write(w, items, keep=False):
    """One whole run: what changed, and which texts were embedded."""
    changes = w.take_items(items, whole, keep=keep)
    with Checkpoint(w.folder, "small") as draft:
        embedded = embed(w, draft)
        w.commit(INFO, draft)
    return changes, embedded


def put(folder, numbers, keep=False):
    with Writer(folder) as w:
        changes, embedded = write(w, [item(n) for n in numbers], keep)
    return len(embedded), changes.removed


def contents(folder):
    """Every living key: its item's id and its vector's first component."""
    with Store(folder) as s:
        found = []
        for first, x, alive, _ in s.blocks():
            rows = range(len(x)) if alive is None else np.flatnonzero(alive)
            items = s.items_at([first + r for r in rows])
            found += [(i.item.id, float(x[r, 0])) for i, r in zip(items, rows, strict=True)]
        assert s.info.keys == len(found)
        return found


def test_what_goes_in_comes_out(folder):
    fields = {"year": 1965, "tags": ["a", "b"], "nested": {"deep": [1.5, None]}, "名": "\x1b[31m\u202e"}
    with Writer(folder) as w:
        assert write(w, [Item("a", "Title", "Words", fields, "text 7")])[0][:3] == (1, 0, 0)
    with Store(folder) as s:
        told = s.info
        assert told == INFO._replace(items=1, keys=1, **{name: getattr(told, name) for name in STAMPED})
        ((found, _),) = s.items_at([0])
        assert (found.id, found.title, found.description, found.fields) == ("a", "Title", "Words", fields)
        assert s.embeddings([0]).tolist() == vectors(7).tolist()


def test_only_what_changed_is_asked_for(folder):
    assert put(folder, [1, 2, 3]) == (3, 0)
    assert put(folder, [1, 2, 3]) == (0, 0)
    assert put(folder, [1, 3, 4]) == (1, 1)
    assert contents(folder) == [("i1", 1.0), ("i3", 3.0), ("i4", 4.0)]
    assert put(folder, [5], keep=True) == (1, 0)
    assert contents(folder) == [("i1", 1.0), ("i3", 3.0), ("i4", 4.0), ("i5", 5.0)]


def test_a_changed_text_is_a_new_row(folder):
    put(folder, [1, 2, 3])
    with Writer(folder) as w:
        changes, embedded = write(w, [item(1), item(2, "now 20"), item(3)])
    assert (changes[:3], embedded) == ((0, 1, 0), ["now 20"])
    assert contents(folder) == [("i1", 1.0), ("i3", 3.0), ("i2", 20.0)]


def test_other_fields_need_no_new_row(folder):
    put(folder, [1])
    with Writer(folder) as w:
        assert write(w, [item(1, year=1965)])[0] == (0, 1, 0, 0)
    with Store(folder) as s:
        assert s.items_at([0])[0].item.fields == {"year": 1965}
    with Writer(folder) as w:
        assert write(w, [item(1, year=1965)])[0] == (0, 0, 0, 0)


def test_without_a_commit_nothing_happened(folder):
    put(folder, [1])
    with Writer(folder) as w:
        w.take_items([item(2)], whole)
        with Checkpoint(folder, "small") as draft:
            embed(w, draft)
    assert contents(folder) == [("i1", 1.0)]


def test_a_catalog_that_never_was(folder):
    with Writer(folder):
        pass
    assert catalog_folders() == []
    with pytest.raises(CatalogError, match="there is no catalog 'shop'"):
        Store(folder)


def test_segments_are_bounded_and_blocks_cross_none(folder, monkeypatch):
    monkeypatch.setattr(compaction, "SEGMENT", 4)
    with Writer(folder) as w:
        write(w, [item(n) for n in range(10)])
    assert contents(folder) == [(f"i{n}", float(n)) for n in range(10)]
    with Store(folder) as s:
        assert len(s.segments) == 3
        bounds = [(block.first, len(block.x)) for block in s.blocks(rows=3)]
        assert bounds == [(0, 3), (3, 1), (4, 3), (7, 1), (8, 2)]
        assert s.parts(3, least=1) == [(0, 4), (4, 8), (8, 10)]
        assert s.parts(99, least=2) == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
        for count in range(1, 6):
            found = [x for part in s.parts(count, least=1) for block in s.blocks(*part, rows=3) for x in block.x[:, 0]]
            assert found == list(range(10))
        assert s.embeddings([9, 0, 5])[:, 0].tolist() == [9.0, 0.0, 5.0]
        assert s.embeddings([]).shape == (0, 3)


def test_no_item_is_in_two_blocks(folder):
    """Nor in two parts: its passages are compared with each other."""
    with Writer(folder) as w:
        texts = {n: "x" * (n % 4 + 1) for n in range(30)}
        w.take_items([item(n, text) for n, text in texts.items()],
               lambda _, text: [Passage(at, at + 1, f"{text} {at}") for at in range(len(text))])  # fmt: skip
        with Checkpoint(folder, "small") as draft:
            embed(w, draft)
            w.commit(INFO, draft)
    with Store(folder) as s:
        assert s.info.keys == sum(map(len, texts.values()))
        for rows in range(1, 7):
            for count in range(1, 9):
                blocks = [block for part in s.parts(count, least=1) for block in s.blocks(*part, rows=rows)]
                assert not any(block.joined is not None and block.joined[0] for block in blocks)
                assert [one for block in blocks for one in range(block.first, block.first + len(block.x))] == list(
                    range(s.info.keys)
                )


def test_the_keys_of_items(folder, monkeypatch):
    with Writer(folder) as w:
        w.take_items([item(n, "x" * (n % 3 + 1)) for n in range(9)],
               lambda _, text: [Passage(at, at + 1, f"{text} {at}") for at in range(len(text))])  # fmt: skip
        with Checkpoint(folder, "small") as draft:
            embed(w, draft)
            w.commit(INFO, draft)
    with Store(folder) as s:
        monkeypatch.setattr(store, "PARAMETERS", 4)
        found = s.keys_of([*(f"i{n}" for n in range(9)), "i9", "'; --"])
        assert {ident: len(keys) for ident, keys in found.items()} == {f"i{n}": n % 3 + 1 for n in range(9)}
        for ident, keys in found.items():
            assert {one.item.id for one in s.items_at(keys)} == {ident}
        assert s.keys_of([]) == {}


@pytest.mark.parametrize(
    "change", ["UPDATE keys SET start = 5 WHERE key = 1", "UPDATE items SET id = 'i7' WHERE item = 2"]
)
def test_keys_are_those_that_were_written(folder, change):
    put(folder, [1, 2])
    with sqlite3.connect(folder / "index.sqlite") as db:
        db.execute(change)
    db.close()
    with Store(folder) as s, pytest.raises(CatalogError, match="is not what was written"):
        s.keys_of(["i1", "i2", "i7"])


def test_dead_segments_and_orphans_go(folder):
    put(folder, [1])
    put(folder, [2])
    (folder / "segments" / "orphan.npy").write_bytes(b"x")
    put(folder, [3])
    put(folder, [3])
    assert len(list((folder / "segments").iterdir())) == 1
    assert contents(folder) == [("i3", 3.0)]


def test_a_reader_keeps_its_snapshot(folder):
    put(folder, [1, 2])
    with Store(folder) as s:
        put(folder, [3])
        put(folder, [4])
        assert [i.item.id for i in s.items_at([0, 1])] == ["i1", "i2"]
        assert [float(v) for block in s.blocks() for v in block.x[:, 0]] == [1.0, 2.0]
    assert contents(folder) == [("i4", 4.0)]


def test_a_second_writer_waits_or_says_so(folder, caplog):
    put(folder, [1])
    with Writer(folder), pytest.raises(CatalogError, match="another attnsearch is writing to it; try again"):
        Writer(folder, wait=0.05)
    assert "waiting for another attnsearch" in caplog.text

    first = Writer(folder)
    second = threading.Thread(target=put, args=(folder, [7]))
    second.start()
    write(first, [item(5)])
    first.close()
    second.join(timeout=20)
    assert contents(folder) == [("i7", 7.0)]


def test_it_also_waits_where_sqlite_does_not(folder, monkeypatch):
    """While the log is put in order, SQLite says at once that it is busy."""
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
    answers = [busy, busy, busy]
    begin = lock._begin

    def begin_later(db):
        if answers:
            raise answers.pop()
        begin(db)

    monkeypatch.setattr(lock, "_begin", begin_later)
    put(folder, [1])
    assert contents(folder) == [("i1", 1.0)]


@pytest.mark.parametrize("pause", [0, 0.001, 0.01, 0.2])
def test_a_writer_that_waited_while_the_catalog_was_removed_starts_anew(folder, pause):
    """However far the second writer has come by then."""
    put(folder, [1])
    first = Writer(folder)
    second = threading.Thread(target=put, args=(folder, [7]))
    second.start()
    time.sleep(pause)
    folder.rename(folder.with_name(".removed-x"))
    first.close()
    second.join(timeout=20)
    assert contents(folder) == [("i7", 7.0)]


def test_a_draft_is_not_taken_from_the_writer_that_comes_next(folder, monkeypatch):
    """It waits for the lock, which the commit gives back, and opens the draft before the first has discarded it."""
    put(folder, [1])
    second = []

    def discard(draft):
        w = Writer(folder, wait=0)  # by the time of this, nobody else may come in
        second.append(w)

    monkeypatch.setattr(Checkpoint, "discard", discard)
    with pytest.raises(CatalogError, match="another attnsearch is writing to it"):
        put(folder, [2])
    assert not second
    assert contents(folder) == [("i2", 2.0)]


def test_an_open_draft_is_read_even_when_its_name_is_gone(folder):
    with Writer(folder) as w:
        w.take_items([item(7)], whole)
        with Checkpoint(folder, "small") as draft:
            embed(w, draft)
            next(folder.glob("unfinished-*")).unlink()
            w.commit(INFO, draft)
    assert contents(folder) == [("i7", 7.0)]


def test_what_a_killed_writer_left_of_a_seal_goes(folder):
    put(folder, [1])
    (folder / ".index.seal-0").write_bytes(b"half")
    put(folder, [2])
    assert list(folder.glob(".index.seal*")) == []


def test_remove(folder, home):
    put(folder, [1])
    remove_catalog(folder)
    assert list(home.iterdir()) == []
    with pytest.raises(CatalogError, match="there is no catalog 'shop'"):
        remove_catalog(folder)


def test_equal_texts_are_embedded_once(folder):
    """Also when the text was there before, under an id that is gone now."""
    with Writer(folder) as w:
        assert write(w, [item(1, "text 7"), item(2, "text 8"), item(3, "text 7")])[1] == ["text 7", "text 8"]
    assert contents(folder) == [("i1", 7.0), ("i2", 8.0), ("i3", 7.0)]
    with Writer(folder) as w:
        changes, embedded = write(w, [item(2, "text 8"), item(4, "text 7"), item(5, "text 9"), item(6, "text 8")])
    assert (changes[:3], embedded) == ((3, 0, 2), ["text 9"])
    assert contents(folder) == [("i2", 8.0), ("i4", 7.0), ("i5", 9.0), ("i6", 8.0)]


class TestDamage:
    """Whatever is wrong is said, with exit code 3 and what mends it."""

    @pytest.fixture
    def segment(self, folder):
        put(folder, [1, 2, 3])
        (path,) = (folder / "segments").iterdir()
        return path

    def refused(self, folder, match):
        with pytest.raises(CatalogError, match=match) as caught:
            contents(folder)
        assert caught.value.code == 3
        assert caught.value.hint
        return True

    def test_a_missing_segment(self, folder, segment):
        segment.unlink()
        assert self.refused(folder, "the segment .* is gone")

    def test_a_short_segment(self, folder, segment):
        segment.write_bytes(segment.read_bytes()[:-4])
        assert self.refused(folder, r"the segment \w+.npy: it")

    def test_an_empty_segment(self, folder, segment):
        segment.write_bytes(b"")
        assert self.refused(folder, r"the segment \w+.npy: it")

    @pytest.mark.parametrize("x", [np.zeros((3, 3)), np.zeros((2, 3), "f4"), np.zeros((3, 3), "f4", order="F")])
    def test_another_shape(self, folder, segment, x):
        np.save(segment, x)
        assert self.refused(folder, r"the segment \w+.npy: it")

    def test_objects(self, folder, segment):
        np.save(segment, np.array([[{}]]), allow_pickle=True)
        assert self.refused(folder, r"the segment \w+.npy: it")

    def test_no_database(self, folder, segment):
        (folder / "index.sqlite").write_bytes(b"not a database, but long enough to look at" * 100)
        assert self.refused(folder, "is damaged: file is not a database")
        with pytest.raises(CatalogError, match="is damaged"):
            Writer(folder)
        remove_catalog(folder)
        assert not folder.exists()

    def test_somebody_elses_database(self, folder):
        folder.mkdir(parents=True)
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute("CREATE TABLE t (x)")
        db.close()
        assert self.refused(folder, "was not made by attnsearch")

    def test_a_newer_form(self, folder, segment):
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute("PRAGMA user_version=99")
        db.close()
        assert self.refused(folder, "was made by a newer attnsearch")

    def test_a_key_without_item(self, folder, segment):
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute("DELETE FROM keys WHERE key = 1")
        db.close()
        assert self.refused(folder, "the key 1 has no item")


class TestNoRoom:
    """What can't be written leaves the last commit whole."""

    def test_disk_full(self, folder, monkeypatch):
        put(folder, [1])

        def full(handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(CatalogError, match="can't be written: No space left on device"):
            put(folder, [2])
        monkeypatch.undo()
        assert contents(folder) == [("i1", 1.0)]

    @pytest.mark.parametrize("number", [1, 2])
    def test_disk_full_before_the_commit(self, folder, number):
        """SQLite meets the end of the disk while items come in, old ones or new ones."""
        put(folder, [1])
        with Writer(folder) as w:
            w._db.execute("PRAGMA max_page_count=30")
            with pytest.raises(CatalogError, match="can't be written: database or disk is full"):
                w.take_items([Item(f"i{number}", "Item", "x" * 5_000_000, {}, "Item 1")], whole)
        assert contents(folder) == [("i1", 1.0)]

    def test_a_file_in_the_place_of_the_home(self, home, folder):
        home.write_text("")
        with pytest.raises(CatalogError, match="can't be written"):
            Writer(folder)


class TestPlaces:
    def test_home(self, monkeypatch, tmp_path):
        assert home_of() == tmp_path / "home"
        monkeypatch.delenv("ATTNSEARCH_HOME")
        monkeypatch.setenv("XDG_DATA_HOME", "/data")
        assert str(home_of()) == "/data/attnsearch"
        monkeypatch.delenv("XDG_DATA_HOME")
        monkeypatch.setenv("HOME", "/users/ada")
        assert str(home_of()) == "/users/ada/.local/share/attnsearch"

    def test_a_new_home_is_the_users_own(self, folder, home):
        put(folder, [1])
        assert home.stat().st_mode & 0o777 == 0o700

    def test_a_home_that_is_there_stays_as_it_is(self, folder, home):
        home.mkdir(mode=0o755)
        put(folder, [1])
        assert home.stat().st_mode & 0o777 == 0o755

    def test_two_files_of_one_name_do_not_meet(self, tmp_path):
        one, other = file_catalog_folder(tmp_path / "a" / "x.yaml"), file_catalog_folder(tmp_path / "b" / "x.yaml")
        assert one != other
        assert one == file_catalog_folder(tmp_path / "a" / ".." / "a" / "x.yaml")
        with pytest.raises(InputError):
            catalog_folder(one.name)
