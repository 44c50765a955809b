"""A catalog that is served is asked at its latest state, whatever happens to its files."""

from __future__ import annotations

import copy
import gc
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from attnsearch import update
from attnsearch.api.feedback import record_feedback
from attnsearch.calibration.fit_file import Fit, write_fit
from attnsearch.calibration.fitting import Fitted, Mean
from attnsearch.encoding import loading
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.repair import repair
from attnsearch.opening import index as opening_index
from attnsearch.opening import latest
from attnsearch.opening.index import Index
from attnsearch.search.search import search
from attnsearch.serve import catalogs as serving
from attnsearch.serve.catalogs import Catalogs
from attnsearch.storage import home, lock
from attnsearch.storage.failures import ClosedError, MissingError
from attnsearch.storage.files import fit_file, home_folder
from attnsearch.storage.store import Store
from attnsearch.upkeep.default import store_default
from attnsearch.upkeep.removal import remove_catalog
from tests.asking import query
from tests.indexing.damage import segment

ITEMS = [{"id": "a", "title": "moon"}, {"id": "b", "title": "sea", "price": 3}, {"id": "c", "title": "robot"}]

FIT = Fit("small", "2026-01-02", Fitted(0.07, None, 9, Mean(1, 1, 1), Mean(1, 1, 1), {"library": 1.0}))


@pytest.fixture
def catalogs(small, monkeypatch):
    monkeypatch.setattr(serving, "_LOOK", 3600)
    update(ITEMS, name="shop")
    with closing(Catalogs()) as opened:
        yield opened


def ids(catalogs: Catalogs, *names: str) -> set[str]:
    """The ids of all items of catalogs that are served."""
    with catalogs.lease(names) as index:
        return {hit.id for hit in query(index, "moon", k=99).hits}


def add(ident: str, name: str = "shop", **fields: object) -> None:
    update([{"id": ident, "title": ident, **fields}], name=name, keep=True)


class TestLatest:
    def test_a_commit_is_seen(self, catalogs):
        assert ids(catalogs) == {"a", "b", "c"}
        add("d")
        assert ids(catalogs) == {"a", "b", "c", "d"}

    def test_what_is_leased_stays_as_it_is(self, catalogs):
        with catalogs.lease() as before:
            add("d")
            assert ids(catalogs) == {"a", "b", "c", "d"}
            assert len(query(before, "moon", k=99).hits) == 3
        with pytest.raises(ClosedError):
            query(before, "moon")

    def test_nothing_is_read_while_nothing_changes(self, catalogs, monkeypatch):
        with catalogs.lease(["shop"]) as before:
            pass
        monkeypatch.setattr(latest, "_YOUNG", 0)
        ids(catalogs, "shop")  # from now on, the marks tell all
        monkeypatch.setattr(lock, "connect_to_read", None)
        with catalogs.lease(["shop"]) as index:
            assert index is before

    def test_a_commit_that_leaves_the_same_marks(self, catalogs, monkeypatch):
        """Two within the same tick of the file system's clock."""
        monkeypatch.setattr(latest, "look_at", lambda files: ((1, 1, 1, 2**62),) * len(files))
        ids(catalogs)
        add("d")
        assert ids(catalogs) == {"a", "b", "c", "d"}

    def test_feedback_of_another_process(self, catalogs):
        with catalogs.lease() as index:
            assert index.learned is None
        with Index.open("shop") as other:
            record_feedback(other, "moon", ("c",), ())
        with catalogs.lease() as index:
            assert index.learned.memory.queries == ["moon"]

    def test_a_fit(self, catalogs):
        with catalogs.lease() as index:
            assert index.fit is None
        write_fit(fit_file(index.info.identity), FIT)
        with catalogs.lease() as index:
            assert index.fit.temperature == 0.07

    def test_damaged_learning_is_an_error_where_it_is_asked_for(self, catalogs, home):
        (home / "shop" / "learned.safetensors").write_bytes(b"what?")
        with catalogs.lease() as index:
            with pytest.raises(CatalogError, match=r"shop: learned\.safetensors: it is not what was written"):
                query(index, "moon")
            assert query(index, "moon", untrained=True).hits
        (home / "shop" / "learned.safetensors").unlink()
        assert ids(catalogs)

    def test_what_was_open_is_open(self, catalogs, small, monkeypatch):
        """The first query of a new state builds no postings."""
        small.vocabulary = ["moon"]
        with catalogs.lease() as index:
            query(index, "rabot", where="price > 1", lexical=0.3)
        add("d", price=4)
        with catalogs.lease() as index:
            monkeypatch.setattr(Store, "items", None)
            result = query(index, "rabot", where="price > 1", lexical=0.3)
            assert {hit.id for hit in result.hits} == {"b", "d"}
            assert result.asked == "robot"

    def test_a_field_that_is_gone(self, catalogs):
        with catalogs.lease() as index:
            query(index, "moon", where=["price > 1", "title != x"])
        update([ITEMS[0]], name="shop")
        with catalogs.lease() as index:
            assert query(index, "moon", where="title != x").hits
            with pytest.raises(InputError, match="price"):
                query(index, "moon", where="price > 1")

    def test_vectors_are_mapped_once(self, catalogs):
        with catalogs.lease() as before:
            add("d")
            with catalogs.lease() as index:
                shared = {**before.store.mapped}
                assert [x is shared.get(key) for key, x in index.store.mapped.items()] == [True, False]

    def test_idle_ones_are_refreshed(self, catalogs, monkeypatch):
        """A log grows as long as an older state is open."""
        monkeypatch.setattr(serving, "_LOOK", 0.01)
        refreshed = threading.Event()
        monkeypatch.setattr(catalogs, "refresh", refreshed.set)
        ids(catalogs)
        assert refreshed.wait(10)

    def test_refresh(self, catalogs):
        with catalogs.lease() as before:
            pass
        add("d")
        catalogs.refresh()
        with pytest.raises(ClosedError):
            before.store.check_open()


