"""What is fuzzed: one function of bytes each. Whatever it raises, but an AttnsearchError, is a finding."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import sqlite3
import sys
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

# Named here to be instrumented: the package imports some of them late.
from attnsearch.encoding import encoder, loading, passages, transformer
from attnsearch.errors import AttnsearchError
from attnsearch.indexing import check, checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.output import formats, safe_text
from attnsearch.postings import facets, filters
from attnsearch.search.result import Hit, Result
from attnsearch.sources import items, judgments
from attnsearch.sources.items import Fields
from tests.torture import flips
from tests.torture.verifier import at

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def acting(text: str, *, but: str = "\n") -> set[str]:
    """The characters of an output that could do something other than be seen."""
    return {c for c in text if (unicodedata.category(c) in ("Cc", "Cs") or c in BIDI) and c not in but}


def a_result(text: str) -> Result:
    """An answer in which every text is this one."""
    hit = Hit(1, text, text, 0.5, 0.4, 8.0, text, {text: [text, {text: text}]})
    return Result(text, text, text, 0.05, 3, 0, None, 2.0, 1.0, [hit, hit._replace(title="")])


def _read(data: bytes, form: str | None) -> None:
    """Through every room that a file goes through, to items that every other room can hold."""
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))):
        try:
            for item in items.read_items(["-"], file_format=form).items:
                assert item.text.strip()
                "".join([item.id, item.title, item.description, item.text]).encode()
                json.dumps(item.fields, allow_nan=False, ensure_ascii=False).encode()
        except AttnsearchError as problem:
            told = safe_text.error(problem)
            assert told.count("\n") == 1
            assert not acting(told)


def yaml(data: bytes) -> None:
    _read(data, "yaml")


def json_(data: bytes) -> None:
    _read(data, "json")


def jsonl(data: bytes) -> None:
    _read(data, "jsonl")


def csv(data: bytes) -> None:
    _read(data, "csv")
    _read(data, "tsv")


def guess(data: bytes) -> None:
    """Standard input, whose form its first line tells."""
    _read(data, None)


def judgments_(data: bytes) -> None:
    """Requests and what is right for them, in any form."""
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))):
        _judged("-")


def where(data: bytes) -> None:
    """A filter is refused in one line, or can be asked of any values."""
    text = data.decode(errors="replace")
    try:
        asked = filters.parse_filter(text)
    except AttnsearchError as problem:
        told = safe_text.error(problem)
        assert told.count("\n") == 1
        assert not acting(told)
        return
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as db,
        contextlib.closing(facets.Collector("f", Fields())) as drawn,
    ):
        for key, value in enumerate([*asked.values, text]):
            drawn.add(key, items.Item("i", "t", "", {"f": value}, ""))
        drawn.fill(db, "f")
        found = set(facets.select_keys(db, filters.conditions_of(asked)).tolist())
    if asked.op == "=":  # each value is equal to itself; a blank is no value
        assert found >= {key for key, value in enumerate(asked.values) if value.strip()}


def trec(data: bytes) -> None:
    """Queries and qrels, with a line of === between them."""
    queries, _, qrels = data.partition(b"\n===\n")
    for name, content in (("queries", queries), ("qrels", qrels)):
        (_folder() / name).write_bytes(content)
    with mock.patch.object(logging.getLogger("attnsearch"), "warning"):  # about queries without judgments
        _judged(str(_folder() / "queries"), str(_folder() / "qrels"))


def _judged(*sources: str) -> None:
    """Requests that can be asked, with grades that can be counted with; or one line on what is wrong."""
    try:
        for one in judgments.read_judgments(*sources):
            assert one.query.strip()
            assert all(0 <= grade < float("inf") for grade in one.grades.values())
            "".join([one.query, *one.grades]).encode()
    except AttnsearchError as problem:
        told = safe_text.error(problem)
        assert told.count("\n") == 1
        assert not acting(told)


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="attnsearch-fuzz-"))


def safetensors(data: bytes) -> None:
    """A file as it is; or, of bytes that begin with a brace, a line of header with the right length, and data."""
    if data.startswith(b"{"):
        header, _, rest = data.partition(b"\n")
        data = len(header).to_bytes(8, "little") + header + rest
    file = _folder() / "model.safetensors"
    file.write_bytes(data)
    with contextlib.suppress(AttnsearchError):
        for x in transformer.read_weights(file).values():
            assert x.dtype in (np.float32, np.float16)
            assert x.nbytes <= len(data)
            x.sum(dtype=np.float64)


def tokenizer(data: bytes) -> None:
    """Any text at all has a direction."""
    text = data.decode(errors="ignore")
    x = _model().encode([text, f"{text} moon"])
    assert np.isfinite(x).all()
    assert np.abs(np.linalg.norm(x, axis=1) - 1).max() < 1e-5
    assert len(_model().tokens(text)) >= 2


@functools.cache
def _model() -> encoder.Encoder:
    return loading.load()


def output(data: bytes) -> None:
    """No format lets through what acts on a terminal, and JSON keeps the data."""
    text = data.decode(errors="surrogateescape")  # bytes that are no text come as halves of pairs
    for form in safe_text.FORMATS:
        for screen in (safe_text.PIPE, safe_text.Screen(width=40, unicode=len(data) % 2 == 0)):
            out = "".join(formats.render([a_result(text)], form, screen))
            assert not acting(out, but="\n\t" if form == "tsv" else "\n")
            if form == "json":
                assert json.loads(out)["hits"][0]["title"] == text
            if form in ("csv", "tsv", "jsonl"):
                assert out.count("\n") == (1 if form == "jsonl" else 3)


@functools.cache
def _catalog() -> Path:
    """A small catalog in a home of its own, whole."""
    with at(_folder() / "home"):
        flips.make(_folder() / "flipped.yaml")
        return _folder() / "home" / "flipped"


def _asked(file: Path, data: bytes) -> None:
    """Ask, check and write to the catalog while one of its files holds this; then it is as it was."""
    whole = file.read_bytes()
    file.write_bytes(data)
    try:
        with at(_catalog().parent):
            with contextlib.suppress(AttnsearchError):
                assert flips.answer() == flips.answer()
            with contextlib.suppress(AttnsearchError):
                assert data == whole or check.find_problems(_catalog())
            with contextlib.suppress(AttnsearchError), Writer(_catalog()) as writer:
                writer.take_items([], passages.split_passages)
    finally:
        for left in ("index.sqlite-wal", "index.sqlite-shm", "index.sqlite-journal"):
            (_catalog() / left).unlink(missing_ok=True)
        file.write_bytes(whole)


def sqlite(data: bytes) -> None:
    """A database as it is; or, of bytes that begin with a plus, changes of a whole one: where (2 bytes), what (1)."""
    file = _catalog() / "index.sqlite"
    if data.startswith(b"+"):
        changed = bytearray(file.read_bytes())
        for at_ in range(1, len(data) - 2, 3):
            changed[int.from_bytes(data[at_ : at_ + 2], "little") % len(changed)] = data[at_ + 2]
        data = bytes(changed)
    _asked(file, data)


def segment(data: bytes) -> None:
    _asked(sorted((_catalog() / "segments").iterdir())[0], data)


def seal(data: bytes) -> None:
    _asked(_catalog() / "index.seal", data)


def draft_(data: bytes) -> None:
    """What an interrupted run left is taken as far as it is whole, and goes on from there."""
    (_folder() / "unfinished-x").write_bytes(data)
    with checkpoint.Checkpoint(_folder(), "x") as opened:
        known = len(list(opened.recall()))
        x = np.ones((1, opened.d or 3), np.float32)
        assert opened.append([bytes(32)], x) == known
        assert (opened.embeddings([known]) == x).all()
    with checkpoint.Checkpoint(_folder(), "x") as opened:
        assert len(list(opened.recall())) == known + 1


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__.strip("_"): function
    for function in (
        yaml,
        json_,
        jsonl,
        csv,
        guess,
        judgments_,
        trec,
        where,
        safetensors,
        tokenizer,
        output,
        sqlite,
        segment,
        seal,
        draft_,
    )
}
