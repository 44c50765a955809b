"""Misspelled words on the command line: said in every output, and turned off by `--exact`."""

from __future__ import annotations

import csv
import io
import json

import pytest

from attnsearch.opening.index import Index

LINE = 'asked as "robot moon"; to ask as typed: --exact'
EACH = '1 request has misspelled words: "robbot moon" is asked as "robot moon"; to ask as typed: --exact'


@pytest.fixture
def shop(shop_file, small):
    small.vocabulary = ["moon", "robot"]
    return shop_file


def query(run, *options: str):
    return run("query", "robbot moon", "-c", "shop.yaml", *options)


def test_under_the_table(run, shop):
    code, out, err = query(run)
    assert (code, err) == (0, "")
    assert out.splitlines()[-2] == LINE
    expected = run("query", "robot moon", "-c", "shop.yaml").out
    assert out == expected.replace("shop.yaml ·", f"{LINE}\nshop.yaml ·")


@pytest.mark.parametrize("option", ["--exact", "--quiet"])
def test_not_said(run, shop, option):
    assert "asked as" not in query(run, option).out


def test_exact_asks_as_typed(run, shop, monkeypatch):
    exact = query(run, "--exact").out
    assert exact != query(run).out.replace(f"{LINE}\n", "")
    monkeypatch.setenv("ATTNSEARCH_QUERY_EXACT", "1")
    assert query(run).out == exact
    assert LINE in query(run, "--spell").out
    assert LINE in query(run, "--no-exact").out


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json(run, shop, form):
    fields = json.loads(query(run, f"--{form}").out)
    assert (fields["query"], fields["asked"]) == ("robbot moon", "robot moon")
    assert fields["corrections"] == [{"from": "robbot", "to": "robot"}]
    assert not {"asked", "corrections"} & json.loads(run("query", "moon", "-c", "shop.yaml", "--json").out).keys()


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_a_warning_beside_separated_values(run, shop, form):
    code, out, err = query(run, "-f", form)
    assert (code, err) == (0, f"attnsearch: {EACH}\n")
    (first, *_) = csv.DictReader(io.StringIO(out), delimiter="," if form == "csv" else "\t")
    assert first["query"] == "robbot moon"
    assert query(run, "-f", form, "-q").err == ""


def test_markdown_and_a_page(run, shop, undrawn):
    assert 'asked as "robot moon"; to ask as typed: --exact' in query(run, "-f", "md").out
    page = query(run, "-f", "html").out
    assert "asked as &#34;robot moon&#34;; to ask as typed: --exact" in page


def test_explain_says_so_in_its_first_step(run, shop):
    out = run("explain", "robbot moon", "-c", "shop.yaml").out
    assert 'The request is asked as "robot moon".' in " ".join(out.split())
    fields = json.loads(run("explain", "robbot moon", "a", "-c", "shop.yaml", "--json").out)
    assert [word["word"] for word in fields["hits"][0]["why"]["query_words"]] == ["robot", "moon"]
    both = run("explain", "robbot moon", "--and", "moon", "-c", "shop.yaml").out
    assert 'robbot moon is asked as "robot moon".' in " ".join(both.split())


def test_a_heatmap(run, shop, undrawn):
    assert EACH in run("heatmap", "robbot moon", "moon", "-c", "shop.yaml").out.splitlines()
    fields = json.loads(run("heatmap", "robbot moon", "moon", "-c", "shop.yaml", "--json").out)
    assert [*zip(fields["queries"], fields["asked"], strict=True)] in (
        [("robbot moon", "robot moon"), ("moon", "moon")],
        [("moon", "moon"), ("robbot moon", "robot moon")],
    )
    assert "asked" not in json.loads(run("heatmap", "moon", "-c", "shop.yaml", "--json").out)
    assert "is asked as" in run("heatmap", "robbot moon", "moon", "-c", "shop.yaml", "-f", "html").out


def test_eval(run, shop, write, undrawn):
    run("index", "shop.yaml", "--name", "shop")
    judged = write("judged.yaml", "- {query: robbot moon, relevant: [c]}\n- {query: moon, relevant: [a]}\n")
    assert EACH in " ".join(run("eval", judged, "-c", "shop").out.split())
    fields = json.loads(run("eval", judged, "-c", "shop", "--json").out)
    assert fields["asked"] == {"robbot moon": "robot moon"}
    assert [row["query"] for row in fields["per_query"]] == ["robbot moon", "moon"]
    assert "asked" not in json.loads(run("eval", judged, "-c", "shop", "--json", "--exact").out)
    assert "is asked as" in run("eval", judged, "-c", "shop", "-f", "html").out


def test_feedback_is_noted_as_typed_and_embedded_as_read(run, shop, small):
    run("index", "shop.yaml", "--name", "shop")
    run("feedback", "robbot moon", "--good", "c", "-c", "shop")
    (entry,) = json.loads(run("feedback", "--list", "-c", "shop", "--json").out)
    assert entry["query"] == "robbot moon"
    with Index.open("shop") as index:
        (x,) = index.learned.memory.x
    assert x == pytest.approx(small.encode(["robot moon"])[0])  # so that it remembers the request when it comes again


def test_nothing_in_a_request_acts_on_a_terminal(run, shop):
    out = run("query", "robbot \x1b[31mmoon", "-c", "shop.yaml").out
    assert "asked as" in out
    assert "\x1b" not in out


def test_a_pipe_of_items(run, small):
    """Whose catalog is deleted as soon as it is open."""
    small.vocabulary = ["moon"]
    out = run("query", "robbot", "-c", "-", "--from", "lines", "--json", stdin=b"robot\nmoon\n").out
    assert json.loads(out)["asked"] == "robot"
