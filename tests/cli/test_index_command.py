"""`attnsearch index`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import SHOP


class TestIndex:
    def test_what_it_says(self, run, shop_file):
        code, out, err = run("index", "shop.yaml")
        assert (code, err) == (0, "")
        assert re.fullmatch(r"shop: 3 items; 3 new; 3 embedded in \d+\.\d s\n", out)
        assert run("index", "shop.yaml").out == "shop: 3 items; nothing changed; nothing to embed\n"
        shop_file.write_text(SHOP.replace("sea", "lake").replace("- {id: c, title: robot moon}\n", ""))
        assert re.fullmatch(r"shop: 2 items; 1 changed, 1 removed; 1 embedded in .* s\n", run("index", "shop.yaml").out)

    def test_quiet(self, run, shop_file):
        assert run("index", "shop.yaml", "-q") == (0, "", "")

    def test_json(self, run, shop_file):
        told = json.loads(run("index", "shop.yaml", "--json").out)
        assert (told["added"], told["embedded"], told["info"]["name"], told["info"]["items"]) == (3, 3, "shop", 3)

    def test_standard_input(self, run, shop_file):
        assert run("index", "-", "--name", "piped", stdin=SHOP.encode()).code == 0
        assert json.loads(run("info", "piped", "--json").out)["items"] == 3
        assert run("index", "-", stdin=SHOP.encode()).code == 2

    def test_a_form_that_is_said(self, run, shop_file, write):
        write("plain.txt", "id,title\n1,moon\n")
        assert run("index", "plain.txt", "--from", "csv").code == 0
        assert json.loads(run("query", "moon", "-c", "plain", "--json").out)["hits"][0]["id"] == "1"

    def test_several(self, run, shop_file, write):
        write("b.yaml", "- {title: x}\n")
        out = run("index", "shop.yaml", "b.yaml").out
        assert [line.split(":")[0] for line in out.splitlines()] == ["shop", "b"]
        assert run("index", "shop.yaml", "b.yaml", "--name", "all").out.startswith("all: 4 items")

    def test_fields(self, run, shop_file, write):
        write("x.csv", "sku,product,blurb\n1,Lamp,moon\n")
        options = ["--id-field", "sku", "--title-field", "product", "--text-field", "blurb"]
        assert run("index", "x.csv", *options).code == 0
        (hit,) = json.loads(run("query", "moon", "-c", "x", "--json").out)["hits"]
        assert (hit["id"], hit["title"], hit["score"]) == ("1", "Lamp", pytest.approx(1))
        assert hit["description"] == "moon"
        assert run("query", "moon", "-c", "x").out.splitlines()[1].split()[-1] == "moon"

    def test_keep(self, run, shop_file):
        run("index", "shop.yaml")
        shop_file.write_text("- {title: new}\n")
        assert run("index", "shop.yaml", "--keep").out.startswith("shop: 4 items; 1 new; 1 embedded")


def test_a_file_whose_name_has_marks(run, small, write, tmp_path, monkeypatch):
    """The catalog has the name of its file in NFC; -c takes it either way."""
    monkeypatch.chdir(tmp_path)
    for name, stored in (("हिन्दी", "हिन्दी"), ("cafe\u0301", "café")):
        write(f"{name}.yaml", "- title: दिन\n- title: दीन\n")
        assert run("index", f"{name}.yaml").out.startswith(f"{stored}: 2 items; 2 new")
        assert json.loads(run("info", name, "--json").out)["name"] == stored
