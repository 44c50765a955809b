"""A store gives back what was written, as one snapshot, or refuses."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from attnsearch.encoding.passages import Passage
from attnsearch.errors import CatalogError
from attnsearch.indexing import compaction
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.sources.items import Item
from attnsearch.storage import segment, store
from attnsearch.storage.failures import ClosedError
from attnsearch.storage.home import catalog_folders
from attnsearch.storage.store import Store
from tests.storage.examples import INFO, contents, embed, item, put, vectors, write

STAMPED = ("created", "updated", "commit", "listing")  # what `commit` adds


@pytest.fixture
def folder(home):
    return home / "shop"


def test_what_goes_in_comes_out(folder):
    fields = {"year": 1965, "tags": ["a", "b"], "nested": {"deep": [1.5, None]}, "名": "\x1b[31m\u202e"}
    with Writer(folder) as w:
        assert write(w, [Item("a", "Title", "Words", fields, "text 7")])[0][:3] == (1, 0, 0)
    with Store(folder) as s:
        info = s.info
        assert info == INFO._replace(items=1, keys=1, **{name: getattr(info, name) for name in STAMPED})
        ((stored, _),) = s.items_at([0])
        assert (stored.id, stored.title, stored.description, stored.fields) == ("a", "Title", "Words", fields)
        assert s.embeddings([0]).tolist() == vectors(7).tolist()


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
        assert [*s.segments[0].cut(2, 1, 4)] == [range(1, 3), range(3, 4)]
        assert [*s.segments[0].cut(9, 4, 4)] == []
    for early in (True, False):
        with Store(folder, vectors=early) as s:
            assert s.embeddings([9, 0, 5])[:, 0].tolist() == [9.0, 0.0, 5.0]
            assert s.embeddings([]).shape == (0, 3)
            assert s.living().tolist() == list(range(10))
            assert [x for block in s.blocks(rows=3) for x in block.x[:, 0]] == list(range(10))


class TestWithoutVectors:
    """Nothing is read before it is needed, and then it is verified."""

    @pytest.fixture
    def folder(self, folder):
        with Writer(folder) as w:
            write(w, [item(n) for n in range(600)])
        return folder

    @staticmethod
    def damage(folder, row: int):
        (path,) = (folder / "segments").iterdir()
        raw = bytearray(path.read_bytes())
        raw[len(raw) - (600 - row) * 12] ^= 1
        path.write_bytes(raw)

    def test_only_the_rows_around_a_key_are_verified(self, folder):
        self.damage(folder, 300)
        with Store(folder, vectors=False) as s:
            assert s.embeddings([0, 255, 512, 599])[:, 0].tolist() == [0.0, 255.0, 512.0, 599.0]
            with pytest.raises(CatalogError, match="its rows 256 to 511 are not what was written"):
                s.embeddings([0, 256])
            with pytest.raises(CatalogError, match="its rows 256 to 511 are not what was written"):
                list(s.blocks())

    def test_a_segment_that_a_commit_removed(self, folder):
        with Store(folder, vectors=False) as s:
            s.files[0].unlink()
            for ask in (lambda: s.embeddings([1]), lambda: list(s.blocks())):
                with pytest.raises(CatalogError, match="the catalog changed while it was asked; ask again"):
                    ask()


def test_no_item_is_in_two_blocks(folder):
    """Its passages are compared with each other."""
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
            for start in range(9):
                (row,) = s.segments
                parts = [*row.cut(rows, 0, start), *row.cut(rows, start)]
                blocks = [s.block(0, part) for part in parts]
                assert not any(block.joined is not None and block.joined[0] for block in blocks)
                keys = [key for block in blocks for key in range(block.first, block.first + len(block.x))]
                assert keys == list(range(s.info.keys))


def test_the_keys_of_items(folder, monkeypatch):
    with Writer(folder) as w:
        w.take_items([item(n, "x" * (n % 3 + 1)) for n in range(9)],
               lambda _, text: [Passage(at, at + 1, f"{text} {at}") for at in range(len(text))])  # fmt: skip
        with Checkpoint(folder, "small") as draft:
            embed(w, draft)
            w.commit(INFO, draft)
    with Store(folder) as s:
        monkeypatch.setattr(store, "PARAMETERS", 4)
        keys_of = s.keys_of([*(f"i{n}" for n in range(9)), "i9", "'; --"])
        assert {ident: len(keys) for ident, keys in keys_of.items()} == {f"i{n}": n % 3 + 1 for n in range(9)}
        for ident, keys in keys_of.items():
            assert {place.item.id for place in s.items_at(keys)} == {ident}
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


def test_a_reader_keeps_its_snapshot(folder):
    put(folder, [1, 2])
    with Store(folder) as s:
        put(folder, [3])
        put(folder, [4])
        assert [i.item.id for i in s.items_at([0, 1])] == ["i1", "i2"]
        assert [float(v) for block in s.blocks() for v in block.x[:, 0]] == [1.0, 2.0]
    assert contents(folder) == [("i4", 4.0)]


def test_using_a_closed_store_is_not_damage(folder):
    """It is the caller's mistake: nothing is to be repaired."""
    put(folder, [1])
    with Store(folder) as s:
        items = s.items()
    for ask in (lambda: s.spans_at([0]), lambda: s.keys_of(["i1"]), lambda: next(items), lambda: next(s.blocks()),
                lambda: s.embeddings([0])):  # fmt: skip
        with pytest.raises(ClosedError) as caught:
            ask()
        assert str(caught.value) == "shop: the index is closed; open it again"
    s.close()


