"""A file → records with their lines: YAML, JSON, JSONL, CSV and TSV, from disk or from standard input.

JSONL, CSV and TSV are read line by line, so that a million records need no more memory than one. YAML and JSON are
read at once, up to `WHOLE` bytes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.readers.delimited import read_delimited
from attnsearch.readers.text_file import LINE, LINE_OVERHEAD, WHOLE, TextFile, check_file
from attnsearch.readers.values import Mapping, Records

if TYPE_CHECKING:
    from attnsearch.readers.names import Names

FORMATS = ("yaml", "json", "jsonl", "csv", "tsv")
SUFFIXES = {f".{name}": name for name in FORMATS} | {
    ".yml": "yaml", ".ndjson": "jsonl", ".geojson": "json", ".jsonld": "json",
}  # fmt: skip


class Reading(NamedTuple):
    """How the files of a catalog are read, as far as a user said it; None leaves it to the file."""

    form: str | None = None
    items: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    glob: str | None = None
    table: str | None = None
    sql: str | None = None


def read_records(
    source: str,
    *,
    reading: Reading | None = None,
    file_format: str | None = None,
    names: Names | None = None,
    as_text: frozenset[str] = frozenset(),
    most: int | None = None,
    observe: Callable[[bytes], object] = len,
) -> Records:
    """The records of the file `source`; `-` is standard input.

    `file_format` is one of `FORMATS`; without it, the file's extension decides, or else its first line. JSON and JSON
    Lines are told apart by their content. Values of the keys in `as_text` stay text as written. For where the records
    of a YAML or JSON file lie, and the head, see `shapes`; `reading.items` is the path to them, and `names` are those
    of the fields by which records are known, by default `names.NAMES`. `most` limits the bytes of the whole file in
    formats that are read as a stream. `observe` gets every byte of the file by the time the records end.

    Raises InputError, with the line if there is one, for whatever is not valid in that format; for JSONL, CSV and TSV
    while the records are read.
    """
    reading = reading or Reading()
    check_file(source)
    file = TextFile(source, most, observe)
    file_format = file_format or reading.form or SUFFIXES.get(Path(source).suffix.lower())
    start: list[str] = []
    if file_format in (None, "json"):
        file.longest = WHOLE  # of a document on a single line
    if file_format is None:
        start, file_format = _guess_format(file)
    if file_format in ("json", "jsonl"):
        from attnsearch.readers import json_file
        from attnsearch.readers.shapes import split_documents, split_lines

        with ExitStack() as stack:
            stack.callback(file.close)
            content = json_file.read_json(file, start, is_lines=file_format == "jsonl")
            if isinstance(content, list):
                return split_documents(content, file.where, reading.items, names)
            stack.pop_all()  # its lines are still to be read
        return Records(Mapping(), _close_after(file, split_lines(content, file.where, reading.items, names)))
    file.longest = LINE
    if file_format in ("csv", "tsv"):
        lines = itertools.chain(start, file)
        rows = read_delimited(lines, file.where, "," if file_format == "csv" else "\t", as_text)
        return Records(Mapping(), _close_after(file, rows))
    with closing(file):
        text = "".join(start) + file.read_rest()
    from attnsearch.readers import yaml12
    from attnsearch.readers.shapes import split_documents

    documents = yaml12.parse_documents(text, where=file.where, as_text=as_text | {"", "items"})
    return split_documents(documents, file.where, reading.items, names)


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
    if first.startswith(("[", "{")):
        return start, "json"
    if not re.match(r"(-|---|%YAML.*|[\w ]+:)(\s|$)", first):
        if "\t" in first:
            return start, "tsv"
        if "," in first:
            return start, "csv"
    return start, "yaml"
