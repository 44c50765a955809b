"""A writer embeds only what changed, commits whole or not at all, and leaves no files behind."""

from __future__ import annotations

import os

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.sources.items import Item
from attnsearch.storage import lock
from attnsearch.storage.store import Store
from tests.indexing.damage import change
from tests.storage.examples import INFO, contents, embed, item, put, whole, write


@pytest.fixture
def folder(home):
    return home / "shop"


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


def test_other_fields_get_a_new_row_with_the_same_vector(folder):
    """Then the postings of a segment stay right for the rows that live."""
    put(folder, [1, 2])
    with Store(folder) as s:
        files = {row.file for row in s.segments}
    with Writer(folder) as w:
        assert write(w, [item(1, year=1965), item(2)]) == ((0, 1, 0, 0), [])
    with Store(folder) as s:
        assert not {row.file for row in s.segments} & files
        assert s.items_at([1])[0].item.fields == {"year": 1965}
    assert contents(folder) == [("i2", 2.0), ("i1", 1.0)]
    with Writer(folder) as w:
        assert write(w, [item(1, year=1965), item(2)]) == ((0, 0, 0, 0), [])


def test_equal_texts_are_embedded_once(folder):
    """Also when the text was there before, under an id that is gone now."""
    with Writer(folder) as w:
        assert write(w, [item(1, "text 7"), item(2, "text 8"), item(3, "text 7")])[1] == ["text 7", "text 8"]
    assert contents(folder) == [("i1", 7.0), ("i2", 8.0), ("i3", 7.0)]
    with Writer(folder) as w:
        changes, embedded = write(w, [item(2, "text 8"), item(4, "text 7"), item(5, "text 9"), item(6, "text 8")])
    assert (changes[:3], embedded) == ((3, 0, 2), ["text 9"])
    assert contents(folder) == [("i2", 8.0), ("i4", 7.0), ("i5", 9.0), ("i6", 8.0)]


def test_without_a_commit_nothing_happened(folder):
    put(folder, [1])
    with Writer(folder) as w:
        w.take_items([item(2)], whole)
        with Checkpoint(folder, "small") as draft:
            embed(w, draft)
    assert contents(folder) == [("i1", 1.0)]


def test_dead_segments_and_orphans_go(folder):
    put(folder, [1])
    put(folder, [2])
    (folder / "segments" / "orphan.npy").write_bytes(b"x")
    put(folder, [3])
    put(folder, [3])
    assert len(list((folder / "segments").iterdir())) == 1
    assert contents(folder) == [("i3", 3.0)]


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


def test_a_commit_has_a_name_of_its_own_and_the_catalog_its_first_day(folder):
    commits = []
    for created in ("2020-01-01T00:00:00+00:00", ""):
        with Writer(folder) as w, Checkpoint(folder, "small") as draft:
            w.take_items([item(1)], whole)
            embed(w, draft)
            info = w.commit(INFO._replace(created=created), draft)
            assert info.created == "2020-01-01T00:00:00+00:00" < info.updated
            commits.append(info.commit)
    assert len(set(commits)) == 2


def test_a_writer_that_can_not_begin_releases_the_lock(folder):
    put(folder, [1])
    change(folder, "UPDATE info SET value = '0.5' WHERE name = 'temperature'")
    with pytest.raises(CatalogError, match="damaged") as caught:
        Writer(folder)
    lock.acquire(folder, wait=0).close()  # even while somebody has the error, and so what led to it
    assert caught.value


def test_what_a_killed_writer_left_of_a_seal_goes(folder):
    put(folder, [1])
    (folder / ".index.seal-0").write_bytes(b"half")
    put(folder, [2])
    assert list(folder.glob(".index.seal*")) == []


class TestNoRoom:
    """What can't be written leaves the last commit intact."""

    def test_disk_full(self, folder, monkeypatch):
        put(folder, [1])

        def full(handle):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(CatalogError, match="can't be written: No space left on device"):
                put(folder, [2])
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
