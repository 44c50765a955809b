"""Mask and bias by hand: five keys, of which the second item has three."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.engines.bias import Added, Bias, WeightedTerm
from attnsearch.postings.terms import Term

HEADS = np.array([0, 1, 1, 1, 4])
NOTHING = Bias(None, None, [{}, {}], {})


def term(weight: float, **scores: float) -> WeightedTerm:
    """A term by its BM25 at the first keys: k0=1.0, k4=2.0."""
    keys = np.array([int(key[1:]) for key in scores], np.uint32)
    return WeightedTerm(Term(keys, np.array(list(scores.values()), np.float32)), weight)


# Two queries: the first has "moon" and "sea", the second "sea" alone, at half the weight.
BIAS = Bias(
    HEADS,
    np.array([True, True, False, False, False]),
    [{"moon": term(2.0, k0=1.0, k1=3.0), "sea": term(1.0, k1=0.5, k4=4.0)}, {"sea": term(0.5, k1=0.5, k4=4.0)}],
    {"year": np.array([0.25, -0.25, 0, 0, 0], np.float32), "price": np.array([0, 0, 0, 0, 1], np.float32)},
)
ROWS = [[2.25, 6.25, 6.25, 6.25, 5.0], [0.25, 0.0, 0.0, 0.0, 3.0]]


class TestBlock:
    def test_all_keys_of_an_item_have_its_bias(self):
        assert BIAS.block(0, 5).tolist() == ROWS
        assert BIAS.block(0, 5).dtype == np.float32

    @pytest.mark.parametrize(("first", "end"), [(0, 1), (0, 4), (1, 4), (1, 5), (4, 5), (0, 0)])
    def test_a_block_is_a_part_of_the_whole(self, first, end):
        """Blocks end where items do."""
        assert BIAS.block(first, end).tolist() == [row[first:end] for row in ROWS]

    @pytest.mark.parametrize(("first", "end"), [(0, 5), (1, 3), (3, 4)])
    def test_items_of_one_key(self, first, end):
        """Then each key is the first of its item, and what was stored at keys 2 and 3 counts as well."""
        rows = [[2.25, 6.25, 0, 0, 5.0], [0.25, 0, 0, 0, 3.0]]
        assert BIAS._replace(first_keys=None).block(first, end).tolist() == [row[first:end] for row in rows]

    def test_one_row_for_all_queries_without_terms(self):
        assert BIAS._replace(terms=[{}, {}]).block(0, 5).tolist() == [[0.25, -0.25, -0.25, -0.25, 1.0]]
        assert NOTHING.block(0, 3).tolist() == [[0, 0, 0]]


class TestOfItems:
    @pytest.mark.parametrize("first_keys", [[0, 1, 4], [4, 0], [1], []])
    @pytest.mark.parametrize("bias", [BIAS, BIAS._replace(first_keys=None), BIAS._replace(terms=[{}, {}]), NOTHING])
    def test_items_have_the_numbers_of_the_block(self, bias, first_keys):
        rows = bias.of_items(np.array(first_keys, np.int64))
        assert rows.tolist() == bias.block(0, 5)[:, first_keys].tolist()
        assert rows.dtype == np.float32


def test_what_was_added_to_one_logit():
    assert BIAS.added(0, 0) == Added({"moon": 2.0}, {"year": 0.25, "price": 0.0})
    assert BIAS.added(0, 2) == BIAS.added(0, 1) == Added({"moon": 6.0, "sea": 0.5}, {"year": -0.25, "price": 0.0})
    assert BIAS.added(1, 0) == Added({}, {"year": 0.25, "price": 0.0})
    assert BIAS._replace(first_keys=None).added(1, 2) == Added({}, {"year": 0.0, "price": 0.0})


def test_the_parts_add_up_to_the_block():
    for query, row in enumerate(ROWS):
        assert [BIAS.added(query, key).total for key in range(5)] == row


def test_whether_it_adds():
    assert BIAS.adds
    assert BIAS._replace(terms=[{}, {}]).adds
    assert BIAS._replace(priors={}).adds
    assert not BIAS._replace(terms=[{}, {}], priors={}).adds


class TestMask:
    def test_all_keys_of_an_item_are_visible_or_none(self):
        assert BIAS.mask(0, 5, None).tolist() == [True, True, True, True, False]
        assert BIAS.mask(1, 5, None).tolist() == [True, True, True, False]

    def test_a_removed_key_is_hidden(self):
        alive = np.array([False, True, True, True, True])
        assert BIAS.mask(0, 5, alive).tolist() == [False, True, True, True, False]
        assert NOTHING.mask(0, 5, alive) is alive

    def test_no_mask_is_all(self):
        assert NOTHING.mask(0, 5, None) is None

    def test_items_of_one_key(self):
        assert BIAS._replace(first_keys=None).mask(1, 5, None).tolist() == [True, False, False, False]
