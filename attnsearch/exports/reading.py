"""A file → an export, if it is one: by what is in it, not by its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from attnsearch.exports import arrays, json_lines, parquet
from attnsearch.exports.form import Entry, Header
from attnsearch.readers.binary_tables import whole_or_own
from attnsearch.readers.raw_file import RawFile, check_file

_HEAD = 64  # bytes that tell what comes through a pipe


class Export(NamedTuple):
    """What a file says of its catalog, and the items in it, which are checked as they are read."""

    header: Header
    entries: Iterator[Entry]


def open_export(source: str, observe: Callable[[bytes], object] = len) -> Export | None:
    """The export in a file, or in standard input, which is `-`; None if it is something else.

    `observe` gets every byte of the file by the time that the items end. Raises InputError for a damaged export; of a
    damaged item, when that is read.
    """
    form = _recognize_pipe() if source == "-" else _recognize(source)
    if form is None:
        return None
    raw = RawFile(source, observe)
    try:
        if form == "lines":
            header, entries = json_lines.read_lines(raw)
        else:
            read = arrays.read_arrays if form == "arrays" else parquet.read_parquet
            header, entries = read(whole_or_own(raw), raw.where)
    except BaseException:
        raw.close()
        raise
    return Export(header, _close_after(raw, entries))


Form = Literal["lines", "arrays", "parquet"]


def _recognize(source: str) -> Form | None:
    """The form of the export in a file; None if it is none, or a folder."""
    if Path(source).is_dir():
        return None
    check_file(source)
    with closing(RawFile(source)) as raw:
        if form := _recognize_head(raw.head):
            return form
        return "parquet" if raw.kind == "parquet" and raw.own and parquet.is_export(raw.own) else None


def _recognize_pipe() -> Form | None:
    """The form of the export in standard input, from which nothing is taken."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        return None
    if hasattr(stream, "peek"):
        return _recognize_head(stream.peek(_HEAD))
    if not stream.seekable():
        return None
    position = stream.tell()
    head = stream.read(_HEAD)
    stream.seek(position)
    return _recognize_head(head)


def _recognize_head(head: bytes) -> Form | None:
    if head.startswith(json_lines.START):
        return "lines"
    return "arrays" if arrays.is_archive(head) else None


def _close_after(raw: RawFile, entries: Iterator[Entry]) -> Iterator[Entry]:
    with closing(raw):
        yield from entries
        raw.drain()  # what a zip has after its last member was not observed yet
