"""The real model, models in folders, and the places where a model is looked for."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attnsearch.encoding import encoder, fast, loading, sbert
from attnsearch.errors import ModelError

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# Between two roads to one float32 vector. They are 3.1e-7 of a component apart at most, whatever kernel multiplies.
CLOSE = 1e-5

TEXTS = ["science fiction", "A much longer text, " * 30, "", "日本の小説 🚀", "x"]


@pytest.mark.slow
class TestDefault:
    def test_it_is_the_published_one(self, real):
        assert (real.model.name, real.model.sha256, real.window) == ("all-MiniLM-L6-v2", PUBLISHED, 256)

    def test_sentence_transformers_says_the_same(self, real):
        from sentence_transformers import SentenceTransformer

        peer = SentenceTransformer(str(real.model.folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
        done = []
        x = real.encode(TEXTS, progress=done.append)
        assert x.dtype == np.float32
        assert x == pytest.approx(peer, abs=CLOSE)
        assert sum(done) == len(TEXTS)
        assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=CLOSE)
        assert real.encode(TEXTS[:1], "query") == pytest.approx(peer[:1], abs=CLOSE)

    def test_more_than_a_batch_keeps_its_order(self, real):
        texts = [f"word {n} " * (n % 7 + 1) for n in range(70)]
        x = real.encode(texts)
        for n in (0, 33, 69):
            assert x[n] == pytest.approx(real.encode([texts[n]])[0], abs=CLOSE)

    def test_tokens(self, real):
        assert real.tokens("unbelievable sci-fi") == ["[CLS]", "unbelievable", "sci", "-", "fi", "[SEP]"]
        assert len(real.tokens("word " * 1000)) == 1002

    @pytest.mark.parametrize("name", [None, "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
    def test_its_names(self, name):
        assert loading.load(name).model.name == "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A sentence-transformers model of another kind: a vector for each of five words, and their mean."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "moon", "sea", "robot", "zero"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.eye(5, 4, k=-1, dtype=np.float32) + np.float32(0.0)
    vectors[0] = 1
    path = tmp_path_factory.mktemp("model")
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)], device="cpu").save(str(path))
    return path


MIXED = [
    *(
        "",
        " ",
        "\t\n\x00\x07",
        "a",
        "?!",
        "日本の小説 🚀",
        "שלום \u202e reversed",
        "ﬁligature Ⅷ",
        "naïve Straße İstanbul",
    ),
    *("word " * 400, "x" * 3000, "[CLS] [SEP] [MASK] [UNK]"),
    *(f"thing number {n} " * (n % 40 + 1) for n in range(150)),
]


@pytest.mark.slow
class TestFastPath:
    def test_it_is_taken(self, real):
        assert isinstance(real, fast.FastEncoder)

    def test_sentence_transformers_says_the_same(self, real):
        slow = sbert.SentenceEncoder(real.model)
        theirs = slow.encode(MIXED)
        assert real.encode(MIXED) == pytest.approx(theirs, abs=CLOSE)
        assert np.concatenate([real.encode([text]) for text in MIXED[:12]]) == pytest.approx(theirs[:12], abs=CLOSE)
        assert [real.tokens(text) for text in MIXED] == [slow.tokens(text) for text in MIXED]
        assert real.window == slow.window

    @pytest.mark.parametrize("pays", [True, False])
    def test_which_road_is_sooner_there(self, real, monkeypatch, pays):
        monkeypatch.setattr(sbert, "_halves_pay", lambda: pays)
        much = sbert.CROSSOVER + 1
        assert real.suited(10) is real.suited(much, "float32") is real
        assert (real.suited(much) is real) == (not pays)
        assert real.suited(much).precision == ("bfloat16" if pays else "float32")
        assert real.suited(10, "bfloat16").precision == "bfloat16"
        slow = sbert.SentenceEncoder(real.model)
        assert slow.suited(10) is slow
        assert slow.suited(much).precision == real.suited(much).precision
        assert slow.suited(much, "float32") is slow

    @pytest.mark.parametrize(
        ("able", "pay"),
        [
            ({}, False),
            ({"avx2": True, "avx512_f": True, "amx_bf16": False, "avx512_bf16": False}, False),
            ({"amx_bf16": True}, True),
            ({"avx512_bf16": True}, True),
        ],
    )
    def test_halves_pay_where_the_processor_has_them(self, monkeypatch, able, pay):
        import torch

        monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
        assert sbert._halves_pay() is pay

    def test_halves_pay_on_a_gpu(self, monkeypatch):
        import torch

        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        assert sbert._halves_pay()

    def test_what_torch_calls_them(self):
        import torch

        if platform.machine() in ("x86_64", "AMD64"):
            assert {"amx_bf16", "avx512_bf16"} <= set(torch.cpu.get_capabilities())

    def test_bfloat16_agrees_as_far_as_it_can(self, real):
        halves = real.suited(10, "bfloat16")
        x = halves.encode(MIXED[9:60])
        assert x.dtype == np.float32
        assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(len(x)), abs=CLOSE)
        angles = np.linalg.norm(x - real.encode(MIXED[9:60]), axis=1)
        assert 1e-3 < angles.mean() < 0.008  # .010 if all sums were rounded too
        assert encoder.vectors_agree(real, halves, MIXED[9:60])
        assert len(halves.pieces(["moon", "a ship at sea"])) == 2

    def test_two_that_do_not_agree(self, real, copy):
        copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
        other = loading.load(str(copy.folder))
        assert encoder.vectors_agree(real, real, MIXED[:20])
        assert not encoder.vectors_agree(real, other, MIXED[:20])
        other.precision = "bfloat16"
        assert not encoder.vectors_agree(real, other, MIXED[:20])

    def test_batches(self):
        texts = ["x" * n for n in (5, 1, 3, 3, 9, 20)]
        assert list(encoder.batch_by_length(texts, 9)) == [[1, 2, 3], [0], [4], [5]]
        assert list(encoder.batch_by_length([], 9)) == []

    def test_the_tokenizer_is_read_once(self, real, monkeypatch):
        """Looking at every text of a catalog must not read its file again for each."""
        real.tokens("x")
        monkeypatch.setattr("tokenizers.Tokenizer", None)
        assert real.tokens("x y") == ["[CLS]", "x", "y", "[SEP]"]

    def test_nothing_heavy_is_imported(self, write):
        load = "from attnsearch.encoding import loading; x = loading.load().encode(['x'])"
        program = f"import sys; {load}; print(x.shape, *sys.modules)"
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert ran.stdout.startswith("(1, 384)")
        assert not {"torch", "transformers", "sentence_transformers", "yaml", "rich"} & set(ran.stdout.split())

    @pytest.fixture
    def copy(self, real, tmp_path):
        """The default model in a folder of its own, with changes in its files."""
        shutil.copytree(real.model.folder, tmp_path / "m", copy_function=os.link)

        def change(file, **fields):
            path = tmp_path / "m" / file
            told = json.loads(path.read_text())
            path.unlink()
            path.write_text(json.dumps({**told, **fields}))

        change.folder = tmp_path / "m"
        return change

    def test_a_folder_is_covered_too(self, copy):
        assert isinstance(loading.load(str(copy.folder)), fast.FastEncoder)

    def test_cls_pooling(self, copy):
        copy("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
        fast = encoder.load(str(copy.folder))
        assert isinstance(fast, encoder.FastEncoder)
        assert fast.encode(MIXED[:20]) == pytest.approx(sbert.SentenceEncoder(fast.model).encode(MIXED[:20]), abs=CLOSE)

    @pytest.mark.parametrize(
        ("file", "fields"),
        [
            ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
            ("1_Pooling/config.json", {"pooling_mode": "max"}),
            ("config.json", {"model_type": "roberta"}),
            ("config.json", {"hidden_act": "gelu_new"}),
            ("sentence_bert_config.json", {"do_lower_case": True}),
            ("config_sentence_transformers.json", {"prompts": {"query": "query: "}}),
        ],
    )
    def test_what_it_does_not_know_goes_the_other_road(self, copy, file, fields):
        copy(file, **fields)
        assert isinstance(loading.load(str(copy.folder)), sbert.SentenceEncoder)

    def test_a_missing_file_too(self, copy):
        (copy.folder / "tokenizer.json").unlink()
        assert isinstance(loading.load(str(copy.folder)), sbert.SentenceEncoder)


@pytest.mark.slow
class TestFolder:
    def test_another_model(self, folder, run, write):
        path = write("x.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: moon sea}\n")
        assert run("index", path, "--model", folder).code == 0
        code, out, err = run("query", "moon", "sea", "-c", "x", "--json")
        assert (code, err.count("needs sentence-transformers, which takes seconds to load")) == (0, 1)
        told = json.loads(out)[0]
        assert told["model"] == str(folder)
        assert {hit["id"]: round(hit["score"], 4) for hit in told["hits"]} == {"a": 1.0, "c": 0.7071, "b": 0.0}

    def test_no_model(self, tmp_path):
        with pytest.raises(ModelError, match="no weights"):
            _ = loading.load(str(tmp_path)).model.sha256
        with pytest.raises(ModelError, match="can't be loaded as a sentence-transformers model"):
            loading.load(str(tmp_path)).encode(["x"])

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
    def test_a_vector_without_direction(self, wrong):
        x = np.ones((2, 3), np.float32)
        x[1] = wrong
        with pytest.raises(ModelError, match="a vector without a direction"):
            encoder.normalize_rows(x, "m")
