"""Where catalogs live, which names they may have, and which are built in."""

from __future__ import annotations

import pytest

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.sources.items import read_items
from attnsearch.storage.files import check_name, home_folder
from attnsearch.storage.home import (
    BUILT_IN,
    built_in_file,
    catalog_folder,
    file_catalog_folder,
    find_catalog,
)
from tests.storage.examples import put


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
            ({"XDG_DATA_HOME": "~nosuch"}, "your home folder is not known: there is no HOME"),
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
        with pytest.raises(AttnsearchError) as caught:
            home_folder()
        assert caught.value.code == (2 if variables.get("ATTNSEARCH_HOME") else 3)
        assert str(caught.value) == f"{message}; set ATTNSEARCH_HOME to the folder for your catalogs"

    def test_no_other_variable_is_needed(self, monkeypatch):
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
        monkeypatch.setenv("ATTNSEARCH_HOME", "/data")
        assert str(home_folder()) == "/data"


def test_a_relative_xdg_path_is_ignored(monkeypatch):
    """As its specification says: it would mean another folder in each working directory."""
    monkeypatch.delenv("ATTNSEARCH_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    for relative in ("data", "./data", "~/data", ""):
        monkeypatch.setenv("XDG_DATA_HOME", relative)
        assert str(home_folder()) == "/home/ada/.local/share/attnsearch"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(home_folder()) == "/data/attnsearch"


def test_two_files_of_one_name_do_not_meet(tmp_path):
    folder, other = file_catalog_folder(tmp_path / "a" / "x.yaml"), file_catalog_folder(tmp_path / "b" / "x.yaml")
    assert folder != other
    assert folder == file_catalog_folder(tmp_path / "a" / ".." / "a" / "x.yaml")
    with pytest.raises(InputError):
        catalog_folder(folder.name)


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