class TestThreads:
    def test_one_opens_while_others_are_answered_from_the_older_state(self, catalogs, monkeypatch):
        with catalogs.lease() as before:
            pass
        add("d")
        opens, is_opening, may_open = [], threading.Event(), threading.Event()
        open_named = Index.open_named

        def open_slowly(name, **options):
            opens.append(name)
            is_opening.set()
            assert may_open.wait(10)
            return open_named(name, **options)

        monkeypatch.setattr(Index, "open_named", open_slowly)
        with ThreadPoolExecutor(8) as pool:
            first = pool.submit(ids, catalogs)
            assert is_opening.wait(10)
            others = [pool.submit(ids, catalogs) for _ in range(20)]
            assert [call.result(10) for call in others] == [{"a", "b", "c"}] * 20
            may_open.set()
            assert first.result(10) == {"a", "b", "c", "d"}
        assert opens == ["shop"]
        assert not before.store.is_open

    def test_all_wait_for_the_first_to_open(self, catalogs, monkeypatch):
        opens = []
        open_named = Index.open_named
        monkeypatch.setattr(
            Index, "open_named", lambda name, **options: opens.append(name) or open_named(name, **options)
        )
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: len(ids(catalogs)), range(40))) == [3] * 40
        assert opens == ["shop"]

    def test_every_answer_is_of_a_state_while_another_writes(self, catalogs):
        states = [{"a", "b", "c"}]
        over = threading.Event()

        def ask() -> list[int]:
            seen = []
            while not over.is_set():
                seen.append(states.index(ids(catalogs)))
            return seen

        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(ask) for _ in range(4)]
            try:
                for number in range(6):
                    states.append(states[-1] | {f"x{number}"})
                    add(f"x{number}")
            finally:
                over.set()
            for call in calls:
                assert call.result(10) == sorted(call.result(10))
        assert ids(catalogs) == states[-1]


