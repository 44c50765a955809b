"""By property; the real model's word pieces against its own vectors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.pieces import pieces_of_mean
from attnsearch.encoding.sbert import SentenceEncoder

TEXTS = ["science fiction", "moon, sea: sci-fi; 日本の小説 🚀 done.", "", " \t\x00", "naïve Straße İstanbul ﬁn",
         "[SEP] x", "word " * 400, "x" * 3000, *(f"thing {n} " * (n % 9 + 1) for n in range(60))]  # fmt: skip


@given(st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_parts_are_the_unit_vector_of_the_mean(hidden):
    h = np.array(hidden) + np.array([10.0, 0, 0])  # so that the mean has a direction
    mean = h.mean(axis=0)
    pieces = pieces_of_mean(h, [(0, 1)] * len(h), ["x"] * len(h))
    assert pieces.vectors.sum(axis=0) == pytest.approx(mean / np.linalg.norm(mean), abs=1e-12)


def add_up_to(shares, x):
    return all(one.vectors.sum(axis=0) == pytest.approx(row, abs=1e-5) for one, row in zip(shares, x, strict=True))


@pytest.mark.real
class TestReal:
    def test_both_roads_add_up_and_agree(self, real):
        x, slow = real.encode(TEXTS), SentenceEncoder(real.model)
        ours, theirs = real.pieces(TEXTS), slow.pieces(TEXTS)
        assert add_up_to(ours, x)
        assert add_up_to(theirs, x)
        for own, other in zip(ours, theirs, strict=True):
            assert list(own.spans) == list(other.spans)
            assert list(own.tokens) == list(other.tokens)
            assert own.vectors == pytest.approx(other.vectors, abs=1e-5)

    def test_a_cut_text(self, real):
        (shares,) = real.pieces(["word " * 400])
        assert (len(shares.spans), shares.spans[0], shares.spans[-1]) == (256, None, None)
        assert shares.spans[-2] == (253 * 5, 253 * 5 + 4)
        assert shares.tokens == ["[CLS]", *["word"] * 254, "[SEP]"]

    def test_of_cls_nothing_can_be_told(self, copy):
        cls = copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
        assert isinstance(cls, FastEncoder)
        assert cls.pieces(TEXTS[:2]) == SentenceEncoder(cls.model).pieces(TEXTS[:2]) == [None, None]

    @pytest.mark.parametrize("counts", [True, False])
    def test_a_prompt_is_a_mark(self, copy, counts):
        """Whether the prompt's pieces count in the mean or not, the text's own keep their places."""
        copy("1_Pooling/config.json", include_prompt=counts)
        quick = copy("config_sentence_transformers.json", prompts={"query": "query: ", "document": "passage: "})
        assert isinstance(quick, FastEncoder)
        slow = SentenceEncoder(quick.model, use=quick.use)
        for encoder, role in itertools.product((quick, slow), ("query", "key")):
            x, (shares,) = encoder.encode(["moon sea"], role), encoder.pieces(["moon sea"], role)
            assert add_up_to([shares], x)
            assert [span for span in shares.spans if span] == [(0, 4), (5, 8)]
            assert len(shares.spans) == (6 if counts else 3)
            assert shares.tokens[-3:] == ["moon", "sea", "[SEP]"]
            assert len(shares.tokens) == len(shares.spans)

    def test_pieces_that_do_not_add_up(self, copy):
        """Max pooling has states and places as mean pooling has; only the sum tells."""
        slow = copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True)
        assert slow.pieces(["moon sea"]) == [None]
