from __future__ import annotations

import csv
import io
import json
import sys

import pytest

from attnsearch.commands.items import EXPORT_FORMATS as FORMATS
from attnsearch.encoding import loading
from attnsearch.errors import Exit, ModelError
from attnsearch.indexing.update import update
from tests.exports.exporting import contents

SHOP = """\
- {id: a, title: moon, description: "two\\nlines", year: 1969, tags: [x, y], size: {h: 3}}
- {id: b, title: "sea \\u001b[31m", rank: 1}
"""


@pytest.fixture
def shop(write, small):
    update([str(write("shop.yaml", SHOP))])
    return "shop"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Go to another home."""
    return lambda: monkeypatch.setenv("ATTNSEARCH_HOME", str(tmp_path / "elsewhere"))


class TestFormats:
    @pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
    def test_there_and_back(self, run, shop, tmp_path, elsewhere, form):
        before = contents(shop)
        file = tmp_path / f"x.{form}"
        assert run("export", shop, "-o", str(file)) == (Exit.DONE, "", "")
        elsewhere()
        report = json.loads(run("index", str(file), "--model", "small", "--json").out)
        assert (report["embedded"], report["added"]) == (0, 2)
        assert contents(shop) == before

    def test_json_lines_by_default(self, run, shop):
        header, *items = map(json.loads, run("export", shop).out.splitlines())
        assert [*header] == [
            "attnsearch_export", "name", "description", "model", "sha256", "identity", "precision", "d", "temperature",
            "lexical", "fields", "given", "items", "keys",
            "language",
        ]  # fmt: skip
        assert [*items[0]] == ["id", "title", "description", "text", "fields", "starts", "stops", "embeddings"]
        assert len(items[0]["embeddings"][0]) == header["d"]

    def test_csv(self, run, shop):
        rows = list(csv.DictReader(io.StringIO(run("export", shop, "-f", "csv").out)))
        assert rows == [
            {"id": "a", "title": "moon", "description": "two lines", "year": "1969", "tags": "x; y", "size.h": "3",
             "rank": ""},
            {"id": "b", "title": "sea \\x1b[31m", "description": "", "year": "", "tags": "", "size.h": "", "rank": "1"},
        ]  # fmt: skip

    def test_csv_with_names_that_look_alike(self, run, write, small):
        record = {"id": "a", "title": "moon", "id ": 1, "fields.id": 2, "in": {"a b": 3, "a\nb": 4}}
        run("index", str(write("x.jsonl", json.dumps(record) + "\n")))
        (row,) = csv.DictReader(io.StringIO(run("export", "x", "-f", "csv").out))
        assert row == {"id": "a", "title": "moon", "description": "", "fields.id": "1", "fields.fields.id": "2",
                       "in.a b": "3", "fields.in.a b": "4"}  # fmt: skip

    def test_csv_with_a_field_called_like_a_column(self, run, write, small):
        update([str(write("x.jsonl", '{"sku": "7", "title": "moon", "id": [1, 2]}\n'))], name="x")
        out = run("export", "x", "-f", "csv").out
        assert out.splitlines()[0].startswith("id,title,description,")
        assert len({*out.splitlines()[0].split(",")}) == len(out.splitlines()[0].split(","))

    def test_too_many_columns(self, run, shop, monkeypatch):
        from attnsearch.output import items

        monkeypatch.setattr(items, "COLUMNS", 5)
        code, _, err = run("export", shop, "-f", "csv")
        assert code == Exit.USAGE
        assert "more than 5 fields" in err

    def test_nothing_acts_on_a_terminal(self, run, shop):
        for form in ("jsonl", "csv"):
            assert "\x1b" not in run("export", shop, "-f", form).out

    @pytest.mark.parametrize("form", ["npz", "parquet"])
    def test_binary_on_a_terminal(self, run, shop, monkeypatch, form):
        from attnsearch.terminal import streams

        screen = streams.screen()._replace(is_terminal=True)
        monkeypatch.setattr(streams, "screen", lambda **options: screen)
        code, out, err = run("export", shop, "-f", form)
        assert (code, out) == (Exit.USAGE, "")
        assert f"{form} is not for a terminal; name a file: -o FILE.{form}" in err

    def test_binary_through_a_pipe(self, shop, monkeypatch):
        from attnsearch.cli import main

        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8"))
        assert main(["export", shop, "-f", "npz"]) == Exit.DONE
        assert raw.getvalue()[:4] == b"PK\x03\x04"

    def test_no_such_format(self, run, shop):
        assert "use one of jsonl, csv, npz, parquet" in run("export", shop, "-f", "table").err

    def test_two_formats(self, run, shop, tmp_path):
        code, _, err = run("export", shop, "-f", "csv", "-o", str(tmp_path / "x.npz"))
        assert code == Exit.USAGE
        assert "--format csv and the name" in err
        assert not (tmp_path / "x.npz").exists()

    def test_any_other_name(self, run, shop, tmp_path):
        run("export", shop, "-o", str(tmp_path / "x.txt"))
        assert (tmp_path / "x.txt").read_text().startswith('{"attnsearch_export": 1')


class TestCatalogs:
    def test_no_encoder_is_needed(self, run, shop, monkeypatch):
        def fail(*_, **__):
            raise ModelError("there is no such model")

        monkeypatch.setattr(loading, "load", fail)
        assert run("export", shop).code == Exit.DONE

    def test_file(self, run, shop, tmp_path):
        (tmp_path / "shop.yaml").write_text("- title: robot\n")
        assert run("export", str(tmp_path / "shop.yaml"), "-f", "csv").out.splitlines()[1].startswith("robot,")

    def test_no_catalog(self, run, small):
        assert run("export", "nothing").code == Exit.CATALOG

    def test_damaged_catalog_leaves_the_old_file(self, run, shop, tmp_path, home):
        import sqlite3

        file = tmp_path / "x.jsonl"
        file.write_text("old")
        with sqlite3.connect(home / "shop" / "index.sqlite") as db:
            db.execute("UPDATE items SET title = 'sea' WHERE id = 'b'")
        code, _, err = run("export", shop, "-o", str(file))
        assert code == Exit.CATALOG
        assert "damaged" in err
        assert file.read_text() == "old"

    def test_query_of_an_export(self, run, shop, tmp_path, elsewhere, monkeypatch):
        """A file like others; the model is the default one here."""
        from attnsearch.indexing import supply

        file = tmp_path / "x.npz"
        run("export", shop, "-o", str(file))
        elsewhere()
        monkeypatch.setattr(supply, "DEFAULT", "small")
        assert json.loads(run("query", "moon", "-c", str(file), "--json").out)["hits"][0]["id"] == "a"

    def test_repair_from_an_export(self, run, shop, tmp_path, elsewhere):
        """An export is a source like others."""
        import os
        import sqlite3
        from pathlib import Path

        file = tmp_path / "x.npz"
        run("export", shop, "-o", str(file))
        elsewhere()
        run("index", str(file), "--model", "small")
        before = contents("shop")
        with sqlite3.connect(Path(os.environ["ATTNSEARCH_HOME"]) / "shop" / "index.sqlite") as db:
            db.execute("UPDATE items SET title = 'sea' WHERE id = 'b'")
        assert run("check", "shop", "--repair").code == Exit.DONE
        assert sorted(contents("shop")) == sorted(before)
