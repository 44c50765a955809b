"""A file → records with their lines: YAML, JSON, JSONL, CSV, TSV, lines of text and tables, or standard input.

All but YAML and JSON are read as a stream, so that a million records need no more memory than one. YAML and JSON are
read at once, up to `WHOLE` bytes.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attnsearch.errors import InputError
from attnsearch.readers import dialect
from attnsearch.readers.delimited import read_delimited
from attnsearch.readers.raw_file import STDIN, RawFile, check_file, describe_text, inner_name
from attnsearch.readers.text_file import LINE, LINE_OVERHEAD, WHOLE, TextFile, check_encoding
from attnsearch.syntax.formats import AS_FOUND, SUFFIXES, Reading
from attnsearch.syntax.values import Mapping, Records

if TYPE_CHECKING:
    from attnsearch.syntax.names import Names

# The first line of YAML: a list's item, a mark, or a key of letters, or in quotes.
_LIKE_YAML = re.compile(r"""(-|---|%YAML.*|[\w .$@/-]+:|"[^"]*":|'[^']*':|[&!?]\S*)(\s|$)""")
_WITHIN_YAML = re.compile(r"""\s|#|\.\.\.|[]}"',]""")  # how other lines of it begin, if not like its first

log = logging.getLogger("attnsearch")


def read_records(
    source: str,
    *,
    reading: Reading = AS_FOUND,
    names: Names | None = None,
    as_text: frozenset[str] = frozenset(),
    most: int | None = None,
    observe: Callable[[bytes], object] = len,
) -> Records:
    """The records of the file `source`; `-` is standard input.

    `reading.form` is one of `FORMS`; without it, the file's extension decides, or else its first lines. JSON and JSON
    Lines are told apart by their content. Values of the keys in `as_text` stay text as written. For where the records
    of a YAML or JSON file lie, and the head, see `shapes`; `reading.items` is the path to them, and `names` are those
    of the fields by which records are known, by default `names.NAMES`. `most` limits the bytes of the whole file in
    formats that are read as a stream. `observe` gets every byte of the file by the time the records end.

    Raises InputError, with the line if there is one, for whatever is not valid in that format; for formats that are
    read as a stream while the records are read.
    """
    check_file(source)
    if reading.delimiter:
        dialect.parse_delimiter(reading.delimiter)
    if reading.encoding:
        check_encoding(reading.encoding)
    raw = RawFile(source, observe)
    if raw.kind:
        return _read_table(raw, reading)
    if reading.table or reading.sql:
        option = "--table" if reading.table else "--sql"
        raise InputError(f"has no tables, so {option} does not apply", where=raw.where, hint=f"leave out {option}")
    file = TextFile(raw, most=most, encoding=reading.encoding)
    form = reading.form or SUFFIXES.get(Path(inner_name(source)).suffix.lower())
    _refuse_other_forms(raw, form, reading)
    start: list[str] = []
    is_guessed = False
    if form in (None, "json"):
        file.longest = WHOLE  # of a document on a single line
    if form is None and reading.delimiter:
        form = "tsv" if dialect.parse_delimiter(reading.delimiter) == "\t" else "csv"
    elif form is None:
        start, form = _guess_format(file)
        is_guessed = True
    delimiter = _require_delimiter(reading, form, raw.where)
    if form in ("json", "jsonl"):
        with _suggesting_lines(is_guessed=is_guessed):
            return _read_json(file, start, reading, names, is_lines=form == "jsonl")
    file.longest = LINE
    if form != "yaml":
        rows = _read_stream(itertools.chain(start, file), form, delimiter, raw.where, is_given=bool(reading.form))
        return Records(Mapping(), _close_after(raw, rows))
    with closing(raw):
        text = "".join(start) + file.read_rest()
    from attnsearch.readers.shapes import split_documents
    from attnsearch.syntax import yaml12

    with _suggesting_lines(is_guessed=is_guessed):
        documents = yaml12.parse_documents(text, where=raw.where, as_text=as_text | {"", "items"})
    return split_documents(documents, raw.where, reading.items, names)


@contextmanager
def _suggesting_lines(*, is_guessed: bool) -> Iterator[None]:
    """What is invalid in the body may be lines of text, if the format was guessed: the error says so."""
    try:
        yield
    except InputError as error:
        if is_guessed and not error.hint:
            error.hint = "if each line is an item, say --from lines"
        raise


def _refuse_other_forms(raw: RawFile, form: str | None, reading: Reading) -> None:
    """Raise InputError for a text of another program, unless its form was given; `form` is what its name says."""
    if reading.form or reading.delimiter:
        return
    if described := describe_text(raw.head, is_named=form is not None):
        raw.close()
        raise InputError(f"looks like {described[0]}, which is not read", where=raw.where, hint=described[1])


