"""Options that several commands share: argv → output."""

from __future__ import annotations

import csv
import io
import json

import pytest

from attnsearch.attention import null_key
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from tests.asking import query
from tests.conftest import SmallEncoder

BOOKS = [
    {"id": "a", "title": "moon sea", "year": 1900, "kind": "poem"},
    {"id": "b", "title": "sea", "year": 1950, "kind": "novel"},
    {"id": "c", "title": "robot moon moon", "year": 2000, "kind": "novel", "labels": ["far", "cold"]},
    {"id": "d", "title": "other", "kind": "poem"},
]


@pytest.fixture
def books(write, small, monkeypatch):
    path = write("books.jsonl", "".join(json.dumps(book) + "\n" for book in BOOKS))
    update([str(path)])
    monkeypatch.setenv("ATTNSEARCH_CATALOG", "books")
    return path


def told(run, *argv: str) -> dict:
    ran = run("query", *argv, "--json")
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def ids(run, *argv: str) -> list[str]:
    return [hit["id"] for hit in told(run, *argv)["hits"]]


@pytest.mark.parametrize(
    ("where", "found", "masked"),
    [
        (["year > 1900"], ["c", "b"], 2),
        (["year>1900", "kind=novel,poem"], ["c", "b"], 2),
        (["year?"], ["c", "a", "b"], 1),
        (["year != 1900"], ["c", "b", "d"], 1),
        (["labels ~ OL"], ["c"], 3),
        (["year < 1800"], [], 4),
    ],
)
def test_where(run, books, where, found, masked):
    result = told(run, "moon", *(word for one in where for word in ("-w", one)))
    assert [hit["id"] for hit in result["hits"]] == found
    assert (result["items"], result["masked"]) == (4, masked)
    assert sum(hit["weight"] for hit in result["hits"]) == pytest.approx(float(bool(found)), abs=1e-6)


def test_a_mask_that_hides_everything_says_so(run, books):
    ran = run("query", "moon", "--where", "year > 3000")
    assert (ran.code, ran.err) == (0, "")
    assert "nothing is left: --where hides all 4 items" in ran.out
    assert run("query", "moon", "--where", "year > 3000", "--fail-empty").code == 1
    assert run("query", "moon", "--where", "year > 3000", "-q").out.splitlines() == [
        "#  title  weight              score  description"
    ]
    assert run("query", "moon", "--where", "year > 3000", "-f", "csv").out.count("\n") == 1


@pytest.mark.parametrize(
    ("lexical", "weight"),
    [(["--lexical"], 0.3), (["--lexical", "0.5"], 0.5), (["--lexical=2"], 2.0), (["--lexical", "0"], None)],
)
def test_lexical(run, books, lexical, weight):
    result = told(run, "moon", *lexical)
    assert result.get("lexical") == weight
    plain = {hit["id"]: hit["logit"] for hit in told(run, "moon")["hits"]}
    more = {hit["id"]: hit["logit"] - plain[hit["id"]] for hit in result["hits"]}
    assert [ident for ident in "abcd" if more[ident] > 0.01] == (["a", "c"] if weight else [])


def test_lexical_at_the_end_of_the_line_and_before_the_text(run, books):
    assert told(run, "--lexical", "moon")["lexical"] == 0.3
    assert json.loads(run("query", "moon", "--json", "--lexical").out)["lexical"] == 0.3


def test_a_catalog_with_a_weight_of_its_own(run, books):
    assert run("index", books, "--lexical").code == 0
    assert told(run, "moon")["lexical"] == 0.3
    assert "lexical 0.3" in run("query", "moon").out
    assert "lexical" not in told(run, "moon", "--lexical", "0")
    assert json.loads(run("info", "books", "--json").out)["lexical"] == 0.3
    assert run("index", books).code == 0
    assert told(run, "moon")["lexical"] == 0.3
    assert run("index", books, "--lexical", "0").code == 0
    assert "lexical" not in told(run, "moon")


def test_prior(run, books):
    assert ids(run, "other")[1:] == ["a", "b", "c"]
    assert ids(run, "other", "--prior", "year")[1:] == ["c", "b", "a"]
    assert ids(run, "other", "--prior", "year=-1")[1:] == ["a", "b", "c"]
    assert ids(run, "other", "--prior", "year=100")[0] == "c"


def test_top_p(run, books):
    weights = [hit["weight"] for hit in told(run, "moon sea", "--temperature", "0.5")["hits"]]
    assert len(weights) == 4
    for count in range(1, 4):
        share = str(sum(weights[:count]) - 0.01)
        assert len(told(run, "moon sea", "--temperature", "0.5", "--top-p", share)["hits"]) == count
    assert len(told(run, "moon sea", "--temperature", "0.5", "--top-p", "0.99", "-k", "2")["hits"]) == 2
    assert len(told(run, "moon sea", "--temperature", "0.5", "--top-p", "1")["hits"]) == 4
    assert told(run, "moon sea", "--top-p", "0")["hits"] == []


def test_top_p_may_be_more_than_ten(run, write, small):
    update([str(write("many.jsonl", "".join(f'{{"id": "{n}", "title": "moon"}}\n' for n in range(40))))])
    assert len(told(run, "moon", "-c", "many", "--top-p", "0.5")["hits"]) == 20
    assert len(told(run, "moon", "-c", "many")["hits"]) == 10
    both = run("query", "moon", "sea", "-c", "many", "--top-p", "0.5", "--jsonl").out.splitlines()
    assert [len(json.loads(line)["hits"]) for line in both] == [20, 20]


