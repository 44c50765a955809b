"""A file or standard input → its bytes, decompressed; and what a file is when it holds no text, or no records."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from attnsearch.errors import InputError
from attnsearch.syntax.formats import EXPORT

STDIN = "standard input"
HEAD = 64 << 10  # bytes that tell what a file is; also how many are read at a time

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SAVE_XLSX = "save it as .xlsx, or as CSV"
_UNPACK = "unpack it, and name the file inside"
_ALONE = "index it by itself, as a file"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a]")  # bytes that no text has in any encoding read here

# What begins with these bytes (a pattern), and what to do with it.
_SIGNATURES = (
    (rb"\xd0\xcf\x11\xe0", "an Excel workbook of the old form, or another file of old Office programs", _SAVE_XLSX),
    (rb"\x89PNG", "a PNG image", ""),
    (rb"\xff\xd8\xff", "a JPEG image", ""),
    (rb"GIF8", "a GIF image", ""),
    (rb"II\*\x00", "a TIFF image", ""),
    (rb"MM\x00\*", "a TIFF image", ""),
    (rb"ID3", "an MP3 recording", ""),
    (rb"OggS", "an Ogg recording", ""),
    (rb"\x7fELF", "a program", ""),
    (rb"MZ", "a program", ""),
    (rb"\xca\xfe\xba\xbe", "a program", ""),
    (rb"\x93NUMPY", "a NumPy array", "a catalog needs texts"),
    (rb"\x80[\x02-\x05]", "a Python pickle", "it could run code; save its data as JSON or Parquet"),
    (rb"ARROW1", "an Arrow file", "save it as Parquet"),
    (rb"Obj\x01", "an Avro file", "save it as Parquet or JSONL"),
    (rb"\x89HDF", "an HDF5 file", "save its table as Parquet or CSV"),
    (rb"BZh", "compressed (bzip2)", "decompress it: bzip2 -d"),
    (rb"\xfd7zXZ", "compressed (xz)", "decompress it: xz -d"),
    (rb"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (rb"Rar!", "a RAR archive", _UNPACK),
    (rb".{4}ftyp", "a video or an image", ""),
    (rb"RIFF.{4}(WAVE|AVI |WEBP)", "a recording or an image", ""),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"\x1f\x8b", "compressed twice (gzip)", "decompress it once: gzip -d"),
    (rb"\x28\xb5\x2f\xfd", "compressed twice (zstd)", "decompress it once: zstd -d"),
    (rb"SQLite format 3\x00", "an SQLite database", ""),
)
_LIKE_TEXT = (
    (rb"%PDF-\d", "a PDF document", "save its text: pdftotext -layout"),
    (rb"\{\\rtf", "a document in Rich Text Format", "save it as plain text"),
)
# What a zip is, by the names and types in it.
_ZIPS = (
    (EXPORT.encode(), "an export of attnsearch", _ALONE),
    (b"xl/workbook.bin", "an Excel workbook of the binary form", _SAVE_XLSX),
    (b"xl/", "an Excel workbook", "save it as CSV UTF-8"),
    (b"word/", "a Word document", "save it as plain text"),
    (b"ppt/", "a PowerPoint presentation", "save its text"),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet", _SAVE_XLSX),
    (b"opendocument", "an OpenDocument text", "save it as plain text"),
    (b"epub+zip", "an EPUB book", "save it as plain text"),
)
_BY_LINE = "--from lines reads each line as an item"
_AS_JSON = "convert it to JSON"
_FROM_XML = f"{_AS_JSON}: yq -p xml -o json"
_FROM_TOML = f"{_AS_JSON}: yq -p toml -o json"
_PANDOC = "convert it: pandoc -t csljson"
_MARKUP = r"(<\?xml[^>]*>)?(\s|<!--.*?-->|<!(?!--)[^>]*>)*+"
# Texts of other programs that have no records as we read them. These are known whatever the file's name says,
_FORMS = (
    (rf'\{{"{EXPORT}"', "an export of attnsearch", _ALONE),
    (r"<!doctype netscape-bookmark", "bookmarks of a browser (HTML)", "save them as CSV"),
    (r"<!doctype html|<html\b", "a web page (HTML)", "save its text, or its table as CSV"),
    (rf"{_MARKUP}<(rss|feed|rdf:rdf)\b", "a news feed (XML)", _FROM_XML),
    (rf"{_MARKUP}<opml\b", "an outline (OPML)", _FROM_XML),
    (r"<\?xml\b", "XML", _FROM_XML),
    (r"BEGIN:VCALENDAR", "a calendar (iCalendar)", "save it as CSV"),
    (r"BEGIN:VCARD", "contacts (vCard)", "save them as CSV"),
    (r"(%[^\n]*\n|\s)*+@[a-z]+\s*\{\s*[^\s,{}]*\s*,\s*[\w-]+\s*=", "a bibliography (BibTeX)", f"{_PANDOC} -f bibtex"),
    (r"TY  - [A-Z]", "references (RIS)", f"{_PANDOC} -f ris"),
    (r"From \S+ [^\n]*\d{4}\r?\n[\w-]+: ", "a mailbox (mbox)", "save its messages as .txt, and index their folder"),
    (r"WEBVTT\b|\d+\r?\n\d\d:\d\d:\d\d,\d{3} --> ", "subtitles", _BY_LINE),
    (r'(#[^\n]*\n|\s)*+msgid "', "translations (gettext)", "convert it to CSV: po2csv"),
    (
        r'\{.*"cell_type"\s*:\s*"(markdown|code|raw)"',
        "a Jupyter notebook",
        "convert it: jupyter nbconvert --to markdown",
    ),
)
# and these if it says nothing.
_PLAIN_FORMS = (
    (r"<[a-z][\w:.-]*(\s[^<>]*)?>", "XML or HTML", _FROM_XML),
    (r"#!\s*/", "a script", ""),
    (r"commit [0-9a-f]{40}\b", "the output of git log", f"use git log --oneline; {_BY_LINE}"),
    (r"total \d+\r?\n[bcdlps-][rwxst-]{9}", "the output of ls -l", f"use ls; {_BY_LINE}"),
    (r"diff --git |--- [^\n]*\n\+\+\+ ", "a patch", ""),
    (
        r"(--[^\n]*\n|/\*.*?\*/;?|\s)*+(create (table|database|schema)|insert into|drop table|pragma |set \w+ ?=)",
        "a dump of a database (SQL)",
        "load it into SQLite, and index that: sqlite3 new.db < FILE",
    ),
    (
        r"([#;][^\n]*\n|\s)*+\[{1,2}[a-z][\w .\"'-]*\]{1,2}\s*\n([#;][^\n]*\n|\s)*+[^\s=:,]+\s*=",
        "TOML or INI",
        _FROM_TOML,
    ),
    (r"(#[^\n]*\n|\s)*+([\w-]+ = [^\n]*\n\s*){1,9}(\[|#|[\w-]+ = )", "TOML or INI", _FROM_TOML),
    (r"([a-z][\w-]*): [^\n]*(\n[^\n]+)*?\n\n\1: ", "paragraphs of fields, as Debian writes them", _AS_JSON),
    (r"\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:", "the log of a web server", _BY_LINE),
    (
        r"[^\n]*\n[+|]?-{2,}([ |+]+-{2,})+[ |+]*\r?\n",
        "a table with blanks between its columns",
        "save it as CSV or JSON",
    ),
)


class FullReader(io.RawIOBase):
    """A stream of bytes that is read in full pieces; `observe` gets each. Raises InputError for what can't be read."""

    def __init__(
        self, stream: Any, where: str, observe: Callable[[bytes], object], damage: type[Exception] = OSError
    ) -> None:
        self.stream, self.where, self.observe, self.damage = stream, where, observe, damage

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, apart from the end."""
        view = memoryview(buffer)
        try:
            piece = self.stream.read(len(view))
        except (OSError, EOFError, self.damage) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise InputError(f"can't be read: {text}", where=self.where) from None
        self.observe(piece)
        view[: len(piece)] = piece
        return len(piece)


def source_name(source: str) -> str:
    """The name of `source` for a message."""
    return STDIN if source == "-" else source


def inner_name(source: str) -> str:
    """The name of a file without the ending of its compression: x.csv for x.csv.gz."""
    path = Path(source)
    return path.stem if path.suffix.lower() in (".gz", ".zst") else path.name


def check_file(source: str) -> None:
    """Raise InputError if `source` is not a file, before anything else is done."""
    path = Path(source)
    if source == "-":
        return
    if path.is_dir():
        raise InputError("is a folder", where=source or "''", hint="name the file inside it")
    if not path.exists():
        raise InputError("no such file", where=source)
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:  # the catalog and its JSON record the path
        raise InputError("its name is not UTF-8", where=source, hint="rename it, or the folder it is in") from None


class RawFile:
    """The bytes of a file or of standard input, decompressed if they are gzip or zstd, whatever its name.

    `observe` gets the file's own bytes. `head` is what it begins with. `own` is the file as it lies on disk, if it is
    not compressed and can be read from any place.

    Raises InputError for a file that can't be read.
    """

    def __init__(self, source: str, observe: Callable[[bytes], object] = len) -> None:
        self.source, self.where, self.observe = source, source_name(source), observe
        self.size = 0  # bytes read by `drain`
        self.file: BinaryIO | None = None
        try:
            stream = sys.stdin.buffer if source == "-" else Path(source).open("rb")  # noqa: SIM115 (close does)
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror}", where=self.where) from None
        if source != "-":
            self.file = stream
        raw = io.BufferedReader(FullReader(stream, self.where, observe), HEAD)
        head = raw.peek(HEAD)
        compressed = head.startswith((_GZIP, _ZSTD))
        self.own = self.file if self.file and self.file.seekable() and not compressed else None
        self.stream: io.BufferedReader[FullReader] = raw
        if compressed:
            self.stream = io.BufferedReader(_open_compressed(raw, head, self.where), HEAD)
            head = self.stream.peek(HEAD)
        self.head = head

    @property
    def kind(self) -> str | None:
        """What kind of tables the file has: "sqlite", "parquet" or "xlsx"; None if it has none."""
        if self.head.startswith(b"SQLite format 3\0"):
            return "sqlite"
        if self.head.startswith(b"PAR1") and _CONTROL.search(self.head[:64]):
            return "parquet"
        if self.head.startswith(b"PK\x03\x04") and b"xl/workbook.bin" not in self.head:
            part = re.search(rb"(xl|word|ppt)/", self.head)
            return "xlsx" if part and part[1] == b"xl" else None
        return None

    def drain(self) -> None:
        """Read to the end, so that `observe` gets every byte, and count them."""
        while piece := self.stream.read(HEAD):
            self.size += len(piece)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.file:
            self.file.close()

    __del__ = close  # of records that nobody read


def _open_compressed(raw: Any, head: bytes, where: str) -> FullReader:
    """The decompressed content of a stream of gzip or zstd that begins with `head`."""
    if head.startswith(_GZIP):
        import gzip
        import zlib

        return FullReader(gzip.GzipFile(fileobj=raw), where, len, zlib.error)
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ModuleNotFoundError:
        hint = "pip install backports-zstd, or decompress it: zstd -d"
        raise InputError("is compressed (zstd)", where=where, hint=hint) from None
    return FullReader(zstd.ZstdFile(raw), where, len, zstd.ZstdError)


def describe_text(head: bytes, *, is_named: bool) -> tuple[str, str] | None:
    """What a text that begins with `head` seems to be, and what to do, if we do not read its form; else None.

    `is_named` says that the file's name tells its format.
    """
    text = head.decode(errors="replace").lstrip("\ufeff \t\r\n")
    for start, what, hint in _FORMS if is_named else (*_FORMS, *_PLAIN_FORMS):
        if re.match(start, text, re.DOTALL | re.IGNORECASE):
            return what, hint
    return None


def describe(head: bytes) -> tuple[str, str] | None:
    """What a file that begins with `head` is, and what to do, if it is not text; None if that can't be told."""
    if head.startswith(b"PK\x03\x04"):
        for name, what, hint in _ZIPS:
            if name in head:
                return what, hint
        return "a zip archive", _UNPACK
    signatures = _SIGNATURES if _CONTROL.search(head) else ()
    for start, what, hint in (*signatures, *_LIKE_TEXT):
        if re.match(start, head, re.DOTALL):
            return what, hint
    return None
