"""What a library raises becomes a ModelError, and what it writes to stderr meanwhile is not seen."""

from __future__ import annotations

import os

import pytest

from attnsearch.encoding import loading
from attnsearch.errors import ModelError
from attnsearch.models.faults import SILENCE, model_errors
from tests.encoding.tiny import bert


class Panic(BaseException):
    """What a panic in Rust is in Python: no Exception."""


@pytest.mark.parametrize("error", [ValueError("no\nmore"), Panic("no"), MemoryError("no"), RecursionError("no")])
def test_whatever_is_raised(error):
    with pytest.raises(ModelError, match=r"^m: can't embed: no$"), model_errors("can't embed", "m"):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), ModelError("ours")])
def test_what_is_not_the_librarys(error):
    with pytest.raises(type(error)) as caught, model_errors("can't embed", "m"):
        raise error
    assert caught.value is error


def test_silence_ends_with_the_last_that_leaves(capfd):
    with SILENCE:
        with SILENCE:
            os.write(2, b"inner ")
        os.write(2, b"outer ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_silence_without_stderr(monkeypatch):
    monkeypatch.setattr(os, "dup", lambda _: (_ for _ in ()).throw(OSError("closed")))
    with SILENCE:
        pass


@pytest.mark.parametrize("texts", [["moon"], ["moon", "sea robot"]])
def test_a_tokenizer_that_may_start_no_threads(tmp_path, monkeypatch, texts):
    """Under a limit of processes it panics; one thread encodes as well."""
    encoder = loading.load(str(bert(tmp_path / "model")))
    expected = encoder.encode(texts)

    class Limited:
        def __init__(self, tokenizer):
            self.encode = tokenizer.encode

        def encode_batch(self, _texts, **_options):
            raise Panic("ThreadPoolBuildError")

    monkeypatch.setattr(encoder, "_tokenizer", Limited(encoder._tokenizer))
    assert (encoder.encode(texts) == expected).all()
