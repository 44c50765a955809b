"""`attnsearch explain` and `query --explain`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re

import numpy as np
import pytest

from attnsearch.explanation import saved
from attnsearch.storage.files import LEARNED
from attnsearch.storage.learned import Learned, write_learned
from tests.documents import ROOT, blocks
from tests.explanation.test_reasons import EXACT

TWO = "--matrix is for one item, and --over for two, which have different words"
EACH = "ask for a matrix of each, or for --over alone, which compares them by the words of TEXT"


class TestExplain:
    def test_steps(self, run, shop_file):
        code, out, err = run("explain", "moon", "-c", "shop.yaml")
        assert (code, err) == (0, "")
        assert [line for line in out.splitlines() if re.match(r"\d\. ", line)] == [
            "1. tokens: text → tokens",
            "2. query: q = x W_Q",
            "3. keys: K = X W_K",
            "4. products: Q Kᵀ",
            "5. logits: Q Kᵀ / √d_k",
            "6. weights: softmax(Q Kᵀ / √d_k)",
            "7. output: softmax(Q Kᵀ / √d_k) V",
        ]

    def test_the_numbers_are_those_of_query(self, run, shop_file):
        asked = json.loads(run("query", "moon", "-c", "shop.yaml", "--json").out)
        answer = json.loads(run("explain", "moon", "-c", "shop.yaml", "--json").out)
        assert answer["hits"] == asked["hits"]
        assert [row["weight"] for row in answer["steps"][5]["rows"]] == [hit["weight"] for hit in asked["hits"]]
        assert [row["logit"] for row in answer["steps"][4]["rows"]] == [hit["logit"] for hit in asked["hits"]]

    def test_several_requests_are_matrices_and_in_json_a_list(self, run, shop_file):
        """JSON has a result for each, as query has; the steps are matrices."""
        argv = ["explain", "moon", "--and", "sea", "-c", "shop.yaml", "-k", "1"]
        code, out, err = run(*argv)
        assert (code, err) == (0, "")
        assert "4. products: Q Kᵀ\n" in out
        assert "Q (2, 4), Kᵀ (4, 3), Q Kᵀ (2, 3)\n" in out
        moon, sea = json.loads(run(*argv, "--json").out)
        assert [hit["title"] for hit in moon["hits"]] == ["robot moon", "sea"]
        assert [hit["title"] for hit in sea["hits"]] == ["sea", "robot moon"]
        alone = json.loads(run("explain", "sea", "-c", "shop.yaml", "-k", "1", "--json").out)
        for name in ("weights", "logits", "products"):
            (row,) = next(step["rows"] for step in alone["steps"] if step["name"] == name)
            assert next(step["rows"] for step in sea["steps"] if step["name"] == name)[0] == pytest.approx(row)

    def test_fields_may_be_v(self, run, shop):
        out = run("explain", "sea", "-c", "shop", "--value", "price", "--value", "title", "-k", "1").out
        assert "8. value: softmax(Q Kᵀ / √d_k) V, where V is price\n" in out
        assert "What you carry home: price about 3.00 ± 0.00." in out
        assert "What you carry home: 100% sea, 0% moon, 0% robot." in out
        steps = json.loads(run("explain", "sea", "-c", "shop", "--value", "price", "-k", "1", "--json").out)["steps"]
        assert steps[-1]["rows"] == [{"rank": 1, "item": "sea", "weight": pytest.approx(1), "value": 3.0}]
        code, _, err = run("explain", "sea", "-c", "shop", "--value", "prize")
        assert (code, "no item of shop has a field 'prize'; did you mean 'price'?" in err) == (2, True)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (
                ["--and", "sea"],
                "--and is for the steps of the formula, which an ITEM does not have; leave out the ITEM, or --and",
            ),
            (["--value", "price"], "--value is for the steps"),
            (["--save", "x.npz"], "--save is for the steps"),
        ],
    )
    def test_an_item_has_no_steps(self, run, shop, argv, message):
        code, out, err = run("explain", "moon", "a", "-c", "shop", *argv)
        assert (code, out, message in err) == (2, "", True)

    def test_an_empty_request_is_refused(self, run, shop):
        code, _, err = run("explain", "moon", "--and", " ", "-c", "shop")
        assert (code, "the query is empty" in err) == (2, True)


(SIX_LINES,) = blocks(ROOT / "docs" / "attention.md", "python")
LIBRARY = """\
- {id: a, title: moon, year: 1}
- {id: b, title: moon sea, year: 2}
- {id: c, title: robot, year: 3}
- {id: gone, title: moon}
- {id: long, title: tide, year: 4, description: LONG}
"""


class TestSave:
    """The lines of docs/attention.md give the numbers that are printed."""

    @staticmethod
    def compute(monkeypatch, folder) -> dict:
        monkeypatch.chdir(folder)
        namespace: dict = {}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(SIX_LINES, namespace)
        return {**namespace, "printed": printed.getvalue()}

    def test_they_are_six(self):
        lines = [line for line in SIX_LINES.splitlines() if line and not line.startswith(("import ", "a = "))]
        assert len(lines) == 6

    @pytest.mark.parametrize(
        "argv",
        [
            [],
            ["--textbook"],
            ["--lexical", "1", "--prior", "year=-2"],
            ["-w", "year > 1", "--and", "robot moon"],
            ["--temperature", "0.5", "--and", "sea", "--and", "tide"],
            ["-c", "other"],
        ],
        ids=" ".join,
    )
    def test_the_lines_give_the_weights_and_the_output(self, run, write, small, monkeypatch, tmp_path, argv):
        texts = LIBRARY.replace("LONG", "moon " * 80 + "robot " * 80)
        run("index", write("books.yaml", texts), "-q")
        run("index", write("books.yaml", texts.replace("- {id: gone, title: moon}\n", "")), "-q")  # leaves a dead key
        run("index", write("other.yaml", "- {id: a, title: sea}\n- {id: b, title: moon, year: 3}\n"), "-q")
        file = tmp_path / "science.npz"
        ran = run("explain", "moon robot", "-c", "books", *argv, "-k", "9", "--json", "--save", str(file))
        assert (ran.code, ran.err) == (0, "")
        answers = json.loads(ran.out)
        answers = answers if isinstance(answers, list) else [answers]
        computed = self.compute(monkeypatch, tmp_path)
        arrays = computed["a"]
        names = arrays["catalogs"] if "catalogs" in arrays else np.full(len(arrays["ids"]), "books")
        assert arrays["query"].tolist() == [answer["query"] for answer in answers]
        for answer, weights, logits, output in zip(
            answers, computed["weights"], computed["logits"], computed["weights"] @ arrays["V"], strict=True
        ):
            for hit in answer["hits"]:
                own = (arrays["ids"] == hit["id"]) & (names == hit["catalog"])
                assert set(arrays["titles"][own]) == {hit["title"]}
                assert weights[own].sum() == pytest.approx(hit["weight"], abs=1e-6)
                assert logits[own].max() == pytest.approx(hit["logit"], abs=1e-5)
                assert np.isfinite(logits[own]).sum() == 1  # of several passages, only the best counts
            assert weights.sum() == pytest.approx(1)
            assert np.isfinite(logits).sum() == answer["items"] - answer["masked"]
            (step,) = (step for step in answer["steps"] if step["name"] == "output")
            shown = [step["totals"][-1][f"[{i}]"] for i in range(4)]
            assert output.tolist() == pytest.approx(shown, abs=1e-6)
        for name in ("weights", "logits"):
            assert arrays[name] == pytest.approx(computed[name], abs=1e-5)
        assert arrays["output"] == pytest.approx(computed["weights"] @ arrays["V"], abs=1e-6)
        assert arrays["x"] @ arrays["W_Q"] == pytest.approx(arrays["q"])

    def test_the_lines_give_the_weights_of_what_was_learned(self, run, shop, home, monkeypatch, tmp_path):
        learned = Learned(
            "small", "5" * 64, np.eye(4, dtype=np.float32)[[1, 0, 2, 3]], 0.5, None, None, frozenset(), {}
        )
        write_learned(home / "shop" / LEARNED, learned)
        answer = json.loads(run("explain", "moon", "-c", "shop", "--json", "--save", str(tmp_path / "science.npz")).out)
        (weights,) = self.compute(monkeypatch, tmp_path)["weights"]
        assert answer["hits"][0]["title"] == "sea"
        assert sorted(weights, reverse=True) == pytest.approx([hit["weight"] for hit in answer["hits"]], abs=1e-6)

    @pytest.mark.real
    def test_the_numbers_of_the_document(self, run, monkeypatch, tmp_path):
        file = tmp_path / "science.npz"
        out = run("explain", "science fiction", "-k", "3", "--save", str(file)).out
        titles, rest = self.compute(monkeypatch, tmp_path)["printed"].split("] [")
        weights, length = rest.split("]")
        assert re.findall("'(.*?)'", titles) == ["Solaris", "The Martian", "From the Earth to the Moon"]
        for title, weight in zip(re.findall("'(.*?)'", titles), weights.split(), strict=True):
            assert re.search(rf"{title} .* {weight}\n", out)
        assert re.search(rf"output +1\.0000  {length.strip()} ", out)

    def test_a_file_that_cannot_be_saved_is_refused(self, run, shop, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        run("export", "shop", "-o", "shop.npz")
        before = (tmp_path / "shop.npz").read_bytes()
        for argv, message in (
            (["-c", "shop", "--save", "x.csv"], "--save writes arrays of NumPy, not 'x.csv'; name it x.npz"),
            (["-c", "shop", "--save", "no/x.npz"], "no: there is no such folder"),
            (["-c", "shop.npz", "--save", "shop.npz"], "shop.npz: is read by this command"),
            (["-c", "shop", "--save", "x.npz", "-o", "x.npz"], "x.npz: --out and --save name the same file"),
        ):
            code, out, err = run("explain", "moon", *argv)
            assert (code, out, message in err) == (2, "", True), err
        assert (tmp_path / "shop.npz").read_bytes() == before
        monkeypatch.setattr(saved, "LARGEST", 100)
        code, _, err = run("explain", "moon", "-c", "shop", "--save", "x.npz")
        assert (code, "shop: all keys and values take" in err) == (2, True)
        assert not (tmp_path / "x.npz").exists()


class TestReasons:
    def test_query(self, run, shop):
        argv = ["query", "moon or sea", "-c", "shop", "-k", "2", "--explain"]
        for answer in (json.loads(run(*argv, "--json").out), json.loads(run(*argv, "--jsonl").out)):
            for hit in answer["hits"]:
                why = hit["why"]
                for side in ("query", "item"):
                    words = sum(word["share"] for word in why[f"{side}_words"])
                    whole = words + why["marks"][side] + why["rounding"][side]
                    assert whole == pytest.approx(hit["logit"], abs=EXACT)
                assert (why["lexical"], why["prior"]) == ({}, {})
                for word in why["item_words"]:
                    assert why["item_text"][word["start"] : word["stop"]] == word["word"]
        out = run(*argv).out
        assert "#1 moon: 11.55 = 11.55 semantic\n   query: mostly moon +11.55\n   item: mostly moon +11.55\n" in out
        assert "1. tokens: text → tokens" in out
        plain = run(*argv[:-1], "-f", "csv").out
        assert run(*argv, "-f", "csv").out == plain

    def test_without_it(self, run, shop):
        assert "why" not in json.loads(run("query", "moon", "-c", "shop", "--json").out)["hits"][0]

    def test_absent(self, run, shop, small, monkeypatch):
        monkeypatch.setattr(small, "pieces", lambda texts, role="key": [None] * len(texts))
        argv = ["query", "moon", "-c", "shop", "-k", "1", "--explain"]
        block = "\n#1 moon: 20.00 = 20.00 semantic\n   (this model's vectors are not sums over words)\n"
        assert block in run(*argv).out
        (hit,) = json.loads(run(*argv, "--json").out)["hits"]
        none = {"query": None, "item": None}
        assert hit["why"] == {"semantic": pytest.approx(20), "lexical": {}, "prior": {}, "memory": {},
                              "query_words": None, "item_words": None, "item_text": None, "marks": none,
                              "rounding": none}  # fmt: skip
        out = run("explain", "moon", "a", "--over", "b", "-c", "shop").out
        assert "+20.00  semantic, as a whole" in out

    def test_explain_an_item(self, run, shop):
        code, out, err = run("explain", "moon sea robot moon", "sea", "-c", "shop")
        assert (code, err) == (0, "")
        assert out.splitlines()[1].split()[:2] == ["2", "sea"]
        assert out.endswith("\n#2 sea: 8.16 = 8.16 semantic\n   query: mostly sea +8.16\n   item: mostly sea +8.16\n")
        answer = json.loads(run("explain", "moon", "b", "-c", "shop", "--json").out)
        assert [hit["id"] for hit in answer["hits"]] == ["b"]
        assert not {"steps", "over"} & set(answer)

    def test_explain_one_over_another(self, run, shop):
        argv = ["explain", "moon moon sea", "-c", "shop"]
        out = run(*argv, "a", "--over", "b").out
        assert "\nmoon (rank 1) ranks above sea (rank 2): 17.89 - 8.94 = +8.94, 7,664 times the weight\n" in out
        assert [line.split()[0] for line in out.splitlines()[-4:]] == ["+8.94", "+8.94", "-8.94", "+8.94"]
        out = run(*argv, "b", "--over", "a").out
        assert "\nsea (rank 2) ranks below moon (rank 1): 8.94 - 17.89 = -8.94, 0.00013 times the weight\n" in out
        over = json.loads(run(*argv, "b", "--over", "a", "--json").out)["over"]
        assert over["difference"] == pytest.approx(sum(part["difference"] for part in over["parts"]), abs=EXACT)
        assert over["ratio"] == pytest.approx(math.exp(over["difference"]))

    @pytest.mark.parametrize("by", ["words", "pieces"])
    def test_the_matrix_adds_up_in_the_table_and_in_json(self, run, shop, by):
        """Of "moon sea", moon adds 20/√2 and sea nothing; in JSON and in the table."""
        argv = ["explain", "moon sea", "a", "-c", "shop", "--matrix", *(["--pieces"] * (by == "pieces"))]
        code, out, err = run(*argv)
        assert (code, err) == (0, "")
        assert "\n#1 moon: 14.14 = 14.14 semantic\n   query: mostly moon +14.14\n" in out
        assert out.splitlines()[-6:] == [
            "",
            "        moon    sum",
            "moon  +14.14 +14.14",
            "sea     0.00   0.00",
            "sum   +14.14 +14.14",
            "logit         14.14",
        ]
        answer = json.loads(run(*argv, "--json").out)
        kind = by.removesuffix("s")
        assert answer["matrix"] == {
            "by": by,
            "query": "moon sea",
            "text": "moon",
            "rows": [
                {"kind": kind, "label": "moon", "start": 0, "stop": 4, "sum": pytest.approx(20 / math.sqrt(2))},
                {"kind": kind, "label": "sea", "start": 5, "stop": 8, "sum": 0},
            ],
            "columns": [
                {"kind": kind, "label": "moon", "start": 0, "stop": 4, "sum": pytest.approx(20 / math.sqrt(2))}
            ],
            "cells": [[pytest.approx(20 / math.sqrt(2))], [0]],
            "strongest": pytest.approx(20 / math.sqrt(2)),
            "sum": pytest.approx(20 / math.sqrt(2)),
            "rounding": pytest.approx(0, abs=1e-5),
            "semantic": answer["hits"][0]["logit"],
            "lexical": {},
            "prior": {},
            "memory": {},
            "logit": answer["hits"][0]["logit"],
        }
        total = answer["matrix"]["sum"] + answer["matrix"]["rounding"]
        assert total == pytest.approx(answer["matrix"]["semantic"], abs=1e-12)
        assert [word["word"] for word in answer["hits"][0]["why"]["query_words"]] == ["moon", "sea"]

    @pytest.mark.parametrize("option", ["MATRIX", "PIECES"])
    def test_the_options_of_a_matrix_have_no_defaults(self, run, shop, monkeypatch, option):
        """As a default, it would refuse each request without an ITEM."""
        monkeypatch.setenv(f"ATTNSEARCH_EXPLAIN_{option}", "1")
        message = f"ATTNSEARCH_EXPLAIN_{option}: --{option.lower()} has no default; give it on the command line"
        assert run("explain", "moon", "-c", "shop") == (2, "", f"attnsearch: {message}\n")

    def test_vectors_that_are_no_sums_have_no_matrix(self, run, shop, small, monkeypatch):
        monkeypatch.setattr(small, "pieces", lambda texts, role="key": [None] * len(texts))
        message = "what two words add to a logit together can't be told with small; its vectors are not sums over words"
        for form in ([], ["--json"]):
            code, out, err = run("explain", "moon", "a", "--matrix", "-c", "shop", *form)
            assert (code, out) == (2, "")
            assert message.split(";")[0] in err
        assert run("explain", "moon", "a", "--matrix", "-c", "shop").err == f"attnsearch: {message}\n"

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--over", "b"], "--over needs an ITEM to compare with; attnsearch explain TEXT ITEM --over OTHER"),
            (["moo"], "shop: no item 'moo'; did you mean 'moon'?"),
            (["a", "--over", "se"], "shop: no item 'se'; did you mean 'sea'?"),
            (["\udc80"], "the item's name is not valid UTF-8"),
            (["a", "--over", "moon"], "'a' and 'moon' are the same item; name two items"),
            (["a", "--over", "b", "--matrix"], f"{TWO}; {EACH}"),
            (["--matrix"], "--matrix needs an ITEM, whose logit it explains; attnsearch explain TEXT ITEM --matrix"),
            (["a", "--pieces"], "--pieces is for --matrix alone; attnsearch explain TEXT ITEM --matrix --pieces"),
            (["\x1b[2J"], "shop: no item '\\x1b[2J'; name an item by its id or its title"),
        ],
    )
    def test_refused(self, run, shop, argv, message):
        assert run("explain", "moon", *argv, "-c", "shop") == (2, "", f"attnsearch: {message}\n")


def test_items_of_several_catalogs(run, write, small):
    for name, ident in (("one", "a"), ("two", "a")):
        run("index", write(f"{name}.yaml", f"- {{id: {ident}, title: moon {name}}}\n- {{id: {name}, title: sea}}\n"))
    code, out, _ = run("explain", "moon", "two:a", "--over", "one", "-c", "one", "-c", "two", "--json")
    result = json.loads(out)
    assert (code, result["catalogs"]) == (0, ["one", "two"])
    assert [(hit["rank"], hit["catalog"], hit["id"]) for hit in result["hits"]] == [(2, "two", "a"), (3, "one", "one")]
    assert "catalog" in run("explain", "moon", "two:a", "-c", "one", "-c", "two").out.splitlines()[0].split()
    code, _, err = run("explain", "moon", "a", "-c", "one", "-c", "two")
    assert (code, "write one:a or two:a" in err) == (2, True)
