"""A file → records with their lines: YAML, JSON, JSONL, CSV and TSV, from disk or from standard input.

JSONL, CSV and TSV are read line by line, so a million records need no more memory than one. YAML and JSON
are read whole, up to `WHOLE` bytes.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from attnsearch.errors import InputError
from attnsearch.sources.values import Mapping, Value

FORMS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv",
         ".tsv": "tsv"}  # fmt: skip
STDIN = "standard input"
WHOLE = 64 << 20  # bytes of a YAML or JSON file
LINE = 16 << 20  # bytes of one line of JSONL, or of one row of CSV or TSV
COLUMNS = 10_000
EMPTY = 1_000_000  # lines one after the other

_PER_LINE = 64  # bytes that a line takes beside its text

_QUOTE = "is a quote left open?"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")


class Records(NamedTuple):
    """What a file holds: its records, in order, and the file's own words about itself."""

    head: Mapping
    items: Iterator[Mapping]


def read_records(source: str, *, form: str | None = None, as_text: frozenset[str] = frozenset()) -> Records:
    """The records of the file `source`; `-` is standard input.

    `form` is one of `FORMS`' values; without it the file's name tells, or else its first line. Values of the
    keys named in `as_text` stay as they are written. Records are dicts with a `line`. The head is what stands
    beside `items` where a YAML or JSON file is a mapping, else empty.

    Raises InputError, with the line where there is one, for whatever can't be read as that form; for JSONL,
    CSV and TSV while the records are drawn.
    """
    _check_there(source)
    file = _File(source)
    form = form or FORMS.get(Path(source).suffix.lower())
    head: list[str] = []
    if form is None:
        head, form = _guess(file)
    lines = itertools.chain(head, file)
    match form:
        case "jsonl":
            return Records(Mapping(), _until_closed(file, _jsonl(lines, file.where)))
        case "csv" | "tsv":
            rows = _csv(lines, file.where, "," if form == "csv" else "\t", as_text)
            return Records(Mapping(), _until_closed(file, rows))
    with closing(file):
        text = "".join(head) + file.rest()
    if form == "json":
        from attnsearch.sources import strict_json

        return _records(strict_json.load(text, where=file.where), file.where)
    from attnsearch.sources import yaml12

    return _records(yaml12.load(text, where=file.where, as_text=as_text), file.where)


def read_lines(source: str) -> Iterator[tuple[int, str]]:
    """The lines of the file `source`, or of standard input, that say something, with their numbers.

    For what is no list of records. InputError as by `read`.
    """
    _check_there(source)
    file = _File(source)
    with closing(file):
        yield from ((file.line, line) for line in file if line.strip())


def source_name(source: str) -> str:
    """The name of `source` for a message."""
    return STDIN if source == "-" else source


def _records(document: Value, where: str) -> Records:
    """A document as a list of mappings, or a mapping with such a list under `items`."""
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


def _check_there(source: str) -> None:
    """InputError, before anything else is done, for what can't be a file."""
    path = Path(source)
    if source == "-":
        return
    if path.is_dir():
        raise InputError("is a folder", where=source, hint="name the file inside it")
    if not path.exists():
        raise InputError("no such file", where=source)
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:  # no index, and no JSON, could say where its items come from
        raise InputError("its name is not UTF-8", where=source, hint="rename it, or the folder it is in") from None


class _File:
    """A file or standard input as text: line by line, each with its end, or all that is left of it."""

    def __init__(self, source: str) -> None:
        self.source, self.where = source, source_name(source)
        self.line = self.empty = 0
        self.opened: BinaryIO | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        raw = self._stream().readline(LINE + 1)
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) > LINE:
            raise self._error(f"a line of more than {LINE >> 20} MiB", self.line)
        self.empty = self.empty + 1 if raw.isspace() else 0
        if self.empty > EMPTY:
            raise self._error(f"more than {EMPTY:,} empty lines", self.line)
        return self._text(raw, self.line)

    def rest(self) -> str:
        """What has not been read yet, all at once."""
        raw = self._stream().read(WHOLE + 1)
        if len(raw) > WHOLE:
            hint = "use JSONL or CSV, which are read as a stream"
            raise InputError(f"over {WHOLE >> 20} MiB", where=self.where, hint=hint)
        return self._text(raw, self.line + 1)

    def close(self) -> None:
        if self.opened and self.source != "-":  # stdin is not ours to close
            self.opened.close()

    def _stream(self) -> BinaryIO:
        if self.opened is None:
            try:
                self.opened = sys.stdin.buffer if self.source == "-" else Path(self.source).open("rb")  # noqa: SIM115 (close does)
            except OSError as error:
                raise InputError(f"can't be read: {error.strerror}", where=self.where) from None
        return self.opened

    def _text(self, raw: bytes, line: int) -> str:
        try:
            return (raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw).decode()
        except UnicodeDecodeError as error:
            line += error.object.count(b"\n", 0, error.start)
            raise self._error("not UTF-8", line, "save the file as UTF-8") from None

    def _error(self, message: str, line: int, hint: str = "") -> InputError:
        self.close()
        return InputError(message, where=f"{self.where}:{line}", hint=hint)


