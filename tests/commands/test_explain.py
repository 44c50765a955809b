"""`attnsearch explain` and `query --explain`: argv → exit code, stdout, stderr."""

from __future__ import annotations

import json
import math
import re

import pytest

from tests.explanation.test_reasons import EXACT

TWO = "--matrix is of one item, and --over of two, which have different words"
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
        assert hit["why"] == {"semantic": pytest.approx(20), "lexical": {}, "prior": {}, "query_words": None,
                              "item_words": None, "item_text": None, "marks": none, "rounding": none}  # fmt: skip
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
    def test_matrix(self, run, shop, by):
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
            "logit": answer["hits"][0]["logit"],
        }
        assert [word["word"] for word in answer["hits"][0]["why"]["query_words"]] == ["moon", "sea"]

    def test_no_matrix_of_other_vectors(self, run, shop, small, monkeypatch):
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
