from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import attnsearch
from attnsearch import CatalogError, Index, InputError, Item, update
from attnsearch.indexing.check import find_problems
from attnsearch.storage import home
from attnsearch.teaching.feedback import read_feedback

IDS = ("a", "b", "c", "long", "d")


class TestOpen:
    def test_a_path_object_is_a_file(self, index, write, monkeypatch, tmp_path):
        write("shop", "title,price\nmoon,3\n")
        monkeypatch.chdir(tmp_path)
        with Index.open(Path("shop"), from_="csv") as of_file, Index.open("shop") as of_name:
            assert (len(of_file), len(of_name)) == (1, 5)

    def test_without_a_name(self, index):
        with Index.open() as opened:
            assert opened.info.name == "shop"

    @pytest.mark.parametrize(
        ("ref", "options", "error", "message"),
        [
            (3, {}, TypeError, "ref must be a str or a path, not int"),
            (b"shop", {}, TypeError, "ref must be a str or a path, not bytes"),
            (" ", {}, ValueError, "ref is empty"),
            ("shop", {"offline": 1}, TypeError, "offline must be a bool, not int"),
            ("shop", {"from_": "docx"}, InputError, "invalid --from 'docx'"),
            ("shp", {}, CatalogError, "there is no catalog 'shp'; did you mean 'shop'?"),
            ("shp.yaml", {}, InputError, "shp.yaml: no such file"),
        ],
    )
    def test_wrong_arguments(self, index, ref, options, error, message):
        with pytest.raises(error) as caught:
            Index.open(ref, **options)
        assert str(caught.value).startswith(message)

    def test_only_by_open(self):
        with pytest.raises(TypeError, match="open an index by its name"):
            Index("shop")


class TestSeveral:
    @pytest.fixture
    def both(self, index):
        update([{"id": "a", "label": "sea sea"}, {"id": "z", "label": "moon"}], name="other", title_field="label")
        with Index.open(["shop", "other"]) as opened:
            yield opened

    def test_one_softmax(self, both):
        result = both.query("moon", k=7)
        assert {hit.catalog for hit in result} == {"shop", "other"} == set(result.catalogs)
        assert sum(hit.weight for hit in result) == pytest.approx(1)
        assert both.attend(["moon"])[0].max() == pytest.approx(result[0].weight)

    def test_items(self, both):
        assert (len(both), both.ids) == (7, (*IDS, "a", "z"))
        assert both["z"].title == "moon"
        assert both["other:a"].title == "sea sea"
        assert [item.title for item in both][-2:] == ["sea sea", "moon"]
        assert [both.ids[number] for number in both.owners[-2:]] == ["a", "z"]
        with pytest.raises(InputError, match="'a' can mean the items"):
            both["a"]

    def test_what_belongs_to_one(self, both):
        with pytest.raises(InputError, match="fields are those of one catalog; open that one"):
            _ = both.fields
        with pytest.raises(InputError, match="feedback belongs to one catalog; open that one"):
            both.feedback("moon", good="z")

    def test_closed(self, both):
        both.query("moon", where="year > 1900", lexical=1)
        both.close()
        for name in CALLS.keys() - {"fields"}:
            with pytest.raises(ValueError, match="the index is closed; open it again"):
                CALLS[name](both)

    @pytest.mark.parametrize(
        ("refs", "error", "message"),
        [
            ([], ValueError, "ref is empty"),
            (["shop", 3], TypeError, r"ref\[1\] must be a str or a path, not int"),
            (["shop", "shop"], InputError, "the catalog 'shop' is named twice"),
        ],
    )
    def test_wrong_ones(self, index, refs, error, message):
        with pytest.raises(error, match=message):
            Index.open(refs)


