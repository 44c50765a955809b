"""What the API refuses: each refusal is the error object, and its sentence says which parameter, and what it may be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import closing

import pytest
from openapi_spec_validator import validate

from attnsearch import update
from attnsearch.errors import CatalogError, InputError, ModelError
from attnsearch.serve import answers, failures
from attnsearch.storage.failures import unreadable
from attnsearch.wire.catalogs import Problem
from attnsearch.wire.mistakes import refuse, spell_type
from attnsearch.wire.requests import QueryRequest
from tests.documents import ROOT
from tests.serve.client import Client, build_home, serving

SERVING = ROOT / "docs" / "serving.md"

A_TEXT = "a text of 1 to 20,000 characters"
NAMES = "a list of at most 100 texts of 1 to 500 characters"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    items = [{"id": "a", "title": "moon"}, {"id": "b", "title": "sea", "price": 3}, {"id": "c", "title": "robot"}]
    return build_home(tmp_path_factory.mktemp("built") / "home", {"shop": items})


@pytest.fixture
def client(small, home, built):
    shutil.copytree(built, home)
    with closing(Client("shop")) as client:
        yield client


def refused(client: Client, body, *, path: str = "/v1/query", status: int = 400, **headers: str) -> tuple[str, str]:
    """The message and the hint of a refusal."""
    answered = client.post(path, body, **headers)
    assert answered.status == status, answered.text
    Problem.model_validate(answered.json)
    assert answered.headers["content-type"] == "application/json"
    return answered.error["message"], answered.error["hint"]


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ({"query": "a", "wher": []}, "no parameter 'wher'", "did you mean 'where'?"),
        ({"query": "a", "top_k": 3}, "no parameter 'top_k'", "did you mean 'top_p'?"),
        ({"query": "a", "\x1b[31m": 1}, "no parameter '\x1b[31m'", None),
        ({}, "'query' is missing", f"it is {A_TEXT}"),
        ({"query": ""}, f"'query' must be {A_TEXT}, not ''", ""),
        ({"query": 3}, f"'query' must be {A_TEXT}, not 3", ""),
        ({"query": None}, f"'query' must be {A_TEXT}, not null", ""),
        ({"query": "a" * 20_001}, f"'query' must be {A_TEXT}, not a text of 20,001 characters", ""),
        ({"query": "a", "k": 0}, "'k' must be a whole number from 1 to 1,000, not 0", ""),
        ({"query": "a", "k": 1001}, "'k' must be a whole number from 1 to 1,000, not 1001", ""),
        ({"query": "a", "k": "3"}, "'k' must be a whole number from 1 to 1,000, not '3'", ""),
        ({"query": "a", "k": 2.5}, "'k' must be a whole number from 1 to 1,000, not 2.5", ""),
        ({"query": "a", "k": True}, "'k' must be a whole number from 1 to 1,000, not true", ""),
        ({"query": "a", "min_weight": 2}, "'min_weight' must be a number from 0 to 1, not 2", ""),
        ({"query": "a", "temperature": 0}, "'temperature' must be a number of at least 1e-06, not 0", ""),
        ({"query": "a", "explain": 1}, "'explain' must be true or false, not 1", ""),
        ({"query": "a", "lexical": "yes"}, "'lexical' must be a number from 0 to 1,000 or 'auto', not 'yes'", ""),
        ({"query": "a", "where": "year > 3"}, f"'where' must be {NAMES}, not 'year > 3'", ""),
        ({"query": "a", "where": ["a", {}]}, f"'where' must be {NAMES}, not an object in [1]", ""),
        ({"query": "a", "where": ["x = 1"] * 101}, f"'where' must be {NAMES}, not a list of 101", ""),
        ({"query": "a", "priors": {"price": "high"}},
         "'priors' must be an object of at most 20 names, each with a number from -1,000 to 1,000, not 'high'", ""),
        ([], "the request is not a JSON object", None),
        ("moon", "the request is not a JSON object", None),
        (None, "the request is not a JSON object", None),
        (b"", "the request is not a JSON object", None),
        (b"{", "the request:1: not JSON: Expecting property name enclosed in double quotes (column 2)", None),
        (b'{"query": "a",\n}', "the request:2: not JSON", None),
        (b'{"query": "a"} {"query": "b"}', "the request:1: not JSON: Extra data (column 16)", None),
        (b'{"query": "a", "query": "b"}', "the request:1: the key 'query' is used twice in one object", ""),
        (b'{"query": "a", "temperature": NaN}', "the request:1: NaN is not a finite number", ""),
        (b'{"query": "a", "temperature": 1e999}', "the request:1: 1e999 is not a finite number", ""),
        (b'{"query": "a", "k": 1%s}' % (b"0" * 5000), "the request:1: ", None),
        (b'{"query": "\\ud800"}', "the request:1: half of a surrogate pair", None),
        (b'{"query": %s1%s}' % (b"[" * 5000, b"]" * 5000), "the request:1: nested more than", None),
        (b'{"query": "\xff"}', "the body is not UTF-8", ""),
        ('{"query": "a"}'.encode("utf-16"), "the body is not UTF-8", ""),
        ({"query": "a", "textbook": True, "temperature": 1}, "textbook and temperature exclude each other", ""),
        ({"query": "a", "where": ["year >"]}, "'where' 'year >' lacks a value", None),
        ({"query": "a", "k": 51, "explain": True}, "'k' must be at most 50 with 'explain', not 51", None),
        ({"query": "a", "where": ["yaer > 3"]}, "", None),
        ({"query": "a", "values": ["none"]}, "", None),
        ({"query": "a", "priors": {"title": 1}}, "", "give 'priors' a field of numbers or dates"),
        ({"query": " \n"}, "the query is empty", None),
    ],
    ids=lambda part: str(part)[:40] if isinstance(part, (dict, list, bytes)) else "",
)  # fmt: skip
def test_what_can_not_be_meant(client, body, message, hint):
    sentence, advice = refused(client, body)
    assert sentence.startswith(message)
    assert hint is None or advice == hint


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/like", {}, "neither 'items' nor 'unlike' names an item"),
        ("/v1/like", {"items": ["a"], "lexical": 1}, "no parameter 'lexical'"),
        ("/v1/like", {"items": ["a"], "query": "x"}, "no parameter 'query'"),
        ("/v1/explain", {"query": "a"}, "'item' is missing"),
        ("/v1/explain", {"query": "a", "item": "a", "over": "moon"}, "'a' and 'moon' are the same item"),
        ("/v1/explain", {"query": "a", "item": "a", "over": "b", "matrix": "words"}, "'matrix' is for one item"),
        ("/v1/explain", {"query": "a", "item": "a", "matrix": 1}, "'matrix' must be 'words' or 'pieces', not 1"),
        ("/v1/explain", {"query": "a", "item": "a", "where": ["has price"]}, ""),
        ("/v1/heatmap", {"queries": []}, "'queries' must be a list of 1 to 50 texts of 1 to 20,000 characters"),
        ("/v1/heatmap", {"queries": ["a"] * 51}, "'queries' must be a list of 1 to 50 texts"),
        ("/v1/heatmap", {"queries": ["a", " "]}, "the query is empty"),
        ("/v1/heatmap", {"queries": ["a"], "k": 21}, "'k' must be a whole number from 1 to 20, not 21"),
        ("/v1/heatmap", {"queries": ["a"], "items": ["b"], "k": 2}, "'items' and 'k' exclude each other"),
        ("/v1/feedback", {"query": "a", "good": "b"}, f"'good' must be {NAMES}"),
        ("/v1/feedback", {"query": " ", "good": ["b"]}, ""),
    ],
)  # fmt: skip
def test_of_the_other_addresses(client, path, body, message):
    assert refused(client, body, path=path)[0].startswith(message)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/query", {"query": "a", "like": ["nobody"]}),
        ("/v1/like", {"items": ["nobody"]}),
        ("/v1/explain", {"query": "a", "item": "nobody"}),
        ("/v1/heatmap", {"queries": ["a"], "items": ["nobody"]}),
        ("/v1/feedback", {"query": "a", "good": ["nobody"]}),
    ],
)
def test_there_is_no_such_item(client, path, body):
    assert refused(client, body, path=path, status=404)[0] == "shop: no item 'nobody'"


@pytest.mark.parametrize(
    ("address", "status", "message", "hint"),
    [
        ("/v1/catalogs?x=1", 400, "no parameter 'x' in this address", "it has none"),
        ("/v1/items/a?catlog=shop", 400, "no parameter 'catlog' in this address", "did you mean 'catalog'?"),
        ("/v1/items/a?k=1", 400, "no parameter 'k' in this address", "it has catalog"),
        ("/v1/items/a?catalog=shop&catalog=shop", 400, "'catalog' is there twice", "say it once"),
        ("/v1/items/a?catalog=", 400, "'catalog' must be a text of 1 to 500 characters, not ''", ""),
        (f"/v1/items/{'a' * 501}", 400, "'item' must be a text of 1 to 500 characters", ""),
        ("/v1/items/", 400, "'item' must be a text of 1 to 500 characters, not ''", ""),
        ("/openapi.json?x=1", 400, "no parameter 'x' in this address", "it has none"),
        ("/v1/items", 404, "no such address", "/openapi.json describes what there is"),
        ("/v1/nothing", 404, "no such address", "/openapi.json describes what there is"),
        ("/v1/query", 405, "this address does not take that method", "/openapi.json describes what there is"),
    ],
)
def test_addresses(client, address, status, message, hint):
    answered = client.get(address)
    assert answered.status == status
    assert answered.error["message"].startswith(message)
    assert answered.error["hint"] == hint


def test_a_method_that_an_address_lacks(client):
    answered = client.get("/v1/query")
    assert answered.headers["allow"] == "POST"


def test_parameters_of_a_post_are_in_its_body(client):
    refusal = refused(client, {"query": "a"}, path="/v1/query?k=3")
    assert refusal == ("no parameter 'k' in this address", "it has none; parameters are in the body")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", 'application/json; charset="UTF-8"', "application/json;charset=UTF8"]
)
def test_charsets_that_are_utf8(client, kind):
    assert client.post("/v1/query", {"query": "moon"}, content_type=kind).status == 200


@pytest.mark.parametrize("kind", ["application/json; charset=latin-1", "application/json; charset=utf-16; x=utf-8"])
def test_other_charsets(client, kind):
    assert refused(client, {"query": "moon"}, status=415, content_type=kind)[0] == "the body is not JSON in UTF-8"


def test_a_byte_order_mark_is_not_a_part_of_the_request(client):
    assert client.post("/v1/query", b'\xef\xbb\xbf{"query": "moon"}').status == 200


def test_a_number_without_a_fraction_is_a_number(client):
    assert client.post("/v1/query", {"query": "moon", "temperature": 1, "min_score": 0}).status == 200


def test_a_type_error_of_ours_is_not_the_clients(client, monkeypatch):
    """Only what checks a setting blames the request."""

    def broken(*_, **__):
        raise TypeError("/secret/path of a bug")

    monkeypatch.setattr(answers, "search", broken)
    answered = client.post("/v1/query", {"query": "moon"})
    assert answered.status == 500
    assert "secret" not in answered.text


@pytest.mark.parametrize(
    "problem",
    [
        CatalogError("can't be read: no", where="/home/someone/.local/share/attnsearch/shop"),
        CatalogError("was indexed with other weights", hint="index it again: attnsearch index /home/someone/a.yaml"),
        CatalogError("was indexed with other weights", hint="do: attnsearch index '/home/someone/a b.yaml'"),
        CatalogError("x", hint="index it again: attnsearch index /home/someone/a.yaml ~/someone/b.yaml --name x"),
        CatalogError("can't be opened", hint="it belongs to someone; set ATTNSEARCH_HOME to a folder of your own"),
        ModelError("no such folder", where="/home/someone/models/mine"),
        ModelError("model.safetensors: /home/someone/models/mine/model.safetensors is damaged"),
    ],
    ids=str,
)  # fmt: skip
def test_no_path_of_the_machine_is_in_an_error(problem):
    text = json.dumps(failures.as_json(problem))
    assert "someone" not in text
    assert failures.status_of(problem) == 503


def test_no_home_is_in_an_error(client, home):
    feedback = home / "shop" / "feedback.jsonl"
    feedback.write_text("{broken")
    answered = client.post("/v1/feedback", {"query": "moon", "good": ["a"]})
    assert str(home) not in answered.text
    assert "shop/feedback.jsonl:1" in answered.error["message"]
    problem = unreadable(home / "shop", PermissionError(13, "Permission denied"))
    assert str(home) not in json.dumps(failures.as_json(problem))


def test_the_log_names_catalogs_and_texts(built, small, home):
    shutil.copytree(built, home)
    lines: list[str] = []
    with closing(Client("shop", log=lines.append, log_queries=True)) as client:
        client.post("/v1/heatmap", {"queries": ["moon", "sea"], "catalogs": ["shop"]})
        client.get("/v1/items/a?catalog=shop")
        client.post("/v1/query", {"query": "robot"})
    assert [re.sub(r"^\S+ \S+ | \d+ ms", "", line) for line in lines] == [
        'POST /v1/heatmap 200 shop "moon; sea"',
        "GET /v1/items/a 200 shop",
        'POST /v1/query 200 "robot"',
    ]


def test_what_a_client_wrote_stays_as_it_is():
    problem = InputError("no item '/usr/bin/env'", where="shop")
    assert failures.as_json(problem)["error"]["message"] == "shop: no item '/usr/bin/env'"


def test_paths_of_models_are_their_last_parts(client, monkeypatch):
    """A catalog may have been made by the model in a folder, whose path is its name."""
    path = "/home/someone/models/mine"
    with client.catalogs.lease([]) as index:
        monkeypatch.setattr(index.store, "info", index.info._replace(model=path))
        answered = client.post("/v1/query", {"query": "moon", "explain": True})
    assert answered.json["model"] == "mine"
    assert "someone" not in answered.text


@pytest.fixture
def description():
    return Client().get("/openapi.json").json


class TestOpenAPI:
    def test_it_is_valid(self, description):
        validate(description)

    def test_every_refusal_is_the_error_object(self, description):
        for methods in description["paths"].values():
            for operation in methods.values():
                assert "422" not in operation["responses"]
                for status, response in operation["responses"].items():
                    (content,) = response["content"].values()
                    is_problem = content["schema"].get("$ref", "").endswith("/Problem")
                    assert is_problem == (status != "200")

    def test_each_name_is_a_plain_word(self, description):
        names = [
            operation["operationId"] for methods in description["paths"].values() for operation in methods.values()
        ]
        assert names == ["query", "like", "explain", "heatmap", "feedback", "list_catalogs", "show_item", "health"]

    def test_nothing_is_described_that_is_not_ours(self, description):
        assert not [name for name in description["components"]["schemas"] if "Validation" in name]
        assert description["paths"]["/v1/query"]["post"]["security"] == [{}, {"token": []}]
        assert description["paths"]["/health"]["get"]["security"] == []


def test_spelled_types():
    schema = QueryRequest.model_json_schema()
    spelled = {name: spell_type(part) for name, part in schema["properties"].items()}
    assert spelled["query"] == A_TEXT
    assert spelled["vector"] == "true or false"
    assert all(spelled.values())


def test_the_first_of_several_mistakes_counts():
    errors = [{"type": "missing", "loc": ("query",), "input": {}}, {"type": "int_type", "loc": ("k",), "input": "x"}]
    assert refuse(QueryRequest, errors).message == "'query' is missing"


class TestDocument:
    """What docs/serving.md shows works as it stands there."""

    @pytest.fixture
    def port(self, small):
        update(
            [
                {"id": "solaris", "title": "moon"},
                {"id": "dune", "title": "sea"},
                {"id": "the-martian", "title": "robot"},
            ],
            name="library",
        )
        with closing(Client()) as client, serving(client.app) as (_, port):
            yield str(port)

    @staticmethod
    def block(language: str) -> str:
        text = SERVING.read_text()
        return text[text.index("## HTTP") :].partition(f"```{language}\n")[2].partition("```")[0]

    def test_python(self, port, capsys):
        code = self.block("python").replace("8400", port)
        exec(compile(code, "serving.md", "exec"), {})
        assert "moon" in capsys.readouterr().out
        with pytest.raises(SystemExit, match="400: no parameter 'kk'"):
            exec(compile(code.replace('"k": 3', '"kk": 3'), "serving.md", "exec"), {})

    @pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
    def test_curl(self, port):
        commands = self.block("bash").replace("8400", port).replace("year > 1950", "title ~ moon").splitlines()
        assert len(commands) == 6
        for command in commands:
            ran = subprocess.run(
                ["bash", "-c", f"{command} --fail --silent"], capture_output=True, timeout=30, check=True
            )
            assert json.loads(ran.stdout)