def test_threads_share_a_store(folder):
    put(folder, range(300))
    with Store(folder) as s, ThreadPoolExecutor(8) as pool:

        def read(start):
            every = [item.id for _, item in s.items()]
            return every, [place.item.id for place in s.spans_at(range(start, start + 9))], list(s.keys_of(["i7"]))

        expected = [f"i{n}" for n in range(300)]
        for start, answer in enumerate(pool.map(read, range(200))):
            assert answer == (expected, expected[start : start + 9], ["i7"])


def test_closed_by_another_thread(folder):
    put(folder, range(300))
    s = Store(folder)
    items = s.items()
    next(items)
    thread = threading.Thread(target=s.close)
    thread.start()
    thread.join()
    with pytest.raises(ClosedError):
        list(items)


class TestDamage:
    """Whatever is wrong is reported, with exit code 3 and a remedy."""

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

    def test_a_key_without_item(self, folder, segment):
        with sqlite3.connect(folder / "index.sqlite") as db:
            db.execute("DELETE FROM keys WHERE key = 1")
        db.close()
        assert self.refused(folder, "the key 1 has no item")


class TestOvertaken:
    """A writer drops segments after a reader has read their list and before it opens them."""

    @pytest.fixture
    def overtake(self, folder, monkeypatch):
        """Let a writer replace everything, so many times, whenever a reader has read the list."""
        put(folder, [1])

        def arrange(times):
            numbers = iter(range(2, 2 + times))
            load = segment.load_segment

            def load_late(*args):
                if (number := next(numbers, None)) is not None:
                    put(folder, [number])
                    Writer(folder).close()  # deletes the segment that is no longer listed
                return load(*args)

            monkeypatch.setattr("attnsearch.storage.store.segment.load_segment", load_late)

        return arrange

    @pytest.mark.parametrize("times", [1, 2])
    def test_the_reader_starts_over_with_the_new_state(self, folder, overtake, times):
        overtake(times)
        with Store(folder) as store:
            assert [place.item.id for place in store.items_at(list(store.living()))] == [f"i{1 + times}"]

    def test_but_not_forever(self, folder, overtake):
        overtake(3)
        with pytest.raises(CatalogError, match="is gone"):
            Store(folder)
