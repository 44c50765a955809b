"""The lines of CSV or TSV → records."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator

from attnsearch.errors import InputError
from attnsearch.readers.text_file import LINE, LINE_OVERHEAD
from attnsearch.readers.values import Mapping, Value

COLUMNS = 10_000

_QUOTE = "is a quote left open?"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")  # plain notation, of what may be a number


def read_delimited(lines: Iterable[str], where: str, delimiter: str, as_text: frozenset[str]) -> Iterator[Mapping]:
    """The records of the rows after the header; an empty cell is a field that the record lacks.

    Raises InputError, with `where` and the line, while they are read.
    """
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
            size += len(text) + LINE_OVERHEAD
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
