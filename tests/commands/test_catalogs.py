"""`attnsearch list`, `info`, `remove`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys

import pytest

from attnsearch.storage import home as catalogs_home
from attnsearch.upkeep.removal import remove_catalog
from tests.terminal.test_streams import Terminal


class TestCatalogs:
    def test_list(self, run, shop_file, write, monkeypatch):
        run("index", "shop.yaml")
        other = write("b.yaml", "- {title: moon}\n- {title: sea}\n- {title: robot}\n")
        run("query", "moon", "-c", "./b.yaml")
        monkeypatch.setenv("COLUMNS", "500")
        lines = run("list").out.splitlines()
        assert lines[0].split() == ["name", "items", "model", "updated", "from"]
        assert [line.split()[0] for line in lines[1:]] == [str(other), "shop", "library", "kitchen", "toolbox"]
        catalogs = json.loads(run("list", "--json").out)
        assert catalogs[1]["items"] == 3
        assert catalogs[2] == {"name": "library", "built_in": True, "default": False}

    def test_info(self, run, shop_file, home):
        run("index", "shop.yaml")
        info = json.loads(run("info", "shop", "--json").out)
        assert (info["items"], info["keys"], info["d"], info["weights_sha256"]) == (3, 3, 4, "5" * 64)
        assert info["sources"] == [str(shop_file)]
        assert info["folder"] == str(home / "shop")
        assert "items           3" in run("info", "shop").out

    def test_remove(self, run, shop_file, home, write):
        run("index", "shop.yaml")
        write("b.yaml", "- {title: moon}\n")
        run("query", "moon", "-c", "./b.yaml")
        assert run("remove", "shop", "./b.yaml") == (0, "removed shop\nremoved ./b.yaml\n", "")
        assert list(home.iterdir()) == []
        assert shop_file.exists()
        assert run("remove", "shop").code == 3

    def test_of_several_none_is_removed_if_one_is_not_there(self, run, shop_file, home):
        run("index", "shop.yaml")
        assert run("remove", "shop", "nowhere").code == 3
        assert run("info", "shop").code == 0

    def test_a_damaged_catalog_can_be_seen_and_removed(self, run, shop_file, home):
        run("index", "shop.yaml")
        (home / "shop" / "index.sqlite").write_bytes(b"rubbish" * 1000)
        assert "the catalog is damaged" in run("list").out
        code, _, err = run("query", "moon", "-c", "shop")
        assert code == 3
        assert "run 'attnsearch check shop --repair'" in err
        assert run("info", "shop").code == 3
        assert run("remove", "shop").code == 0
        assert run("index", "shop.yaml").code == 0


class TestNotIndexedYet:
    """A built-in catalog, or a file, that nobody has asked so far."""

    @pytest.mark.parametrize("command", ["info", "remove"])
    @pytest.mark.parametrize("ref", ["library", "./shop.yaml"])
    def test_it_says_so(self, run, shop_file, command, ref):
        code, out, err = run(command, ref)
        assert (code, out) == (3, "")
        assert err == f"attnsearch: '{ref}' is not indexed yet; 'attnsearch query TEXT -c {ref}' indexes it\n"


class TestNarrowWindow:
    """Names and numbers can be read."""

    @pytest.fixture
    def lines(self, run, shop_file, monkeypatch):
        run("index", "shop.yaml")

        def lines(width: int, *argv: str) -> list[str]:
            monkeypatch.setenv("COLUMNS", str(width))
            monkeypatch.setattr(sys, "stdout", Terminal())
            run(*argv, "--color", "never")
            shown = sys.stdout.getvalue().splitlines()
            assert all(len(line) <= width for line in shown)
            return shown

        return lines

    @pytest.mark.parametrize("width", [30, 50, 80])
    def test_info(self, lines, width):
        shown = lines(width, "info", "shop")
        assert {"field", "weights sha256", "folder", "tombstones"} <= {line.split("  ")[0] for line in shown}
        assert "5" * 64 in "".join("".join(shown).split())
        assert not any("…" in line for line in shown[: shown.index("")])

    @pytest.mark.parametrize(
        ("width", "columns"),
        [(60, ["name", "items", "model", "updated", "from"]), (50, ["name", "items", "model", "from"]),
         (30, ["name", "items", "from"])],
    )  # fmt: skip
    def test_list(self, lines, width, columns):
        header, *rows = lines(width, "list")
        assert header.split() == columns
        assert [row.split()[0] for row in rows] == ["shop", "library", "kitchen", "toolbox"]
        assert re.fullmatch(r"shop +3 +(small +)?(\d{4}-\d\d-\d\d \d\d:\d\d +)?\S+…\S+", rows[0])

    def test_long_names(self, run, lines):
        """What a name ends with tells it from others."""
        for year in ("2023", "2024"):
            run("index", "shop.yaml", "--name", f"everything that the shop sold in {year}")
        names = {row.split("  ")[0] for row in lines(40, "list")}
        assert {"2023", "2024"} <= {name[-4:] for name in names if name.startswith("every")}


class TestOneThatCanNotBeOpened:
    """It is one line of `list`, and hinders nobody else."""

    @pytest.fixture
    def theirs(self, run, shop_file, home, monkeypatch):
        """A catalog beside the shop, that another user owns."""
        run("index", "shop.yaml", "--name", "theirs")
        run("index", "shop.yaml", "--name", "mine")
        connect = sqlite3.connect

        def refuse(path, *args, **options):
            if "/theirs/" in str(path):
                error = sqlite3.OperationalError("unable to open database file")
                error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
                raise error
            return connect(path, *args, **options)

        monkeypatch.setattr(sqlite3, "connect", refuse)
        return home / "theirs"

    def test_list(self, run, theirs):
        code, out, err = run("list", "--json")
        assert (code, err) == (0, "")
        rows = {row["name"]: row for row in json.loads(out)}
        assert rows["theirs"]["problem"] == f"{theirs}: can't be opened: unable to open database file"
        assert rows["mine"]["items"] == 3

    @pytest.mark.parametrize("argv", [["list"], ["query", "moon", "-c", "mine"], ["index", "shop.yaml"]])
    def test_others_go_on(self, run, theirs, argv):
        assert run(*argv).code == 0

    def test_nor_is_it_passed_over(self, run, theirs):
        assert run("query", "moon", "-q").err.startswith("attnsearch: which catalog? you have mine, theirs; say -c")

    @pytest.mark.parametrize("command", [["query", "moon", "-c"], ["info"], ["check"], ["remove"]])
    def test_the_one_itself(self, run, theirs, command):
        code, out, err = run(*command, "theirs")
        assert (code, out) == (3, "")
        assert "can't be " in err
        assert "damaged" not in err

    def test_a_home_with_a_path_that_is_too_long_for_sqlite(self, run, shop_file, home, monkeypatch):
        run("index", "shop.yaml")
        far = home.parent.joinpath(*["x" * 99] * 6)
        far.parent.mkdir(parents=True)
        home.rename(far)
        monkeypatch.setenv("ATTNSEARCH_HOME", str(far))
        code, out, _ = run("list", "--json")
        assert code == 0
        assert "its path is longer than the 500 bytes that SQLite takes" in json.loads(out)[0]["problem"]
        code, _, err = run("query", "moon", "-c", "shop")
        assert code == 3
        assert "its path is longer" in err

    def test_removed_while_we_looked(self, run, shop_file, home, monkeypatch):
        run("index", "shop.yaml")
        run("index", "shop.yaml", "--name", "other")
        folders = catalogs_home.catalog_folders()
        remove_catalog(home / "other")
        monkeypatch.setattr(catalogs_home, "catalog_folders", lambda: folders)
        assert json.loads(run("list", "--json").out)[0]["name"] == "shop"
        assert "other" not in run("list").out


def test_forbidden_files_are_not_damage(run, shop_file, home, monkeypatch):
    run("index", "shop.yaml")
    opened = os.open

    def refuse(path, *args, **options):
        if str(path).endswith(".npy"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    for argv in (["query", "moon", "-c", "shop"], ["check", "shop"], ["check", "shop", "--repair"]):
        code, out, err = run(*argv)
        assert (code, out) == (3, "")
        assert "npy: can't be read: Permission denied" in err
        assert "damaged" not in err


class TestRenamedFolder:
    """A catalog's name is that of its folder."""

    @pytest.fixture(autouse=True)
    def renamed(self, run, shop_file, home):
        run("index", "shop.yaml")
        (home / "shop").rename(home / "store")

    def test_list_and_info(self, run):
        assert json.loads(run("list", "--json").out)[0]["name"] == "store"
        assert json.loads(run("info", "store", "--json").out)["name"] == "store"

    def test_it_is_asked_by_default(self, run):
        ran = run("query", "moon", "--json")
        assert (ran.code, json.loads(ran.out)["items"]) == (0, 3)

    def test_a_built_in_one_that_was_renamed_is_the_users(self, run, home):
        run("remove", "store")
        run("query", "moon", "-c", "kitchen")
        (home / "kitchen").rename(home / "mine")
        items = json.loads(run("info", "mine", "--json").out)["items"]
        assert json.loads(run("query", "moon", "--json").out)["items"] == items
