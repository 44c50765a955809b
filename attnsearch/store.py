"""Disk → segments and items, for reading. The form on disk: docs/storage.md; `writer` makes it.

A catalog is a folder: `index.sqlite` (items, which key is whose, the list of segments) and `segments/<uuid>.npy`
(X, never changed, mapped into memory). A reader's SQLite transaction is its snapshot.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.catalog import Fields, Item, check_name, key_text
from attnsearch.encoder import Precision
from attnsearch.errors import CatalogError

SCHEMA = 1
BLOCK = 32_768  # rows that `blocks` gives at once

APPLICATION = 0x61_74_74_6E  # "attn", in the SQLite file's header
_SQL_WORDS = 500  # parameters of one statement


class Source(NamedTuple):
    """A file that a catalog was made from, and its hash when it was read; None for what can't be read again."""

    path: str
    sha256: str | None


class Info(NamedTuple):
    """What a catalog says about itself. Times are ISO 8601, UTC.

    `precision` is the least that any of its texts was embedded with; `quick` that its encoder's fast path may be taken.
    """

    name: str
    description: str
    sources: tuple[Source, ...]
    fields: Fields
    model: str
    sha256: str
    stamp: str
    d: int
    temperature: float
    precision: Precision = "float32"
    quick: bool = True
    items: int = 0
    keys: int = 0
    created: str = ""
    updated: str = ""


class Block(NamedTuple):
    """Some rows of a segment: the number of the first, X (n, d), and which of them live; None if all do."""

    first: int
    x: NDArray[np.float32]
    alive: NDArray[np.bool_] | None


def home() -> Path:
    """Where catalogs are kept: $ATTNSEARCH_HOME, else $XDG_DATA_HOME/attnsearch, else ~/.local/share/attnsearch."""
    if own := os.environ.get("ATTNSEARCH_HOME"):
        return Path(own).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "attnsearch"


def folder_of(name: str) -> Path:
    """The folder of the catalog called `name`."""
    return home() / check_name(name)


def folder_of_file(file: Path) -> Path:
    """The folder of the catalog that a file is by itself: no name can be that, and no two files share it."""
    from hashlib import sha256  # OpenSSL, which a query of a named catalog has no need of

    path = str(file.resolve())
    stem = "".join(c if c.isalnum() else "-" for c in file.stem)[:40]
    return home() / f"@{stem}-{sha256(path.encode(errors='surrogateescape')).hexdigest()[:12]}"


def folders() -> list[Path]:
    """The folders of all catalogs, by name."""
    try:
        return [folder for folder in sorted(home().glob("[!.]*")) if exists(folder)]
    except OSError as error:
        raise CatalogError(f"can't be read: {error.strerror}", where=str(home())) from None


def exists(folder: Path) -> bool:
    """Whether a catalog was ever committed there, whole or damaged since."""
    if not (folder / "index.sqlite").is_file():
        return False
    db = _connect_to_read(folder)
    try:
        return read_info(db, folder) is not None
    except (sqlite3.Error, ValueError, KeyError, TypeError, CatalogError):
        return True
    finally:
        db.close()


