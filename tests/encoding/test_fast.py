"""The encoder in numpy against sentence-transformers, and its own promises."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from attnsearch import threads
from attnsearch.encoding import loading, sbert
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.sbert import SentenceEncoder
from tests.encoding import tiny
from tests.encoding.conftest import CLOSE, MIXED

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

TEXTS = ["science fiction", "A much longer text, " * 30, "", "日本の小説 🚀", "x"]

pytestmark = pytest.mark.slow


def test_it_is_the_published_one(real):
    assert (real.model.name, real.model.sha256, real.window) == ("all-MiniLM-L6-v2", PUBLISHED, 256)


def test_sentence_transformers_gives_the_same_vectors(real):
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(real.model.folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    parts = np.full((len(TEXTS), 384), np.nan, np.float32)
    x = real.encode(TEXTS, progress=parts.__setitem__)
    assert x.dtype == np.float32
    assert x == pytest.approx(peer, abs=CLOSE)
    assert np.array_equal(parts, x)
    assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=CLOSE)
    assert real.encode(TEXTS[:1], "query") == pytest.approx(peer[:1], abs=CLOSE)


def test_more_than_a_batch_keeps_its_order(real):
    texts = [f"word {n} " * (n % 7 + 1) for n in range(70)]
    x = real.encode(texts)
    for n in (0, 33, 69):
        assert x[n] == pytest.approx(real.encode([texts[n]])[0], abs=CLOSE)


def test_tokens(real):
    assert real.tokens("unbelievable sci-fi") == ["[CLS]", "unbelievable", "sci", "-", "fi", "[SEP]"]
    assert len(real.tokens("word " * 1000)) == 1002


def test_it_agrees_with_the_other_encoder(real):
    slow = SentenceEncoder(real.model)
    theirs = slow.encode(MIXED)
    assert real.encode(MIXED) == pytest.approx(theirs, abs=CLOSE)
    assert np.concatenate([real.encode([text]) for text in MIXED[:12]]) == pytest.approx(theirs[:12], abs=CLOSE)
    assert [real.tokens(text) for text in MIXED] == [slow.tokens(text) for text in MIXED]
    assert real.window == slow.window


@pytest.mark.parametrize("pays", [True, False])
def test_which_road_is_sooner_there(real, monkeypatch, pays):
    monkeypatch.setattr(sbert, "is_bfloat16_fast", lambda: pays)
    much = sbert.CROSSOVER + 1
    assert real.suited(10) is real.suited(much, "float32") is real
    assert (real.suited(much) is real) == (not pays)
    assert real.suited(much).precision == ("bfloat16" if pays else "float32")
    assert real.suited(10, "bfloat16").precision == "bfloat16"
    slow = SentenceEncoder(real.model)
    assert slow.suited(10) is slow
    assert slow.suited(much).precision == real.suited(much).precision
    assert slow.suited(much, "float32") is slow


def test_the_tokenizer_is_read_once(real, monkeypatch):
    """Looking at every text of a catalog must not read its file again for each."""
    real.tokens("x")
    monkeypatch.setattr("tokenizers.Tokenizer", None)
    assert real.tokens("x y") == ["[CLS]", "x", "y", "[SEP]"]


def test_cls_pooling(copy):
    cls = copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    assert isinstance(cls, FastEncoder)
    assert cls.encode(MIXED[:20]) == pytest.approx(SentenceEncoder(cls.model).encode(MIXED[:20]), abs=CLOSE)


def test_an_interrupted_caller_has_its_threads_back(tmp_path, monkeypatch):
    """Even while it still has the error, as a notebook keeps the last."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "count", lambda: 2)
    encoder = loading.load(str(tiny.bert(tmp_path)))
    texts = ["moon " * 14] * 200

    def interrupt(*_):
        raise KeyboardInterrupt

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(KeyboardInterrupt) as error:
            encoder.encode(texts, progress=interrupt)
        assert error.tb
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {2}
