"""The encoder that sentence-transformers runs: its precisions, and models of other kinds."""

from __future__ import annotations

import json
import platform

import numpy as np
import pytest

from attnsearch import threads
from attnsearch.encoding import sbert, torch_batches
from attnsearch.encoding.encoder import vectors_agree
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.errors import ModelError
from attnsearch.models.model import find_model
from attnsearch.models.use import Use
from tests.encoding.conftest import CLOSE, MIXED
from tests.networks import made

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("able", "pay"),
    [
        ({}, False),
        ({"avx2": True, "avx512_f": True, "amx_bf16": False, "avx512_bf16": False}, False),
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
    ],
)
def test_bfloat16_is_fast_where_the_processor_has_it(monkeypatch, able, pay):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert sbert.is_bfloat16_fast() is pay


def test_bfloat16_is_fast_on_a_gpu(monkeypatch):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert sbert.is_bfloat16_fast()


def test_what_torch_calls_them():
    import torch

    if platform.machine() in ("x86_64", "AMD64"):
        assert {"amx_bf16", "avx512_bf16"} <= set(torch.cpu.get_capabilities())


def test_bfloat16_agrees_as_far_as_it_can(real):
    halves = real.suited(10, "bfloat16")
    x = halves.encode(MIXED[9:60])
    assert x.dtype == np.float32
    assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(len(x)), abs=CLOSE)
    angles = np.linalg.norm(x - real.encode(MIXED[9:60]), axis=1)
    assert 1e-3 < angles.mean() < 0.008  # .010 if all sums were rounded too
    assert vectors_agree(real, halves, MIXED[9:60])
    assert len(halves.pieces(["moon", "a ship at sea"])) == 2


DECODER = {"num_key_value_heads": 2, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
           "num_attention_heads": 4, "max_position_embeddings": 50}  # fmt: skip
LAST = ("Pooling", {"pooling_mode": "lasttoken"})
WITHOUT_PROMPT = ("Pooling", {"include_prompt": False})
PROMPTS = Use("find: ", "a passage: ")


@pytest.mark.parametrize(
    ("kind", "side", "use"),
    [
        (made.Kind("MPNetConfig", made.SIZES, made.mpnet_pieces), "right", Use()),
        (made.Kind("XLMRobertaConfig", made.SIZES, made.unigrams, modules=(WITHOUT_PROMPT,)), "right", PROMPTS),
        (made.Kind("BertConfig", made.SIZES, modules=(LAST,)), "right", PROMPTS),
        (made.Kind("Qwen2Config", DECODER, made.bytes_in_pairs, modules=(LAST,)), "left", PROMPTS),
    ],
    ids=["MPNet", "a prompt that is not pooled", "the last token", "padding on the left"],
)
def test_batches_of_our_own_change_no_vector(tmp_path, monkeypatch, kind, side, use):
    """Whatever fills a batch, a vector is that of sentence-transformers alone."""
    from sentence_transformers import SentenceTransformer

    monkeypatch.setattr(torch_batches, "BATCH", 64)
    monkeypatch.setattr(threads, "count", lambda: 2)
    folder = made.make(kind, tmp_path)
    made_with = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**made_with, "padding_side": side}))
    peer = SentenceTransformer(str(folder), device="cpu")
    texts = [text for text in made.texts(60) if text.strip()]
    ours = SentenceEncoder(find_model(str(folder)), use=use)
    for role, run, prompt in (("query", peer.encode_query, use.query_prompt),
                              ("key", peer.encode_document, use.key_prompt)):  # fmt: skip
        theirs = run(texts, prompt=prompt, normalize_embeddings=True, batch_size=1)
        parts = np.full_like(theirs, np.nan)
        x = ours.encode(texts, role, progress=parts.__setitem__)
        assert x == pytest.approx(theirs, abs=CLOSE)
        assert np.array_equal(parts, x)


def test_a_module_without_word_pieces_reads_whole_texts(static):
    from sentence_transformers import SentenceTransformer

    texts = ["moon", "sea moon", "robot " * 9, "zero moon"]
    theirs = SentenceTransformer(str(static), device="cpu").encode(texts, normalize_embeddings=True)
    assert SentenceEncoder(find_model(str(static))).encode(texts) == pytest.approx(theirs, abs=CLOSE)


def test_each_batch_has_one_thread_of_torch(real, monkeypatch):
    """And torch has as many as before afterwards, also after an error."""
    import torch

    monkeypatch.setattr(threads, "count", lambda: 2)
    monkeypatch.setattr(torch_batches, "BATCH", 8)
    encoder = SentenceEncoder(real.model)
    counts = []
    encoder._model.register_forward_pre_hook(lambda *_: counts.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        encoder.encode(["moon"])
        assert counts == [3]  # there is nothing to share
        encoder.encode(["moon", "a robot at sea"] * 4)
        assert set(counts[1:]) == {1}
        assert torch.get_num_threads() == 3
        encoder._model.register_forward_pre_hook(lambda *_: 1 // 0)
        with pytest.raises(ModelError, match="can't embed"):
            encoder.encode(["moon", "a robot at sea"] * 4)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_another_model(static, run, write):
    path = write("x.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: moon sea}\n")
    assert run("index", path, "--model", static).code == 0
    code, out, err = run("query", "moon", "sea", "-c", "x", "--json")
    assert (code, err.count("needs sentence-transformers, which takes seconds to load")) == (0, 1)
    result = json.loads(out)[0]
    assert result["model"] == str(static)
    assert {hit["id"]: round(hit["score"], 4) for hit in result["hits"]} == {"a": 1.0, "c": 0.7071, "b": 0.0}
