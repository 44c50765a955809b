"""What the tools answer, asked by a real client."""

from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter

from attnsearch.agents import calls, portions
from attnsearch.agents.tools import TOOLS
from attnsearch.indexing.update import update
from attnsearch.postings.filters import parse_filter

ANSWERS = {tool.name: TypeAdapter(tool.answer) for tool in TOOLS}


def index(write, text: str, name: str = "big") -> None:
    update([str(write(f"{name}.jsonl", text))], name=name)


class TestSearch:
    def test_best_first_with_what_is_needed_to_go_on(self, shop, ask):
        answer = ask("search", query="moon", catalog=shop, k=2)
        assert [(hit["rank"], hit["id"]) for hit in answer["hits"]] == [(1, "c"), (2, "a")]
        second = answer["hits"][1]
        assert (second["title"], second["description"]) == ("moon", "Up there")
        assert second["fields"] == ["kind = rock", "price = 3", "tags = far, round"]
        assert (answer["catalog"], answer["query"], answer["searched"], answer["truncated"]) == (
            "shop",
            "moon",
            4,
            False,
        )

    def test_fields_are_filters_that_hold(self, shop, ask):
        for hit in ask("search", query="robot", catalog=shop)["hits"]:
            for field in hit["fields"]:
                assert hit["id"] in [same["id"] for same in ask("search", query="x", where=[field])["hits"]], field

    def test_filters(self, shop, ask):
        answer = ask("search", query="moon", where=["kind = metal", "price > 40"])
        assert [hit["id"] for hit in answer["hits"]] == ["d"]
        assert answer["searched"] == 1

    def test_nothing_left(self, shop, ask):
        answer = ask("search", query="moon", where=["kind = metall"])
        assert answer["hits"] == []
        assert answer["note"] == "The filters leave no item: kind: no 'metall'; did you mean 'metal'?"

    def test_words_count_only_if_asked(self, shop, ask):
        plain, worded = (ask("search", query="moon", lexical=lexical) for lexical in (False, True))
        assert worded["hits"][0]["weight"] != plain["hits"][0]["weight"]

    def test_spelled_as_it_is(self, shop, ask, small):
        small.vocabulary = ["moon"]
        assert ask("search", query="mooon")["query"] == "mooon"
        assert "mooon" in small.read

    def test_a_name_that_the_hits_lack(self, write, small, ask):
        lines = [{"id": str(n), "title": f"moon {n}", "author": "Verne" if n > 7 else f"Other{n}"} for n in range(10)]
        index(write, "\n".join(map(json.dumps, lines)))
        answer = ask("search", query="moon by Verne", k=3)
        assert answer["note"] == '2 items have Verne in author: add to where: "author ~ Verne".'
        assert ask("search", query="moon", where=["author ~ Verne"])["searched"] == 2

    def test_nothing_fits(self, served, shop, monkeypatch, ask):
        real = calls.search
        monkeypatch.setattr(
            calls, "search", lambda *args, **more: [real(*args, **more)[0]._replace(none_of_these=0.97)]
        )
        answer = ask("search", query="moon")
        assert answer["none_of_these"] == 0.97
        assert answer["note"].startswith("Nothing in this catalog fits the query well: say so")

    def test_a_query_that_is_cut(self, shop, ask):
        assert (
            ask("search", query="moon " * 200)["note"]
            == "The query is longer than the model reads; its end was ignored."
        )

    def test_unknown_is_left_out(self, shop, ask):
        assert "none_of_these" not in ask("search", query="moon")  # the small encoder has no null key