def _until_closed(file: _File, items: Iterator[Mapping]) -> Iterator[Mapping]:
    """The items; the file behind them is closed when they end, also by an error."""
    with closing(file):
        yield from items


def _guess(lines: Iterator[str]) -> tuple[list[str], str]:
    """The form of a stream without a telling name, and the lines that told: up to the first with something on it."""
    head: list[str] = []
    first = ""
    size = 0
    for line in lines:
        head.append(line)
        first = line.strip()
        size += len(line) + _PER_LINE
        if size > LINE or (first and not first.startswith("#")):
            break
    form = "yaml"
    if first.startswith("["):
        form = "json"
    elif first.startswith("{"):
        form = "jsonl" if first.endswith("}") else "json"
    elif not re.match(r"(-|---|%YAML.*|[\w ]+:)(\s|$)", first):
        form = "tsv" if "\t" in first else "csv" if "," in first else "yaml"
    return head, form


def _jsonl(lines: Iterator[str], where: str) -> Iterator[Mapping]:
    from attnsearch.sources import strict_json

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = strict_json.loads(line.rstrip(), where=where, line=number)
        if not isinstance(value, Mapping):
            raise InputError("not a JSON object", where=f"{where}:{number}", hint="write one {…} on each line")
        yield value


def _csv(lines: Iterator[str], where: str, delimiter: str, as_text: frozenset[str]) -> Iterator[Mapping]:
    line, size = 1, 0

    def measured() -> Iterator[str]:
        """The lines; a quote that is never closed makes one row of all that follow."""
        nonlocal size
        for text in lines:
            size += len(text) + _PER_LINE
            if size > LINE:
                raise InputError(f"a row of more than {LINE >> 20} MiB", where=f"{where}:{line}", hint=_QUOTE)
            yield text

    csv.field_size_limit(LINE)
    rows = csv.reader(measured(), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise InputError(f"not CSV: {error}", where=f"{where}:{line}") from None
        if row is None:
            return
        if names is None and row:
            names = _columns(row, f"{where}:{line}")
        elif names is not None and row:
            if len(row) != len(names):
                hint = "put a text with a delimiter or a line break in it into double quotes"
                raise InputError(f"{len(row)} cells under {len(names)} columns", where=f"{where}:{line}", hint=hint)
            yield _row(names, row, line, as_text)
        line, size = rows.line_num + 1, 0


def _columns(row: list[str], where: str) -> list[str]:
    if len(row) > COLUMNS:
        raise InputError(f"{len(row):,} columns; at most {COLUMNS:,} can be read", where=where)
    names: dict[str, None] = {}
    for number, name in enumerate(map(str.strip, row), 1):
        if not name:
            raise InputError(f"column {number} has no name", where=where)
        if name in names:
            raise InputError(f"the column '{name}' is there twice", where=where)
        names[name] = None
    return list(names)


def _row(names: Iterable[str], cells: Iterable[str], line: int, as_text: frozenset[str]) -> Mapping:
    """One row; an empty cell is a field that the item lacks."""
    mapping = Mapping((name, _cell(name, cell, as_text)) for name, cell in zip(names, cells, strict=True) if cell)
    mapping.line = line
    return mapping


def _cell(name: str, text: str, as_text: frozenset[str]) -> Value:
    """A number where the text is one, written the plain way; `007`, `1e5` and `nan` stay text."""
    if name == "tags":
        return [tag for part in re.split(r"[,;|]", text) if (tag := part.strip())]
    if name in as_text or not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
