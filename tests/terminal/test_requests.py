"""Requests on standard input: a batch is what is there, and nobody waits for a line that has not come."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import subprocess
import sys
import threading

import pytest

from attnsearch.errors import InputError
from attnsearch.terminal import requests
from tests.conftest import Terminal
from tests.encoding.tiny import bert


@pytest.fixture
def pipe(monkeypatch):
    """The end of a pipe that is written to; standard input is the other."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "wb", buffering=0) as end:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield end


def stdin_of(monkeypatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


class TestBatches:
    def test_a_batch_is_what_is_there(self, pipe):
        batches = requests.read_batches(["-"])
        pipe.write(b"moon\nsea\n")
        assert next(batches) == ["moon", "sea"]
        pipe.write(b"robot\nhalf a")  # and the rest of the line has not come
        assert next(batches) == ["robot"]
        pipe.write(b" moon\n\n")
        assert next(batches) == ["half a moon"]
        pipe.write(b"the end")
        pipe.close()
        assert list(batches) == [["the end"]]

    def test_a_batch_has_an_end(self, monkeypatch):
        lines = [f"moon {n}" for n in range(700)]
        stdin_of(monkeypatch, "".join(f"{line}\n" for line in lines).encode())
        batches = list(requests.read_batches([]))
        assert list(map(len, batches)) == [requests.FIRST, 256, 256, 700 - 512 - requests.FIRST]
        assert list(itertools.chain.from_iterable(batches)) == lines

    def test_texts_do_not_wait_for_standard_input(self, pipe):
        batches = requests.read_batches(["moon", "sea", "-", "robot"])
        assert next(batches) == ["moon", "sea"]
        pipe.write(b"piped\n")
        assert next(batches) == ["piped"]
        pipe.close()
        assert list(batches) == [["robot"]]

    def test_a_pipe_that_does_not_block(self, pipe):
        """As the shell of an editor or Node leaves it: "nothing yet" is not the end."""
        os.set_blocking(sys.stdin.fileno(), False)
        threading.Timer(0.2, pipe.write, [b"moon\n"]).start()
        assert next(requests.read_batches(["-"])) == ["moon"]

    def test_what_was_written_is_flushed_before_a_wait(self, pipe, monkeypatch):
        flushed = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(flushed), write_through=False))
        pipe.write(b"moon\n")
        batches = requests.read_batches(["-"])
        next(batches)
        sys.stdout.write("the answer")
        pipe.close()
        assert list(batches) == []
        assert flushed.getvalue() == b"the answer"