class TestOthers:
    def test_like(self, shop, ask):
        answer = ask("like", item="moon", catalog=shop, where=["price > 20"])
        assert {hit["id"] for hit in answer["hits"]} == {"c", "d"}
        assert "a" not in {hit["id"] for hit in ask("like", item="a")["hits"]}

    def test_get(self, shop, ask):
        answer = ask("get", ids=["b", "ROBOT", "e"], catalog=shop)
        assert [item["id"] for item in answer["items"]] == ["b", "d"]
        assert answer["items"][0] == {
            "id": "b", "title": "sea", "text": "Down there", "length": 10,
            "fields": ["kind = water", "price = 12", "tags = near"],
        }  # fmt: skip
        assert answer["items"][1]["fields"][-1] == "tags = 'near, far'"
        assert answer["missing"] == ["shop: no item 'e'; name an item by its id or its title"]

    def test_explain(self, shop, ask):
        answer = ask("explain", query="moon sea", item="robot moon", catalog=shop)
        assert (answer["id"], answer["rank"], answer["searched"]) == ("c", 1, 4)
        assert sum(part["adds"] for part in answer["parts"]) == pytest.approx(answer["logit"], abs=0.01)
        assert [word["part"] for word in answer["query_words"]] == ["moon", "sea"]
        assert answer["query_words"][0]["adds"] > 0 == answer["query_words"][1]["adds"]

    def test_catalogs(self, shop, ask):
        (only,) = ask("catalogs")["catalogs"]
        assert (only["name"], only["items"], only["description"]) == ("shop", 4, "Things to look at")
        fields = {field["name"]: field for field in only["fields"]}
        assert fields["price"] == {"name": "price", "kind": "number", "items": 4, "examples": ["3", "50"]}
        assert fields["kind"]["examples"] == ["metal", "rock", "water"]
        assert fields["maker"]["examples"] == ["Čapek, Karel"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search", {"query": "moon"}),
        ("search", {"query": "moon", "where": ["price = 0"]}),
        ("like", {"item": "a"}),
        ("get", {"ids": ["a", "z"]}),
        ("explain", {"query": "moon", "item": "a"}),
        ("catalogs", {}),
        ("catalogs", {"catalog": "shop"}),
    ],
)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_answers_are_of_their_types(shop, ask, tool, arguments, mode):
    """By pydantic, by the client against the schema, and in both generations of the protocol."""
    ANSWERS[tool].validate_python(ask(tool, mode=mode, **arguments), strict=True)


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("search", {"query": "x", "limit": 3}, "no parameter 'limit'; there are query, catalog, k, where and lexical"),
        ("search", {"query": "x", "catalogue": "shop"}, "no parameter 'catalogue'; did you mean 'catalog'?"),
        ("search", {}, "'query' is missing; it is a text of 1 to 20,000 characters"),
        ("search", {"query": "x", "k": "8"}, "'k' must be a whole number from 1 to 50, not '8'"),
        ("search", {"query": "x", "k": 0}, "'k' must be a whole number from 1 to 50, not 0"),
        ("search", {"query": "x", "where": "price > 3"}, "'where' must be a list of"),
        ("search", {"query": "x", "where": ["price >"]}, "'where' 'price >' lacks a value; write FIELD OP VALUE"),
        ("search", {"query": "x", "where": ["cost > 3"]}, "no item of shop has a field 'cost'"),
        ("search", {"query": "  "}, "the query is empty"),
        ("search", {"query": "x", "catalog": "shopp"}, "there is no catalog 'shopp'; did you mean 'shop'?"),
        ("like", {"item": "mon"}, "shop: no item 'mon'; did you mean 'moon'?"),
        ("get", {"ids": []}, "'ids' must be a list of 1 to 20 texts"),
        ("get", {"ids": ["mon"]}, "shop: no item 'mon'; did you mean 'moon'?"),
        ("explain", {"query": "moon", "item": "z"}, "shop: no item 'z'"),
        ("catalogs", {"catalog": "ship"}, "there is no catalog 'ship'; did you mean 'shop'?"),
    ],
)  # fmt: skip
def test_mistakes_say_how_to_correct_them(shop, ask, tool, arguments, says):
    assert ask(tool, **arguments).startswith(says)


@pytest.mark.parametrize(
    "ref", ["{file}", "./shop.yaml", "../home/shop", "shop/", "shop/../shop", "@shop-1", "-", "~", ".", "/", "sh\0op"]
)
@pytest.mark.parametrize("tool", ["search", "get", "catalogs"])
def test_a_catalog_is_never_a_path(shop, write, tmp_path, monkeypatch, ask, tool, ref):
    monkeypatch.chdir(tmp_path)
    ref = ref.format(file=tmp_path / "shop.yaml")
    assert (tmp_path / "shop.yaml").is_file()
    more = {"search": {"query": "moon"}, "get": {"ids": ["a"]}, "catalogs": {}}[tool]
    assert str(ask(tool, catalog=ref, **more)).startswith("there is no catalog")


@pytest.mark.parametrize("ident", ["../a", "/etc/passwd", "@a", "-", "shop:a", "~/a"])
def test_an_item_is_never_a_path(shop, ask, ident):
    assert str(ask("get", ids=[ident])).startswith("shop: no item")


