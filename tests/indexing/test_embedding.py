"""What an interrupted run keeps of the texts that it embedded."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from attnsearch.indexing import embedding
from attnsearch.indexing.update import update
from attnsearch.indexing.writer import Writer
from attnsearch.opening.index import Index
from attnsearch.syntax.formats import Reading

TEXTS = [f"t{n}" for n in range(10)]


@pytest.fixture
def path(write):
    return write("many.jsonl", "".join(f'{{"id": "{n}", "title": "t{n}"}}\n' for n in range(10)))


@pytest.fixture
def by_threes(small, monkeypatch):
    """The small encoder hands over three texts at a time, from the last; `stop` is how many it embeds."""
    encode = small.encode

    def by_threes(stop: int, ending: type[BaseException] = KeyboardInterrupt):
        def encode_by_threes(texts, role="key", progress=None):
            x = np.empty((len(texts), 4), np.float32)
            order = list(range(len(texts)))[::-1]
            for start in range(0, len(order), 3):
                if start >= stop:
                    raise ending
                rows = order[start : start + 3]
                x[rows] = encode([texts[row] for row in rows], role)
                if progress:
                    progress(rows, x[rows])
            return x

        monkeypatch.setattr(small, "encode", encode_by_threes, raising=False)

    return by_threes


def test_a_chunk_is_kept_as_far_as_it_came(path, by_threes, small, caplog):
    by_threes(6)
    with pytest.raises(KeyboardInterrupt):
        update([str(path)])
    assert caplog.messages[-1] == "6 of 10 texts are kept, and the next run goes on from there"
    small.read.clear()
    by_threes(99)
    assert update([str(path)]).embedded == 4
    assert sorted(small.read) == TEXTS[:4]
    with Index.open("many") as index:
        for key, place in enumerate(index.store.spans_at(range(10))):
            assert np.array_equal(index.store.embeddings([key]), small.encode([place.item.title]))


def test_what_was_embedded_before_is_counted_too(path, by_threes, caplog):
    for stop, count in ((3, 3), (6, 9)):
        by_threes(stop)
        with pytest.raises(KeyboardInterrupt):
            update([str(path)])
        assert caplog.messages[-1] == f"{count} of 10 texts are kept, and the next run goes on from there"


def test_it_is_on_disk_within_a_second(path, by_threes, home, monkeypatch):
    """So a killed run, after which nothing is written, loses no more than that."""
    sizes = []
    put = Writer.put_embeddings

    def put_and_look(*args):
        put(*args)
        (checkpoint,) = (home / "many").glob("unfinished-*")
        sizes.append((checkpoint.stat().st_size - 4) // (32 + 16 + 4))

    monkeypatch.setattr(Writer, "put_embeddings", put_and_look)
    monkeypatch.setattr(embedding, "_SECONDS", -1.0)
    by_threes(99)
    update([str(path)])
    assert sizes == [3, 6, 9, 10]


def test_nothing_is_kept_of_a_pipe(by_threes, monkeypatch, home, caplog):
    by_threes(6)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(["title", *TEXTS]).encode())))
    with pytest.raises(KeyboardInterrupt):
        Index.open("-", reading=Reading("csv"))
    assert "kept" not in caplog.text
    assert list(home.iterdir()) == []


def test_an_encoder_need_not_hand_over_parts(path, small, monkeypatch):
    encode = small.encode
    monkeypatch.setattr(small, "encode", lambda texts, role="key", progress=None: encode(texts, role), raising=False)
    reports = []
    update([str(path)], progress=lambda done, total: reports.append((done, total)))
    assert reports == [(10, 10)]
    with Index.open("many") as index:
        assert index.info.items == 10
