"""Every answer of the API is that of the command line, field for field, and of the type that says so."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from typing import Any

import pytest

from attnsearch import update
from attnsearch.wire.catalogs import CatalogSummary, Health, Item, Judgments
from attnsearch.wire.results import Explanation, Heatmap, Result
from tests.serve.client import Client, build_home

HOSTILE = "</script><img src=x onerror=alert(1)> \x1b[31m \u202e\u2066\x00 ' \" \\ %00"
ITEMS = [
    {"id": "a", "title": "moon", "year": 1969, "day": "2020-05-01", "kind": "rock", "rank": 1},
    {"id": "b/c d?é#", "title": "sea", "year": 1950, "day": "2021-06-01", "kind": "water", "tags": ["deep", "blue"]},
    {"id": "c", "title": "robot moon", "year": 2001, "kind": "machine", "url": "https://example.org/?a=1&b=<2>"},
    {"id": "long", "title": "sea robot", "description": "lamp " * 150 + "moon", "year": 1900},
    {"id": "evil", "title": HOSTILE.replace("\x00", ""), "description": HOSTILE.replace("\x00", ""), "note": "<b>"},
    {"id": "cafe\u0301", "title": "Cafe\u0301 robot", "sizes": {"height": 3, "inner": {"width": 2.5}}},
]
OTHERS = [{"id": "a", "title": "robot"}, {"id": "z", "title": "moon sea", "year": 1999}]

QUERY, LIKE, EXPLAIN, HEATMAP = "/v1/query", "/v1/like", "/v1/explain", "/v1/heatmap"
TYPES = {QUERY: Result, LIKE: Result, EXPLAIN: Explanation, HEATMAP: Heatmap, "/v1/feedback": Judgments}

# A request, and the command line that asks the same.
CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    (QUERY, {"query": "moon"}, ["query", "moon"]),
    (QUERY, {"query": "moon", "k": 2}, ["query", "moon", "-k", "2"]),
    (QUERY, {"query": "moon", "k": None}, ["query", "moon"]),
    (QUERY, {"query": "moon sea", "top_p": 0.6}, ["query", "moon sea", "--top-p", "0.6"]),
    (QUERY, {"query": "moon sea", "top_p": 0.9, "k": 1}, ["query", "moon sea", "--top-p", "0.9", "-k", "1"]),
    (QUERY, {"query": "moon", "min_weight": 0.2}, ["query", "moon", "--min-weight", "0.2"]),
    (QUERY, {"query": "moon", "min_score": 0.9}, ["query", "moon", "--min-score", "0.9"]),
    (QUERY, {"query": "moon", "where": ["year > 1960", "has day"]},
     ["query", "moon", "-w", "year > 1960", "-w", "has day"]),
    (QUERY, {"query": "moon", "where": ["kind = rokc"]}, ["query", "moon", "-w", "kind = rokc"]),
    (QUERY, {"query": "moon robot", "lexical": 0.7}, ["query", "moon robot", "--lexical", "0.7"]),
    (QUERY, {"query": "moon robot", "lexical": "auto", "explain": True},
     ["query", "moon robot", "--explain", "--lexical"]),
    (QUERY, {"query": "moon", "temperature": 0.5}, ["query", "moon", "--temperature", "0.5"]),
    (QUERY, {"query": "moon", "priors": {"year": 2, "rank": -0.5}, "explain": True},
     ["query", "moon", "--prior", "year=2", "--prior", "rank=-0.5", "--explain"]),
    (QUERY, {"query": "moon", "textbook": True}, ["query", "moon", "--textbook"]),
    (QUERY, {"query": "moon", "untrained": True}, ["query", "moon", "--untrained"]),
    (QUERY, {"query": "moom"}, ["query", "moom"]),
    (QUERY, {"query": "moom", "exact": True}, ["query", "moom", "--exact"]),
    (QUERY, {"query": "moon", "values": ["year", "day", "kind", "tags"]},
     ["query", "moon", "--value", "year", "--value", "day", "--value", "kind", "--value", "tags"]),
    (QUERY, {"query": "moon", "vector": True}, ["query", "moon", "--vector"]),
    (QUERY, {"query": "moon sea", "explain": True, "values": ["year"]},
     ["query", "moon sea", "--explain", "--value", "year"]),
    (QUERY, {"query": "robot", "like": ["moon"], "unlike": ["b/c d?é#"], "explain": True},
     ["query", "robot", "--like", "moon", "--unlike", "b/c d?é#", "--explain"]),
    (QUERY, {"query": "café ro\u0301bot"}, ["query", "café ro\u0301bot"]),
    (QUERY, {"query": "<script>alert(1)</script> \u202e moon"}, ["query", "<script>alert(1)</script> \u202e moon"]),
    (QUERY, {"query": "moon", "where": ["year > 3000"], "explain": True, "vector": True, "values": ["year"]},
     ["query", "moon", "-w", "year > 3000", "--explain", "--vector", "--value", "year"]),
    (QUERY, {"query": "robot", "catalogs": ["shop", "other"], "values": ["year"]},
     ["query", "robot", "-c", "shop", "-c", "other", "--value", "year"]),
    (LIKE, {"items": ["a"]}, ["query", "--like", "a"]),
    (LIKE, {"items": ["a"], "unlike": ["sea"], "where": ["year < 2000"], "k": 1, "explain": True},
     ["query", "--like", "a", "--unlike", "sea", "-w", "year < 2000", "-k", "1", "--explain"]),
    (LIKE, {"unlike": ["cafe\u0301"], "vector": True}, ["query", "--unlike", "café", "--vector"]),
    (LIKE, {"items": ["other:a"], "catalogs": ["shop", "other"]},
     ["query", "--like", "other:a", "-c", "shop", "-c", "other"]),
    (EXPLAIN, {"query": "moon sea", "item": "a"}, ["explain", "moon sea", "a"]),
    (EXPLAIN, {"query": "moon sea", "item": "long", "lexical": 1}, ["explain", "moon sea", "long", "--lexical", "1"]),
    (EXPLAIN, {"query": "moon sea", "item": "a", "over": "sea"}, ["explain", "moon sea", "a", "--over", "sea"]),
    (EXPLAIN, {"query": "moon sea", "item": "c", "matrix": "words"}, ["explain", "moon sea", "c", "--matrix"]),
    (EXPLAIN, {"query": "moon sea", "item": "evil", "matrix": "pieces"},
     ["explain", "moon sea", "evil", "--matrix", "--pieces"]),
    (EXPLAIN, {"query": "moon", "item": "z", "catalogs": ["shop", "other"]},
     ["explain", "moon", "z", "-c", "shop", "-c", "other"]),
    (HEATMAP, {"queries": ["moon", "sea", "robot"]}, ["heatmap", "moon", "sea", "robot"]),
    (HEATMAP, {"queries": ["moom", "sea"], "k": 1, "lexical": 0.5},
     ["heatmap", "moom", "sea", "-k", "1", "--lexical", "0.5"]),
    (HEATMAP, {"queries": ["moon"], "items": ["a", "sea"], "where": ["year > 1960"]},
     ["heatmap", "moon", "--items", "a", "--items", "sea", "-w", "year > 1960"]),
    (HEATMAP, {"queries": ["moon"], "where": ["year > 3000"]}, ["heatmap", "moon", "-w", "year > 3000"]),
    (HEATMAP, {"queries": ["moon"], "catalogs": ["shop", "other"]}, ["heatmap", "moon", "-c", "shop", "-c", "other"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_home(tmp_path_factory.mktemp("built") / "home", {"shop": ITEMS, "other": OTHERS})


@pytest.fixture
def catalogs(small, home, built):
    small.vocabulary = ["moon", "sea", "robot"]
    shutil.copytree(built, home)


@pytest.fixture
def client(catalogs):
    with closing(Client("shop", "other")) as client:
        yield client


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "elapsed_ms"}


def ask_both(client: Client, run, path: str, body: dict[str, Any], argv: list[str]) -> tuple[Any, Any]:
    """The answer of the API, and that of the command line."""
    answered = client.post(path, body)
    assert answered.status == 200, answered.text
    TYPES[path].model_validate(answered.json)
    ran = run(*argv, *([] if "-c" in argv else ["-c", "shop"]), "--json")
    assert ran.code == 0, ran.err
    return without_time(answered.json), without_time(json.loads(ran.out))


@pytest.mark.parametrize(("path", "body", "argv"), CASES, ids=[" ".join(argv)[:60] for _, _, argv in CASES])
def test_it_is_that_of_the_command_line(client, run, path, body, argv):
    answer, printed = ask_both(client, run, path, body, argv)
    assert answer == printed


def test_the_cases_use_every_parameter():
    """So a new one can't be forgotten."""
    from attnsearch.wire import requests

    kinds = {QUERY: requests.QueryRequest, LIKE: requests.LikeRequest, EXPLAIN: requests.ExplainRequest,
             HEATMAP: requests.HeatmapRequest}  # fmt: skip
    common = {*requests.Asking.model_fields, *requests.AskingInWords.model_fields, *requests.Showing.model_fields}
    for path, kind in kinds.items():
        used = {name for address, body, _ in CASES if address == path for name in body}
        assert set(kind.model_fields) - common <= used
    assert common <= {name for _, body, _ in CASES for name in body}