def _read_json(file: TextFile, start: list[str], reading: Reading, names: Names | None, *, is_lines: bool) -> Records:
    """The records of JSON or JSON Lines, of which `start` has the first lines."""
    from attnsearch.readers import json_file
    from attnsearch.readers.shapes import split_documents, split_lines

    with ExitStack() as stack:
        stack.callback(file.raw.close)
        content = json_file.read_json(file, start, is_lines=is_lines)
        if isinstance(content, list):
            return split_documents(content, file.where, reading.items, names)
        stack.pop_all()  # its lines are still to be read
    return Records(Mapping(), _close_after(file.raw, split_lines(content, file.where, reading.items, names)))


def _read_stream(
    lines: Iterable[str], form: str, delimiter: str | None, where: str, *, is_given: bool
) -> Iterator[Mapping]:
    """The records of a format that is read line by line, and that was given or recognized."""
    if form == "lines":
        return _read_titles(lines)
    is_tsv = form == "tsv" and delimiter in (None, "\t")
    return read_delimited(lines, where, delimiter, is_tsv=is_tsv, as_it_stands=is_given)


def read_lines(source: str, *, most: int | None = None) -> Iterator[tuple[int, str]]:
    """The lines of the file `source`, or of standard input, with their numbers; blank lines are skipped.

    For files that are not lists of records. Raises InputError as `read_records` does.
    """
    check_file(source)
    with closing(RawFile(source)) as raw:
        for number, line in enumerate(TextFile(raw, most=most), 1):
            if line.strip():
                yield number, line


def _read_titles(lines: Iterable[str]) -> Iterator[Mapping]:
    """An item for each line that is not blank; the line is its title."""
    for number, line in enumerate(lines, 1):
        if title := line.strip():
            record = Mapping(title=title)
            record.line = number
            yield record


def _require_delimiter(reading: Reading, form: str, where: str) -> str | None:
    """The delimiter that was given. Raises InputError if the format has none."""
    if reading.delimiter is None:
        return None
    if form not in ("csv", "tsv"):
        hint = "leave it out, or say --from csv"
        raise InputError(f"is read as {form}, where --delimiter does not apply", where=where, hint=hint)
    return dialect.parse_delimiter(reading.delimiter)


def _read_table(raw: RawFile, reading: Reading) -> Records:
    """The records of a file of tables. Raises InputError for options that do not apply to it."""
    options = {"--from": reading.form, "--delimiter": reading.delimiter, "--encoding": reading.encoding}
    options |= {"--items": reading.items}
    if raw.kind != "sqlite":
        options |= {"--sql": reading.sql}
    if raw.kind == "parquet":
        options |= {"--table": reading.table}
    what = {"sqlite": "an SQLite database", "parquet": "a Parquet file", "xlsx": "an Excel workbook"}[raw.kind or ""]
    for option, value in options.items():
        if value is not None:
            raise InputError(f"is {what}, where {option} does not apply", where=raw.where, hint=f"leave out {option}")
    if reading.table and reading.sql:
        raise InputError("--table and --sql exclude each other", hint="give one of them")
    if raw.kind == "sqlite":
        from attnsearch.readers import sqlite

        rows = sqlite.read_database(raw, reading.table, reading.sql)
    else:
        from attnsearch.readers import binary_tables

        rows = (
            binary_tables.read_parquet(raw)
            if raw.kind == "parquet"
            else binary_tables.read_workbook(raw, reading.table)
        )
    rows = _close_after(raw, rows)
    start = list(itertools.islice(rows, 1))  # so that a file or a name that is wrong is seen at once
    return Records(Mapping(), itertools.chain(start, rows))


def _close_after(raw: RawFile, records: Iterator[Mapping]) -> Iterator[Mapping]:
    """Yield the records; close their file at the end, even on error."""
    with closing(raw):
        yield from records


def _guess_format(file: TextFile) -> tuple[list[str], str]:
    """Guess a format from the first line with content, or the rows; also returns the lines read so far.

    What a pipe brings is lines if it is nothing else, with a warning. Raises InputError if a file's can't be told.
    """
    start: list[str] = []
    first = ""
    size = 0
    for line in file:
        start.append(line)
        first = line.strip()
        size += len(line) + LINE_OVERHEAD
        if size > LINE or (first and not first.startswith("#")):
            break
    if first.startswith(("[", "{")):
        return start, "json"
    is_like_yaml = not first or first.startswith("#") or bool(_LIKE_YAML.match(first))
    if is_like_yaml and file.where != STDIN:
        return start, "yaml"
    sample = dialect.take_sample(itertools.chain(start, file))
    lines = sample.lines + start[len(sample.lines) :]
    if is_like_yaml and all(_WITHIN_YAML.match(line) or _LIKE_YAML.match(line) for line in sample.lines):
        return lines, "yaml"
    delimiter = dialect.declared_delimiter(start[0]) or dialect.guess_delimiter(sample, file.where)
    form = "tsv" if delimiter == "\t" else "csv"
    if delimiter is None and file.where == STDIN:
        log.warning("%s: reading each line as an item; for another format: --from csv, tsv, yaml, json or jsonl", STDIN)
        form = "lines"
    elif delimiter is None:
        hint = "say it: --from lines if each line is an item, else --from csv, tsv, yaml, json or jsonl"
        raise InputError("can't tell its format", where=file.where, hint=hint)
    return lines, form
