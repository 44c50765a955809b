"""A file or standard input → its text, line by line or at once.

The encoding is UTF-8, or the one of the byte order mark, or the given one. Nothing is replaced: the error for other
bytes counts the lines that have them, and shows how one would read in the likeliest encoding.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator

from attnsearch.errors import InputError
from attnsearch.readers.raw_file import HEAD, RawFile, describe
from attnsearch.syntax.nearest import find_nearest
from attnsearch.syntax.values import STREAM_HINT

WHOLE = 64 << 20  # bytes of a YAML or JSON file
LINE = 16 << 20  # characters of one line of JSONL, or of one row of CSV or TSV
LINE_OVERHEAD = 64  # bytes of memory that a line takes besides its text
EMPTY = 1_000_000  # blank lines in a row

_MARKS = {
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
_NO_TEXT = {"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"}  # not for files


class TextFile:
    """A file as text: line by line, each with its line break, or the rest at once.

    A line ends with a line feed; with a carriage return, if the first line does and there is no line feed before it.

    `most` is in bytes. Raises InputError, with the line, for what is not text in the encoding, or too long.
    """

    def __init__(self, raw: RawFile, *, most: int | None = None, encoding: str | None = None) -> None:
        self.raw, self.where, self.most, self.size = raw, raw.where, most, 0
        self.encoding = _choose_encoding(raw.head, encoding, raw.where)
        if self.encoding == "utf-8" and (described := describe(raw.head)):
            raise InputError(f"is {described[0]}", where=raw.where, hint=described[1])
        self.longest = LINE  # characters of a line
        self.line = 0  # lines in the pieces decoded so far
        self.plain = True  # whether all of them are ASCII
        self.end = "\n"
        self.pending: list[str] = []  # pieces of the line that is not complete
        self.ready: Iterator[str] = iter(())  # lines of the last piece
        self.pieces = self._decode()
        self.lines = self._split()

    def __iter__(self) -> Iterator[str]:
        return self.lines

    def read_rest(self) -> str:
        """Everything not read yet, at once."""
        self.most, hint = self.most or WHOLE, STREAM_HINT
        start = [*self.ready, *self.pending]
        self.pending = []
        try:
            return "".join([*start, *self.pieces])
        except _TooLargeError:
            raise InputError(f"over {self.most >> 20} MiB", where=self.where, hint=hint) from None

    def _split(self) -> Iterator[str]:
        """The lines. What reads them in a loop runs without a step of ours for each."""
        length = 0
        blank = 0
        try:
            for text in self.pieces:
                if self.end not in text:
                    self.pending.append(text)
                    length += len(text)
                    if length > self.longest:
                        raise self._error(f"a line of more than {self.longest >> 20} MiB", self.line + 1)
                    continue
                blank = blank + text.count(self.end) if text.isspace() else 0
                if blank > EMPTY:
                    raise self._error(f"more than {EMPTY:,} empty lines", self.line)
                whole, end, rest = "".join([*self.pending, text]).rpartition(self.end)
                self.pending, length = [rest] if rest else [], len(rest)
                self.ready = iter(_split_lines(whole + end, end))
                yield from self.ready
        except _TooLargeError:
            raise self._error(f"the file has over {(self.most or 0) >> 20} MiB", self.line) from None
        if self.pending:
            self.ready = iter(["".join(self.pending)])
            self.pending = []
            yield from self.ready

    def _decode(self) -> Iterator[str]:
        """The text, piece by piece."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        first = True
        while True:
            piece = self.raw.stream.read(HEAD)
            self.size += len(piece)
            if self.most and self.size > self.most:
                raise _TooLargeError
            try:
                text = decoder.decode(piece, not piece)
            except UnicodeDecodeError as error:
                if first:
                    self._choose_end(error.object.decode(self.encoding, "replace"))
                yield from self._decode_start(error)
                raise self._encoding_error(error) from None
            except UnicodeError as error:
                raise self._error(f"not {self.name}: {error}", self.line + 1) from None
            if first:
                text = text.removeprefix("\ufeff")
                self._choose_end(text)
                first = False
            if "\0" in text:
                line = self.line + 1 + text.count(self.end, 0, text.index("\0"))
                raise self._binary_error() or self._error("has a NUL byte", line, "is it a text file?")
            if text:
                yield text
            self.line += text.count(self.end)
            self.plain = self.plain and text.isascii()
            if not piece:
                return

    def _choose_end(self, start: str) -> None:
        """Find out what ends a line, from the start of the text."""
        if "\n" not in start and "\r" in start[:-1]:
            self.end = "\r"

    def _decode_start(self, error: UnicodeDecodeError) -> Iterator[str]:
        """The lines before the wrong byte, for those who can use a part of a file."""
        if self.name != "UTF-8":
            return
        text = error.object[: error.object.rfind(self.end.encode(), 0, error.start) + 1].decode()
        self.plain = self.plain and text.isascii()
        self.line += text.count(self.end)
        if text:
            yield text

    @property
    def name(self) -> str:
        """The name of the encoding for a message."""
        return "UTF-8" if self.encoding.startswith("utf-8") else self.encoding

    def _binary_error(self) -> InputError | None:
        """The error for a file that holds no text; None if that can't be told."""
        head = self.raw.head
        self.raw.close()
        odd, even = head[1::2].count(0), head[::2].count(0)  # the upper halves of Latin letters, or the lower ones
        for name, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
            if zeros > len(head) / 5 > others * 5 and self.encoding[:6] not in ("utf-16", "utf-32"):
                hint = f"if that is right, say --encoding {name}"
                return InputError("seems to be UTF-16 without a byte order mark", where=self.where, hint=hint)
        return None

    def _encoding_error(self, error: UnicodeDecodeError) -> InputError:
        """The error for bytes that are not text in the encoding, with how many lines have such."""
        line = self.line + 1
        if self.name != "UTF-8":
            line += error.object[: error.start].decode(self.encoding, "replace").count(self.end)
            message = f"not {self.name}: {error.reason}"
            return self._binary_error() or self._error(message, line, "try another --encoding")
        start = error.object.rfind(self.end.encode(), 0, error.start) + 1
        rest = error.object[start:] + self.raw.stream.read(WHOLE)
        if problem := self._binary_error():
            return problem
        wrong, others = [], 0
        for raw in rest.splitlines():
            try:
                others += not raw.decode().isascii()
            except UnicodeDecodeError:
                wrong.append(raw)
        more = f"; {len(wrong) - 1:,} more lines are not" if len(wrong) > 1 else ""
        if (others or not self.plain) and len(wrong) <= others + 1:  # mostly UTF-8: a few bytes are damaged
            bad = error.object[error.start : error.end].hex(" ")
            hint = f"other lines are: mend it, or drop such bytes with iconv -c -f utf-8 -t utf-8 ({bad} here)"
        else:
            name = _likely_encoding(b"\n".join(wrong))
            position = error.start - start
            text = wrong[0][max(position - 12, 0) : position + 12].decode(name, "replace")
            hint = f"save the file as UTF-8, or say what it is: with --encoding {name}, it reads '{text.strip()}' there"
        return self._error(f"not UTF-8{more}", line, hint)

    def _error(self, message: str, line: int, hint: str = "") -> InputError:
        self.raw.close()
        return InputError(message, where=f"{self.where}:{line}", hint=hint)