class TestItems:
    def test_all_of_them(self, index):
        assert len(index) == 5
        assert index.ids == IDS == tuple(item.id for item in index)
        assert index["b"] == Item("b", "sea", "deep, blue", {"year": 1950, "tags": ["deep", "blue"]})
        assert index["d"].description == index.query("robot")[0].description == "sea & robot"

    def test_in(self, index):
        item = index["a"]
        assert "a" in index
        assert item in index
        assert item._replace(title="x") not in index
        assert not any(other in index for other in ("gone", "moon", 3, None))

    def test_one_that_is_not_there(self, index):
        with pytest.raises(KeyError, match=r"^'gone'$"):
            index["gone"]
        with pytest.raises(TypeError, match="an item's id must be a str, not int"):
            index[0]

    def test_fields(self, index):
        year = index.fields["year"]
        assert (year.kind, year.items, year.low, year.high) == ("number", 4, "1900", "2001")
        assert index.fields["tags"].kind == "list"
        assert index.fields["title"].values["moon"] == 1

    def test_shown(self, index):
        assert repr(index) == "<Index 'shop': 5 items, small>"
        index.close()
        assert repr(index) == "<Index 'shop': 5 items, small, closed>"


class TestArrays:
    def test_keys(self, index):
        assert index.keys.shape == (index.info.keys, 4)
        assert len(index.keys) > len(index)
        assert index.keys is index.keys
        assert np.linalg.norm(index.keys, axis=1) == pytest.approx(1)
        owners = [index.ids[number] for number in index.owners]
        assert list(dict.fromkeys(owners)) == list(IDS)
        whole = [owners.index(ident) for ident in "abcd"]
        texts = ["moon", "sea. deep, blue", "robot moon", "robot robot sea. sea & robot"]
        assert index.keys[whole] == pytest.approx(index.embed(texts, role="key"))

    def test_best_cosines(self, index):
        """An item's score is the cosine of its best key."""
        cosines = index.keys @ index.embed(["moon"])[0]
        for hit in index.query("moon"):
            assert hit.score == pytest.approx(max(cosines[index.owners == index.ids.index(hit.id)]))

    def test_read_only(self, index):
        for array in (index.keys, index.owners):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0

    def test_embed(self, index):
        assert index.embed(iter(["moon", "sea moon"])) == pytest.approx(
            np.array([[1, 0, 0, 0], [math.sqrt(0.5), math.sqrt(0.5), 0, 0]])
        )
        assert index.embed([]).shape == (0, 4)
        with pytest.raises(ValueError, match="role must be 'query' or 'key', not 'keys'"):
            index.embed(["moon"], role="keys")


class TestAttend:
    @pytest.mark.parametrize(
        "options",
        [{}, {"where": "year > 1940"}, {"lexical": 0.5, "priors": {"year": 2}}, {"temperature": 9}, {"textbook": True}],
    )  # fmt: skip
    def test_the_weights_of_the_hits(self, index, options):
        texts = ["moon", "sea robot"]
        weights = index.attend(texts, **options)
        assert weights.shape == (2, 5)
        assert weights.sum(axis=1) == pytest.approx([1, 1], abs=1e-12)
        for row, result in zip(weights, index.query_many(texts, k=5, **options), strict=True):
            expected = {hit.id: hit.weight for hit in result}
            assert row == pytest.approx([expected.get(ident, 0) for ident in index.ids], abs=1e-6)

    def test_nothing(self, index):
        assert index.attend([]).shape == (0, 5)
        with pytest.raises(InputError, match="shop: no item passes 'year > 3000'"):
            index.attend(["moon"], where="year > 3000")

    def test_in_several_batches(self, index, monkeypatch):
        from attnsearch.search import weights

        expected = index.attend(["moon", "sea", "robot"])
        monkeypatch.setattr(weights, "BUDGET", 1)
        assert np.array_equal(index.attend(["moon", "sea", "robot"]), expected)


