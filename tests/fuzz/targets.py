"""The fuzzers' targets, functions of bytes. Any exception that one raises is a finding."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from csv import QUOTE_ALL
from csv import writer as csv_writer
from pathlib import Path
from unittest import mock

import numpy as np

# Whatever the targets use is imported here, because only that is instrumented: the package imports some of it late.
import attnsearch.api.feedback
import attnsearch.cli.app
import attnsearch.cli.mistakes
import attnsearch.cluster.publication
import attnsearch.commands.catalogs
import attnsearch.commands.eval
import attnsearch.commands.feedback
import attnsearch.commands.query
import attnsearch.engines.bias
import attnsearch.engines.covariance
import attnsearch.evaluation.significance
import attnsearch.learning.training
import attnsearch.networks.bert
import attnsearch.networks.modernbert
import attnsearch.output.catalogs
import attnsearch.output.evaluation
import attnsearch.output.ranking
import attnsearch.output.training
import attnsearch.readers.folder
import attnsearch.readers.sqlite
import attnsearch.search.readout
import attnsearch.sources.kinds
import attnsearch.upkeep.removal  # noqa: F401
from attnsearch import cli
from attnsearch.calibration import fit_file
from attnsearch.encoding import encoder, loading, passages, static  # noqa: F401
from attnsearch.errors import AttnsearchError, CatalogError
from attnsearch.exports import arrays, json_lines, parquet, reading  # noqa: F401
from attnsearch.exports.form import header_as_json, item_as_json
from attnsearch.indexing import check, checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.models.model import Model
from attnsearch.networks import safetensors, weights
from attnsearch.networks.coverage import coverage_of
from attnsearch.networks.table import find_layout
from attnsearch.output import formats, safe_text, table  # noqa: F401
from attnsearch.postings import conditions, field, filters
from attnsearch.readers import binary_tables, dialect, documents, json_file, records, shapes  # noqa: F401
from attnsearch.search.result import Hit, Result
from attnsearch.sources import items, judgments, markup
from attnsearch.storage import checksum, files
from attnsearch.storage.files import FEEDBACK, LEARNED
from attnsearch.syntax import strict_json, yaml12  # noqa: F401
from attnsearch.syntax.formats import Reading
from attnsearch.syntax.values import content_of
from attnsearch.teaching import feedback
from tests.encoding import tiny
from tests.postings.parts import values_of
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
    stdin = mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with stdin, mock.patch.object(logging.getLogger("attnsearch"), "warning"):  # about columns without names
        try:
            for item in items.read_items(["-"], reading=Reading(form)).items:
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


def dialect_(data: bytes) -> None:
    """Lines of CSV, the delimiter to be found: the rows that are read are read again from what csv writes of them."""
    text = data.decode(errors="ignore").replace("\0", "")
    lines = list(io.StringIO(text, newline="\n"))
    for delimiter in dialect.DELIMITERS:
        for is_open in (False, True):
            for line in lines:
                assert dialect.close_gaps(line, delimiter, is_open=is_open).replace(" ", "") == line.replace(" ", "")
    try:
        delimiter = dialect.find_delimiter(dialect.take_sample(lines), "x")
        rows = [cells for _, cells in dialect.read_csv(lines, "x", delimiter) if any(cells)]
    except AttnsearchError as problem:
        assert_is_one_safe_line(problem)
        return
    out = io.StringIO(newline="")
    csv_writer(out, delimiter=delimiter, quoting=QUOTE_ALL).writerows(rows)
    again = dialect.read_csv(io.StringIO(out.getvalue(), newline="\n"), "x", delimiter)
    assert [cells for _, cells in again] == rows


def tables_(data: bytes) -> None:
    """A workbook, a Parquet file or a database, by its first bytes."""
    path = _folder() / "tables"
    path.write_bytes(data)
    with mock.patch.object(logging.getLogger("attnsearch"), "warning"):  # about bytes, and about the only table
        try:
            for record in records.read_records(str(path)).items:
                json.dumps(record, allow_nan=False, ensure_ascii=False).encode()
        except AttnsearchError as problem:
            assert_is_one_safe_line(problem)


def exports_(data: bytes) -> None:
    """An export, by its first bytes: each item is one that could be written again, or one line says what is wrong."""
    path = _folder() / "export"
    path.write_bytes(data)
    try:
        if export := reading.open_export(str(path)):
            header_as_json(export.header)
            for entry in export.entries:
                assert entry.x.shape == (len(entry.starts), export.header.d)
                assert np.isfinite(entry.x).all()
                json.dumps(item_as_json(entry), allow_nan=False, ensure_ascii=False).encode()
    except AttnsearchError as problem:
        assert_is_one_safe_line(problem)


def guess(data: bytes) -> None:
    """Standard input, in a format to be guessed from its first line."""
    _read_items(data, None)


def markdown(data: bytes) -> None:
    """A Markdown file with or without front matter: its record has a title, and can be stored."""
    text = data.decode(errors="ignore")
    try:
        record = documents.read_document(text, "a/b.md", "a/b.md")
    except AttnsearchError as problem:
        assert_is_one_safe_line(problem)
        return
    assert record["path"]
    # JSON has six bytes for a control character, and its title and its text may be the same.
    assert len(json.dumps(record, allow_nan=False, ensure_ascii=False).encode()) < 12 * len(data) + 1000


def html(data: bytes) -> None:
    """Any text: what is shown of it can be encoded, and is the text itself if it has no markup."""
    text = data.decode(errors="ignore")
    plain = markup.to_text(text)
    plain.encode()
    assert text == plain or "<" in text or "&" in text


def judgments_(data: bytes) -> None:
    """A file of judged requests, in any format."""
    with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))):
        _read_judgments("-")


def where(data: bytes) -> None:
    """A tree of filters and, after ===, the values of a field: refused in one line, or each filter selects items."""
    asked, _, listed = data.decode(errors="replace").partition("\n===\n")
    try:
        tree = filters.parse_filter(asked)
    except AttnsearchError as problem:
        assert_is_one_safe_line(problem)
        return
    conditions.spell(tree)
    leaves = list(conditions.filters_of(tree))
    values = [*listed.split("\n"), *(value for leaf in leaves for value in leaf.values)]
    with values_of("f", [items.Item("i", "t", "", {"f": value}, "") for value in values]) as opened:
        kind = opened.kind
        opened.read_measured()
        if kind.unread:
            field.describe_unread(opened, kind)
        for leaf in leaves:
            field.find_near_value(opened, asked)
            try:
                field.check_filter(opened, leaf)
                keys = set(opened.select_keys(conditions.conditions_of(leaf, kind)).tolist())
            except AttnsearchError as problem:
                assert_is_one_safe_line(problem)
                continue
            if leaf.op == "=":  # each value is equal to itself, if it is one
                contents = {content_of(value) for value in leaf.values} - {None}
                assert keys >= {key for key, value in enumerate(values) if content_of(value) in contents}


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


def _with_length(data: bytes) -> bytes:
    """The bytes of a safetensors file; those that begin with a brace are a header line, which gets its length."""
    if not data.startswith(b"{"):
        return data
    header, _, rest = data.partition(b"\n")
    return len(header).to_bytes(8, "little") + header + rest


def safetensors_(data: bytes) -> None:
    """A safetensors file, see `_with_length`."""
    data = _with_length(data)
    file = _folder() / "model.safetensors"
    file.write_bytes(data)
    with contextlib.suppress(AttnsearchError):
        for x in weights.read_weights(file).values():
            assert x.dtype.kind in "fiu"
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


MODEL_FILES = {
    "config": "config.json",
    "modules": "modules.json",
    "pooling": "1_Pooling/config.json",
    "limits": "sentence_bert_config.json",
    "spelling": "tokenizer_config.json",
    "dense": "2_Dense/config.json",
    "map": "2_Dense/model.safetensors",
    "tokenizer": "tokenizer.json",
    "weights": "model.safetensors",
    "table config": "config.json",
    "table modules": "modules.json",
    "table tokenizer": "tokenizer.json",
    "table weights": "model.safetensors",
}


def model(data: bytes) -> None:
    """One file of a model's folder, or of a table's, named on the first line.

    The model embeds unit vectors, or one line refuses it. One only for sentence-transformers is not read here.
    """
    name, _, content = data.partition(b"\n")
    file = MODEL_FILES.get(name.decode(errors="replace"))
    if file is None:
        return
    folder = _folder() / "model"
    shutil.rmtree(folder, ignore_errors=True)  # with what another input left there
    (tiny.table if name.startswith(b"table ") else tiny.bert)(folder)
    if file.startswith("2_Dense"):
        tiny.add_dense(folder)
    (folder / file).write_bytes(_with_length(content) if file.endswith(".safetensors") else content)
    if coverage_of(folder) is None and find_layout(Model(str(folder), folder)) is None:
        return
    try:
        loaded = loading.load(str(folder), offline=True)
        assert loaded.model.sha256
        x = loaded.encode(["moon sea", "robot"])
        assert np.isfinite(x).all()
        assert np.abs(np.linalg.norm(x, axis=1) - 1).max() < 1e-5
        assert len(loaded.spans("moon sea")) <= len(loaded.tokens("moon sea"))
    except AttnsearchError as problem:
        assert_is_one_safe_line(problem)


@contextlib.contextmanager
def _putting(name: str, data: bytes) -> Iterator[Path]:
    """The folder of the undamaged catalog, with this file in it while the body runs."""
    file = _catalog() / name
    file.write_bytes(data)
    try:
        with using_home(_catalog().parent):
            yield _catalog()
    finally:
        file.unlink()


def _run(*argv: str) -> int:
    """Run a command line: it is done, or one line says what is wrong; its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = int(cli.main(argv))
    assert code in (0, 2, 3), err.getvalue()
    assert not acting(out.getvalue() + err.getvalue(), but="\n\t")
    assert (err.getvalue().count("\n") == 1) == bool(code), err.getvalue()
    return code


