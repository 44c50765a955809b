from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from attnsearch import Index, InputError, update
from attnsearch.storage import home


def fields_of(item):
    update([{"id": "x", "title": "moon", **item}], name="one")
    with Index.open("one") as index:
        return index["x"].fields


class TestDicts:
    def test_only_what_changed_is_embedded(self, small):
        report = update(({"title": title} for title in ("moon", "sea")), name="shop")
        assert (report.added, report.embedded) == (2, 2)
        report = update([{"title": "moon"}, {"title": "robot"}], name="shop")
        assert (report.added, report.removed, report.embedded) == (1, 1, 1)
        report = update([{"title": "lamp"}], name="shop", keep=True)
        assert report.info.items == 3

    def test_heads(self, two):
        update([{"title": "moon"}], name="shop")
        assert [head.model for head in update([{"title": "moon"}], name="shop", head="vowels").info.heads] == ["vowels"]
        assert update([{"title": "moon"}], name="shop").info.heads
        with Index.open("shop") as index:
            assert index.query("moon").heads == ("vowels",)
        assert not update([{"title": "moon"}], name="shop", head=["none"]).info.heads
        with pytest.raises(TypeError, match=r"head\[0\] must be a str"):
            update([{"title": "moon"}], name="shop", head=[3])

    def test_prompts_and_dims(self, real):
        def use(**options):
            return update([{"title": "moon"}], name="shop", **options).info.use

        assert use() is None
        assert use(query_prompt="query: ", dims=64) == ("query: ", "", 64)
        assert use(key_prompt="x") == ("query: ", "x", 64)
        assert use(query_prompt="", key_prompt="", dims=384) is None
        for option in ("query_prompt", "key_prompt"):
            with pytest.raises(TypeError, match=f"{option} must be a str, not bytes"):
                use(**{option: b"x"})
        for dims, error in ((0, ValueError), (1.5, TypeError), (True, TypeError), ("3", TypeError), (385, InputError)):
            with pytest.raises(error, match="dims"):
                use(dims=dims)

    @pytest.mark.parametrize(
        ("value", "stored"),
        [
            (3, 3),
            (True, True),
            ("x", "x"),
            ((1, "b"), [1, "b"]),
            ({"h": 1, "w": 2}, {"h": 1, "w": 2}),
            (date(2020, 5, 1), "2020-05-01"),
            (datetime(2020, 5, 1, 12, tzinfo=UTC), "2020-05-01T12:00:00+00:00"),
            (np.int64(3), 3),
            (np.float32(0.5), 0.5),
            (np.array([True])[0], True),
            (np.array([1, 2]), [1, 2]),
        ],
    )
    def test_values(self, small, value, stored):
        assert fields_of({"field": value}) == {"field": stored}

    @pytest.mark.parametrize("value", [None, math.nan, np.float32("nan")])
    def test_no_value(self, small, value):
        assert fields_of({"field": value}) == {}

    @pytest.mark.parametrize(
        ("items", "options", "error", "message"),
        [
            ({"title": "moon"}, {}, TypeError, "sources must be a path, several, or dicts, not a dict; for one item"),
            (3, {}, TypeError, "sources must be a str or a path, not int"),
            (b"x.yaml", {}, TypeError, "sources must be a str or a path, not bytes"),
            ([], {}, ValueError, "sources is empty"),
            ([3], {}, TypeError, "sources[0] must be a str or a path, not int"),
            ([{"title": "moon"}, "x.yaml"], {}, TypeError, "sources[1] must be a dict, as the first is, not str"),
            ([{"title": "moon", 3: "x"}], {}, TypeError, "sources[0] has a field whose name is not a str"),
            ([{"title": "moon", "x": {1, 2}}], {}, TypeError, "an item can't hold a value of the type set"),
            ([{"title": "moon", "x": [math.inf]}], {}, InputError, "items:1: "),
            ([{"title": "moon"}, {"title": "\ud800"}], {}, InputError, "items:2: "),
            ([{"title": "moon"}, {"price": 3}], {}, InputError, "items:2: an item has no text to search"),
            ([{"id": "a", "title": "x"}, {"id": "a", "title": "y"}], {}, InputError, "items:2: id 'a' was already"),
            ([{"title": "moon"}], {"name": None}, ValueError, "a catalog of dicts needs a name"),
            ([{"title": "moon"}], {"from_": "csv"}, ValueError, "from_, delimiter, encoding, table, sql, items and"),
            ([{"title": "moon"}], {"keep": 1}, TypeError, "keep must be a bool, not int"),
            ([{"title": "moon"}], {"precision": "half"}, ValueError, "precision must be 'float32' or 'bfloat16'"),
            ([{"title": "moon"}], {"language": "klingon"}, InputError, "unknown language 'klingon'"),
            ([{"title": "moon"}], {"title_field": 3}, TypeError, "title_field must be a str, not int"),
            ([{"title": "moon"}], {"text_field": [3]}, TypeError, "text_field[0] must be a str, not int"),
        ],
    )  # fmt: skip
    def test_wrong_ones(self, small, items, options, error, message):
        with pytest.raises(error) as caught:
            update(items, **({"name": "shop"} | options))
        assert str(caught.value).startswith(message)
        assert home.catalog_folders() == []

    def test_a_dict_in_a_dict_that_holds_itself(self, small):
        item = {"title": "moon"}
        item["self"] = item
        with pytest.raises(ValueError, match="Circular"):
            update([item], name="shop")

    def test_fields(self, small):
        items = [{"sku": "7", "label": "moon", "blurb": "sea", "price": 3}]
        update(items, name="shop", id_field="sku", title_field="label", text_field=["label", "blurb"])
        with Index.open("shop") as index:
            assert (index["7"].title, index["7"].description) == ("moon", "sea")


class TestFiles:
    @pytest.fixture
    def paths(self, write):
        return [write("a.yaml", "- title: moon\n"), write("b.csv", "title;price\nsea;3\n")]

    def test_one(self, small, paths):
        assert update(str(paths[0])).info.name == "a"
        assert update(paths[1], delimiter=";", lexical="auto").info.lexical == 0.3

    def test_many(self, small, paths):
        assert update(paths, name="both").info.items == 2
        assert update(map(str, paths), name="both").embedded == 0

    def test_a_path_of_this_folder(self, small, paths, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert update(Path("a.yaml")).info.sources[0].path == str(paths[0])

    def test_not_there(self, small):
        with pytest.raises(InputError, match=r"none.yaml: no such file"):
            update("none.yaml")