class TestQuery:
    def test_function_is_the_method(self, index):
        assert attnsearch.query(index, "moon").hits == index.query("moon").hits

    def test_options(self, index):
        assert len(index.query("moon", k=2)) == 2
        assert len(index.query("moon", k=np.int64(2))) == 2
        assert [hit.id for hit in index.query("moon", top_p=0.6)] == ["a"]
        assert len(index.query("moon", top_p=1.0)) == 5  # as many as it needs
        assert {hit.id for hit in index.query("moon", where="year > 1950")} == {"a", "c"}
        assert {hit.id for hit in index.query("moon", where=["year > 1950", "year < 2000"])} == {"a"}
        assert [hit.id for hit in index.query("moon", min_weight=0.5)] == ["a"]
        assert {hit.id for hit in index.query("moon", min_score=0.5)} == {"a", "c"}
        assert index.query("sea", priors={"year": -100})[0].id == "long"
        assert index.query("sea", lexical="auto").lexical == 0.3
        assert index.query("sea", temperature=np.float32(0.5)).temperature == 0.5
        assert index.query("sea", textbook=True).temperature == 2
        assert index.query("sea", values="year").values[0].field == "year"
        assert [value.field for value in index.query("sea", values=["year", "title"]).values] == ["year", "title"]
        assert index.query("sea", vector=True).output.shape == (4,)

    def test_without_what_was_not_asked_for(self, index):
        result = index.query("moon")
        assert (result.values, result.output, result.whys, result.steps, result.lead) == ((), None, (), (), None)

    def test_whys(self, index):
        result = index.query("sea moon", explain=True)
        assert [step.name for step in result.steps][-1] == "output"
        for hit, why in zip(result, result.whys, strict=True):
            assert why.semantic == pytest.approx(hit.logit)

    def test_many(self, index):
        results = index.query_many(np.array(["moon", "robot"]), k=1)
        assert [result[0].id for result in results] == ["a", "d"]
        assert index.query_many(text for text in ()) == []

    @pytest.mark.parametrize(
        ("arguments", "options", "error", "message"),
        [
            ((None,), {}, TypeError, "text must be a str, not None"),
            ((b"moon",), {}, TypeError, "text must be a str, not bytes"),
            ((["moon"],), {}, TypeError, "text must be a str, not list; query_many takes several"),
            ((" ",), {}, ValueError, "text is empty"),
            (("moon",), {"k": 0}, ValueError, "k must be at least 1, not 0"),
            (("moon",), {"k": -1}, ValueError, "k must be at least 1, not -1"),
            (("moon",), {"k": True}, TypeError, "k must be an int, not bool"),
            (("moon",), {"k": 2.0}, TypeError, "k must be an int, not float"),
            (("moon",), {"k": "2"}, TypeError, "k must be an int, not str"),
            (("moon",), {"top_p": 1.5}, ValueError, "top_p must be a finite number from 0 to 1, not 1.5"),
            (("moon",), {"min_weight": math.nan}, ValueError, "min_weight must be a finite number"),
            (("moon",), {"min_score": "high"}, TypeError, "min_score must be a number, not str"),
            (("moon",), {"where": 3}, TypeError, "where must be a str or a sequence of them, not int"),
            (("moon",), {"where": {"year": 3}}, TypeError, "where must be a str or a sequence of them, not dict"),
            (("moon",), {"where": ["year > 1", None]}, TypeError, "where[1] must be a str, not None"),
            (("moon",), {"lexical": True}, TypeError, "lexical must be a number, not bool"),
            (("moon",), {"lexical": "high"}, TypeError, "lexical must be a number or 'auto', not 'high'"),
            (("moon",), {"lexical": -1}, ValueError, "lexical must be a finite number from 0 to 1000, not -1"),
            (("moon",), {"priors": "year"}, TypeError, "priors must be a dict of fields and weights"),
            (("moon",), {"priors": {"year": "1"}}, TypeError, "priors['year'] must be a number, not str"),
            (("moon",), {"temperature": 0}, ValueError, "temperature must be a finite number of at least 1e-06, not 0"),
            (("moon",), {"textbook": True, "temperature": 1}, ValueError, "textbook and temperature exclude"),
            (("moon",), {"untrained": None}, TypeError, "untrained must be a bool, not None"),
            (("moon",), {"values": 3}, TypeError, "values must be a str or a sequence of them, not int"),
            (("moon",), {"projections": 3}, TypeError, "projections must be a str or a path, not int"),
            (("moon",), {"projections": "none"}, InputError, "none: projections: No such file"),
            (("moon",), {"kk": 1}, TypeError, "Index.query() got an unexpected keyword argument 'kk'"),
            (("moon",), {"where": "y"}, InputError, "--where can't read 'y'"),
            (("moon",), {"where": "yeer > 3"}, InputError, "no item of shop has a field 'yeer'; did you mean 'year'?"),
            (("moon",), {"values": "yeer"}, InputError, "no item of shop has a field 'yeer'"),
        ],
    )
    def test_wrong_arguments(self, index, arguments, options, error, message):
        with pytest.raises(error) as caught:
            index.query(*arguments, **options)
        assert str(caught.value).startswith(message)

    @pytest.mark.parametrize("method", ["query_many", "attend", "embed"])
    @pytest.mark.parametrize(
        ("texts", "error", "message"),
        [
            ("moon", TypeError, "texts must be a sequence of str, not str; for one, write [text]"),
            (b"moon", TypeError, "texts must be a sequence of str, not bytes"),
            (3, TypeError, "texts must be a sequence of str, not int"),
            (["moon", 3], TypeError, "texts[1] must be a str, not int"),
            (["moon", ""], ValueError, "texts[1] is empty"),
        ],
    )
    def test_texts_that_are_none(self, index, method, texts, error, message):
        with pytest.raises(error) as caught:
            getattr(index, method)(texts)
        assert str(caught.value).startswith(message)