class TestClosed:
    @staticmethod
    def open_files() -> list[str]:
        files = []
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # the listing's own
                files.append(str(link.readlink()))
        return [file for file in files if file.startswith(str(home_folder()))]

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
    def test_nothing_of_older_states_stays(self, catalogs):
        def ask() -> weakref.ref:
            with catalogs.lease() as index:
                query(index, "moon", where="price > 1", lexical=0.3)
                return weakref.ref(index)

        olds, counts = [], []
        for number in range(12):
            olds.append(ask())
            gc.collect()
            counts.append(len(self.open_files()))
            add("d", price=number)
        assert max(counts[6:]) <= max(counts[:6]) < 16
        assert [old() for old in olds[:-1]] == [None] * 11
        catalogs.close()
        del olds
        gc.collect()
        assert self.open_files() == []

    def test_at_the_end_what_is_asked_is_closed_last(self, catalogs):
        with catalogs.lease() as index:
            catalogs.close()
            assert query(index, "moon").hits
        with pytest.raises(ClosedError):
            query(index, "moon")

    def test_few_stay_open(self, catalogs, monkeypatch):
        monkeypatch.setattr(serving, "MOST_OPEN", 2)
        for name in ("one", "two", "three"):
            update(ITEMS, name=name)
        indexes = {}
        with catalogs.lease(["one"]) as asked:
            for name in ("shop", "two", "shop", "three"):
                with catalogs.lease([name]) as indexes[name]:
                    pass
            assert [index.store.is_open for index in indexes.values()] == [True, False, True]
            assert asked.store.is_open
        assert not asked.store.is_open  # it was asked when others took its place
        with catalogs.lease(["one", "two", "three"]) as union:  # more than may be open
            assert query(union, "moon", k=99).items == 9
            assert not indexes["three"].store.is_open


class TestEncoder:
    @pytest.fixture
    def loaded(self, small, monkeypatch):
        """The encoders that were made, each an object of its own."""
        made = []
        monkeypatch.setattr(loading, "load", lambda name=None, **options: made.append(copy.copy(small)) or made[-1])
        return made

    def test_it_is_shared(self, catalogs, loaded):
        update(ITEMS, name="other")
        with catalogs.lease(["shop"]) as index, catalogs.lease(["other"]) as other:
            encoder = index.encoder
            assert other.encoder is encoder
        add("d")
        with catalogs.lease(["shop"]) as index, catalogs.lease(["other", "shop"]) as union:
            assert index.encoder is union.encoder is encoder
        assert len({id(made) for made in loaded}) > 1

    def test_one_with_other_files_is_not(self, catalogs, small, loaded):
        with catalogs.lease() as before:
            pass
        small.sha256 = "8" * 64
        update(ITEMS, name="shop")
        with catalogs.lease() as index:
            assert index.encoder.sha256 == "8" * 64
            assert index.encoder is not before.encoder

    def test_another_model_is_an_error_until_it_is_indexed_again(self, catalogs, small):
        small.sha256 = "8" * 64
        for _ in range(2):
            with pytest.raises(CatalogError, match="shop: was indexed with other weights of small"):
                ids(catalogs)
        update(ITEMS, name="shop")
        assert ids(catalogs) == {"a", "b", "c"}


