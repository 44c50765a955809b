"""Where catalogs live, which names they may have, which are built in, and how they are removed."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.update import update
from attnsearch.indexing.writer import Writer
from attnsearch.sources.items import read_items
from attnsearch.storage import lock
from attnsearch.storage.files import check_name, home_folder
from attnsearch.storage.home import (
    BUILT_IN,
    built_in_file,
    catalog_folder,
    catalog_folders,
    default_catalog,
    file_catalog_folder,
    find_catalog,
    remove_catalog,
)
from tests.storage.examples import contents, put


@pytest.fixture
def folder(home):
    return home / "shop"


def test_home(monkeypatch, tmp_path):
    assert home_folder() == tmp_path / "home"
    monkeypatch.delenv("ATTNSEARCH_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(home_folder()) == "/data/attnsearch"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/users/ada")
    assert str(home_folder()) == "/users/ada/.local/share/attnsearch"


@pytest.mark.parametrize("name", ["हिन्दी किताबें", "தமிழ்", "ภาษาไทย", "שָׁלוֹם", "x\u0323y", "क्\u200dष", "কি" * 32])
def test_names_with_marks(name):
    assert check_name(name) == name


def test_a_decomposed_name_is_the_same_name(home):
    assert check_name("Cafe\u0301") == "Café"
    assert check_name("e\u0301" * 64) == "é" * 64
    put(catalog_folder("cafe\u0301"), [1])
    assert find_catalog("cafe\u0301") == find_catalog("café") == (home / "café", None)


@pytest.mark.parametrize(
    "name", ["\u0301", "\u0301a", "दिन.", " दिन", "दि/न", "a\u200d", "কি" * 33, "a\u0323\u0301" * 40]
)
def test_no_names_with_marks(name):
    with pytest.raises(InputError, match="invalid catalog name"):
        check_name(name)


class TestNoHomeFolder:
    """A service may have no HOME and no entry in the table of users."""

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            ({"ATTNSEARCH_HOME": "~nosuch/x"}, "ATTNSEARCH_HOME=~nosuch/x: there is no home folder ~nosuch"),
            ({"XDG_DATA_HOME": "~nosuch"}, "XDG_DATA_HOME=~nosuch: there is no home folder ~nosuch"),
            ({}, "your home folder is not known: there is no HOME"),
        ],
    )
    def test_it_is_refused_in_one_line(self, monkeypatch, variables, message):
        monkeypatch.delenv("ATTNSEARCH_HOME")
        for name in ("HOME", "XDG_DATA_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
        with pytest.raises(InputError) as caught:
            home_folder()
        assert str(caught.value) == f"{message}; set ATTNSEARCH_HOME to the folder for your catalogs"

    def test_no_other_variable_is_needed(self, monkeypatch):
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
        monkeypatch.setenv("ATTNSEARCH_HOME", "/data")
        assert str(home_folder()) == "/data"


def test_two_files_of_one_name_do_not_meet(tmp_path):
    folder, other = file_catalog_folder(tmp_path / "a" / "x.yaml"), file_catalog_folder(tmp_path / "b" / "x.yaml")
    assert folder != other
    assert folder == file_catalog_folder(tmp_path / "a" / ".." / "a" / "x.yaml")
    with pytest.raises(InputError):
        catalog_folder(folder.name)


def test_a_catalog_of_a_file_is_no_default(home, tmp_path, caplog):
    put(file_catalog_folder(tmp_path / "x.yaml"), [1])
    assert default_catalog() == "library"
    put(home / "shop", [1])
    assert default_catalog() == "shop"
    assert caplog.text == ""


def test_a_built_in_catalog_is_no_default_beside_ones_own(home, small, caplog):
    update([str(built_in_file("kitchen"))], name="kitchen")
    assert default_catalog() == "library"
    put(home / "shop", [1])
    assert default_catalog() == "shop"
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["library", "my books", "a", "Ünïcode-1.2_x", "a" * 64])
def test_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", ".hidden", "a.", "@x", "a\nb", "a\0", "-x", "a" * 65, " a"]
)
def test_no_names(name):
    with pytest.raises(InputError, match="invalid catalog name"):
        check_name(name)


def read_all(name):
    """Every item of a built-in catalog."""
    return list(read_items([str(built_in_file(name))]).items)


class TestBuiltIn:
    @pytest.fixture(params=BUILT_IN)
    def items(self, request):
        return request.param, read_all(request.param)

    def test_sizes(self, items):
        name, listed = items
        assert len(listed) >= {"library": 120, "kitchen": 60, "toolbox": 100}[name]

    def test_each_is_described(self, items):
        for item in items[1]:
            assert 8 <= len(item.description.split()) <= 60, item.id
            assert item.title
            assert item.fields["tags"]

    def test_the_library_has_its_fields(self):
        listed = read_all("library")
        assert len({item.fields["genre"] for item in listed}) >= 12
        for item in listed:
            assert isinstance(item.fields["year"], int)
            assert item.fields["author"]
            assert item.fields["language"]

    def test_no_other_is_built_in(self):
        assert built_in_file("../catalogs/library") is None


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