class TestLike:
    def test_an_item(self, index):
        result = index.like("d")
        assert result[0].id == "c"
        assert "d" not in {hit.id for hit in result}
        assert (result.like, result.unlike, result.masked) == (("d",), (), 1)
        assert index.like(["robot robot sea"]).hits == result.hits  # by its title

    def test_items_that_it_is_unlike(self, index):
        assert index.like("c", unlike="a", k=1)[0].id == "d"

    def test_beside_a_text(self, index):
        result = index.query("moon", like="d", unlike=["b"])
        assert (result.query, result.like, result.unlike) == ("moon", ("d",), ("b",))
        assert result[0].id == "c"

    @pytest.mark.parametrize(
        ("items", "error", "message"),
        [
            ((), ValueError, "items is empty"),
            (3, TypeError, "items must be a str or a sequence of them, not int"),
            ([3], TypeError, "items[0] must be a str, not int"),
            ("zzz", InputError, "shop: no item 'zzz'"),
        ],
    )
    def test_wrong_arguments(self, index, items, error, message):
        with pytest.raises(error) as caught:
            index.like(items)
        assert str(caught.value).startswith(message)


class TestExplain:
    def test_an_item(self, index):
        (hit,) = result = index.explain("sea", "robot robot sea")
        (why,) = result.whys
        assert (hit.id, hit.rank) == ("d", 1)
        assert why.item.words[-1].word == "robot"
        assert sum(word.share for word in why.query.words) + why.query.marks + why.query.rounding == pytest.approx(
            hit.logit
        )

    def test_two(self, index):
        result = index.explain("moon", "a", over="c")
        assert [hit.id for hit in result] == ["a", "c"]
        assert result.lead.difference == pytest.approx(result[0].logit - result[1].logit)

    @pytest.mark.parametrize(
        ("item", "options", "error", "message"),
        [
            (None, {}, TypeError, "item must be a str, not None"),
            ("zzz", {}, InputError, "shop: no item 'zzz'"),
            ("a", {"over": "moon"}, ValueError, "item and over are the same item, 'a'"),
            ("a", {"where": "year > 2000"}, InputError, "shop: a filter hides the item 'a'"),
        ],
    )
    def test_wrong_arguments(self, index, item, options, error, message):
        with pytest.raises(error) as caught:
            index.explain("moon", item, **options)
        assert str(caught.value).startswith(message)