@pytest.mark.parametrize("command", ["query", "explain", "heatmap"])
def test_of_several_heads(two, run, command):
    update(ITEMS[:3], name="shop", head="vowels=0.3")
    bodies = {"query": {"query": "moon", "explain": True}, "explain": {"query": "moon", "item": "a"},
              "heatmap": {"queries": ["moon"]}}  # fmt: skip
    argv = {
        "query": ["query", "moon", "--explain"],
        "explain": ["explain", "moon", "a"],
        "heatmap": ["heatmap", "moon"],
    }
    with closing(Client("shop")) as client:
        answer, printed = ask_both(client, run, f"/v1/{command}", bodies[command], argv[command])
    assert answer == printed
    assert answer["heads"] == ["vowels"]


def test_of_judged_requests(client, run):
    for judged in ({"good": ["sea", "c"], "bad": ["a"]}, {"bad": ["c"], "good": ["a"]}):
        argv = ["feedback", "moon sea", *(word for name, items in judged.items() for word in (f"--{name}", *items))]
        answer, printed = ask_both(client, run, "/v1/feedback", {"query": "moon sea", **judged}, argv)
        assert answer == printed
    answer, printed = ask_both(
        client, run, QUERY, {"query": "moon sea", "explain": True}, ["query", "moon sea", "--explain"]
    )
    assert answer == printed
    assert answer["recalled"]
    assert any(hit["why"]["memory"] for hit in answer["hits"])