class Store:
    """A catalog open for reading: one snapshot, however long it is held.

    Raises CatalogError: not there, made by a newer attnsearch, damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for attempt in range(3):
            self._db = _connect_to_read(folder)
            try:
                self._open()
            except FileNotFoundError as error:
                # A writer may have dropped a segment between our reading of the list and of the file.
                self.close()
                if attempt == 2:
                    raise damaged(folder, f"the segment {Path(error.filename).name} is gone") from None
            except BaseException:
                self.close()
                raise
            else:
                return

    def _open(self) -> None:
        with damage(self.folder):
            self._db.execute("BEGIN")
            info = read_info(self._db, self.folder)
            if info is None:
                raise missing(self.folder)
            self.info = info
            segments = self._db.execute("SELECT first, rows, file FROM segments ORDER BY first").fetchall()
            dead = self._db.execute("SELECT key FROM tombstones ORDER BY key").fetchall()
        self._dead = np.array([key for (key,) in dead], np.int64)
        self._segments = [(int(first), self._map(file, rows)) for first, rows, file in segments]

    def _map(self, file: str, rows: int) -> NDArray[np.float32]:
        try:
            x: NDArray[np.float32] = np.load(self.folder / "segments" / file, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise damaged(self.folder, f"the segment {file} can't be read: {error}") from None
        if x.dtype != np.float32 or x.shape != (rows, self.info.d) or not x.flags.c_contiguous:
            raise damaged(
                self.folder, f"the segment {file} is {x.dtype} {x.shape}, not float32 ({rows}, {self.info.d})"
            )
        return x

    @property
    def segments(self) -> int:
        """How many files hold the keys."""
        return len(self._segments)

    @property
    def dead(self) -> int:
        """How many rows of them are nobody's key any more."""
        return len(self._dead)

    def parts(self, count: int, *, least: int = BLOCK) -> list[tuple[int, int]]:
        """The numbers of all keys, first and past the last, in at most `count` parts of one length, but for the last.

        That length is `least` or more.
        """
        end = self._segments[-1][0] + len(self._segments[-1][1]) if self._segments else 0
        length = max(least, -(-end // count))
        return [(first, min(first + length, end)) for first in range(0, end, length)]

    def blocks(self, first: int = 0, end: int = 1 << 62, *, rows: int = BLOCK) -> Iterator[Block]:
        """The keys numbered from `first` to before `end`, in order, in blocks of at most `rows` of them."""
        for number, segment in self._segments:
            for start in range(max(first - number, 0), min(end - number, len(segment)), rows):
                x = segment[start : min(start + rows, end - number)]
                at = number + start
                dead = self._dead[np.searchsorted(self._dead, at) : np.searchsorted(self._dead, at + len(x))]
                alive = None
                if len(dead):
                    alive = np.ones(len(x), bool)
                    alive[dead - at] = False
                yield Block(at, x, alive)

    def embeddings(self, keys: Sequence[int]) -> NDArray[np.float32]:
        """The rows of X for the keys of these numbers (n, d)."""
        found = np.empty((len(keys), self.info.d), np.float32)
        firsts = np.array([first for first, _ in self._segments])
        for at, (key, part) in enumerate(zip(keys, np.searchsorted(firsts, keys, side="right") - 1, strict=True)):
            first, x = self._segments[part]
            found[at] = x[key - first]
        return found

    def items(self, keys: Sequence[int]) -> list[Item]:
        """The items that the keys of these numbers belong to."""
        found: dict[int, Item] = {}
        with damage(self.folder):
            for start in range(0, len(keys), _SQL_WORDS):
                some = [int(key) for key in keys[start : start + _SQL_WORDS]]
                marks = ", ".join("?" * len(some))
                rows = self._db.execute(
                    "SELECT key, id, title, description, fields FROM keys JOIN items USING (item)"  # noqa: S608
                    f" WHERE key IN ({marks})",  # question marks and nothing else
                    some,
                )
                for key, ident, title, description, fields in rows:
                    rest = json.loads(fields)
                    text = key_text(title, description, rest, self.info.fields)
                    found[key] = Item(ident, title, description, rest, text)
        try:
            return [found[int(key)] for key in keys]
        except KeyError as error:
            raise damaged(self.folder, f"the key {error} has no item") from None

    def close(self) -> None:
        """End the snapshot."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect_to_read(folder: Path) -> sqlite3.Connection:
    file = folder / "index.sqlite"
    if not file.is_file():
        raise missing(folder)
    uri = f"{file.resolve().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        # In a folder where we may not write, WAL can't make its index; but there nobody else writes either.
        if not os.access(folder, os.W_OK) and not file.with_name("index.sqlite-wal").exists():
            db.close()
            return sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None)
    except sqlite3.DatabaseError:
        pass  # not a database; the next statement says so in our words
    return db


def read_info(db: sqlite3.Connection, folder: Path) -> Info | None:
    """The catalog's info; None where nothing was ever committed."""
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if schema == 0 and application == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        return None
    if application != APPLICATION:
        raise damaged(folder, "index.sqlite was not made by attnsearch")
    if schema > SCHEMA:
        hint = "upgrade attnsearch, or remove the catalog and index it again"
        raise CatalogError(
            f"was made by a newer attnsearch (form {schema}, not {SCHEMA})", where=folder.name, hint=hint
        )
    told: dict[str, Any] = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM info")}
    ident, title, text = told.pop("fields")
    sources = tuple(Source(*source) for source in told.pop("sources"))
    return Info(fields=Fields(ident, title, tuple(text)), sources=sources, **told)


def missing(folder: Path) -> CatalogError:
    """What to raise where no catalog is."""
    hint = "'attnsearch list' shows what there is; 'attnsearch index FILE' adds to it"
    return CatalogError(f"there is no catalog '{folder.name}'", hint=hint)


def damaged(folder: Path, what: str) -> CatalogError:
    """What to raise where a catalog is not whole."""
    hint = f"'attnsearch remove {folder.name}', then index it again"
    return CatalogError(f"the catalog is damaged: {what}", where=folder.name, hint=hint)


@contextmanager
def damage(folder: Path) -> Iterator[None]:
    """Turn what SQLite or JSON say of a file they can't read into a CatalogError."""
    try:
        yield
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, str(error)) from None
