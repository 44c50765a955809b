"""`attnsearch heatmap`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from attnsearch.explanation import cells
from attnsearch.explanation import heatmap as heatmaps
from tests.search.conftest import fitted

__all__ = ["fitted"]  # a fixture

JUDGMENTS = "- {query: moon, relevant: [a]}\n- {query: sea, grades: {c: 2, b: 0, z: 1}}\n- {query: x, relevant: []}\n"


class TestRequests:
    def test_each_text_is_a_row(self, run, shop_file):
        code, out, err = run("heatmap", "moon", "sea", "-c", "shop.yaml")
        lines = out.splitlines()
        assert (code, err) == (0, "")
        assert [line.split()[0] for line in lines[2:4]] == ["sea", "moon"]
        assert lines[-1] == "shop.yaml · 3 items · small"

    def test_the_cells_are_those_of_query(self, run, shop_file):
        fields = json.loads(run("heatmap", "moon", "sea", "-c", "shop.yaml", "--json").out)
        for row, query in enumerate(fields["queries"]):
            hits = {hit["id"]: hit for hit in json.loads(run("query", query, "-c", "shop.yaml", "--json").out)["hits"]}
            for number, column in enumerate(fields["columns"]):
                hit = hits[column["id"]]
                assert fields["weights"][row][number] == pytest.approx(hit["weight"], abs=1e-7)
                assert fields["logits"][row][number] == hit["logit"]
                assert fields["scores"][row][number] == hit["score"]
                assert column["title"] == hit["title"]
                assert column["catalog"] == hit["catalog"]

    @pytest.mark.parametrize(
        ("argv", "stdin"),
        [
            (["heatmap"], b"moon\n\n sea\n"),
            (["heatmap", "-"], b"moon\nsea\n"),
            (["heatmap", "moon", "-"], b"sea\n"),
            (["heatmap", "-0"], b"moon\0sea\0"),
        ],
    )
    def test_each_line_of_a_pipe_is_a_row(self, run, shop_file, argv, stdin):
        code, out, _ = run(*argv, "-c", "shop.yaml", "--json", stdin=stdin)
        assert code == 0
        assert json.loads(out)["queries"] == ["sea", "moon"]

    def test_each_line_of_a_file_is_a_row(self, run, shop_file, write):
        path = write("asked.txt", "\ufeffmoon\r\n\r\n  sea \r\n")
        fields = json.loads(run("heatmap", "--requests", path, "-c", "shop.yaml", "--json").out)
        assert fields["queries"] == ["sea", "moon"]
        assert "right" not in fields

    @pytest.mark.parametrize("name", ["judged.yaml", "judged.yml"])
    def test_right_items_of_judgments_are_marked(self, run, shop_file, write, name):
        path = write(name, JUDGMENTS)
        code, out, err = run("heatmap", "--requests", path, "-c", "shop.yaml", "--json", "-k", "1")
        fields = json.loads(out)
        ids = [column["id"] for column in fields["columns"]]
        right = {
            query: {ids[number] for number, is_right in enumerate(row) if is_right}
            for query, row in zip(fields["queries"], fields["right"], strict=True)
        }
        assert code == 0
        assert "1 of 4 judged ids are not in the catalog, such as 'z'; they are not marked" in err
        assert right == {"moon": {"a"}, "sea": {"c"}, "x": set()}
        assert set(ids) == {"a", "b", "c"}

    def test_the_picture_has_a_mark_at_right_items(self, run, shop_file, write):
        path = write("judged.jsonl", '{"query": "moon", "relevant": ["a"]}\n')
        out = run("heatmap", "--requests", path, "-c", "shop.yaml").out
        assert "100.0%✓" in out or "%✓" in out
        assert "✓ right for the request, as judged" in out

    @pytest.mark.parametrize(
        ("argv", "stdin", "message"),
        [
            (["heatmap", "--requests", "none.txt"], b"", "none.txt: no such file"),
            (["heatmap", "--requests", "empty.txt"], b"", "empty.txt: no requests; write one on each line"),
            (["heatmap", "--requests", "rows.csv"], b"", "rows.csv: a table has no requests"),
            (["heatmap", "--requests", "-"], b"moon", "--requests needs a file"),
            (["heatmap", "--requests", "bad.yaml"], b"", "bad.yaml:1: the query has no 'relevant' and no 'grades'"),
            (["heatmap", "moon", "--requests", "rows.csv"], b"", "--requests and TEXT exclude each other"),
            (["heatmap", "-0", "--requests", "rows.csv"], b"", "--requests and --null exclude each other"),
            (["heatmap", "-"], b"", "no request on standard input"),
            (["heatmap", " "], b"", "the query is empty"),
            (["heatmap", "-", "-c", "-"], b"", "standard input can't be both the catalog and the requests"),
            (["heatmap", "moon", "--items", "a", "-k", "2"], b"", "--items and --top-k exclude each other"),
            (["heatmap", "moon", "--items", "z"], b"", "no item 'z'"),
            (["heatmap", "moon", "--json", "-o", "x.csv"], b"", "--format json and the name x.csv say two things"),
            (["heatmap", "moon", "--by", "cosine"], b"", "--by"),
        ],
    )
    def test_what_has_no_heatmap_is_refused(self, run, shop_file, write, argv, stdin, message):
        write("empty.txt", "\n\n")
        write("rows.csv", "a,b\n")
        write("bad.yaml", "- {query: moon}\n")
        code, out, err = run(*argv, *([] if "-c" in argv else ["-c", "shop.yaml"]), stdin=stdin)
        assert (code, out) == (2, "")
        assert message in err

    def test_options_take_the_place_of_defaults_that_they_exclude(self, run, shop_file, write, monkeypatch):
        monkeypatch.setenv("ATTNSEARCH_HEATMAP_TOP_K", "2")
        monkeypatch.setenv("ATTNSEARCH_HEATMAP_NULL", "1")
        file = write("asked.txt", "moon\n")
        code, out, err = run("heatmap", "--requests", file, "--items", "b", "--json", "-c", "shop.yaml", "-q")
        assert (code, err) == (0, "")
        assert [column["id"] for column in json.loads(out)["columns"]] == ["b"]

    def test_no_more_requests_are_read_than_a_heatmap_has(self, run, shop_file, monkeypatch):
        monkeypatch.setattr(cells, "MOST_ROWS", 2)
        code, _, err = run("heatmap", "-c", "shop.yaml", stdin=b"moon\n" * 3)
        assert code == 2
        assert "more than 2 requests are too many for a heatmap" in err


class TestForms:
    ASKED = ("heatmap", "moon", "sea", "robot", "-c", "shop.yaml", "-w", "id != b", "--items", "a", "--items", "sea")

    def test_json_csv_and_npz_have_the_same_numbers(self, run, shop_file, tmp_path):
        fields = json.loads(run(*self.ASKED, "--json").out)
        assert run(*self.ASKED, "-o", "x.npz").code == 0
        arrays = np.load(tmp_path / "x.npz")
        assert arrays["queries"].tolist() == fields["queries"]
        for name, key in (("ids", "id"), ("titles", "title"), ("catalogs", "catalog")):
            assert arrays[name].tolist() == [column[key] for column in fields["columns"]]
        assert "none_of_these" not in arrays
        assert arrays["others"].tolist() == fields["others"]
        for by in heatmaps.BY:
            code, _, _ = run(*self.ASKED, "--by", by, "-o", f"{by}.csv")
            header, *rows = csv.reader(io.StringIO((tmp_path / f"{by}.csv").read_text()))
            numbers = [[float(cell) if cell else None for cell in row[1:3]] for row in rows]
            assert code == 0
            assert header[1:3] == [column["id"] for column in fields["columns"]]
            assert [row[0] for row in rows] == fields["queries"]
            assert numbers == fields[f"{by}s"]
            of_npz = arrays[f"{by}s"].tolist()
            assert [[cell if np.isfinite(cell) else None for cell in row] for row in of_npz] == numbers
            if by == "weight":
                assert [float(row[3]) for row in rows] == fields["others"]
        assert all(None in row for row in fields["logits"])  # b is hidden

    def test_weights_add_up_and_none_of_these_stands_apart(self, run, write, fitted, monkeypatch, tmp_path):
        write("shop.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: robot}\n")
        monkeypatch.chdir(tmp_path)
        code, out, _ = run("heatmap", "moon", "stone", "-c", "shop.yaml", "-k", "1", "-f", "csv")
        header, *rows = csv.reader(io.StringIO(out))
        assert code == 0
        assert header[-2:] == ["others", "none_of_these"]
        for row in rows:
            assert sum(map(float, row[1:-1])) == pytest.approx(1)
            assert 0 < float(row[-1]) < 1

    def test_the_ending_of_the_file_chooses(self, run, shop_file, tmp_path):
        for name, start in (("x.json", b"{"), ("x.csv", b"query,"), ("x.npz", b"PK"), ("x.txt", b" ")):
            code, out, _ = run("heatmap", "moon", "-c", "shop.yaml", "-o", name)
            assert (code, out) == (0, "")
            assert (tmp_path / name).read_bytes().startswith(start)

    def test_it_says_what_hides_everything(self, run, shop_file):
        code, out, _ = run("heatmap", "moon", "sea", "-c", "shop.yaml", "-w", "description = nowhere")
        assert code == 0
        assert "nothing is left: --where hides all 3 items" in out

    def test_items_of_several_catalogs_keep_apart(self, run, shop_file, write):
        more = write("more.yaml", "- {id: a, title: moon}\n")
        out = run("heatmap", "moon", "-c", "shop.yaml", "-c", "more.yaml", "-f", "csv", "-k", "9").out
        header = next(csv.reader(io.StringIO(out)))
        assert len({*header}) == len(header) == 6
        named = json.loads(
            run("heatmap", "moon", "-c", "shop.yaml", "-c", "more.yaml", "--json", "--items", f"{more}:a").out
        )
        assert named["columns"] == [{"id": "a", "title": "moon", "catalog": str(more)}]
        assert named["catalogs"] == [str(shop_file), str(more)]

    def test_very_long_texts_are_refused_as_an_array(self, run, shop_file, monkeypatch):
        monkeypatch.setattr(heatmaps, "MOST_LETTERS", 7)
        code, _, err = run("heatmap", "moon", "sea", "-c", "shop.yaml", "-o", "x.npz")
        assert code == 2
        assert "the queries are too long for an array" in err


@pytest.mark.parametrize("option", [["-w", "id = a"], ["--lexical", "2"], ["--prior", "price"], ["--temperature", "1"]])
def test_settings_are_those_of_query(run, write, small, monkeypatch, tmp_path, option):
    write("shop.yaml", "- {id: a, title: moon, price: 2}\n- {id: b, title: sea, price: 9}\n- {id: c, title: robot}\n")
    monkeypatch.chdir(tmp_path)
    argv = ["moon", "-c", "shop.yaml", "--json", *option]
    fields = json.loads(run("heatmap", *argv).out)
    hits = json.loads(run("query", *argv).out)["hits"]
    assert {column["id"]: logit for column, logit in zip(fields["columns"], fields["logits"][0], strict=True)} == {
        hit["id"]: hit["logit"] for hit in hits
    }
