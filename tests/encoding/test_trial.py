"""A model that was not met before is tried in a process of its own, which may abort or never end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from attnsearch.cli import main
from attnsearch.encoding import loading, trial
from attnsearch.encoding.heads import HeadsEncoder
from attnsearch.errors import ModelError
from tests.conftest import SmallEncoder
from tests.encoding.tiny import bert, change_json

CHARSMAP = {"aborts": "/////wAAAAA=", "panics": "BAAAAP////8="}  # tables that point beyond their ends


def never(identity: str) -> bool:
    return False


@pytest.fixture
def folder(tmp_path):
    return bert(tmp_path / "m")


def break_tokenizer(folder, kind: str) -> None:
    """Make the tokenizer abort its process, panic, or write a text of 10^15 letters."""
    if kind == "never ends":
        parts = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}] * 5
        change_json(folder / "tokenizer.json", normalizer={"type": "Sequence", "normalizers": parts})
    else:
        normalizer = {"type": "Precompiled", "precompiled_charsmap": CHARSMAP[kind]}
        change_json(folder / "tokenizer.json", normalizer=normalizer)


def test_each_head_is_tried(monkeypatch):
    tried = []
    monkeypatch.setattr(trial, "_try_out", lambda encoder, unless: tried.append(encoder.model.name))
    trial.try_out(HeadsEncoder([SmallEncoder("a"), SmallEncoder("b")], [0.5, 0.5]), unless=never)
    assert tried == ["a", "b"]


@pytest.mark.slow
class TestTrial:
    def test_a_model_that_works(self, folder):
        trial.try_out(loading.load(str(folder)), unless=never)

    @pytest.mark.parametrize(
        ("kind", "match"),
        [
            ("aborts", "ended the process that tried it \\(SIGABRT\\)"),
            ("panics", "its tokenizer fails: "),
            ("never ends", "did not embed 15 short texts within 2 seconds|ended the process"),
        ],
    )
    def test_a_model_that_does_not(self, folder, kind, match, monkeypatch, capfd):
        break_tokenizer(folder, kind)
        if kind == "never ends":
            monkeypatch.setattr(trial, "QUICK", 2)
        with pytest.raises(ModelError, match=match) as caught:
            trial.try_out(loading.load(str(folder)), unless=never)
        assert str(folder) in caught.value.message
        assert capfd.readouterr().err == ""

    def test_the_command(self, folder, write):
        """A whole process, which would end by a signal."""
        break_tokenizer(folder, "aborts")
        path = write("x.yaml", "- {title: moon}\n")
        argv = [sys.executable, "-m", "attnsearch", "index", str(path), "--model", str(folder)]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (4, "", 1)

    def test_nothing_is_imported_from_the_working_directory(self, folder, tmp_path, monkeypatch):
        for name in ("json", "numpy", "tokenizers", "resource"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit(9)\n")
        monkeypatch.chdir(tmp_path)
        trial.try_out(loading.load(str(folder)), unless=never)

    def test_it_imports_what_its_parent_would(self, folder, tmp_path, monkeypatch):
        (tmp_path / "tokenizers.py").write_text("raise SystemExit(9)\n")
        encoder = loading.load(str(folder))
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        with pytest.raises(ModelError, match=r"ended the process that tried it \(exit code 9\)"):
            trial.try_out(encoder, unless=never)

    def test_it_ends_in_time(self, folder, monkeypatch):
        monkeypatch.setattr(trial, "QUICK", 1)
        monkeypatch.setattr(trial, "_PROGRAM", "while True: pass")
        with pytest.raises(ModelError, match="did not embed 15 short texts within 1 seconds"):
            trial.try_out(loading.load(str(folder)), unless=never)

    def test_the_system_ends_it_when_nobody_waits(self):
        endless = "from attnsearch.encoding import trial; trial._limit(1 << 32, 1)\nwhile True: pass"
        ended = subprocess.run([sys.executable, "-c", endless], timeout=120, check=False)
        assert ended.returncode in (-signal.SIGXCPU, -signal.SIGKILL)


class TestWhoIsTried:
    @pytest.fixture
    def tried(self, monkeypatch):
        names = []

        def run(argv, **options):
            names.append(json.loads(argv[-1])["name"])
            return subprocess.CompletedProcess(argv, 0, b'\n""')

        monkeypatch.setattr(trial.subprocess, "run", run)
        return names

    def test_a_model_once_in_a_home(self, folder, tried, run, write):
        path = write("x.yaml", "- {title: moon}\n")
        for name in ("x", "x", "y"):
            assert run("index", path, "--name", name, "--model", folder).code == 0
        assert run("query", "moon", "-c", "x").code == 0
        assert tried == [str(folder)]
        change_json(folder / "tokenizer.json", normalizer={"type": "Lowercase"})
        assert run("index", path, "--name", "x").code == 0
        assert tried == [str(folder)] * 2

    @pytest.mark.real
    def test_the_bundled_model_is_known(self, tried, real):
        trial.try_out(real, unless=never)
        assert tried == []

    def test_a_process_that_can_not_be_started(self, folder, monkeypatch):
        monkeypatch.setattr(sys, "executable", os.devnull)
        with pytest.raises(ModelError, match="can't be tried in a process of its own"):
            trial.try_out(loading.load(str(folder)), unless=never)


class TestPanics:
    """In this process: a text that the trial did not have may make a tokenizer panic later."""

    @pytest.fixture
    def broken(self, folder, monkeypatch):
        break_tokenizer(folder, "panics")
        monkeypatch.setattr(trial, "try_out", lambda *_, **options: None)
        return folder

    def test_one_line_and_no_more(self, broken, write, capfd):
        path = write("x.yaml", "- {title: moon}\n")
        assert main(["index", str(path), "--model", str(broken)]) == 4
        err = capfd.readouterr().err
        assert (err.count("\n"), "its tokenizer fails" in err) == (1, True)

    @pytest.mark.parametrize("ask", ["encode", "pieces", "tokens", "spans"])
    def test_whatever_is_asked(self, broken, ask, capfd):
        encoder = loading.load(str(broken))
        with pytest.raises(ModelError, match="its tokenizer fails"):
            getattr(encoder, ask)(["moon"] if ask in ("encode", "pieces") else "moon")
        assert capfd.readouterr().err == ""
