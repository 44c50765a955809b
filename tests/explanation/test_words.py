"""Shares of words, by hand and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.encoding.pieces import Pieces
from attnsearch.explanation.words import add_up
from tests.conftest import SmallEncoder


def named(text, spans, shares=None):
    """The words that pieces at these places make, each piece counting 1 unless said otherwise."""
    vectors = np.array(shares or [1.0] * len(spans))[:, None]
    return [(word.word, word.share) for word in add_up(text, pieces_of(spans, vectors), np.ones(1), 0.0).words]


def pieces_of(spans, vectors):
    return Pieces(spans, vectors, ["?"] * len(spans))


def test_pieces_make_words():
    assert named("sci-fi, now", [(0, 3), (3, 4), (4, 6), (6, 7), (8, 11)]) == [("sci-fi", 4), ("now", 1)]
    assert named("moon moon", [(0, 4), (5, 9)], [3.0, 4.0]) == [("moon", 3), ("moon", 4)]
    assert named('"C++" ?!', [(0, 1), (1, 2), (2, 5), (6, 8)]) == [("C++", 3), ("?!", 1)]
    assert named("小説 moon", [(0, 1), (1, 2), (3, 7)]) == [("小", 1), ("説", 1), ("moon", 1)]


def test_a_piece_may_begin_with_the_space_before_it():
    assert named("a moon", [(0, 1), (1, 6)]) == [("a", 1), ("moon", 1)]


def test_a_piece_may_be_nothing_but_the_space_before_the_first_word():
    assert named(" moon sea", [(0, 1), (1, 5), (6, 9)]) == [("moon", 2), ("sea", 1)]


def test_a_piece_without_characters_belongs_to_the_word_that_it_precedes():
    """Some tokenizers make a space that they put in front of a word a piece of its own."""
    assert named("moon sea", [(0, 4), (5, 5), (5, 8)]) == [("moon", 1), ("sea", 2)]


def test_what_was_cut_has_no_share():
    assert named("one two three", [None, (0, 3), (4, 7), None]) == [("one", 1), ("two", 1)]


def test_marks_and_what_is_left():
    """3 for the word, 4 for the marks; the whole is 10, so 3 are missing."""
    parts = add_up("x", pieces_of([None, (0, 1), None], np.array([[1.0], [3.0], [3.0]])), np.ones(1), 10.0)
    assert (parts.marks, parts.words[0].share, parts.rounding) == (4, 3, 3)


def test_without_a_word_all_is_marks():
    parts = add_up("  ", pieces_of([(0, 1)], np.array([[2.0]])), np.ones(1), 2.0)
    assert (parts.words, parts.marks, parts.rounding) == ([], 2, 0)


@given(st.text(alphabet="moon sea,.日本\n\x1b!", max_size=60), st.lists(st.floats(-5, 5), min_size=4, max_size=4))
def test_words_and_marks_and_rounding_are_the_whole(text, toward):
    small = SmallEncoder()
    (x,), (shares,) = small.encode([text]), small.pieces([text])
    whole = float(x @ np.array(toward))
    parts = add_up(text, shares, np.array(toward), whole)
    total = sum(word.share for word in parts.words) + parts.marks
    assert total + parts.rounding == pytest.approx(whole, abs=1e-12)
    assert total == pytest.approx(whole, abs=1e-5)
    assert all(word.word == text[word.start : word.stop] != "" for word in parts.words)
    assert [word.start for word in parts.words] == sorted({word.start for word in parts.words})