class _TooLargeError(Exception):
    """The file has more bytes than allowed."""


def _split_lines(text: str, end: str) -> list[str]:
    """The lines of a text, each with its end: only that one ends a line, where str.splitlines knows ten."""
    if end == "\n":
        return io.StringIO(text, newline="\n").readlines()
    return [f"{line}\r" for line in text[:-1].split("\r")]


def _choose_encoding(head: bytes, given: str | None, where: str) -> str:
    """The codec for a file that begins with `head`, by the user's word and the byte order mark."""
    marked = next((codec for mark, codec in _MARKS.items() if head.startswith(mark)), None)
    if given is None:
        return marked or "utf-8"
    name = check_encoding(given)
    if marked and name.removesuffix("-sig") not in (marked, marked[:6]):
        hint = "leave out --encoding, or remove the mark"
        message = f"begins with the byte order mark of {marked.upper()}, so it is not {given}"
        raise InputError(message, where=where, hint=hint)
    if not marked and name in ("utf-16", "utf-32"):
        hint = f"say --encoding {name}-le or --encoding {name}-be"
        raise InputError(f"{given} can mean two things here, since there is no byte order mark", where=where, hint=hint)
    return marked or name


def check_encoding(name: str) -> str:
    """The codec's own name. Raises InputError if Python has no such encoding of text."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError, UnicodeError):
        codec = None
    if codec is None or not getattr(codec, "_is_text_encoding", True) or codec.name in _NO_TEXT:
        from encodings import aliases

        names = sorted({known.replace("_", "-") for known in (*aliases.aliases, *aliases.aliases.values())})
        near = find_nearest(name.lower().replace("_", "-"), names)
        hint = f"did you mean {near[0]}?" if near else "for example cp1252, latin-1, utf-16-le, shift-jis"
        raise InputError(f"unknown encoding '{name[:40]}'", hint=hint)
    return codec.name


def _likely_encoding(raw: bytes) -> str:
    """An encoding for bytes that are not UTF-8: Windows' for Western Europe, unless it lacks some of them."""
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def open_text(
    source: str, *, most: int | None = None, observe: Callable[[bytes], object] = len, encoding: str | None = None
) -> TextFile:
    """The text of a file, open for reading. Raises InputError as `RawFile` and `TextFile` do."""
    return TextFile(RawFile(source, observe), most=most, encoding=encoding)
