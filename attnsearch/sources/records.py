"""A file → records with their lines: YAML, JSON, JSONL, CSV and TSV, from disk or from standard input.

JSONL, CSV and TSV are read line by line, so that a million records need no more memory than one. YAML and JSON are
read at once, up to `WHOLE` bytes.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from attnsearch.errors import InputError
from attnsearch.sources.values import STREAM_HINT, Mapping, Value

FORMATS = ("yaml", "json", "jsonl", "csv", "tsv")
SUFFIXES = {f".{name}": name for name in FORMATS} | {".yml": "yaml", ".ndjson": "jsonl"}
STDIN = "standard input"
WHOLE = 64 << 20  # bytes of a YAML or JSON file
LINE = 16 << 20  # bytes of one line of JSONL, or of one row of CSV or TSV
COLUMNS = 10_000
EMPTY = 1_000_000  # blank lines in a row

_LINE_OVERHEAD = 64  # bytes of memory that a line takes besides its text

_QUOTE = "is a quote left open?"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")  # plain notation, of what may be a number


class Records(NamedTuple):
    """The content of a file: its records, in order, and the other fields of its top mapping."""

    head: Mapping
    items: Iterator[Mapping]


def read_records(
    source: str,
    *,
    file_format: str | None = None,
    as_text: frozenset[str] = frozenset(),
    most: int | None = None,
    observe: Callable[[bytes], object] = len,
) -> Records:
    """The records of the file `source`; `-` is standard input.

    `file_format` is one of `FORMATS`; without it, the file's extension decides, or else its first line. Values of the
    keys in `as_text` stay text as written. If a YAML or JSON file is a mapping, its records are the list under
    `items`, and the head is the rest of it; otherwise the head is empty. `most` limits the bytes of the whole file in
    formats that are read as a stream. `observe` gets every byte of the file by the time the records end.

    Raises InputError, with the line if there is one, for whatever is not valid in that format; for JSONL, CSV and TSV
    while the records are read.
    """
    _check_file(source)
    file = _TextFile(source, most, observe)
    file_format = file_format or SUFFIXES.get(Path(source).suffix.lower())
    start: list[str] = []
    if file_format is None:
        start, file_format = _guess_format(file)
    lines = itertools.chain(start, file)
    match file_format:
        case "jsonl":
            return Records(Mapping(), _close_after(file, _read_jsonl(lines, file.where)))
        case "csv" | "tsv":
            rows = _read_csv(lines, file.where, "," if file_format == "csv" else "\t", as_text)
            return Records(Mapping(), _close_after(file, rows))
    with closing(file):
        text = "".join(start) + file.read_rest()
    if file_format == "json":
        from attnsearch.sources import strict_json

        return _split_document(strict_json.parse_document(text, where=file.where), file.where)
    from attnsearch.sources import yaml12

    return _split_document(yaml12.parse_document(text, where=file.where, as_text=as_text), file.where)


def read_lines(source: str, *, most: int | None = None) -> Iterator[tuple[int, str]]:
    """The lines of the file `source`, or of standard input, with their numbers; blank lines are skipped.

    For files that are not lists of records. Raises InputError as `read_records` does.
    """
    _check_file(source)
    file = _TextFile(source, most)
    with closing(file):
        yield from ((file.line, line) for line in file if line.strip())


def source_name(source: str) -> str:
    """The name of `source` for a message."""
    return STDIN if source == "-" else source


def _split_document(document: Value, where: str) -> Records:
    """The records of a document: a list of mappings, or a mapping with such a list under `items`."""
    head = Mapping()
    if isinstance(document, Mapping):
        head = document
        if "items" not in head:
            hint = "write a list of items, or a mapping with 'items:'"
            raise InputError("no 'items' in the mapping", where=f"{where}:{head.line}", hint=hint)
        document = head.pop("items")
    if document is None:
        document = []
    if not isinstance(document, list):
        raise InputError("the items are not a list", where=where, hint="begin each with '- '")
    for number, item in enumerate(document, 1):
        if not isinstance(item, Mapping):
            kind = "a list" if isinstance(item, list) else repr(item)[:40]
            hint = "an item is a mapping: its fields and their values"
            raise InputError(f"item {number} is {kind}", where=where, hint=hint)
    return Records(head, iter(document))


def _check_file(source: str) -> None:
    """Raise InputError if `source` is not a file, before anything else is done."""
    path = Path(source)
    if source == "-":
        return
    if path.is_dir():
        raise InputError("is a folder", where=source, hint="name the file inside it")
    if not path.exists():
        raise InputError("no such file", where=source)
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:  # the catalog and its JSON record the path
        raise InputError("its name is not UTF-8", where=source, hint="rename it, or the folder it is in") from None


class _TextFile:
    """A file or standard input as text: line by line, each with its line break, or the rest at once."""

    def __init__(self, source: str, most: int | None = None, observe: Callable[[bytes], object] = len) -> None:
        self.most, self.size = most, 0
        self.source, self.where, self.observe = source, source_name(source), observe
        self.line = self.empty = 0
        self.stream: BinaryIO | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        raw = self._open().readline(LINE + 1)
        self.observe(raw)
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) > LINE:
            raise self._error(f"a line of more than {LINE >> 20} MiB", self.line)
        self.size += len(raw)
        if self.most and self.size > self.most:
            raise self._error(f"the file has over {self.most >> 20} MiB", self.line)
        self.empty = self.empty + 1 if raw.isspace() else 0
        if self.empty > EMPTY:
            raise self._error(f"more than {EMPTY:,} empty lines", self.line)
        return self._decode(raw, self.line)

    def read_rest(self) -> str:
        """Everything not read yet, at once."""
        raw = self._open().read(WHOLE + 1)
        self.observe(raw)
        if len(raw) > WHOLE:
            raise InputError(f"over {WHOLE >> 20} MiB", where=self.where, hint=STREAM_HINT)
        return self._decode(raw, self.line + 1)

    def close(self) -> None:
        if self.stream and self.source != "-":  # stdin is not ours to close
            self.stream.close()

    def _open(self) -> BinaryIO:
        if self.stream is None:
            try:
                self.stream = sys.stdin.buffer if self.source == "-" else Path(self.source).open("rb")  # noqa: SIM115 (close does)
            except OSError as error:
                raise InputError(f"can't be read: {error.strerror}", where=self.where) from None
        return self.stream

    def _decode(self, raw: bytes, line: int) -> str:
        try:
            return (raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw).decode()
        except UnicodeDecodeError as error:
            line += error.object.count(b"\n", 0, error.start)
            raise self._error("not UTF-8", line, "save the file as UTF-8") from None

    def _error(self, message: str, line: int, hint: str = "") -> InputError:
        self.close()
        return InputError(message, where=f"{self.where}:{line}", hint=hint)


def _close_after(file: _TextFile, records: Iterator[Mapping]) -> Iterator[Mapping]:
    """Yield the records; close their file at the end, even on error."""
    with closing(file):
        yield from records


def _guess_format(lines: Iterator[str]) -> tuple[list[str], str]:
    """Guess a format from the first line with content; also returns the lines read so far."""
    start: list[str] = []
    first = ""
    size = 0
    for line in lines:
        start.append(line)
        first = line.strip()
        size += len(line) + _LINE_OVERHEAD
        if size > LINE or (first and not first.startswith("#")):
            break
    if first.startswith("["):
        return start, "json"
    if first.startswith("{"):
        return start, "jsonl" if first.endswith("}") else "json"
    if not re.match(r"(-|---|%YAML.*|[\w ]+:)(\s|$)", first):
        if "\t" in first:
            return start, "tsv"
        if "," in first:
            return start, "csv"
    return start, "yaml"


def _read_jsonl(lines: Iterable[str], where: str) -> Iterator[Mapping]:
    from attnsearch.sources import strict_json

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = strict_json.parse_line(line.rstrip(), where=where, line=number)
        if not isinstance(value, Mapping):
            raise InputError("not a JSON object", where=f"{where}:{number}", hint="write one {…} on each line")
        yield value


def _read_csv(lines: Iterable[str], where: str, delimiter: str, as_text: frozenset[str]) -> Iterator[Mapping]:
    names: list[str] | None = None
    for line, cells in _read_rows(lines, where, delimiter):
        if names is None:
            names = _read_header(cells, f"{where}:{line}")
            continue
        if len(cells) != len(names):
            hint = "put double quotes around a text that contains a delimiter or a line break"
            raise InputError(f"{len(cells)} cells under {len(names)} columns", where=f"{where}:{line}", hint=hint)
        yield _make_record(names, cells, line, as_text)


def _read_rows(lines: Iterable[str], where: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of CSV or TSV that are not blank, each with the line on which it begins."""
    line, size = 1, 0

    def limit_row() -> Iterator[str]:
        """Pass the lines on, up to a limit: an open quote would make one row of all that follow."""
        nonlocal size
        for text in lines:
            size += len(text) + _LINE_OVERHEAD
            if size > LINE:
                raise InputError(f"a row of more than {LINE >> 20} MiB", where=f"{where}:{line}", hint=_QUOTE)
            yield text

    csv.field_size_limit(LINE)
    rows = csv.reader(limit_row(), delimiter=delimiter, strict=True)
    try:
        for cells in rows:
            if cells:
                yield line, cells
            line, size = rows.line_num + 1, 0
    except csv.Error as error:
        raise InputError(f"not CSV: {error}", where=f"{where}:{line}") from None