class TestUnderneath:
    """What happens to the files of a catalog is its own error while it is so."""

    def test_removed_and_indexed_again(self, catalogs):
        with catalogs.lease() as before:
            remove_catalog(home.catalog_folder("shop"))
            for _ in range(2):
                with pytest.raises(MissingError, match="there is no catalog 'shop'"):
                    ids(catalogs, "shop")
            assert len(query(before, "moon").hits) == 3
        update(ITEMS[:1], name="shop")
        assert ids(catalogs, "shop") == {"a"}

    def test_removed_but_for_its_feedback(self, catalogs):
        with catalogs.lease() as index:
            record_feedback(index, "moon", ("c",), ())
        assert remove_catalog(home.catalog_folder("shop"))
        with pytest.raises(MissingError, match="there is no catalog 'shop'"):
            ids(catalogs, "shop")
        update(ITEMS, name="shop")
        assert ids(catalogs, "shop") == {"a", "b", "c"}

    def test_a_file_of_that_name_is_not_asked(self, catalogs, write, monkeypatch, tmp_path):
        write("shop", "- {title: secret}\n")
        monkeypatch.chdir(tmp_path)
        ids(catalogs, "shop")
        remove_catalog(home.catalog_folder("shop"))
        with pytest.raises(MissingError, match="there is no catalog 'shop'"):
            ids(catalogs, "shop")

    def test_damaged_and_repaired(self, catalogs):
        ids(catalogs)
        file = segment(home.catalog_folder("shop"))
        raw = bytearray(file.read_bytes())
        raw[-1] ^= 1
        file.write_bytes(raw)
        for _ in range(2):
            with pytest.raises(CatalogError, match="the catalog is damaged"):
                ids(catalogs)
        repair(home.catalog_folder("shop"))
        assert ids(catalogs) == {"a", "b", "c"}

    def test_a_damaged_database(self, catalogs):
        ids(catalogs)
        with catalogs.lease() as index:
            folder = index.store.folder
        for file in folder.glob("index.sqlite*"):
            file.unlink()
        (folder / "index.sqlite").write_bytes(b"no database" * 1000)
        with pytest.raises(CatalogError, match="the catalog is damaged"):
            ids(catalogs, "shop")
        shutil.rmtree(folder)
        update(ITEMS, name="shop")
        assert ids(catalogs, "shop") == {"a", "b", "c"}

    def test_damage_is_looked_for_once(self, catalogs, monkeypatch):
        segment(home.catalog_folder("shop")).write_bytes(b"what?")
        opens = []
        open_named = Index.open_named
        monkeypatch.setattr(
            Index, "open_named", lambda name, **options: opens.append(name) or open_named(name, **options)
        )
        monkeypatch.setattr(latest, "_FAILED", 99)
        for _ in range(5):
            with pytest.raises(CatalogError, match="the catalog is damaged"):
                ids(catalogs)
        assert opens == ["shop"]
        repair(home.catalog_folder("shop"))
        assert ids(catalogs)

    def test_what_lies_elsewhere_is_tried_again(self, catalogs, monkeypatch):
        monkeypatch.setattr(latest, "_FAILED", 0)
        with monkeypatch.context() as patch:
            patch.setattr(loading, "load_heads", lambda *_, **__: (_ for _ in ()).throw(CatalogError("not now")))
            with pytest.raises(CatalogError, match="not now"):
                ids(catalogs)
        assert ids(catalogs)

    def test_of_an_older_form(self, catalogs, monkeypatch):
        ids(catalogs)
        older = [home.OlderError("older"), None]
        read_info = opening_index.Store

        def open_store(folder, **options):
            if error := older.pop(0):
                raise error
            return read_info(folder, **options)

        migrated = []
        monkeypatch.setattr("attnsearch.storage.migration.migrate", migrated.append)
        monkeypatch.setattr(opening_index, "Store", open_store)
        add("d")
        assert len(ids(catalogs)) == 4
        assert migrated == [home.catalog_folder("shop")]