def learned_(data: bytes) -> None:
    """What a catalog has learned; bytes that begin with a brace are its members, which get the right checksum.

    A query uses it or is refused, and the check refuses whatever a query does.
    """
    if data.startswith(b"{"):
        members, w = data.decode(errors="replace"), np.eye(4, dtype=np.float32)
        arrays = {"w": w, "x": w[:2]} if '"memory"' in members else {"w": w}
        cells = [cell for array in arrays.values() for cell in (str(list(array.shape)), array.tobytes())]
        members_sum = checksum.row_checksum(members, *cells)
        data = safetensors.pack(arrays, {"attnsearch": members, "sum": str(members_sum)})
    with _putting(LEARNED, data) as folder:
        try:
            assert flips.answer() == flips.answer()
        except CatalogError as problem:
            assert_is_one_safe_line(problem)
            assert check.find_problems(folder)
        except AttnsearchError as problem:
            assert_is_one_safe_line(problem)
        _run("info", "flipped")
        _run("info", "flipped", "--json")


def fit_(data: bytes) -> None:
    """What was fitted to an encoder; bytes that are a mapping in JSON are its members, which get the right checksum.

    A query uses it, or does without it and says so.
    """
    with contextlib.suppress(ValueError, RecursionError):
        members = json.loads(data)
        if isinstance(members, dict):
            data = json.dumps({"fit": members, "sum": fit_file._compute_checksum(members)}).encode()
    silence = mock.patch.object(logging.getLogger("attnsearch"), "warning")
    with using_home(_catalog().parent), silence:
        file = files.fit_file("5" * 64)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        try:
            assert flips.answer() == flips.answer()
            _run("info", "flipped")
            _run("info", "flipped", "--json")
        finally:
            file.unlink()


