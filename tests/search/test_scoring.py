"""Scores by hand: folding, the keys on top, and a null key that sees plain cosines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import Projections, identity
from attnsearch.attention.softmax import State
from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.scoring import Scores, fold_queries, score, score_all
from attnsearch.search.search import search
from attnsearch.search.setting import LARGEST, Setting
from attnsearch.storage.learned import Learned
from tests.search.conftest import BOOKS, index_items

MOON = np.array([[1, 0, 0, 0]], np.float32)  # what the small encoder makes of "moon"
BY_HAND = NullKey(math.log(3), 1.0)


def test_fold_by_hand():
    """x W_Q W_Kᵀ / √d_k, with two axes for keys."""
    w_q, w_k = np.array([[1, 2], [3, 4]], np.float32), np.array([[1, 0], [1, 1]], np.float32)
    projections = Projections(w_q, w_k, np.eye(2, dtype=np.float32), 0.05)
    folded = fold_queries(projections, np.array([[1, 10]], np.float32))
    assert folded == pytest.approx(np.array([[31, 73]]) / math.sqrt(2), rel=1e-5)
    assert folded.dtype == np.float32


def test_by_hand(books):
    """Cosines of "moon" to the four books: 1/√2, 0, 2/√5, 1/√2. τ is 1/2, so logits are twice that."""
    cosines = [math.sqrt(0.5), 0, 2 / math.sqrt(5), math.sqrt(0.5)]
    asked = Setting(identity(4, 0.5)).resolve(books, ["moon"])._replace(null=BY_HAND)
    scores = score(books.engine, asked, MOON, k=3, output=True)
    assert scores.state.top_keys.tolist() == [[2, 0, 3]]
    assert scores.state.top_logits[0] == pytest.approx([2 * cosines[key] for key in (2, 0, 3)], rel=1e-5)
    assert scores.x is MOON
    evidence = sum(math.exp(20 * cosine) for cosine in cosines) / 4 + math.exp(20 * cosines[2]) / 1000
    assert scores.none_of_these == pytest.approx([3 / (3 + evidence)], rel=1e-4)
    shares = np.exp(2 * np.array(cosines))
    mean = shares @ books.store.embeddings(range(4)) / shares.sum()
    assert scores.state.mean_value()[0] == pytest.approx(mean, abs=1e-5)


def test_without_a_null_key(books):
    assert score(books.engine, Setting().resolve(books, ["moon"]), MOON).none_of_these is None


@pytest.mark.parametrize("setting", [Setting(), Setting(identity(4, 0.7)), Setting(lexical=1.0, priors={"year": 2})])
def test_every_logit_has_the_same_scores(books, setting):
    asked = setting.resolve(books, ["moon", "sea robot"])._replace(null=BY_HAND)
    x = books.encoder.encode(["moon", "sea robot"])
    scores = score(books.engine, asked, x, k=4)
    every, z = score_all(books.engine, asked, x)
    assert np.take_along_axis(z, scores.state.top_keys, axis=1) == pytest.approx(scores.state.top_logits, abs=1e-4)
    assert every.none_of_these == pytest.approx(scores.none_of_these, rel=1e-3)
    assert every.state.log_normalizer() == pytest.approx(scores.state.log_normalizer(), abs=1e-4)
    assert every.state.top_keys.shape == (2, 0)
    top = every.with_best(z, 4, 1.0).state
    assert (top.top_keys.tolist(), top.k) == (scores.state.top_keys.tolist(), 4)
    assert top.weights() == pytest.approx(scores.state.weights(), abs=1e-4)


class TestTop:
    """Weights of 1/8, 1/2, 1/4 and 1/8; of the second query a key is hidden, and three have 1/3 each."""

    Z = np.log(np.array([[1, 4, 2, 1], [1, 1, 1, 1]], np.float32))
    Z[1, 2] = -np.inf

    @pytest.fixture
    def scores(self):
        return Scores(np.zeros((2, 4), np.float32), State.from_logits(self.Z, k=0), None)

    def test_the_k_best(self, scores):
        state = scores.with_best(self.Z, 2, 1.0).state
        assert state.top_keys.tolist() == [[1, 2], [0, 1]]
        assert state.weights() == pytest.approx(np.array([[0.5, 0.25], [1 / 3, 1 / 3]]), rel=1e-5)

    @pytest.mark.parametrize(
        ("top_p", "counts"), [(0.0, 1), (0.5, 2), (0.51, 2), (0.7, 3), (0.75, 3), (0.9, 4), (0.999, 4), (1.0, 4)]
    )
    def test_as_many_as_the_share_needs(self, scores, top_p, counts):
        """By the query that needs most: two thirds are two of its keys, a half is one of the other's."""
        assert scores.with_best(self.Z, None, top_p).state.top_keys.shape == (2, counts)

    @pytest.mark.parametrize("needed", range(1, 10))
    def test_rounding_asks_for_no_key_more(self, needed):
        """Ten equal weights: in floats, the sum of so many lies just below so many tenths."""
        z = np.zeros((1, 10), np.float32)
        scores = Scores(np.zeros((1, 4), np.float32), State.from_logits(z, k=0), None)
        assert scores.with_best(z, None, needed / 10).state.k == needed

    def test_the_whole_is_every_visible_key(self):
        """However little the last of them weighs."""
        z = np.array([[0, -50, -100, -np.inf]], np.float32)
        scores = Scores(np.zeros((1, 4), np.float32), State.from_logits(z, k=0), None)
        assert scores.with_best(z, None, 1.0).state.top_keys.tolist() == [[0, 1, 2]]
        assert scores.with_best(z, None, 0.999).state.top_keys.tolist() == [[0]]

    def test_any_other_keys(self, scores):
        state = scores.with_top(np.array([[3], [0]]), np.zeros((2, 1))).state
        assert (state.k, state.top_keys.tolist()) == (1, [[3], [0]])
        assert state.weights() == pytest.approx(np.array([[1 / 8], [1 / 3]]), rel=1e-5)


