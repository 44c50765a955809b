"""Which catalog is asked when none is named, and the file that keeps a user's choice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.update import update
from attnsearch.storage.home import built_in_file, file_catalog_folder
from attnsearch.upkeep.default import (
    choose_default,
    default_catalog,
    forget_default,
    read_default,
    store_default,
)
from attnsearch.upkeep.removal import remove_catalog
from tests.storage.examples import put


def test_a_catalog_of_a_file_is_no_default(home, tmp_path):
    put(file_catalog_folder(tmp_path / "x.yaml"), [1])
    assert default_catalog() == "library"
    put(home / "shop", [1])
    assert default_catalog() == "shop"


def test_a_built_in_catalog_is_no_default_beside_ones_own(home, small):
    update([str(built_in_file("kitchen"))], name="kitchen")
    assert default_catalog() == "library"
    put(home / "shop", [1])
    assert default_catalog() == "shop"


class TestOrder:
    def test_the_environment_then_the_choice_then_the_only_one(self, home, monkeypatch):
        put(home / "shop", [1])
        assert choose_default() == ("shop", "the only catalog of your own", ())
        store_default("kitchen")
        assert choose_default() == ("kitchen", "by 'attnsearch use'", ())
        monkeypatch.setenv("ATTNSEARCH_CATALOG", "toolbox")
        assert default_catalog() == "toolbox"
        monkeypatch.delenv("ATTNSEARCH_CATALOG")
        forget_default()
        assert default_catalog() == "shop"
        forget_default()  # which is no error

    def test_of_several_none_is_asked_but_on_a_terminal(self, home, caplog):
        for name in ("shop", "my books"):
            put(home / name, [1])
        with pytest.raises(InputError) as refused:
            default_catalog()
        assert str(refused.value) == (
            "which catalog? you have 'my books', shop; say -c NAME, or choose a default: attnsearch use NAME"
        )
        assert caplog.text == ""
        assert default_catalog(is_terminal=True) == "library"
        assert caplog.messages == [
            "asking the built-in library; you have 'my books', shop: "
            "say -c NAME, or choose a default: attnsearch use NAME"
        ]
        store_default("shop")
        assert default_catalog() == default_catalog(is_terminal=True) == "shop"

    def test_one_that_is_damaged_is_not_passed_over(self, home):
        put(home / "shop", [1])
        (home / "shop" / "index.sqlite").write_bytes(b"rubbish" * 1000)
        assert default_catalog() == "shop"

    def test_many_are_not_all_named(self, home):
        for number in range(7):
            put(home / f"shop{number}", [1])
        with pytest.raises(InputError, match="you have shop0, shop1, shop2, shop3, shop4, …; say"):
            default_catalog()


class TestChoice:
    def test_only_of_what_there_is(self, home):
        with pytest.raises(CatalogError, match="there is no catalog 'shop'"):
            store_default("shop")
        with pytest.raises(InputError, match="no such file"):
            store_default("./shop.yaml")
        assert not home.exists()

    @pytest.mark.parametrize("name", ["shop\n.yaml", os.fsdecode(b"shop\xff.yaml")])
    def test_only_what_can_be_read_again(self, home, write, name):
        path = str(write(name, "- {title: moon}\n"))
        with pytest.raises(InputError, match="a default can't have such a name; rename it, or give"):
            store_default(path)
        assert default_catalog() == "library"

    def test_a_file(self, home, write, tmp_path, monkeypatch):
        path = write("shop.yaml", "- {title: moon}\n")
        monkeypatch.chdir(tmp_path)
        assert store_default("./shop.yaml") == str(path)
        assert default_catalog() == str(path)

    @pytest.mark.parametrize("ref", ["shop", "./shop.yaml"])
    def test_one_that_is_gone_is_an_error(self, home, write, tmp_path, monkeypatch, ref):
        monkeypatch.chdir(tmp_path)
        path = write("shop.yaml", "- {title: moon}\n")
        put(home / "shop", [1])
        put(home / "other", [1])
        store_default(ref)
        path.unlink()
        remove_catalog(home / "shop")
        with pytest.raises(
            CatalogError, match=r"the default catalog '.*' is gone; choose another: attnsearch use NAME"
        ):
            default_catalog(is_terminal=True)
        assert read_default() is not None

    @pytest.mark.parametrize(
        "content",
        [b"", b"shop", b"\n", b"-\n", b"../shop\n", b"a\nb\n", b"\xff\n", b"@x-1\n", b"/" + b"x" * 9000 + b"\n",
         b"cafe\xcc\x81\n", b"\x1b[31m\n"],
    )  # fmt: skip
    def test_content_that_it_never_writes_is_refused(self, home, content):
        home.mkdir()
        (home / ".default").write_bytes(content)
        with pytest.raises(CatalogError, match="does not name a catalog; choose again: attnsearch use NAME"):
            default_catalog(is_terminal=True)
        store_default("kitchen")
        assert default_catalog() == "kitchen"

    def test_links_and_pipes_are_not_followed(self, home, write):
        home.mkdir()
        (home / ".default").symlink_to(write("elsewhere", "kitchen\n"))
        with pytest.raises(CatalogError, match="can't be read"):
            default_catalog()
        store_default("toolbox")
        assert (home.parent / "elsewhere").read_text() == "kitchen\n"
        (home / ".default").unlink()
        os.mkfifo(home / ".default")
        with pytest.raises(CatalogError, match="does not name a catalog"):
            default_catalog()
        forget_default()
        assert not (home / ".default").exists()

    def test_it_is_durable_and_private(self, home, synced):
        store_default("kitchen")
        assert [event.path for event in synced][-1] == home
        assert home.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in Path(home).iterdir()] == [".default"]