def _read_header(cells: list[str], where: str) -> list[str]:
    if len(cells) > COLUMNS:
        raise InputError(f"{len(cells):,} columns; at most {COLUMNS:,} are allowed", where=where)
    names: dict[str, None] = {}
    for number, name in enumerate(map(str.strip, cells), 1):
        if not name:
            raise InputError(f"column {number} has no name", where=where)
        if name in names:
            raise InputError(f"two columns are named '{name}'", where=where)
        names[name] = None
    return list(names)


def _make_record(names: Iterable[str], cells: Iterable[str], line: int, as_text: frozenset[str]) -> Mapping:
    """The record of one row; an empty cell is a field that the record lacks."""
    record = Mapping((name, _parse_cell(name, cell, as_text)) for name, cell in zip(names, cells, strict=True) if cell)
    record.line = line
    return record


def _parse_cell(name: str, text: str, as_text: frozenset[str]) -> Value:
    """A number if it would be written exactly so; `007`, `3.10`, `1e5`, `nan` and what is too long stay text."""
    if name == "tags":
        return [tag for part in re.split(r"[,;|]", text) if (tag := part.strip())]
    if name in as_text or not _NUMBER.fullmatch(text):
        return text
    number = float(text) if "." in text else int(text)
    return number if str(number) == text else text
