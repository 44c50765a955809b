"""A file → records with their lines: YAML, JSON, JSONL, CSV and TSV, from disk or from standard input.

JSONL, CSV and TSV are read line by line, so that a million records need no more memory than one. YAML and JSON are
read at once, up to `WHOLE` bytes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from attnsearch.errors import InputError
from attnsearch.readers.delimited import read_delimited
from attnsearch.readers.shapes import Records, split_document
from attnsearch.readers.text_file import LINE, LINE_OVERHEAD, TextFile, check_file
from attnsearch.readers.values import Mapping

FORMATS = ("yaml", "json", "jsonl", "csv", "tsv")
SUFFIXES = {f".{name}": name for name in FORMATS} | {".yml": "yaml", ".ndjson": "jsonl"}


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
    check_file(source)
    file = TextFile(source, most, observe)
    file_format = file_format or SUFFIXES.get(Path(source).suffix.lower())
    start: list[str] = []
    if file_format is None:
        start, file_format = _guess_format(file)
    lines = itertools.chain(start, file)
    match file_format:
        case "jsonl":
            return Records(Mapping(), _close_after(file, _read_jsonl(lines, file.where)))
        case "csv" | "tsv":
            rows = read_delimited(lines, file.where, "," if file_format == "csv" else "\t", as_text)
            return Records(Mapping(), _close_after(file, rows))
    with closing(file):
        text = "".join(start) + file.read_rest()
    if file_format == "json":
        from attnsearch.readers import strict_json

        return split_document(strict_json.parse_document(text, where=file.where), file.where)
    from attnsearch.readers import yaml12

    return split_document(yaml12.parse_document(text, where=file.where, as_text=as_text), file.where)


def read_lines(source: str, *, most: int | None = None) -> Iterator[tuple[int, str]]:
    """The lines of the file `source`, or of standard input, with their numbers; blank lines are skipped.

    For files that are not lists of records. Raises InputError as `read_records` does.
    """
    check_file(source)
    file = TextFile(source, most)
    with closing(file):
        yield from ((file.line, line) for line in file if line.strip())


def _close_after(file: TextFile, records: Iterator[Mapping]) -> Iterator[Mapping]:
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
        size += len(line) + LINE_OVERHEAD
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
    from attnsearch.readers import strict_json

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = strict_json.parse_line(line.rstrip(), where=where, line=number)
        if not isinstance(value, Mapping):
            raise InputError("not a JSON object", where=f"{where}:{number}", hint="write one {…} on each line")
        yield value
