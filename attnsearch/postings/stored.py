"""The files of postings: each an SQLite database that describes the rows of one segment, which never change.

    postings/<name of the segment>.<label>.<checksum>

A file is never changed, and not trusted unless its bytes have the checksum in its name and its tables are ours.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.sources.items import Item
from attnsearch.storage import checksum
from attnsearch.storage.failures import DAMAGE
from attnsearch.storage.files import FLAGS_NO_LINK, POSTINGS
from attnsearch.storage.segment import SegmentRow
from attnsearch.storage.store import Store

_NAME = re.compile(r"([0-9a-f]{32})\.((?:terms|words|field)-[0-9a-f]{16}\.v[0-9]+)\.([0-9a-f]{16})")
_EARLIER = re.compile(r"(?:(?:terms|field-[0-9a-f]{16})(?:\.v[234])?|words\.v1)\.[0-9a-f]{32}\.[0-9a-f]{16}")
_LEFT = re.compile(r"\.[0-9a-f]{32}")  # by a process that was killed
_CACHE = -256  # KiB of one database, in SQLite's notation
FEW = 50  # segments, each of which may have several files open, that the usual limit of 1,024 files is enough for
_SMALL, _LARGE = np.dtype("<u2"), np.dtype("<u4")  # numbers of rows, as they are stored

# Which rows it tells of, packed eight to a byte; the rest depends on the label.
ABOUT = (
    "CREATE TABLE about (covered BLOB NOT NULL, name TEXT NOT NULL, reading TEXT NOT NULL, has_field INTEGER NOT NULL)"
)

log = logging.getLogger("attnsearch")


class StoredFile(NamedTuple):
    """A file of postings, and the parts of its name."""

    path: Path
    segment: str
    label: str
    checksum: str


class Part(NamedTuple):
    """The postings of a segment: the number of its first key, which rows begin an item that lives, and the database."""

    first: int
    living: NDArray[np.bool_]
    db: sqlite3.Connection

    def rows(self, raw: bytes) -> NDArray[np.unsignedinteger]:
        """Those of the stored rows that live. Raises ValueError for what `pack_rows` does not make."""
        rows = self.all_rows(raw)
        living: NDArray[np.unsignedinteger] = rows[self.living[rows]]
        return living

    def all_rows(self, raw: bytes) -> NDArray[np.unsignedinteger]:
        """The stored rows, of items that live or not. Raises ValueError for what `pack_rows` does not make."""
        kind = row_type(len(self.living))
        if not isinstance(raw, bytes) or len(raw) % kind.itemsize:
            raise ValueError("a list of rows is not what attnsearch writes")
        rows = np.frombuffer(raw, kind)
        if len(rows) and rows.max() >= len(self.living):
            raise ValueError("a list of rows names one that is not there")
        return rows

    def keys(self, raw: bytes) -> NDArray[np.uint32]:
        """The keys of those of the stored rows that live. Raises as `rows` does."""
        return self.rows(raw).astype(np.uint32) + np.uint32(self.first)

    def entries(self, blobs: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """For each living item in some lists of rows: the number of the list (n,), ascending, and its first key (n,).

        Raises as `rows` does.
        """
        rows = self.all_rows(b"".join(blobs))
        owners = np.repeat(np.arange(len(blobs)), [len(blob) // rows.itemsize for blob in blobs])
        is_living = self.living[rows]
        return owners[is_living], rows[is_living].astype(np.uint32) + np.uint32(self.first)


def row_type(count: int) -> np.dtype[np.unsignedinteger]:
    """The type of the numbers of so many rows, as they are stored."""
    return _SMALL if count <= 1 << 16 else _LARGE


def living_rows(segment: SegmentRow) -> NDArray[np.bool_]:
    """Which rows of a segment are the first of an item that lives (rows,)."""
    living = np.ones(segment.rows, bool)
    for marks in (segment.dead, segment.joined):
        if marks is not None:
            living &= ~marks
    return living


def pack_rows(covered: NDArray[np.bool_]) -> bytes:
    """Marks of rows (n,), packed eight to a byte, the first in the highest bit."""
    return np.packbits(covered).tobytes()


def write_about(
    db: sqlite3.Connection, covered: bytes, name: str = "", reading: str = "", *, has_field: bool = False
) -> None:
    """Write which rows a database tells of, see `pack_rows`; of a field, its name, and how its values are read."""
    db.execute(ABOUT)
    db.execute("INSERT INTO about VALUES (?, ?, ?, ?)", (covered, name, reading, has_field))


def _read_covered(db: sqlite3.Connection, count: int) -> NDArray[np.bool_]:
    """Which of the `count` rows of a segment a database tells of (count,). Raises ValueError."""
    (raw,) = db.execute("SELECT covered FROM about").fetchone()
    if not isinstance(raw, bytes) or len(raw) != -(-count // 8):
        raise ValueError("its rows are not those of the segment")
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=count).astype(bool)


def make_label(kind: str, form: str, *of: object) -> str:
    """The label of postings that depend on these values: `terms`, `words` or `field`, a hash, and their form."""
    raw = json.dumps(of).encode()
    return f"{kind}-{checksum.part_checksums(raw, len(raw)).hex()}.{form}"


def name_of(segment: SegmentRow) -> str:
    """What stands for a segment in the names of files."""
    return segment.file.removesuffix(".npy")


class Folder:
    """The files of postings of a catalog, as the folder has them now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / POSTINGS
        self._files: dict[tuple[str, str], list[StoredFile]] = {}
        for file in stored_files(self._folder):
            self._files.setdefault((file.segment, file.label), []).append(file)

    def examples(self) -> dict[str, StoredFile]:
        """One of the files of each label."""
        return {file.label: file for files in self._files.values() for file in files}

    def open(self, segment: SegmentRow, label: str, tables: Sequence[str]) -> Part | None:
        """The stored postings of this label, if an intact file has them, with these tables, for every living row."""
        living = living_rows(segment)
        for file in self._files.get((name_of(segment), label), ()):
            if db := open_file(file):
                part = Part(segment.first, living, db)
                if is_ours(part, tables):
                    return part
                db.close()
        return None

    def open_all(self, segments: Sequence[SegmentRow], label: str, tables: Sequence[str]) -> Iterator[tuple[int, Part]]:
        """The stored postings of this label, each after the number of its segment; see `open`."""
        if len(segments) > FEW:
            _raise_limit()
        for number, segment in enumerate(segments):
            if part := self.open(segment, label, tables):
                yield number, part

    def store(self, part: Part, segment: SegmentRow, label: str) -> None:
        """Store a copy for the next query in the place of any other, unless the disk is full or read-only."""
        name = (name_of(segment), label)
        new = _store_copy(part.db, self._folder, *name)
        if new is None:
            return
        for old in self._files.get(name, ()):
            if old.path != new:
                with suppress(OSError):
                    old.path.unlink()
        self._files[name] = [StoredFile(new, *name, new.suffix[1:])]

    def clear(self, keep: Callable[[StoredFile], bool]) -> None:
        """Delete all files but those to keep, and what earlier forms and killed processes left."""
        with suppress(OSError):
            for path in list(self._folder.iterdir()):
                match = _NAME.fullmatch(path.name)
                if match:
                    is_old = not keep(StoredFile(path, *match.groups()))
                else:
                    is_old = bool(_EARLIER.fullmatch(path.name) or _LEFT.fullmatch(path.name))
                if is_old:
                    with suppress(OSError):
                        path.unlink()