def test_values(run, books):
    result = told(run, "moon sea", "--temperature", "0.5", "--value", "year", "--value", "kind", "--value", "labels")
    weights = {hit["id"]: hit["weight"] for hit in result["hits"]}
    year, kind, tags = result["values"]
    known = weights["a"] + weights["b"] + weights["c"]
    mean = (1900 * weights["a"] + 1950 * weights["b"] + 2000 * weights["c"]) / known
    assert (year["known"], year["mean"]) == pytest.approx((known, mean))
    square = (1900**2 * weights["a"] + 1950**2 * weights["b"] + 2000**2 * weights["c"]) / known
    assert year["spread"] == pytest.approx((square - mean**2) ** 0.5)
    assert {one["value"]: one["share"] for one in kind["shares"]} == pytest.approx(
        {"poem": weights["a"] + weights["d"], "novel": weights["b"] + weights["c"]}
    )
    assert [one["share"] for one in tags["shares"]] == pytest.approx([weights["c"]] * 2)
    out = run("query", "moon sea", "--temperature", "0.5", "--value", "year", "--value", "kind").out
    assert f"year: about {mean:.0f} ± {year['spread']:.0f}" in out
    assert f"kind: {kind['shares'][0]['share']:.1%} {kind['shares'][0]['value']}, " in out


def test_values_are_of_what_is_seen(run, books):
    (kind,) = told(run, "moon", "--value", "kind", "-k", "1", "-w", "kind = poem")["values"]
    assert [one["value"] for one in kind["shares"]] == ["poem"]
    (kind,) = told(run, "moon", "--value", "kind", "-w", "kind = none")["values"]
    assert kind == {"field": "kind", "known": 0.0, "shares": []}
    assert "year: no visible item has one" in run("query", "moon", "--value", "year", "-w", "kind = none").out


def test_values_do_not_reach_the_separated_formats(run, books):
    rows = list(csv.reader(io.StringIO(run("query", "moon", "--value", "kind", "-f", "csv").out)))
    assert len(rows) == 5
    assert "kind: " in run("query", "moon", "--value", "kind", "-f", "md").out


def test_output(run, books):
    result = told(run, "moon sea", "--vector", "-k", "4")
    axes = ("moon", "sea", "robot")
    x = SmallEncoder().encode([book["title"] for book in BOOKS])
    weights = {hit["id"]: hit["weight"] for hit in result["hits"]}
    assert len(result["output"]) == len(axes) + 1
    assert result["output"] == pytest.approx(
        sum(weights[b["id"]] * x[n] for n, b in enumerate(BOOKS)).tolist(), abs=1e-6
    )
    assert "output" not in told(run, "moon")


def test_none_of_these(run, books, monkeypatch):
    assert told(run, "robot")["none_of_these"] is None
    monkeypatch.setattr(null_key, "FITTED", {"5" * 64: null_key.NullKey(6.0, 2.0)})
    assert told(run, "sea")["none_of_these"] < 0.01
    assert told(run, "sea", "-w", "id = d")["none_of_these"] > 0.9
    assert run("query", "sea", "--fail-empty").code == 0
    ran = run("query", "sea", "-w", "id = d", "--fail-empty")
    assert ran.code == 1
    assert "nothing here matches well" in ran.out
    assert "other" in ran.out
    assert "chance that nothing fits" in run("query", "sea").out
    assert run("query", "sea", "moon", "-w", "id = d,a", "--fail-empty").code == 0


def test_explain_walks_through_a_mask_and_a_bias(run, books):
    ran = run("explain", "moon", "-w", "year?", "--lexical", "--prior", "year")
    assert (ran.code, ran.err) == (0, "")
    assert "other" not in ran.out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--where", "yaer > 3"], "no item of books has a field 'yaer'; did you mean 'year'?"),
        (["--where", "year"], "--where can't read 'year'; write FIELD OP VALUE, such as"),
        (["--where", "year < 1, 2"], "--where 'year < 1, 2' compares with 2 values"),
        (["--value", "nothing"], "no item of books has a field 'nothing'; the fields are kind, labels, year"),
        (["--prior", "kind"], "the field 'kind' is text; give --prior a field of numbers or dates"),
        (["--prior", "year=much"], "invalid --prior 'year=much'; write FIELD or FIELD=WEIGHT, such as year=0.5"),
        (["--prior", "=3"], "invalid --prior '=3'"),
        (["--prior", "year=inf"], "invalid --prior 'year=inf'"),
        (["--lexical", "-1"], "invalid value for '--lexical': -1 is not from 0 to 1000; give"),
        (["--lexical", "nan"], "invalid value for '--lexical': nan is not from 0 to 1000; give"),
        (["--top-p", "2"], "invalid value for '--top-p'"),
        (["--top-p", "nan"], "invalid value for '--top-p': nan; give it a number, such as 0.5"),
        (["--vector"], "--vector is a vector of hundreds of numbers; add --json or --jsonl"),
    ],
)  # fmt: skip
def test_refused(run, books, argv, message):
    ran = run("query", "moon", *argv)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"attnsearch: {message}")


def test_from_python(books):
    with Index.open("books") as index:
        result = query(index, "moon", where=["year > 1900"], lexical=0.3)
    assert [hit.id for hit in result.hits] == ["c", "b"]
    assert result.lexical == 0.3
