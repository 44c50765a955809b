"""By hand and by property; the real model's word pieces against its own vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.pieces import Pieces, pieces_of_mean
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.explanation.words import add_up
from tests.conftest import SmallEncoder

TEXTS = ["science fiction", "moon, sea: sci-fi; 日本の小説 🚀 done.", "", " \t\x00", "naïve Straße İstanbul ﬁn",
         "[SEP] x", "word " * 400, "x" * 3000, *(f"thing {n} " * (n % 9 + 1) for n in range(60))]  # fmt: skip


def named(text, spans, shares=None):
    """The words that pieces at these places make, each piece counting 1 unless said otherwise."""
    vectors = np.array(shares or [1.0] * len(spans))[:, None]
    return [(word.word, word.share) for word in add_up(text, Pieces(spans, vectors), np.ones(1), 0.0).words]


def test_pieces_make_words():
    assert named("sci-fi, now", [(0, 3), (3, 4), (4, 6), (6, 7), (8, 11)]) == [("sci-fi", 4), ("now", 1)]
    assert named("moon moon", [(0, 4), (5, 9)], [3.0, 4.0]) == [("moon", 3), ("moon", 4)]
    assert named('"C++" ?!', [(0, 1), (1, 2), (2, 5), (6, 8)]) == [("C++", 3), ("?!", 1)]
    assert named("小説 moon", [(0, 1), (1, 2), (3, 7)]) == [("小", 1), ("説", 1), ("moon", 1)]


def test_a_piece_may_begin_with_the_space_before_it():
    assert named("a moon", [(0, 1), (1, 6)]) == [("a", 1), ("moon", 1)]


def test_what_was_cut_has_no_share():
    assert named("one two three", [None, (0, 3), (4, 7), None]) == [("one", 1), ("two", 1)]


def test_marks_and_what_is_left():
    """3 for the word, 4 for the marks; the whole is 10, so 3 are missing."""
    found = add_up("x", Pieces([None, (0, 1), None], np.array([[1.0], [3.0], [3.0]])), np.ones(1), 10.0)
    assert (found.marks, found.words[0].share, found.rounding) == (4, 3, 3)


def test_without_a_word_all_is_marks():
    found = add_up("  ", Pieces([(0, 1)], np.array([[2.0]])), np.ones(1), 2.0)
    assert (found.words, found.marks, found.rounding) == ([], 2, 0)


@given(st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_parts_are_the_unit_vector_of_the_mean(hidden):
    h = np.array(hidden) + np.array([10.0, 0, 0])  # so that the mean has a direction
    mean = h.mean(axis=0)
    found = pieces_of_mean(h, [(0, 1)] * len(h))
    assert found.vectors.sum(axis=0) == pytest.approx(mean / np.linalg.norm(mean), abs=1e-12)


@given(st.text(alphabet="moon sea,.日本\n\x1b!", max_size=60), st.lists(st.floats(-5, 5), min_size=4, max_size=4))
def test_words_and_marks_and_rounding_are_the_whole(text, toward):
    small = SmallEncoder()
    (x,), (shares,) = small.encode([text]), small.pieces([text])
    whole = float(x @ np.array(toward))
    found = add_up(text, shares, np.array(toward), whole)
    total = sum(word.share for word in found.words) + found.marks
    assert total + found.rounding == pytest.approx(whole, abs=1e-12)
    assert total == pytest.approx(whole, abs=1e-5)
    assert all(word.word == text[word.start : word.stop] != "" for word in found.words)
    assert [word.start for word in found.words] == sorted({word.start for word in found.words})


def add_up_to(shares, x):
    return all(one.vectors.sum(axis=0) == pytest.approx(row, abs=1e-5) for one, row in zip(shares, x, strict=True))


@pytest.mark.real
class TestReal:
    def test_both_roads_add_up_and_agree(self, real):
        x, slow = real.encode(TEXTS), SentenceEncoder(real.model)
        ours, theirs = real.pieces(TEXTS), slow.pieces(TEXTS)
        assert add_up_to(ours, x)
        assert add_up_to(theirs, x)
        for one, other in zip(ours, theirs, strict=True):
            assert list(one.spans) == list(other.spans)
            assert one.vectors == pytest.approx(other.vectors, abs=1e-5)

    def test_a_cut_text(self, real):
        (shares,) = real.pieces(["word " * 400])
        assert (len(shares.spans), shares.spans[0], shares.spans[-1]) == (256, None, None)
        assert shares.spans[-2] == (253 * 5, 253 * 5 + 4)

    def test_of_cls_nothing_can_be_told(self, copy):
        cls = copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
        assert isinstance(cls, FastEncoder)
        assert cls.pieces(TEXTS[:2]) == SentenceEncoder(cls.model).pieces(TEXTS[:2]) == [None, None]

    @pytest.mark.parametrize("counts", [True, False])
    def test_a_prompt_is_a_mark(self, copy, counts):
        """Whether the prompt's pieces count in the mean or not, the text's own keep their places."""
        copy("1_Pooling/config.json", include_prompt=counts)
        slow = copy("config_sentence_transformers.json", prompts={"query": "query: ", "document": "passage: "})
        assert isinstance(slow, SentenceEncoder)
        for role in ("query", "key"):
            x, (shares,) = slow.encode(["moon sea"], role), slow.pieces(["moon sea"], role)
            assert add_up_to([shares], x)
            assert [span for span in shares.spans if span] == [(0, 4), (5, 8)]
            assert len(shares.spans) == (6 if counts else 3)

    def test_pieces_that_do_not_add_up(self, copy):
        """Max pooling has states and places as mean pooling has; only the sum tells."""
        slow = copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True)
        assert slow.pieces(["moon sea"]) == [None]
