"""Requests × items: by hand, and every cell against the ranked table of its request."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.attention.projections import identity
from attnsearch.errors import InputError
from attnsearch.explanation import cells as computing
from attnsearch.explanation.cells import compute_heatmap
from attnsearch.explanation.heatmap import BY, Column
from attnsearch.explanation.seriation import order_columns
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from tests.opening.test_union import filters, items, opened, texts
from tests.search.conftest import index_items

SOFT = Setting(temperature=0.5)
ROOT = math.sqrt(0.5)


def where(text: str, **options) -> Setting:
    return SOFT._replace(where=(parse_filter(text),), **options)


def cells(heatmap) -> dict[tuple[str, str], float]:
    """The weight of each request and item."""
    return {
        (query, column.id): heatmap.weights[row, number]
        for row, query in enumerate(heatmap.queries)
        for number, column in enumerate(heatmap.columns)
    }


class TestByHand:
    def test_the_best_item_of_each_request_has_a_column(self, books):
        """a is moon sea, b is sea, c is robot moon moon, d is sea moon; τ is ½, so logits are cosines times 2."""
        heatmap = compute_heatmap(books, ["moon", "sea"], SOFT, k=1)
        moon = np.exp(2 * np.array([ROOT, 0, 2 / math.sqrt(5), ROOT]))
        sea = np.exp(2 * np.array([ROOT, 1, 0, ROOT]))
        assert heatmap.queries == ["sea", "moon"]  # the sharper one first
        assert heatmap.columns == [Column("b", "sea", "books"), Column("c", "robot moon moon", "books")]
        assert heatmap.weights == pytest.approx(
            np.array([sea[[1, 2]] / sea.sum(), moon[[1, 2]] / moon.sum()]), abs=1e-6
        )
        assert heatmap.others == pytest.approx([2 * sea[0] / sea.sum(), 2 * moon[0] / moon.sum()], abs=1e-6)
        assert heatmap.logits == pytest.approx(np.array([[2, 0], [0, 4 / math.sqrt(5)]]), abs=1e-6)
        assert heatmap.scores == pytest.approx(np.array([[1, 0], [0, 2 / math.sqrt(5)]]), abs=1e-6)
        assert (heatmap.none_of_these, heatmap.right) == (None, None)
        assert (heatmap.catalog, heatmap.catalogs, heatmap.items, heatmap.masked) == ("books", ["books"], 4, 0)
        assert (heatmap.temperature, heatmap.lexical, heatmap.trained) == (0.5, 0.0, False)

    def test_named_items_alone_have_columns(self, books):
        heatmap = compute_heatmap(books, ["moon", "sea"], SOFT, idents=["d", "b", "d"])
        assert {column.id for column in heatmap.columns} == {"b", "d"}
        assert heatmap.weights.sum(axis=1) + heatmap.others == pytest.approx([1, 1])

    def test_an_item_that_a_filter_hides_has_no_weight(self, books):
        heatmap = compute_heatmap(books, ["moon"], where("has year"), idents=["a", "c"])
        of_a, of_c = ([column.id for column in heatmap.columns].index(ident) for ident in "ac")
        assert heatmap.logits[0, of_c] == -np.inf
        assert math.isnan(heatmap.scores[0, of_c])
        assert heatmap.weights[0, of_c] == 0
        assert (heatmap.masked, heatmap.emptied_by) == (1, None)
        assert heatmap.weights[0, of_a] + heatmap.others[0] == pytest.approx(1)
        assert heatmap.strengths("score")[0, of_c] == heatmap.strengths("logit")[0, of_c] == 0

    def test_a_filter_that_hides_everything_leaves_no_column(self, books):
        heatmap = compute_heatmap(books, ["moon", "sea"], where("kind = z"))
        assert (heatmap.columns, heatmap.weights.shape, heatmap.others.tolist()) == ([], (2, 0), [0, 0])
        assert (heatmap.masked, heatmap.emptied_by) == (4, "kind: no 'z'")
        named = compute_heatmap(books, ["moon", "sea"], where("kind = z"), idents=["a"])
        assert (named.weights.tolist(), named.others.tolist()) == ([[0], [0]], [0, 0])

    def test_all_items_leave_nothing_for_others(self, books):
        assert compute_heatmap(books, ["moon", "stone"], k=99).others.tolist() == [0, 0]
        assert compute_heatmap(books, ["moon"], where("has year"), k=99).others.tolist() == [0]

    def test_rows_add_up_however_large_the_logits_are(self, books):
        """The scan of many requests sums products in another order than the cells do."""
        requests = [f"{'moon ' * moon} {'sea ' * sea} robot" for moon in range(1, 5) for sea in range(1, 4)]
        for idents in ("abcd", "bc", "c"):
            heatmap = compute_heatmap(books, requests, Setting(temperature=1e-5), idents=idents)
            assert heatmap.weights.sum(axis=1) + heatmap.others == pytest.approx(np.ones(12), abs=1e-12)

    def test_the_order_of_the_requests_does_not_matter(self, books):
        """Not even for rows that are equal, or as good as equal."""
        requests = ["moon", "sea", "stone", "moss", "moon sea", "sea moon"]
        for setting in (SOFT, Setting(temperature=0.01), where("kind = z"), where("year = 1")):
            heatmaps = [compute_heatmap(books, asked, setting) for asked in (requests, requests[::-1])]
            assert heatmaps[0].queries == heatmaps[1].queries
            assert heatmaps[0].columns == heatmaps[1].columns

    def test_a_request_that_comes_twice_has_two_rows(self, books):
        heatmap = compute_heatmap(books, ["moon", "sea", "moon"], k=1)
        assert heatmap.queries in (["moon", "moon", "sea"], ["sea", "moon", "moon"])

    def test_none_of_these_is_that_of_the_search(self, write, fitted):
        with Index.open(index_items(write, "x", [{"id": "a", "title": "moon"}])) as index:
            heatmap = compute_heatmap(index, ["moon", "sea"])
            results = search(index, ["moon", "sea"])
        expected = {result.query: result.none_of_these for result in results}
        assert dict(zip(heatmap.queries, heatmap.none_of_these, strict=True)) == expected

    def test_the_encoder_reads_each_request_once(self, books):
        books.encoder.read.clear()
        compute_heatmap(books, ["moon", "sea", "robot"])
        assert books.encoder.read == ["moon", "sea", "robot"]


def test_an_item_without_a_title_has_its_id_as_its_name():
    assert (Column("a", "", "books").name, Column("a", "moon", "books").name) == ("a", "moon")


class TestRight:
    def test_they_have_columns_and_marks(self, books):
        heatmap = compute_heatmap(books, ["moon", "sea"], k=1, right=[{0}, set()])  # a, whose key is the first
        marked = {
            (heatmap.queries[row], heatmap.columns[column].id)
            for row, column in zip(*heatmap.right.nonzero(), strict=True)
        }
        assert {column.id for column in heatmap.columns} == {"a", "b", "c"}
        assert marked == {("moon", "a")}

    def test_of_many_right_items_the_best_have_columns(self, books):
        """For moon, c is better than a and d, and these are better than b."""
        heatmap = compute_heatmap(books, ["moon"], k=2, right=[{0, 1, 3}])
        assert {column.id for column in heatmap.columns} == {"c", "a", "d"}

    @pytest.mark.parametrize("lexical", [None, 2.0])
    def test_the_best_by_their_own_request(self, books, lexical):
        """For sea, a is the best of a, c and d; for moon, c would be."""
        heatmap = compute_heatmap(books, ["moon", "sea"], SOFT._replace(lexical=lexical), k=1, right=[set(), {0, 2, 3}])
        assert {column.id for column in heatmap.columns} == {"a", "b", "c"}

    def test_hidden_items_stay_out(self, books):
        heatmap = compute_heatmap(books, ["moon"], where("has year"), k=1, right=[{2}])
        assert {column.id for column in heatmap.columns} == {"a"}
        assert heatmap.right.tolist() == [[False]]

    def test_named_items_are_marked_and_no_others_added(self, books):
        heatmap = compute_heatmap(books, ["moon"], idents=["a", "b"], right=[{0, 2}])
        assert {column.id: bool(mark) for column, mark in zip(heatmap.columns, heatmap.right[0], strict=True)} == {
            "a": True,
            "b": False,
        }


class TestNarrow:
    def test_others_have_what_went(self, books):
        heatmap = compute_heatmap(books, ["moon", "sea"], SOFT, k=99)
        narrow = heatmap.narrow(2)
        assert {column.id for column in narrow.columns} == {"b", "c"}  # the best of each
        assert narrow.weights.sum(axis=1) + narrow.others == pytest.approx([1, 1])
        assert {pair: weight for pair, weight in cells(heatmap).items() if pair[1] in "bc"} == cells(narrow)
        assert heatmap.narrow(4) == heatmap == heatmap.narrow(9)

    def test_what_stays_keeps_its_order(self, books):
        heatmap = compute_heatmap(books, ["robot moon moon", "moon", "sea"], SOFT, k=99)
        for count in range(5):
            stays = heatmap.narrow(count).columns
            assert len(stays) == count
            assert [column for column in heatmap.columns if column in stays] == stays

    def test_of_two_best_items_the_one_with_more_weight_stays(self, books):
        """b has 1 of sea, c has less of moon."""
        (column,) = compute_heatmap(books, ["moon", "sea"], SOFT, k=99).narrow(1).columns
        assert column.id == "b"

    def test_without_a_column_others_have_everything(self, books):
        narrow = compute_heatmap(books, ["moon"], SOFT).narrow(0)
        assert (narrow.columns, narrow.weights.shape) == ([], (1, 0))
        assert narrow.others == pytest.approx([1])


@pytest.mark.parametrize("by", BY)
def test_the_scale_says_what_strengths_mean(books, by):
    heatmap = compute_heatmap(books, ["moon", "robot"], where("has year"), k=9, right=[{0}, set()])
    scale = heatmap.scale(by)
    strengths, values = heatmap.strengths(by), heatmap.values(by)
    assert scale[1.0] == (1 if by == "weight" else values.max())
    assert scale[0.5] == scale[1.0] / (4 if by == "weight" else 2)
    again = np.interp(strengths, [0, *scale], [0, *scale.values()])
    assert again == pytest.approx(
        values, abs=0.02 if by == "weight" else 1e-9
    )  # between steps, a square is not straight


def test_a_scale_may_begin_below_zero(books):
    heatmap = compute_heatmap(books, ["moon"], SOFT, k=2)
    below = heatmap._replace(logits=np.array([[-3.0, 8.0]]), scores=np.array([[-0.5, 0.0]]))
    assert below.scale("logit") == {-0.375: -3.0, -0.25: -2.0, 0.25: 2.0, 0.5: 4.0, 0.75: 6.0, 1.0: 8.0}
    assert below.scale("score") == {-1.0: -0.5, -0.75: -0.375, -0.5: -0.25, -0.25: -0.125}
    assert below.strengths("logit").tolist() == [[-0.375, 1.0]]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([""], {}, "the query is empty"),
        (["moon"], {"idents": ["z"]}, "no item 'z'"),
        (["moon"] * 1001, {}, "1,001 requests are too many"),
        (["moon"] * 3, {"k": 3}, "3 requests with 3 items are too many"),
        (["moon", "sea", "robot"], {"k": 2}, "3 requests with 3 items are too many"),
    ],
)
def test_what_has_no_heatmap_is_refused(books, monkeypatch, texts, options, message):
    monkeypatch.setattr(computing, "MOST_CELLS", 8)
    with pytest.raises(InputError, match=message):
        compute_heatmap(books, texts, **options)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_cell_is_that_of_the_ranked_table(write, fitted, monkeypatch, data):
    check_heatmap(write, monkeypatch, data)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_cell_always_is(write, fitted, monkeypatch, data):
    check_heatmap(write, monkeypatch, data)


def check_heatmap(write, monkeypatch, data) -> None:
    """Compare each cell of a heatmap with the hit of `search`: random catalogs, passages, filters, bias, W_Q."""
    parts = data.draw(st.lists(st.lists(items, min_size=1, max_size=5), min_size=1, max_size=3))
    asked = data.draw(st.lists(texts, min_size=1, max_size=12))
    setting = Setting(
        where=tuple(parse_filter(text) for text in data.draw(st.lists(filters, max_size=1))),
        lexical=data.draw(st.sampled_from([None, 0.3, 2.0])),
        priors=data.draw(st.sampled_from([{}, {"a": 1.0}, {"b": -0.5, "a": 2.0}])),
        temperature=data.draw(st.sampled_from([None, 0.5])),
    )
    if data.draw(st.booleans()):  # W_Q as training may leave it
        w = np.random.default_rng(data.draw(st.integers(0, 9))).normal(size=(4, 4)).astype(np.float32)
        setting = setting._replace(projections=identity(4, 0.5)._replace(w_q=w), temperature=None)
    monkeypatch.setattr(computing, "_PRODUCTS", data.draw(st.sampled_from([1, 20, 1 << 22])))
    n = sum(map(len, parts))
    idents = data.draw(st.none() | st.lists(st.integers(0, n - 1).map(lambda number: f"i{number}"), max_size=3))
    k = data.draw(st.integers(1, 4))
    with opened(write, parts) as (index, _):
        try:
            results = search(index, asked, setting, k=None)
        except InputError as error:
            with pytest.raises(InputError, match=re.escape(str(error))):
                compute_heatmap(index, asked, setting, k=k, idents=idents)
            return
        heatmap = compute_heatmap(index, asked, setting, k=k, idents=idents)
    expected = {
        result.query: {hit.id: (hit.weight, hit.logit, hit.score, hit.catalog) for hit in result.hits}
        for result in results
    }
    assert sorted(heatmap.queries) == sorted(asked)
    for row, query in enumerate(heatmap.queries):
        hits = expected[query]
        for number, column in enumerate(heatmap.columns):
            weight, logit, score, catalog = hits.get(column.id, (0.0, -math.inf, math.nan, column.catalog))
            assert heatmap.weights[row, number] == pytest.approx(weight, abs=1e-6)
            assert heatmap.logits[row, number] == logit
            assert heatmap.scores[row, number] == pytest.approx(score, abs=0, nan_ok=True)
            assert column.catalog == catalog
        is_left = any(ident not in {column.id for column in heatmap.columns} for ident in hits)
        assert heatmap.weights[row].sum() + heatmap.others[row] == pytest.approx(1.0 if hits else 0.0, abs=1e-6)
        assert heatmap.others[row] >= 0
        assert is_left or not heatmap.others[row]
    assert order_columns(heatmap.weights).tolist() == list(range(len(heatmap.columns)))
    if idents is None:
        best = {hit.id for result in results for hit in result.hits[:k]}
        assert {column.id for column in heatmap.columns} == best
    else:
        assert {column.id for column in heatmap.columns} == {*idents}
    chances = {result.query: result.none_of_these for result in results}
    assert heatmap.none_of_these.tolist() == pytest.approx([chances[query] for query in heatmap.queries], abs=1e-6)
    for name in ("items", "masked", "lexical", "temperature", "trained", "emptied_by", "model", "catalog", "catalogs"):
        assert getattr(heatmap, name) == getattr(results[0], name)
