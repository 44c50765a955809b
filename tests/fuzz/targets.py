"""The fuzzers' targets, functions of bytes. Any exception that one raises is a finding."""

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

# Whatever the targets use is imported here, because only that is instrumented: the package imports some of it late.
from attnsearch.encoding import encoder, loading, passages, transformer
from attnsearch.errors import AttnsearchError
from attnsearch.indexing import check, checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.output import formats, safe_text, table  # noqa: F401
from attnsearch.postings import facets, filters
from attnsearch.search.result import Hit, Result
from attnsearch.sources import items, judgments, yaml12  # noqa: F401
from attnsearch.sources.items import Fields
from tests.torture import flips
from tests.torture.verifier import using_home

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def acting(text: str, *, but: str = "\n") -> set[str]:
    """The characters of an output that a terminal would obey rather than show, except those in `but`."""
    return {c for c in text if (unicodedata.category(c) in ("Cc", "Cs") or c in BIDI) and c not in but}


def a_result(text: str) -> Result:
    """A result in which every text is the given one."""
    hit = Hit(1, text, text, 0.5, 0.4, 8.0, text, {text: [text, {text: text}]})
    return Result(text, text, text, 0.05, 3, 0, None, 2.0, 1.0, [hit, hit._replace(title="")])


def assert_is_one_safe_line(problem: AttnsearchError) -> None:
    """Check the message that the command line would print."""
    message = safe_text.error(problem)
    assert message.count("\n") == 1
    assert not acting(message)


def _read_items(data: bytes, form: str | None) -> None:
    """Read a file of items: each can be encoded, stored and printed, or one line says what is wrong."""
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))):
        try:
            for item in items.read_items(["-"], file_format=form).items:
                assert item.text.strip()
                "".join([item.id, item.title, item.description, item.text]).encode()
                json.dumps(item.fields, allow_nan=False, ensure_ascii=False).encode()
        except AttnsearchError as problem:
            assert_is_one_safe_line(problem)


def yaml(data: bytes) -> None:
    _read_items(data, "yaml")


def json_(data: bytes) -> None:
    _read_items(data, "json")


def jsonl(data: bytes) -> None:
    _read_items(data, "jsonl")


def csv(data: bytes) -> None:
    _read_items(data, "csv")
    _read_items(data, "tsv")


def guess(data: bytes) -> None:
    """Standard input, in a format to be guessed from its first line."""
    _read_items(data, None)


def judgments_(data: bytes) -> None:
    """A file of judged requests, in any format."""
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))):
        _read_judgments("-")


def where(data: bytes) -> None:
    """A filter: it is refused in one line, or selects items by any values."""
    text = data.decode(errors="replace")
    try:
        parsed = filters.parse_filter(text)
    except AttnsearchError as problem:
        assert_is_one_safe_line(problem)
        return
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as db,
        contextlib.closing(facets.Collector("f", Fields())) as collector,
    ):
        for key, value in enumerate([*parsed.values, text]):
            collector.add(key, items.Item("i", "t", "", {"f": value}, ""))
        collector.fill(db, "f")
        keys = set(facets.select_keys(db, filters.conditions_of(parsed)).tolist())
    if parsed.op == "=":  # each value is equal to itself; a blank is not a value
        assert keys >= {key for key, value in enumerate(parsed.values) if value.strip()}


def trec(data: bytes) -> None:
    """A file of queries and one of qrels, with a line of === between them."""
    queries, _, qrels = data.partition(b"\n===\n")
    for name, content in (("queries", queries), ("qrels", qrels)):
        (_folder() / name).write_bytes(content)
    with mock.patch.object(logging.getLogger("attnsearch"), "warning"):  # about queries without judgments
        _read_judgments(str(_folder() / "queries"), str(_folder() / "qrels"))


def _read_judgments(*sources: str) -> None:
    """Read judged requests: each has a query and finite grades, or one line says what is wrong."""
    try:
        for request in judgments.read_judgments(*sources):
            assert request.query.strip()
            assert all(0 <= grade < float("inf") for grade in request.grades.values())
            "".join([request.query, *request.grades]).encode()
    except AttnsearchError as problem:
        assert_is_one_safe_line(problem)


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="attnsearch-fuzz-"))


def safetensors(data: bytes) -> None:
    """A safetensors file; bytes that begin with a brace are a header line, which gets its length, and data."""
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
    """Any text: its embedding is a finite unit vector."""
    text = data.decode(errors="ignore")
    x = _model().encode([text, f"{text} moon"])
    assert np.isfinite(x).all()
    assert np.abs(np.linalg.norm(x, axis=1) - 1).max() < 1e-5
    assert len(_model().tokens(text)) >= 2


@functools.cache
def _model() -> encoder.Encoder:
    return loading.load()


def output(data: bytes) -> None:
    """Any text in a result: no format lets through what acts on a terminal, and JSON preserves the text."""
    text = data.decode(errors="surrogateescape")  # invalid bytes become lone surrogates
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
    """A small undamaged catalog in a home of its own."""
    with using_home(_folder() / "home"):
        flips.make(_folder() / "flipped.yaml")
        return _folder() / "home" / "flipped"


def _use_damaged(file: Path, data: bytes) -> None:
    """Query, check and write to the catalog while one of its files holds the data; then restore the file."""
    original = file.read_bytes()
    file.write_bytes(data)
    try:
        with using_home(_catalog().parent):
            with contextlib.suppress(AttnsearchError):
                assert flips.answer() == flips.answer()
            with contextlib.suppress(AttnsearchError):
                assert data == original or check.find_problems(_catalog())
            with contextlib.suppress(AttnsearchError), Writer(_catalog()) as writer:
                writer.take_items([], passages.split_passages)
    finally:
        for name in ("index.sqlite-wal", "index.sqlite-shm", "index.sqlite-journal"):
            (_catalog() / name).unlink(missing_ok=True)
        file.write_bytes(original)


def sqlite(data: bytes) -> None:
    """A database; bytes that begin with a plus are changes to an undamaged one: offset (2 bytes), value (1)."""
    file = _catalog() / "index.sqlite"
    if data.startswith(b"+"):
        changed = bytearray(file.read_bytes())
        for start in range(1, len(data) - 2, 3):
            changed[int.from_bytes(data[start : start + 2], "little") % len(changed)] = data[start + 2]
        data = bytes(changed)
    _use_damaged(file, data)


def segment(data: bytes) -> None:
    _use_damaged(sorted((_catalog() / "segments").iterdir())[0], data)


def seal(data: bytes) -> None:
    _use_damaged(_catalog() / "index.seal", data)


def draft_(data: bytes) -> None:
    """A checkpoint of an interrupted run: its undamaged entries are used, and new ones follow them."""
    (_folder() / "unfinished-x").write_bytes(data)
    with checkpoint.Checkpoint(_folder(), "x") as interrupted:
        count = len(list(interrupted.recall()))
        x = np.ones((1, interrupted.d or 3), np.float32)
        assert interrupted.append([bytes(32)], x) == count
        assert (interrupted.embeddings([count]) == x).all()
    with checkpoint.Checkpoint(_folder(), "x") as resumed:
        assert len(list(resumed.recall())) == count + 1


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