class TestHostileItems:
    HIDDEN = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")

    def test_nothing_acts_and_nothing_hides(self, write, small, ask):
        text = f"moon\x1b[2J \u202eevil\u202c{self.HIDDEN}\u2066"
        item = {"id": f"a\u202e{self.HIDDEN}\n", "title": text, "description": text, "x\x1b": text, "y": [text]}
        index(write, json.dumps(item))
        for tool, arguments in (
            ("search", {"query": text}), ("get", {"ids": ["moon"]}), ("catalogs", {}),
        ):  # fmt: skip
            shown = str(ask(tool, **arguments)) if tool != "get" else ""
            assert not {"\x1b", "\u202e", "\u2066", *self.HIDDEN} & {*shown}
        ident = ask("search", query="moon")["hits"][0]["id"]
        assert {"\x1b", "\u202e", *self.HIDDEN} & {*ident} == set()
        (whole,) = ask("get", ids=[ident])["items"]
        assert whole["id"] == ident
        assert not {"\x1b", "\u202e", "\u2066", *self.HIDDEN} & {*str(whole)}

    def test_never_more_than_20_kb(self, write, small, ask):
        wide = {f"field {n} \"'{n}": "yes, \\ \x07 and " * 10 for n in range(150)}
        lines = [{"id": f"{n}\\" * 90, "title": f'moon " {n} ' * 90, "text": 'é"\\' * 3_000, **wide} for n in range(20)]
        index(write, "\n".join(map(json.dumps, lines)))
        ids = [hit["id"] for hit in ask("search", query="moon", k=20)["hits"]]
        assert len(ids) > 3
        for tool, arguments in (
            ("search", {"query": "moon", "k": 50}),
            ("search", {"query": "moon " * 3_000, "k": 50}),
            ("like", {"item": ids[0], "k": 50}),
            ("get", {"ids": ids}),
            ("get", {"ids": ids[:1]}),
            ("explain", {"query": "moon " * 3_000, "item": ids[0]}),
            ("catalogs", {}),
            ("catalogs", {"catalog": "big"}),
        ):
            answer = ask(tool, **arguments)
            text = portions.as_text(answer)
            assert len(json.dumps(text, ensure_ascii=False).encode()) + len(text.encode()) < 20_000, tool
            if tool != "explain" and arguments:
                assert answer["truncated"] is True, tool
                assert answer["advice"], tool

    @pytest.mark.parametrize("letter", ["🦊", '"', "漢", "\\"])
    def test_never_more_with_names_that_are_none(self, write, small, ask, letter):
        """Nor with advice on many items; letters have up to four bytes, and as text in JSON up to six."""
        lines = [{"id": letter * 60 + str(n), "title": "t", "text": "moon", "f": letter * 500} for n in range(20)]
        index(write, "\n".join(map(json.dumps, lines)))
        ids = [line["id"] for line in lines]
        for names in (ids[:10], ids[:15], ids, [ids[0], *(letter * 1_900 + str(n) for n in range(19))]):
            answer = ask("get", ids=names)
            assert portions.cost(answer) < 20_000
            assert answer["items"]
            assert answer["truncated"]
        assert f"what is wrong with {19 - len(answer['missing'])} more ids" in answer["advice"]

    def test_a_long_item_is_read_to_its_end(self, write, small, ask):
        text = " ".join(f"moon{n}" for n in range(4_000))
        index(write, json.dumps({"id": "a", "title": "t", "description": text, "z": "last"}))
        parts, start, fields = [], 0, []
        while True:
            answer = ask("get", ids=["a"], start=start)
            (item,) = answer["items"]
            parts.append(item["text"])
            fields = item["fields"]
            start += len(item["text"])
            if not answer["truncated"]:
                break
            assert f"read on with start={start}" in answer["advice"]
        assert "".join(parts) == text
        assert len(parts) > 2
        assert fields == ["z = last"]


def test_filters_of_the_overview_are_valid_and_leave_something(write, small, ask):
    """Whatever fields and values are called."""
    odd = [
        {"id": str(n), "title": f"t{n}", "sold on": f"2021-0{n}-01", "a and b": f"x, {n % 2}", "or": n % 2 == 0,
         "price": f"{n},50 €", "who's": ["O'Neill (jr)", "and"], "größe": n - 5.25, "word": f"only {n} <here>"}
        for n in range(1, 9)
    ]  # fmt: skip
    index(write, "\n".join(map(json.dumps, odd)))
    (only,) = ask("catalogs")["catalogs"]
    assert len(only["where"]) == 8
    for condition in only["where"]:
        parse_filter(condition)
        assert ask("search", query="x", where=[condition])["searched"] > 0, condition


def test_a_damaged_catalog_is_named_and_the_others_are_described(shop, write, home, ask):
    index(write, '{"id": "a", "title": "moon"}')
    (home / "big" / "index.sqlite").write_bytes(b"no database")
    answer = {catalog["name"]: catalog for catalog in ask("catalogs")["catalogs"]}
    assert answer["shop"]["items"] == 4
    assert answer["big"]["note"] == "it can't be read now; a search in it says why"
    assert "big" in ask("search", query="x", catalog="big")


def test_several_catalogs_without_a_default(shop, write, ask):
    index(write, '{"id": "a", "title": "moon"}')
    assert ask("catalogs")["default"] == ""
    refusal = ask("search", query="moon")
    assert refusal.startswith("which catalog? there are")
    assert refusal.endswith("; name one of them")  # not several, which no tool takes
    assert ask("search", query="moon", catalog="shop")["catalog"] == "shop"