def feedback_(data: bytes) -> None:
    """Feedback: it is listed, and a judgment is added to it, or one line says where it is wrong."""
    with _putting(FEEDBACK, data) as folder:
        try:
            before = feedback.read_feedback(folder)
        except AttnsearchError as problem:
            assert_is_one_safe_line(problem)
            assert _run("feedback", "--list", "-c", "flipped") == 2
            return
        assert _run("feedback", "--list", "-c", "flipped") == 0
        assert _run("feedback", "--list", "-c", "flipped", "--json") == 0
        try:
            feedback.add_judgment(folder, "a new request", {"a": 1})
        except AttnsearchError as problem:
            assert_is_one_safe_line(problem)
            assert feedback.read_feedback(folder) == before
            return
        after = {judged.query: judged.grades for judged in feedback.read_feedback(folder)}
        assert after.pop("a new request")["a"] == 1
        assert {" ".join(judged.query.split()) for judged in before} - {"a new request"} <= after.keys()


OPTIONS = (
    *("temperature", "top-k", "top-p", "min-weight", "min-score", "lexical", "prior", "where", "value", "format"),
    *("projections", "catalog"),
)


def options(data: bytes) -> None:
    """The name of an option, and its value on the next line: a query is answered, or refused in one line."""
    name, _, raw = data.partition(b"\n")
    value = raw.replace(b"\0", b"").decode(errors="surrogateescape")  # as an argument of a process
    option = name.decode(errors="replace")
    if option == "compare":
        with using_home(_catalog().parent):
            _run("eval", str(_judged()), "-c", "flipped", f"--compare={value}", "-q")
    elif option in OPTIONS:
        catalog = () if option == "catalog" else ("-c", "flipped")
        with using_home(_catalog().parent):
            code = _run("query", "moon", *catalog, f"--{option}={value}", "-q")
        assert code != 3 or option == "catalog"


@functools.cache
def _judged() -> Path:
    (_folder() / "judged.jsonl").write_text('{"query": "moon", "relevant": ["a"]}\n')
    return _folder() / "judged.jsonl"


LENGTH = 20_000  # bytes of an input, at most
LENGTHS = {"model": 4 << 20, "learned": 4 << 20, "feedback": 4 << 20, "options": 128 << 10}
"""Other limits: of files that are read as a whole, and of an argument, which Linux gives no more."""

TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__.strip("_"): function
    for function in (
        yaml,
        json_,
        jsonl,
        csv,
        dialect_,
        tables_,
        exports_,
        guess,
        markdown,
        html,
        judgments_,
        trec,
        where,
        safetensors_,
        tokenizer,
        output,
        sqlite,
        segment,
        seal,
        draft_,
        model,
        learned_,
        fit_,
        feedback_,
        options,
    )
}
