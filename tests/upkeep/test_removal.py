"""How catalogs are removed: in one step, alone, and durably."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing.writer import Writer
from attnsearch.storage import lock
from attnsearch.storage.home import catalog_folders
from attnsearch.upkeep.removal import remove_catalog
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
