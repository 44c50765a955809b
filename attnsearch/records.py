"""A file → records with their lines: YAML, JSON, JSONL, CSV and TSV, from disk or from standard input.

JSONL, CSV and TSV are read line by line, so a million records need no more memory than one. YAML and JSON
are read whole, up to `WHOLE` bytes.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.values import Mapping, Value

FORMS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv",
         ".tsv": "tsv"}  # fmt: skip
STDIN = "standard input"
WHOLE = 64 << 20  # bytes of a YAML or JSON file
LINE = 16 << 20  # bytes of one line of JSONL, CSV or TSV

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")


class Records(NamedTuple):
    """What a file holds: its records, in order, and the file's own words about itself."""

    head: Mapping
    items: Iterator[Mapping]


def read(source: str, *, form: str | None = None, as_text: frozenset[str] = frozenset()) -> Records:
    """The records of the file `source`; `-` is standard input.

    `form` is one of `FORMS`' values; without it the file's name tells, or else its first line. Values of the
    keys named in `as_text` stay as they are written. Records are dicts with a `line`. The head is what stands
    beside `items` where a YAML or JSON file is a mapping, else empty.

    Raises InputError, with the line where there is one, for whatever can't be read as that form; for JSONL,
    CSV and TSV while the records are drawn.
    """
    _check_there(source)
    where = place(source)
    file = _lines(source)
    form = form or FORMS.get(Path(source).suffix.lower())
    lines: Iterator[str] = file
    if form is None:
        lines, form = _guess(file)
    match form:
        case "jsonl":
            return Records(Mapping(), _until_closed(file, _jsonl(lines, where)))
        case "csv" | "tsv":
            return Records(Mapping(), _until_closed(file, _csv(lines, where, "," if form == "csv" else "\t", as_text)))
    with closing(file):
        text = _whole(lines, where)
    if form == "json":
        from attnsearch import strict_json

        return _records(strict_json.load(text, where=where), where)
    from attnsearch import yaml12

    return _records(yaml12.load(text, where=where, as_text=as_text), where)


def place(source: str) -> str:
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
            hint = "an item is a mapping with a title and a description"
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


def _lines(source: str) -> Generator[str, None, None]:
    """The lines of `source`, decoded, with their ends."""
    where = place(source)
    try:
        stream = sys.stdin.buffer if source == "-" else Path(source).open("rb")  # noqa: SIM115 (the next line but two closes it)
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", where=where) from None
    with nullcontext(stream) if source == "-" else stream:  # stdin is not ours to close
        for number in itertools.count(1):
            raw = stream.readline(LINE + 1)
            if not raw:
                return
            if len(raw) > LINE:
                raise InputError(f"a line of more than {LINE >> 20} MiB", where=f"{where}:{number}")
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                yield raw.decode()
            except UnicodeDecodeError:
                hint = "save the file as UTF-8"
                raise InputError("not UTF-8", where=f"{where}:{number}", hint=hint) from None


def _until_closed(lines: Generator[str, None, None], items: Iterator[Mapping]) -> Iterator[Mapping]:
    """The items; the file behind them is closed when they end, also by an error."""
    with closing(lines):
        yield from items


def _whole(lines: Iterator[str], where: str) -> str:
    parts = []
    size = 0
    for line in lines:
        size += len(line)
        if size > WHOLE:
            raise InputError(
                f"over {WHOLE >> 20} MiB", where=where, hint="use JSONL or CSV, which are read as a stream"
            )
        parts.append(line)
    return "".join(parts)


def _guess(lines: Iterator[str]) -> tuple[Iterator[str], str]:
    """The form of a stream without a telling name, from its first line with something on it."""
    head = []
    first = ""
    for line in lines:
        head.append(line)
        first = line.strip()
        if first and not first.startswith("#"):
            break
    form = "yaml"
    if first.startswith("["):
        form = "json"
    elif first.startswith("{"):
        form = "jsonl" if first.endswith("}") else "json"
    elif not re.match(r"(-|---|%YAML.*|[\w ]+:)(\s|$)", first):
        form = "tsv" if "\t" in first else "csv" if "," in first else "yaml"
    return itertools.chain(head, lines), form


def _jsonl(lines: Iterator[str], where: str) -> Iterator[Mapping]:
    from attnsearch import strict_json

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = strict_json.loads(line.rstrip(), where=where, line=number)
        if not isinstance(value, Mapping):
            raise InputError("not a JSON object", where=f"{where}:{number}", hint="write one {…} on each line")
        yield value


def _csv(lines: Iterator[str], where: str, delimiter: str, as_text: frozenset[str]) -> Iterator[Mapping]:
    csv.field_size_limit(LINE)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    line = 1
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
        line = rows.line_num + 1


def _columns(row: list[str], where: str) -> list[str]:
    names = [name.strip() for name in row]
    for at, name in enumerate(names):
        if not name:
            raise InputError(f"column {at + 1} has no name", where=where)
        if name in names[:at]:
            raise InputError(f"the column '{name}' is there twice", where=where)
    return names


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
