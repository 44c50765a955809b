"""Small random models of every kind: numpy against sentence-transformers, vectors and word pieces."""

from __future__ import annotations

import itertools
import shutil

import pytest

from attnsearch.encoding import loading
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.passages import split_passages
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.networks.coverage import find_gap
from attnsearch.tokens import excerpt
from attnsearch.tokens.tokenizer import load_tokenizer
from tests.encoding.conftest import CLOSE
from tests.encoding.tiny import change_json
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
    for role, some in (("key", texts()), ("query", ODD)):
        assert fast.encode(some, role) == pytest.approx(slow.encode(some, role), abs=CLOSE)
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


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "mpnet"])
def test_no_letter_is_lost(workshop, kind):
    """A character may be several pieces, in bytes or normalized, so that short texts have to be cut too."""
    encoder = loading.load(str(workshop(kind)))
    for text in (*ODD, *("달" * n for n in range(36, 42)), "a " * 19, "é" * 39, "a" * 37, "a" * 38, "a" * 39):
        passages = split_passages(encoder, "", text)
        assert all(len(encoder.tokens(passage.text)) <= encoder.window for passage in passages)
        assert (passages[0].start, passages[-1].stop) == (0, len(text))
        assert all(after.start <= before.stop for before, after in itertools.pairwise(passages))


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
def test_a_tokenizer_that_cuts_nothing_is_the_same(workshop, kind):
    """It is not read a second time."""
    encoder = loading.load(str(workshop(kind)))
    file = load_tokenizer(workshop(kind) / "tokenizer.json", None)
    for text in texts():
        ours, theirs = encoder._whole_tokenizer.encode(text), file.encode(text)
        assert (ours.ids, ours.offsets, ours.special_tokens_mask) == (
            theirs.ids,
            theirs.offsets,
            theirs.special_tokens_mask,
        )


def test_a_model_that_has_loaded_no_whole_tokenizer(workshop, monkeypatch):
    """Vectors, pieces, tokens, spans and words are those that it has with the whole one."""
    monkeypatch.setattr(excerpt, "LEAST", 0)
    folder = str(workshop("bert, several languages"))
    whole = loading.load(folder)
    assert whole._tokenizer
    some = [text for text in texts(120) if len(text) < excerpt.SHORT]
    for text in some:
        part = loading.load(folder)
        assert part.encode([text], "query").tolist() == whole.encode([text], "query").tolist()
        assert part.tokens(text) == whole.tokens(text)
        assert part.spans(text) == whole.spans(text)
        (ours,), (theirs,) = part.pieces([text]), whole.pieces([text])
        assert (ours.tokens, ours.spans) == (theirs.tokens, theirs.spans)
        assert ours.vectors.tolist() == theirs.vectors.tolist()
        assert part.whole_words(["the", "moon", "a"]) == whole.whole_words(["the", "moon", "a"])
        assert "_tokenizer" not in vars(part)
    part.encode(["moon"] * (excerpt.SHORT // 4 + 1))
    assert "_tokenizer" in vars(part)


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert"])
def test_weights_are_not_rounded(workshop, tmp_path, kind):
    """Even where a configuration names a type with fewer digits than the weights have."""
    folder = shutil.copytree(workshop(kind), tmp_path / "m")
    change_json(folder / "config.json", dtype="bfloat16")
    fast = loading.load(str(folder))
    assert fast.encode(texts(40)) == pytest.approx(SentenceEncoder(fast.model).encode(texts(40)), abs=CLOSE)


def test_a_window_beyond_the_positions(workshop, tmp_path):
    """ModernBERT's positions have no weights, so that sentence-transformers reads more of them than it was made for."""
    folder = shutil.copytree(workshop("modernbert"), tmp_path / "m")
    change_json(folder / "sentence_bert_config.json", max_seq_length=1_000)
    assert find_gap(folder) == "its window exceeds its positions"
