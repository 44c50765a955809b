"""A file or standard input → its text, line by line or at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Self

from attnsearch.errors import InputError
from attnsearch.readers.values import STREAM_HINT

STDIN = "standard input"
WHOLE = 64 << 20  # bytes of a YAML or JSON file
LINE = 16 << 20  # bytes of one line of JSONL, or of one row of CSV or TSV
LINE_OVERHEAD = 64  # bytes of memory that a line takes besides its text
EMPTY = 1_000_000  # blank lines in a row


def source_name(source: str) -> str:
    """The name of `source` for a message."""
    return STDIN if source == "-" else source


def check_file(source: str) -> None:
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


class TextFile:
    """A file or standard input as text: line by line, each with its line break, or the rest at once.

    `longest` is how many bytes a line may have.
    """

    def __init__(self, source: str, most: int | None = None, observe: Callable[[bytes], object] = len) -> None:
        self.most, self.size, self.longest = most, 0, LINE
        self.source, self.where, self.observe = source, source_name(source), observe
        self.line = self.empty = 0
        self.stream: BinaryIO | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        raw = self._open().readline(self.longest + 1)
        self.observe(raw)
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) > self.longest:
            raise self._error(f"a line of more than {self.longest >> 20} MiB", self.line)
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
        """Close the file; standard input stays open."""
        if self.stream and self.source != "-":
            self.stream.close()

    __del__ = close  # of records that nobody read to their end

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