def is_ours(part: Part, tables: Sequence[str]) -> bool:
    """Whether a part has these tables, and tells of every living row: a right checksum may be made by anyone."""
    with suppress(*DAMAGE):
        schema = {sql for (sql,) in part.db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
        return schema == {ABOUT, *tables} and bool((part.living <= _read_covered(part.db, len(part.living))).all())
    return False


def _raise_limit() -> None:
    """Let this process open as many files as the system lets it; the usual limit is that of programs of old."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # which only Unix has

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def broken_files(folder: Path) -> Iterator[str]:
    """The names of the catalog's files of postings with other bytes than were written.

    A file that is deleted meanwhile held postings of a segment that is gone.
    """
    for file in stored_files(folder / POSTINGS):
        if _file_checksum(file.path) != file.checksum and file.path.exists():
            yield f"{POSTINGS}/{file.path.name}"


def stored_files(folder: Path) -> Iterator[StoredFile]:
    """The files of postings; none if the folder can't be read."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if match := _NAME.fullmatch(path.name):
                yield StoredFile(path, match[1], match[2], match[3])


def open_file(file: StoredFile) -> sqlite3.Connection | None:
    """The database in a file; None unless its bytes are what was written."""
    with suppress(OSError, sqlite3.Error):
        if _file_checksum(file.path) == file.checksum:
            uri = f"{file.path.resolve().as_uri()}?mode=ro&immutable=1"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            db.execute(f"PRAGMA cache_size={_CACHE}")  # there may be hundreds
            return db
    return None


def _file_checksum(path: Path) -> str:
    """The checksum of a file's bytes; empty if they can't be read."""
    with suppress(OSError, ValueError), os.fdopen(os.open(path, FLAGS_NO_LINK), "rb") as stream:
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as raw:
                return checksum.part_checksums(memoryview(raw), len(raw)).hex()
    return ""


def create_database() -> sqlite3.Connection:
    """A database in a file without a name, which is deleted when it is closed; it can name others by URI."""
    db = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN")
    return db


def _store_copy(db: sqlite3.Connection, folder: Path, segment: str, label: str) -> Path | None:
    """Store a copy; None if the disk is full or read-only."""
    import uuid  # which a query with stored postings does without

    temporary = folder / f".{uuid.uuid4().hex}"
    try:
        folder.mkdir(exist_ok=True)
        db.execute("VACUUM INTO ?", (temporary.absolute().as_uri(),))  # the path may not be text
        return temporary.rename(folder / f"{segment}.{label}.{_file_checksum(temporary)}")
    except (OSError, sqlite3.Error) as error:
        log.info("%s can't be stored: %s", label, error)
        with suppress(OSError):
            temporary.unlink()
        return None


def create_part(segment: SegmentRow) -> Part:
    """A part of a segment with an empty database."""
    return Part(segment.first, living_rows(segment), create_database())


def items_of(store: Store, segment: SegmentRow) -> Iterator[tuple[int, Item]]:
    """The first row of every living item of a segment, and the item, in order."""
    for key, item in store.items(segment.first, segment.first + segment.rows):
        yield key - segment.first, item


def note_reading(store: Store, segments: Sequence[SegmentRow]) -> None:
    """Say how many items these segments have, which are about to be read."""
    count = sum(int(living_rows(segment).sum()) for segment in segments)
    if count:
        all_of = "all " if count == store.info.items else ""
        log.info("reading %s%d items of %s, once", all_of, count, store.info.name)


def close_all(parts: Iterable[Part]) -> None:
    """Close the databases of these parts."""
    for part in parts:
        part.db.close()
