"""`attnsearch list`, `info`, `remove`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import re
import sys

import pytest

from tests.cli.test_terminal import Terminal


class TestCatalogs:
    def test_list(self, run, shop_file):
        run("index", "shop.yaml")
        run("query", "moon", "-c", "./shop.yaml")
        lines = run("list").out.splitlines()
        assert lines[0].split() == ["name", "items", "model", "updated", "from"]
        assert [line.split()[0] for line in lines[1:]] == [str(shop_file), "shop", "library", "kitchen", "toolbox"]
        told = json.loads(run("list", "--json").out)
        assert told[1]["items"] == 3
        assert told[2] == {"name": "library", "built_in": True}

    def test_info(self, run, shop_file, home):
        run("index", "shop.yaml")
        told = json.loads(run("info", "shop", "--json").out)
        assert (told["items"], told["keys"], told["d"], told["weights_sha256"]) == (3, 3, 4, "5" * 64)
        assert told["sources"] == [str(shop_file)]
        assert told["folder"] == str(home / "shop")
        assert "items           3" in run("info", "shop").out

    def test_remove(self, run, shop_file, home):
        run("index", "shop.yaml")
        run("query", "moon", "-c", "./shop.yaml")
        assert run("remove", "shop", "./shop.yaml") == (0, "removed shop\nremoved ./shop.yaml\n", "")
        assert list(home.iterdir()) == []
        assert shop_file.exists()
        assert run("remove", "shop").code == 3

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


class TestCheck:
    def test_what_it_says(self, run, shop_file, home):
        run("index", "shop.yaml")
        assert run("check", "shop") == (0, "shop: ok\n", "")
        (home / "shop" / "index.sqlite").write_bytes(b"rubbish" * 1000)
        code, out, err = run("check", "shop")
        assert code == 3
        assert out.startswith("shop: ")
        assert err == "attnsearch: shop: the catalog is damaged; run 'attnsearch check shop --repair'\n"

    def test_several(self, run, shop_file, home):
        for name in ("one", "two", "three"):
            run("index", "shop.yaml", "--name", name)
        for name in ("one", "three"):
            (home / name / "index.seal").write_bytes(b"rubbish")
        code, out, err = run("check", "one", "two", "three")
        assert code == 3
        assert "two: ok\n" in out
        assert err == "attnsearch: one, three: these catalogs are damaged; run 'attnsearch check one three --repair'\n"
        assert run("check", "one", "three", "--repair").out.count(": repaired; 0 texts embedded again\n") == 2


class TestNarrowWindow:
    """Values are cut, names and numbers are not."""

    @pytest.fixture
    def lines(self, run, shop_file, monkeypatch):
        monkeypatch.setenv("COLUMNS", "50")
        run("index", "shop.yaml")

        def lines(*argv: str) -> list[str]:
            monkeypatch.setattr(sys, "stdout", Terminal())
            run(*argv, "--no-color")
            return sys.stdout.getvalue().splitlines()

        return lines

    def test_info(self, lines):
        shown = lines("info", "shop")
        assert all(len(line) <= 50 for line in shown)
        assert {"field", "weights sha256", "description", "tombstones"} <= {line.split("  ")[0] for line in shown}
        assert any(line.endswith("…") for line in shown)

    def test_list(self, lines):
        header, *rows = lines("list")
        assert all(len(line) <= 50 for line in [header, *rows])
        assert header.split() == ["name", "items", "model", "updated", "from"]
        assert [row.split()[0] for row in rows] == ["shop", "library", "kitchen", "toolbox"]
        assert re.fullmatch(r"shop +3 +small +\d{4}-\d\d-\d\d \d\d:\d\d +\S+…", rows[0])
