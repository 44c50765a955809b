"""How catalogs are removed: in one step, alone, and durably."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing.update import update
from attnsearch.indexing.writer import Writer
from attnsearch.opening.index import Index
from attnsearch.storage import lock, seal
from attnsearch.storage.files import FEEDBACK, LEARNED
from attnsearch.storage.home import catalog_folders, taught_files
from attnsearch.teaching.feedback import add_judgment, read_feedback
from attnsearch.upkeep import removal
from attnsearch.upkeep.removal import find_kept, kept_folders, remove_catalog
from tests.conftest import SHOP
from tests.storage.examples import contents, put


@pytest.fixture
def folder(home):
    return home / "shop"


def test_remove(folder, home):
    put(folder, [1])
    remove_catalog(folder)
    assert list(home.iterdir()) == []
    with pytest.raises(CatalogError, match="there is no catalog 'shop'"):
        remove_catalog(folder)


def test_a_removal_that_is_killed_has_removed_all_or_nothing(folder, home, monkeypatch):
    """The name goes first, and in one step; what it stood for goes with the next removal at the latest."""
    put(folder, [1])
    put(home / "other", [2])
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        remove_catalog(folder)
    assert not folder.exists()
    assert catalog_folders() == [home / "other"]
    remove_catalog(home / "other")
    assert list(home.iterdir()) == []


def test_after_a_power_cut_it_is_still_removed(home, synced):
    put(home / "shop", [1])
    synced.clear()
    remove_catalog(home / "shop")
    assert synced[-1].path == home
    assert "shop" not in synced[-1].names


def test_what_a_repair_of_another_builds_is_not_deleted(folder, home):
    put(folder, [1])
    (home / ".repaired-other").mkdir()
    remove_catalog(folder)
    assert list(home.iterdir()) == [home / ".repaired-other"]


def test_the_lock_is_held_until_the_name_is_gone(folder, monkeypatch):
    put(folder, [1])
    rename, locked = Path.rename, []

    def try_to_write(path, target):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            lock.acquire(folder, wait=0)
        locked.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", try_to_write)
    remove_catalog(folder)
    assert locked == [folder]


def test_remove_waits_for_a_writer(folder):
    put(folder, [1])
    with ThreadPoolExecutor() as pool:
        with Writer(folder):
            removing = pool.submit(remove_catalog, folder)
            wait([removing], 0.3)
            assert not removing.done()
            assert folder.exists()
            assert contents(folder) == [("i1", 1.0)]
        removing.result(20)
    assert not folder.exists()


def test_of_two_removals_the_second_finds_nothing(folder, home):
    put(folder, [1])
    with ThreadPoolExecutor() as pool:
        with Writer(folder):
            both = [pool.submit(remove_catalog, folder) for _ in range(2)]
            wait(both, 0.3)
        outcomes = sorted(str(removal.exception(20)) for removal in both)
    assert outcomes[0] == "None"
    assert outcomes[1].startswith("there is no catalog 'shop'")
    assert list(home.iterdir()) == []


class TestTaught:
    """What a person taught a catalog stays when it is removed, in one step."""

    @pytest.fixture
    def taught(self, folder):
        put(folder, [1])
        add_judgment(folder, "moon", {"i1": 1})
        (folder / LEARNED).write_bytes(b"learned")
        return folder

    def test_it_stays_and_comes_back(self, taught, home):
        assert remove_catalog(taught) == [FEEDBACK, LEARNED]
        assert {path.name for path in taught.iterdir()} == {FEEDBACK, LEARNED}
        assert list(home.iterdir()) == list(kept_folders()) == [taught]
        assert catalog_folders() == []
        put(taught, [2])
        assert contents(taught) == [("i2", 2.0)]
        assert read_feedback(taught)[0].query == "moon"
        assert (taught / LEARNED).read_bytes() == b"learned"
        assert list(kept_folders()) == []

    def test_or_goes_with_everything(self, taught, home):
        assert remove_catalog(taught, everything=True) == []
        assert list(home.iterdir()) == []

    def test_also_later(self, taught, home):
        remove_catalog(taught)
        with pytest.raises(CatalogError, match="there is no catalog"):
            remove_catalog(taught)
        assert taught_files(taught)
        remove_catalog(taught, everything=True)
        assert list(home.iterdir()) == []

    @pytest.mark.parametrize("moment", ["copy_file", "swap_folders", "rename"])
    def test_a_removal_that_is_killed_has_removed_all_or_nothing(self, taught, home, monkeypatch, moment):
        class Killed(BaseException):
            pass

        def die(*_, **__):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Path if moment == "rename" else removal, moment, die)
            with pytest.raises(Killed):
                remove_catalog(taught)
        assert read_feedback(taught)[0].query == "moon"
        assert catalog_folders() == ([] if moment == "rename" else [taught])
        put(taught, [1])
        remove_catalog(taught)
        assert list(home.iterdir()) == [taught]

    def test_it_is_durable_before_the_rest_goes(self, taught, home, synced):
        synced.clear()
        remove_catalog(taught)
        copies = [event.path.name for event in synced]
        assert copies[:2] == [FEEDBACK, LEARNED]
        assert synced[2].names == {FEEDBACK, LEARNED}
        assert synced[-1].path == home

    def test_a_judgment_made_meanwhile_is_not_lost(self, taught):
        """It waits for the removal, or the removal for it."""
        with ThreadPoolExecutor() as pool:
            with Writer(taught):
                judging = pool.submit(add_judgment, taught, "sea", {"i1": 1})
                wait([judging], 0.3)
                removing = pool.submit(remove_catalog, taught)
                wait([removing], 0.3)
            removing.result(20)
            if judging.exception(20) is None:
                assert len(read_feedback(taught)) == 2

    def test_a_writer_that_waited_writes_to_the_new_folder(self, taught):
        with ThreadPoolExecutor() as pool:
            with Writer(taught):
                removing = pool.submit(remove_catalog, taught)
                wait([removing], 0.3)
                writing = pool.submit(put, taught, [7])
                wait([writing], 0.3)
            removing.result(20)
            writing.result(20)
        assert read_feedback(taught)[0].query == "moon"

    def test_that_of_a_file_gets_the_name(self, write, small, home):
        path = write("shop.yaml", SHOP)
        Index.open(str(path)).close()
        (unnamed,) = home.iterdir()
        add_judgment(unnamed, "moon", {"a": 1})
        remove_catalog(unnamed)
        assert find_kept(str(path)) == unnamed
        update([str(path)])
        assert read_feedback(home / "shop")[0].query == "moon"
        assert list(home.iterdir()) == [home / "shop"]

    @pytest.mark.parametrize("ref", ["shop", "../shop", "/", ".", "a\0b", "~nobody/x", "x" * 5000])
    def test_only_what_is_kept_is_kept(self, folder, ref):
        put(folder, [1])
        assert find_kept(ref) is None

    def test_links_lead_nowhere(self, taught, write):
        (taught / FEEDBACK).unlink()
        (taught / FEEDBACK).symlink_to(write("elsewhere", "x"))
        with pytest.raises(CatalogError, match="is a link"):
            remove_catalog(taught)


def test_no_removal_comes_between_the_hash_and_the_seal(folder, monkeypatch):
    """A seal beside no database would make the next, new one look damaged until its first commit."""
    put(folder, [1])
    hash_database = seal.database_sha256
    refused = []

    def try_to_remove(folder):
        with (
            pytest.raises(CatalogError, match="another attnsearch is writing") as caught,
            lock.guarding(folder, wait=0),
        ):
            pass
        refused.append(caught)
        return hash_database(folder)

    monkeypatch.setattr(seal, "database_sha256", try_to_remove)
    put(folder, [2])
    assert len(refused) == 1


def test_while_it_is_removed_a_catalog_is_not_sealed(folder, monkeypatch):
    put(folder, [1])
    before = seal.read_seal(folder)
    write_seal = seal.write_seal

    def guard_and_seal(*arguments):
        with lock.guarding(folder):
            write_seal(*arguments)

    monkeypatch.setattr(seal, "write_seal", guard_and_seal)
    put(folder, [2])
    assert seal.read_seal(folder) == before