def test_the_null_key_sees_the_cosine_alone(write, fitted):
    """Neither temperature nor bias make more of a catalog than there is; a mask hides what is hidden."""
    with Index.open(index_items(write, "books", BOOKS)) as index:
        (usual,) = search(index, ["moon"], k=1)
        sharper = identity(4)._replace(w_k=np.eye(4, dtype=np.float32) * 2)
        for setting in (
            Setting(lexical=2.0),
            Setting(priors={"year": 5}),
            Setting(identity(4, 0.7)),
            Setting(projections=sharper),
        ):
            (other,) = search(index, ["moon"], setting, k=1)
            assert other.none_of_these == pytest.approx(usual.none_of_these, rel=1e-4, abs=0)
        (hidden,) = search(index, ["moon"], Setting(where=(parse_filter("id=b"),)), k=1)
        assert hidden.none_of_these > usual.none_of_these


def test_the_null_key_sees_the_best_passage_alone(write, fitted):
    fitted.window = 6
    items = [{"id": "a", "title": "x", "description": "sea " * 6 + "robot " * 6 + "moon"}, {"id": "b", "title": "sea"}]
    with Index.open(index_items(write, "long", items)) as index:
        assert index.info.keys > 3
        (usual,), (other,) = (
            search(index, ["moon robot"], setting) for setting in (Setting(), Setting(identity(4, 0.7)))
        )
        assert other.none_of_these == pytest.approx(usual.none_of_these, rel=1e-4, abs=0)


class TestNumbersThatOverflow:
    """A logit that float32 can't hold is an error, wherever it comes from; so is what is no number."""

    @pytest.mark.parametrize("weight", [1e39, -1e39, 1e300, math.inf, -math.inf, math.nan])
    @pytest.mark.parametrize("setting", [lambda w: Setting(priors={"price": w}), lambda w: Setting(lexical=w)])
    def test_weights(self, shop, weight, setting):
        with Index.open("shop") as index, pytest.raises(InputError, match="invalid weight"):
            search(index, ["moon"], setting(weight))

    @pytest.mark.parametrize("value", [1e38, -3e38, math.inf, math.nan])
    @pytest.mark.parametrize("matrix", ["w_q", "w_k"])
    def test_projections(self, shop, value, matrix):
        spoiled = np.eye(4, dtype=np.float32)
        spoiled[0, 0] = value
        projections = identity(4)._replace(**{matrix: spoiled})
        with Index.open("shop") as index, pytest.raises(InputError, match="the projections make logits"):
            search(index, ["moon"], Setting(projections=projections))

    def test_learned_ones(self, shop):
        w = np.eye(4, dtype=np.float32) * np.float32(3e38)
        learned = Learned("small", "5" * 64, w, 0.05)
        for k in (3, None):
            with Index.open("shop") as index, pytest.raises(InputError, match="the projections make logits"):
                search(index, ["moon"], Setting(learned=learned), k=k)

    def test_an_output(self, shop):
        projections = identity(4)._replace(w_v=np.full((4, 4), np.nan, np.float32))
        with Index.open("shop") as index, pytest.raises(InputError, match="an output that is not finite"):
            search(index, ["moon"], Setting(projections=projections), output=True)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_keys(self, shop, value):
        with Index.open("shop") as index, np.errstate(invalid="ignore"):
            index.store._x = [np.full_like(x, value) for x in index.store._x]
            with pytest.raises(InputError, match="a logit is not a finite number"):
                search(index, ["moon"])

    def test_the_largest_ones_are_answered(self, shop):
        with Index.open("shop") as index:
            (result,) = search(index, ["moon"], Setting(priors={"price": LARGEST}, lexical=LARGEST))
            assert sum(hit.weight for hit in result.hits) == pytest.approx(1)
            assert all(math.isfinite(hit.logit) for hit in result.hits)
            assert math.isfinite(result.effective_items)


@pytest.mark.parametrize("top_p", [0.5, 1.0])
def test_nothing_to_share_where_all_is_hidden(shop, top_p):
    """And no warning of numpy's about it."""
    with Index.open("shop") as index:
        hidden = Setting(where=(parse_filter("price > 3000"),))
        assert search(index, ["moon"], hidden, k=None, top_p=top_p)[0].hits == []
