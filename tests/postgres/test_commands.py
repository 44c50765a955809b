"""The commands that write, check and remove, with an address."""

from __future__ import annotations

import json

import pytest

from tests.conftest import SHOP


@pytest.fixture
def url(server, database):
    return server.url(database, "shop")


class TestCommands:
    def test_index_check_and_remove(self, url, write, small, run):
        path = write("shop.yaml", SHOP)
        assert "shop: 3 items; 3 new; 3 embedded" in run("index", path, "--name", url).out
        report = json.loads(run("index", path, "--name", url, "--lexical=0.5", "--json").out)
        assert (report["info"]["name"], report["info"]["lexical"], report["changed"]) == ("shop", 0.5, 0)
        assert run("check", url).out == f"{url}: ok\n"
        assert run("remove", url, "--dry-run").out == f"would remove {url}\n"
        assert run("remove", url, url, "--yes").out == f"removed {url}\n"
        ran = run("check", url)
        assert (ran.code, "there is no such catalog" in ran.err) == (3, True)

    def test_damage(self, server, database, url, write, small, run):
        run("index", write("shop.yaml", SHOP), "--name", url)
        server.execute("UPDATE attnsearch_shop.keys SET x = x + x", database=database)
        ran = run("check", url, "--json")
        assert ran.code == 3
        row = json.loads(ran.out)
        assert (row["catalog"], row["whole"], len(row["problems"])) == (url, False, 3)
        assert "restore a backup of the database" in ran.err
        ran = run("check", url, "--repair")
        assert (ran.code, "can't be repaired" in ran.err) == (2, True)

    def test_password_is_never_shown(self, server, database, write, small, run):
        secret = server.guest_url(database, "shop", password="very-secret")
        path = write("shop.yaml", SHOP)
        for arguments in (("index", path, "--name", secret), ("check", secret), ("remove", secret, "-y")):
            ran = run(*arguments)
            assert ran.code == 3
            assert "secret" not in ran.out + ran.err

    def test_source_is_no_address(self, url, small, run):
        ran = run("index", url)
        assert (ran.code, "a catalog in a database is no source" in ran.err) == (2, True)