class TestNames:
    def test_all_that_there_are_at_any_time(self, catalogs):
        assert catalogs.names() == ["shop"]
        update(ITEMS, name="Zoo")
        assert catalogs.names() == ["shop", "Zoo"] or catalogs.names() == ["Zoo", "shop"]
        assert ids(catalogs, "Zoo")
        remove_catalog(home.catalog_folder("shop"))
        assert catalogs.names() == ["Zoo"]

    def test_catalogs_of_files_are_not_served(self, catalogs, write):
        path = write("own.yaml", "- {title: secret}\n")
        Index.open(str(path)).close()
        (unnamed,) = [folder.name for folder in home.catalog_folders() if folder.name.startswith("@")]
        assert catalogs.names() == ["shop"]
        for name in (unnamed, str(path), "own.yaml", "own"):
            with pytest.raises(MissingError, match="there is no catalog"):
                ids(catalogs, name)

    @pytest.mark.parametrize(
        "name",
        ["../shop", "./shop", "/etc/passwd", "shop/", "shop/segments", "SHOP", "-", "~", "", ".", "..", ".pipe-1", "@x",
         "shop\0", "shop\n", "sh\u200bop", "\ud800", "s" * 500, "kitchen", "C:\\shop"],
    )  # fmt: skip
    def test_no_other_name(self, catalogs, name):
        with pytest.raises(MissingError, match="there is no catalog"):
            ids(catalogs, name)
        with pytest.raises(MissingError, match="there is no catalog"):
            ids(catalogs, "shop", name)
        assert not catalogs._open

    def test_the_nearest(self, catalogs):
        with pytest.raises(MissingError) as caught:
            ids(catalogs, "Shap")
        assert str(caught.value) == "there is no catalog 'Shap'; did you mean 'shop'?"
        with pytest.raises(MissingError) as caught:
            ids(catalogs, "unlike")
        assert str(caught.value) == "there is no catalog 'unlike'; there are shop"

    def test_a_decomposed_name_is_the_same(self, catalogs):
        update(ITEMS, name="cafe\u0301")
        assert ids(catalogs, "caf\u00e9") == ids(catalogs, "cafe\u0301")
        assert [*catalogs._open] == [("caf\u00e9",)]

    def test_only_those_that_are_named(self, catalogs):
        update(ITEMS, name="other")
        with closing(Catalogs(["other"])) as some:
            assert (some.names(), some.default()) == (["other"], "other")
            assert ids(some)
            with pytest.raises(MissingError, match="there is no catalog 'shop'"):
                ids(some, "shop")

    def test_built_in_ones_are_indexed_when_they_are_asked(self, home, small):
        with closing(Catalogs()) as catalogs:
            assert catalogs.names() == ["library", "kitchen", "toolbox"]
            assert len(ids(catalogs)) == len(ids(catalogs, "library")) > 9
            assert [folder.name for folder in home.iterdir()] == ["library"]
            assert catalogs.names() == ["library", "kitchen", "toolbox"]

    def test_the_default(self, catalogs, monkeypatch):
        monkeypatch.setattr(serving, "_DEFAULT_LASTS", 0)
        assert catalogs.default() == "shop"
        update(ITEMS, name="another")
        with pytest.raises(InputError) as caught:
            catalogs.default()
        assert str(caught.value) == "which catalog? there are another, shop; name one of them"
        store_default("shop")
        assert (catalogs.default(), catalogs.names()) == ("shop", ["shop", "another"])

    def test_a_default_that_is_a_file(self, catalogs, write, monkeypatch):
        path = write("own.yaml", "- {title: secret}\n")
        monkeypatch.setenv("ATTNSEARCH_CATALOG", str(path))
        assert catalogs.default() == "shop"


class TestUnion:
    def test_it_is_refreshed_when_any_part_is(self, catalogs):
        update([{"id": "z", "title": "moon"}], name="other")
        assert ids(catalogs, "shop", "other") == {"a", "b", "c", "z"}
        add("y", "other")
        assert ids(catalogs, "shop", "other") == {"a", "b", "c", "y", "z"}
        add("d")
        assert ids(catalogs, "shop", "other") == {"a", "b", "c", "d", "y", "z"}

    def test_what_was_open_is_open(self, catalogs, monkeypatch):
        update([{"id": "z", "title": "moon", "price": 9}], name="other")
        with catalogs.lease(["shop", "other"]) as union:
            query(union, "moon", where="price > 1", lexical=0.3)
        add("d", price=4)
        with catalogs.lease(["shop", "other"]) as union:
            monkeypatch.setattr(Store, "items", None)
            assert len(query(union, "moon", where="price > 1", lexical=0.3).hits) == 3

    def test_named_twice(self, catalogs):
        with pytest.raises(InputError, match="the catalog 'shop' is named twice"):
            ids(catalogs, "shop", "shop")

    def test_a_part_that_is_gone(self, catalogs):
        update(ITEMS, name="other")
        ids(catalogs, "shop", "other")
        remove_catalog(home.catalog_folder("other"))
        with pytest.raises(MissingError, match="there is no catalog 'other'"):
            ids(catalogs, "shop", "other")
        assert ids(catalogs, "shop")


class TestWarm:
    def test_the_first_request_opens_nothing(self, catalogs, monkeypatch):
        catalogs.warm()
        monkeypatch.setattr(Index, "open_named", None)
        assert ids(catalogs)

    def test_what_is_wrong_is_only_logged(self, catalogs, caplog):
        segment(home.catalog_folder("shop")).write_bytes(b"what?")
        catalogs.warm()
        assert "the catalog is damaged" in caplog.text


def test_a_search_in_a_pool(catalogs):
    with ThreadPoolExecutor(8) as pool, catalogs.lease() as index:
        answers = list(pool.map(lambda text: search(index, [text])[0].hits[0].id, ["moon", "sea", "robot"] * 20))
    assert answers == ["a", "b", "c"] * 20
