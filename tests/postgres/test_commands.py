"""The commands that write, check and remove, with an address."""

from __future__ import annotations

import json

import pytest

from attnsearch.errors import CatalogError
from attnsearch.postgres.address import parse_address
from attnsearch.postgres.place import TableNotebook
from attnsearch.storage.learned import Learned, unpack_learned
from attnsearch.teaching.feedback import store_learned
from tests.conftest import SHOP
from tests.postgres.test_writer import index


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

    def test_info(self, url, write, small, run):
        path = write("shop.yaml", SHOP)
        run("index", path, "--name", url)
        run("index", path)
        row, own = (json.loads(run("info", ref, "--json").out) for ref in (url, "shop"))
        others = ("bytes", "folder", "created", "updated", "default")
        assert {name: row[name] for name in row if name not in others} == {
            name: own[name] for name in own if name not in others
        }
        assert row["folder"] == url
        assert row["bytes"] > 10_000
        shown = run("info", url).out
        assert shown.startswith("name")
        assert "\naddress  " in shown
        assert "\nfolder " not in shown

    def test_catalog_that_is_not_there(self, server, database, url, write, small, run):
        asked = server.url(database, "other")
        ran = run("check", asked)
        assert f"no such catalog; make it: attnsearch index FILE --name '{asked}'" in ran.err  # & is for the shell
        run("index", write("shop.yaml", SHOP), "--name", url)
        ran = run("query", "moon", "-c", server.url(database, "shpo"))
        assert (ran.code, ran.out) == (3, "")
        assert "there is no such catalog; the database has shop; did you mean 'shop'?" in ran.err
        assert "the database has shop; make it: attnsearch index" in run("info", asked).err

    def test_train_and_reset(self, server, database, url, write, small, run):
        items = "".join(
            f"- {{id: i{n}, title: {['moon', 'sea', 'robot', 'lamp', 'star'][n % 5]} {n}}}\n" for n in range(40)
        )
        run("index", write("shop.yaml", items), "--name", url)
        lines = [{"query": f"q{n} robot", "relevant": [f"i{n}"]} for n in range(30)]
        judged = write("judged.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        ran = run("train", judged, "-c", url, "--force")
        assert (ran.code, ran.err) == (0, "")
        ((content,),) = server.execute("SELECT content FROM attnsearch_shop.learned", database=database)
        learned = unpack_learned(content, "")
        assert len(learned.requests) == 30
        assert json.loads(run("info", url, "--json").out)["learned"]["in_use"]
        assert run("query", "robot", "-c", url, "--json").code == 0
        assert "forgot what was learned" in run("reset", url).out
        assert run("reset", url).out == f"{url}: nothing was learned\n"
        assert server.execute("SELECT content FROM attnsearch_shop.learned", database=database) == []

    def test_training_of_another_state_is_not_kept(self, url, write, small):
        index(write("shop.yaml", SHOP), url)
        learned = Learned("small", "5" * 64, None, 0.1, identity="5" * 64)
        with pytest.raises(CatalogError, match="changed since the training began"):
            store_learned(TableNotebook(parse_address(url)), learned, "0" * 32)

    def test_password_is_never_shown(self, server, database, write, small, run):
        secret = server.guest_url(database, "shop", password="very-secret")
        path = write("shop.yaml", SHOP)
        for arguments in (("index", path, "--name", secret), ("check", secret), ("remove", secret, "-y")):
            ran = run(*arguments)
            assert ran.code == 3
            assert "secret" not in ran.out + ran.err

    def test_source_is_no_address(self, url, small, run):
        ran = run("index", url)
        assert (ran.code, "a catalog in a database is not a source" in ran.err) == (2, True)