def test_a_program_that_asks_and_waits(tmp_path):
    """An editor's plugin, a bot: it keeps one process, writes a line, and reads the answer before the next line."""
    env = {**os.environ, "ATTNSEARCH_HOME": str(tmp_path / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    (tmp_path / "shop.yaml").write_text("- title: moon\n- title: sea\n")
    command = [sys.executable, "-m", "attnsearch"]
    index = [*command, "index", "shop.yaml", "-q", "--model", bert(tmp_path / "model")]
    subprocess.run(index, cwd=tmp_path, env=env, check=True)
    query = [*command, "query", "-c", "shop", "--jsonl", "-q"]
    pipe = subprocess.PIPE
    with subprocess.Popen(query, cwd=tmp_path, env=env, stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
        for word in ("moon", "sea", "moon"):  # without the answer to one line, the next is never written
            process.stdin.write(f"{word}\n")
            assert json.loads(process.stdout.readline())["query"] == word
        process.stdin.close()
        assert process.stdout.read() == ""


class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("raw", "null", "queries"),
        [
            (b"moon\r\n\n \nsea", False, ["moon", "sea"]),
            (b"\xef\xbb\xbfmoon\n", False, ["moon"]),
            (b"a moon\nand a sea\0\0 robot\n\0", True, ["a moon\nand a sea", "robot"]),
            (b"moon\0sea", True, ["moon", "sea"]),
        ],
    )
    def test_queries(self, monkeypatch, raw, null, queries):
        stdin_of(monkeypatch, raw)
        assert list(itertools.chain.from_iterable(requests.read_batches([], null=null))) == queries

    @pytest.mark.parametrize(
        ("raw", "null", "message"),
        [
            (b"moon\0sea\n", False, "standard input:2: the query has a NUL; -0 reads those that end with one"),
            (b"caf\xe9\n", False, "standard input:2: not UTF-8"),
            (b"x" * (requests.QUERY + 1), False, "standard input:2: the query is longer than 128 KiB; write one on"),
            (b"x" * (requests.QUERY + 1), True, "standard input:2: the query is longer than 128 KiB; write one before"),
        ],
    )
    def test_what_is_wrong_comes_after_what_is_right(self, monkeypatch, raw, null, message):
        stdin_of(monkeypatch, (b"first\0" if null else b"first\n") + raw)
        batches = requests.read_batches([], null=null)
        assert next(batches) == ["first"]
        with pytest.raises(InputError, match=message):
            next(batches)

    @pytest.mark.parametrize(
        ("texts", "null", "message"),
        [
            ([], False, "no query on standard input; write one on each line"),
            (["-"], True, "no query on standard input; write one before each NUL"),
            (["moon"], True, "--null is for queries on standard input; leave it out, or add -"),
        ],
    )
    def test_nothing_to_read(self, monkeypatch, texts, null, message):
        stdin_of(monkeypatch, b"\n \n" if not null else b"\0")
        with pytest.raises(InputError, match=message):
            next(requests.read_batches(texts, null=null))

    def test_a_terminal_that_is_gone(self, monkeypatch):
        class Gone(io.BytesIO):
            def read1(self, _size: int | None = -1) -> bytes:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Gone()))
        with pytest.raises(InputError, match="standard input: Input/output error"):
            next(requests.read_batches(["-"]))


class TestAList:
    """JSON is a list by the command line alone, however many lines come, and whenever."""

    @pytest.mark.parametrize(
        ("texts", "stdin", "queries"),
        [
            (["moon"], b"", "moon"),
            (["moon", "sea"], b"", ["moon", "sea"]),
            ([], b"moon\n", ["moon"]),
            (["-"], b"moon\nsea\n", ["moon", "sea"]),
            (["robot", "-"], b"", ["robot"]),
        ],
    )
    def test_json(self, run, shop_file, texts, stdin, queries):
        code, out, err = run("query", *texts, "-c", "shop.yaml", "--json", stdin=stdin)
        answers = json.loads(out)
        assert (code, err) == (0, "")
        assert ([answer["query"] for answer in answers] if isinstance(queries, list) else answers["query"]) == queries
        assert out == json.dumps(answers, indent=2, ensure_ascii=False) + "\n"

    def test_it_stays_open_after_an_error(self, run, shop_file):
        code, out, err = run("query", "-c", "shop.yaml", "--json", stdin=b"moon\n\xff\n")
        assert code == 2
        assert json.loads(err)["error"]["message"] == "standard input:2: not UTF-8"
        assert [answer["query"] for answer in json.loads(out + "]")] == ["moon"]


class TestWords:
    @pytest.mark.parametrize(
        ("texts", "is_noted"),
        [(["moon", "sea"], True), (["moon"], False), (["a moon", "a sea"], False), (["moon", "-"], False)],
    )
    def test_a_terminal_hears_that_words_are_queries(self, run, shop_file, monkeypatch, texts, is_noted):
        err = Terminal()
        monkeypatch.setattr(sys, "stderr", err)
        assert run("query", *texts, "-c", "shop.yaml").code == 0
        note = "attnsearch: 2 queries, a word each; for one, quote them: attnsearch query 'moon sea'\n"
        assert (note in err.getvalue()) == is_noted

    def test_a_pipe_hears_nothing(self, run, shop_file):
        assert run("query", "moon", "sea", "-c", "shop.yaml").err == ""