class TestFeedback:
    def ask(self, client, **body):
        answered = client.post("/v1/feedback", {"query": "moon", **body})
        assert answered.status == 200, answered.text
        Judgments.model_validate(answered.json)
        return answered.json

    def test_what_was_judged_can_be_taken_back(self, client, run):
        before = without_time(client.post(QUERY, {"query": "moon"}).json)
        assert self.ask(client, good=["sea"], bad=["a"])["grades"] == {"b/c d?é#": 1, "a": 0}
        assert "recalled" in client.post(QUERY, {"query": "moon"}).json
        assert self.ask(client, good=["sea"], remove=True)["removed"] == {"b/c d?é#": 1}
        assert self.ask(client, remove=True)["removed"] == {"a": 0}
        assert without_time(client.post(QUERY, {"query": "moon"}).json) == before
        assert json.loads(run("feedback", "--list", "-c", "shop", "--json").out) == []

    def test_of_what_was_removed_it_is_that_of_the_command_line(self, client, run):
        self.ask(client, good=["sea", "a"])
        answer = self.ask(client, good=["sea"], remove=True)
        self.ask(client, good=["sea"])
        ran = run("feedback", "moon", "--remove", "--good", "sea", "-c", "shop", "--json")
        assert answer == json.loads(ran.out)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "no items that are right or wrong"),
            ({"good": ["a"], "bad": ["moon"]}, "'a' is both good and bad"),
            ({"good": ["a"], "catalogs": ["shop", "other"]}, "feedback belongs to one catalog"),
            ({"remove": True}, "no feedback for 'moon'"),
        ],
    )
    def test_what_can_not_be_meant(self, client, body, message):
        answered = client.post("/v1/feedback", {"query": "moon", **body})
        assert answered.status == 400
        assert message in answered.error["message"]


