"""Small random models of every kind: numpy against sentence-transformers, vectors and word pieces."""

from __future__ import annotations

import pytest

from attnsearch.encoding import loading
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from tests.encoding.conftest import CLOSE
from tests.networks.made import KINDS, ODD, texts

pytestmark = pytest.mark.slow


@pytest.fixture(params=KINDS)
def pair(request, workshop):
    """A model in numpy, and the same by sentence-transformers."""
    fast = loading.load(str(workshop(request.param)))
    return fast, SentenceEncoder(fast.model)


def test_every_kind(pair):
    """Vectors of both roles, tokens, spans and pieces of texts that include odd ones and long ones."""
    fast, slow = pair
    assert isinstance(fast, FastEncoder)
    assert fast.window == slow.window
    for role in ("query", "key"):
        assert fast.encode(texts(), role) == pytest.approx(slow.encode(texts(), role), abs=CLOSE)
    assert [fast.tokens(text) for text in ODD] == [slow.tokens(text) for text in ODD]
    assert [fast.spans(text) for text in ODD] == [slow.spans(text) for text in ODD]
    for theirs, ours, vector in zip(slow.pieces(ODD), fast.pieces(ODD), fast.encode(ODD), strict=True):
        assert theirs is None or ours is not None
        if ours is not None:
            assert ours.vectors.sum(axis=0) == pytest.approx(vector, abs=CLOSE)
        if theirs is not None:
            assert ours.tokens == theirs.tokens
            assert ours.spans == theirs.spans
            assert ours.vectors == pytest.approx(theirs.vectors, abs=CLOSE)