class TestFeedback:
    def test_it_is_remembered_at_once(self, index):
        assert index.query("moon")[0].id == "a"
        index.feedback("moon", good="c")
        result = index.query("moon", explain=True)
        assert (result[0].id, list(result.recalled), list(result.whys[0].memory)) == ("c", ["moon"], ["moon"])
        assert index.query("moon", untrained=True)[0].id == "a"

    def test_it_is_kept(self, index):
        assert index.feedback("up there", good="moon", bad=["b", "c"]) == {"a": 1, "b": 0, "c": 0}
        assert index.feedback("up there", good="b") == {"a": 1, "b": 1, "c": 0}
        (judged,) = read_feedback(home.catalog_folder("shop"))
        assert (judged.query, judged.grades) == ("up there", {"a": 1, "b": 1, "c": 0})

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({}, ValueError, "neither good nor bad names an item"),
            ({"good": "a", "bad": "moon"}, ValueError, "'a' is both good and bad"),
            ({"good": "zzz"}, InputError, "shop: no item 'zzz'"),
            ({"good": 3}, TypeError, "good must be a str or a sequence of them, not int"),
        ],
    )
    def test_wrong_arguments(self, index, options, error, message):
        with pytest.raises(error) as caught:
            index.feedback("moon", **options)
        assert str(caught.value).startswith(message)
        assert read_feedback(home.catalog_folder("shop")) == []


CALLS = {
    "query": lambda index: index.query("moon"),
    "filter": lambda index: index.query("moon", where="year > 1950"),
    "many": lambda index: index.query_many(["moon"]),
    "like": lambda index: index.like("a"),
    "attend": lambda index: index.attend(["moon"]),
    "embed": lambda index: index.embed(["moon"]),
    "explain": lambda index: index.explain("moon", "a"),
    "feedback": lambda index: index.feedback("moon", good="a"),
    "item": lambda index: index["a"],
    "in": lambda index: "a" in index,
    "items": lambda index: list(index),
    "fields": lambda index: index.fields,
    "ids": lambda index: index.ids,
    "keys": lambda index: index.keys,
    "owners": lambda index: index.owners,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("is_warm", [False, True])
def test_closed_is_closed_and_not_damaged(index, call, is_warm):
    if is_warm:
        call(index)
    index.close()
    index.close()
    with pytest.raises(ValueError, match=r"^shop: the index is closed; open it again$") as caught:
        call(index)
    assert not isinstance(caught.value, CatalogError)
    assert find_problems(home.catalog_folder("shop")) == []


class TestThreads:
    def test_a_pool(self, index):
        expected = index.query("moon").hits
        with ThreadPoolExecutor(8) as pool:
            assert [result.hits for result in pool.map(index.query, ["moon"] * 40)] == [expected] * 40

    def test_asyncio(self, index):
        async def ask():
            return await asyncio.gather(*(asyncio.to_thread(index.query, text) for text in ("moon", "robot")))

        assert [result[0].id for result in asyncio.run(ask())] == ["a", "d"]

    def test_closed_meanwhile(self, index):
        """A thread gets its answer, or that the index is closed: nothing else."""
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(call, index) for call in [*CALLS.values()] * 8]
            index.close()
        errors = [call.exception() for call in calls]
        assert {type(error).__name__ for error in errors} <= {"NoneType", "ClosedError"}


def test_misspelled_words(index, small):
    small.vocabulary = ["moon"]
    typed, read, exact = (index.query("robbot"), index.query("robot"), index.query("robbot", exact=True))
    assert (typed.query, typed.asked) == ("robbot", "robot")
    assert [(correction.typed, correction.read) for correction in typed.corrections] == [("robbot", "robot")]
    assert typed.hits == read.hits
    assert (read.asked, read.corrections) == (None, ())
    assert exact.asked is None
    assert exact.hits != typed.hits
    assert "asked as &quot;robot&quot;" in typed._repr_html_()
    np.testing.assert_array_equal(index.attend(["robbot"]), index.attend(["robot"]))
    with pytest.raises(TypeError, match="exact must be a bool, not int"):
        index.query("robbot", exact=1)
