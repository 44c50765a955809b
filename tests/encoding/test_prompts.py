"""A model with prompts, on both roads, against sentence-transformers' own encode_query and encode_document."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnsearch.encoding.encoder import is_cut
from attnsearch.encoding.fast import FastEncoder
from attnsearch.encoding.passages import split_passages
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.models.prompts import use_of_files
from attnsearch.models.use import Use
from attnsearch.networks.coverage import coverage_of
from tests.encoding.conftest import CLOSE

pytestmark = [pytest.mark.real, pytest.mark.slow]

PROMPTS = {"query": "Represent this: ", "document": "title: none | text: "}
TEXTS = ["", "moon", "日本の小説 🚀", "naïve ﬁligature Ⅷ", "word " * 300]


@pytest.fixture
def asymmetric(copy):
    return copy("config_sentence_transformers.json", prompts=PROMPTS)


def by_peer(slow: SentenceEncoder, role: str, **options):
    """What sentence-transformers makes of the texts, with the prompts that it finds itself."""
    run = slow._model.encode_query if role == "query" else slow._model.encode_document
    return run(TEXTS, normalize_embeddings=True, **options)


@pytest.mark.parametrize(("pooling", "counts"), [("mean", True), ("mean", False), ("cls", False)])
def test_both_roads(asymmetric, copy, counts, pooling):
    quick = copy("1_Pooling/config.json", include_prompt=counts, pooling_mode=pooling)
    assert isinstance(quick, FastEncoder)
    assert quick.use == Use(PROMPTS["query"], PROMPTS["document"])
    slow = SentenceEncoder(quick.model, use=quick.use)
    for role in ("query", "key"):
        x = by_peer(slow, role)
        for encoder in (quick, slow):
            assert encoder.encode(TEXTS, role) == pytest.approx(x, abs=CLOSE)
            if pooling == "mean":
                sums = [pieces.vectors.sum(axis=0) for pieces in encoder.pieces(TEXTS, role)]
                assert np.array(sums) == pytest.approx(x, abs=CLOSE)
    assert np.abs(quick.encode(["moon"], "query") - quick.encode(["moon"])).max() > 0.01


def test_fewer_numbers(asymmetric):
    """As `truncate_dim` does: the first numbers, at length 1 again. The pieces still add up."""
    use = Use(PROMPTS["query"], PROMPTS["document"], 64)
    slow = SentenceEncoder(asymmetric.model, use=use)
    x = by_peer(slow, "key", truncate_dim=64)
    for encoder in (FastEncoder(asymmetric.model, coverage_of(asymmetric.model.folder), use), slow):
        assert encoder.encode(TEXTS) == pytest.approx(x, abs=CLOSE)
        sums = [pieces.vectors.sum(axis=0) for pieces in encoder.pieces(TEXTS)]
        assert np.array(sums) == pytest.approx(x, abs=CLOSE)


def test_the_window_leaves_room_for_the_prompt(asymmetric):
    """No passage is cut off: its prompt and all of its word pieces fit what the model reads."""
    text = "science fiction about the moon " * 200
    slow = SentenceEncoder(asymmetric.model, use=asymmetric.use)
    for encoder in (asymmetric, slow):
        assert (encoder.window, encoder.query_window) == (256 - 6, 256 - 3)
        passages = split_passages(encoder, "", text)
        assert len(passages) > 4
        for passage in passages:
            assert not is_cut(encoder, passage.text)
            assert len(encoder.tokens(PROMPTS["document"] + passage.text)) <= 256
        assert max(len(encoder.tokens(passage.text)) for passage in passages) > encoder.window * 0.8
        request = " ".join(["moon"] * 250)  # 252 tokens with the model's own marks
        assert (is_cut(encoder, request), is_cut(encoder, request, "query")) == (True, False)


@pytest.mark.parametrize(
    "prompts",
    [
        {"query": "moon ", "document": "sea "},
        {"query": "moon ", "passage": "sea "},
        {"document": "", "passage": "sea ", "corpus": "robot "},
        {"query": None, "other": "moon "},
    ],
    ids=str,
)
def test_as_sentence_transformers_does(static, prompts, tmp_path):
    """The table of five words adds up the prompt's words too."""
    from sentence_transformers import SentenceTransformer

    file = static / "config_sentence_transformers.json"
    before = file.read_text()
    file.write_text(json.dumps({**json.loads(before), "prompts": prompts}))
    try:
        model, use = SentenceTransformer(str(static), device="cpu"), use_of_files(static)
    finally:
        file.write_text(before)
    for run, prompt in ((model.encode_query, use.query_prompt), (model.encode_document, use.key_prompt)):
        assert run(["zero"]).tolist() == model.encode([f"{prompt}zero"], prompt="").tolist()