class TestItems:
    @pytest.mark.parametrize(
        ("address", "name"),
        [("a", "a"), ("moon", "a"), ("MOON", "a"), ("b%2Fc%20d%3F%C3%A9%23", "b/c d?é#"), ("long", "long"),
         ("b/c%20d%3F%C3%A9%23", "b/c d?é#"), ("cafe%CC%81", "café"), ("caf%C3%A9", "café"), ("evil", "evil"),
         ("Cafe%CC%81%20robot", "café")],
    )  # fmt: skip
    def test_it_is_that_of_the_command_line(self, client, run, address, name):
        answered = client.get(f"/v1/items/{address}?catalog=shop")
        assert answered.status == 200
        Item.model_validate(answered.json)
        assert answered.json == json.loads(run("show", name, "-c", "shop", "--json").out)
        assert answered.json == client.get(f"/v1/items/{address}").json

    def test_there_is_none(self, client):
        answered = client.get("/v1/items/mooon?catalog=shop")
        assert answered.status == 404
        assert answered.error == {"code": 2, "message": "shop: no item 'mooon'", "hint": "did you mean 'moon'?"}


class TestCatalogs:
    def test_they_are_those_of_list_and_info(self, client, run):
        rows = client.get("/v1/catalogs").json
        assert [row["name"] for row in rows] == ["shop", "other"]
        for row in rows:
            CatalogSummary.model_validate(row)
            printed = json.loads(run("info", row["name"], "--json").out)
            known = set(row) - {"default", "trained"}
            assert {name: row[name] for name in known} == {name: printed[name] for name in known}
        assert [row["default"] for row in rows] == [True, False]
        assert [row["trained"] for row in rows] == [False, False]

    def test_nothing_of_files_is_in_it(self, client, home, tmp_path, write):
        source = write("my source.yaml", "- {id: a, title: moon}\n")
        update([str(source)], name="filed")
        with closing(Client("filed", "shop")) as both:
            text = both.get("/v1/catalogs").text
        for part in (str(home), str(tmp_path), "my source", "sha256", "folder", "sources"):
            assert part not in text

    def test_a_damaged_one_has_a_problem(self, client, home):
        (home / "shop" / "index.sqlite").write_bytes(b"broken" * 1000)
        damaged, whole = client.get("/v1/catalogs").json
        CatalogSummary.model_validate(damaged)
        assert damaged["name"] == "shop"
        assert "damaged" in damaged["problem"]
        assert str(home) not in damaged["problem"]
        assert whole["items"] == 2

    def test_built_in_ones(self, small):
        rows = Client().get("/v1/catalogs").json
        assert {row["name"] for row in rows} == {"library", "kitchen", "toolbox"}
        assert all(row["built_in"] for row in rows)
        assert [row["name"] for row in rows if row["default"]] == ["library"]
        for row in rows:
            CatalogSummary.model_validate(row)

    def test_one_that_is_gone_has_a_problem(self, client, home):
        shutil.rmtree(home / "other")
        rows = client.get("/v1/catalogs").json
        assert [(row["name"], row.get("problem")) for row in rows] == [
            ("shop", None),
            ("other", "there is no catalog 'other'"),
        ]

    def test_trained(self, client):
        client.post("/v1/feedback", {"query": "moon", "good": ["sea"]})
        assert client.get("/v1/catalogs").json[0]["trained"]


def test_health(client):
    answered = client.get("/health")
    Health.model_validate(answered.json)
    assert answered.json == {"status": "ok"}


@pytest.mark.real
def test_none_of_these(run):
    with closing(Client("library")) as client:
        answer, printed = ask_both(client, run, QUERY, {"query": "carburetor gasket torque"},
                               ["query", "carburetor gasket torque", "-c", "library"])  # fmt: skip
    assert answer == printed
    assert answer["none_of_these"] > 0.5
