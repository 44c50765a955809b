"""Items and their embeddings → disk. The only room that writes; the form on disk: docs/storage.md.

A commit is

    segment to a temporary name → fsync → rename → fsync of the folder → one SQLite transaction that lists it

so that whatever is killed, and whenever, the last transaction that was acknowledged is whole, and names only
files that are whole. One writer at a time, by SQLite's own lock.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch import lock
from attnsearch.catalog import Item
from attnsearch.lock import failures, sync
from attnsearch.store import APPLICATION, SCHEMA, Info, damage, damaged, read_info

SEGMENT = 65_536  # rows at most of one file: 96 MiB at 384 columns

_TABLES = """
CREATE TABLE info (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, file TEXT NOT NULL UNIQUE,
                       sha256 TEXT NOT NULL);
CREATE TABLE items (item INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL,
                    fields TEXT NOT NULL, text_sha256 BLOB NOT NULL);
CREATE TABLE keys (key INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items);
CREATE INDEX keys_by_item ON keys (item);
CREATE TABLE tombstones (key INTEGER PRIMARY KEY);
"""

log = logging.getLogger("attnsearch")

Change = Literal["new", "changed", "described", "same"]


class Writer:
    """A catalog open for writing, new or not: one transaction, which only `commit` makes real.

    Used as a context manager. Raises CatalogError: another writer works, or the folder can't be written.
    """

    def __init__(self, folder: Path, wait: float = lock.WAIT) -> None:
        self.folder = folder
        self._rows: list[NDArray[np.float32]] = []
        self._waiting = 0
        with failures(folder):
            try:
                self._db = lock.take(folder, wait)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                raise damaged(folder, str(error)) from None
            try:
                with damage(folder):
                    self.info = read_info(self._db, folder)
                self._prepare()
            except BaseException:
                self.close()
                raise

    def _prepare(self) -> None:
        if self.info is None:
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={SCHEMA}")
            self._db.execute(f"PRAGMA application_id={APPLICATION}")
        self._db.execute("CREATE TEMP TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        (self._next,) = self._db.execute("SELECT coalesce(max(first + rows), 0) FROM segments").fetchone()
        self._collect()

    def _collect(self) -> None:
        """Delete files that no transaction lists. We hold the lock, so no other writer is about to list them."""
        listed = {file for (file,) in self._db.execute("SELECT file FROM segments")}
        for path in (self.folder / "segments").glob("*"):
            if path.name not in listed:
                path.unlink()

    def clear(self) -> None:
        """Forget every item and key, as when another model is to read them all again."""
        for table in ("keys", "tombstones", "items", "segments"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 (our own words)

    def compare(self, item: Item) -> Change:
        """How the item stands to what is stored; all but its text is brought up to date at once."""
        with failures(self.folder):
            return self._compare(item)

    def _compare(self, item: Item) -> Change:
        self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (item.id,))
        row = self._db.execute(
            "SELECT item, text_sha256, title, description, fields FROM items WHERE id = ?", (item.id,)
        ).fetchone()
        if row is None:
            return "new"
        number, text_sha256, *told = row
        if text_sha256 != _text_sha256(item):
            return "changed"
        if told == [item.title, item.description, _json(item.fields)]:
            return "same"
        self._db.execute(
            "UPDATE items SET title = ?, description = ?, fields = ? WHERE item = ?",
            (item.title, item.description, _json(item.fields), number),
        )
        return "described"

    def put(self, items: Sequence[Item], x: NDArray[np.float32]) -> None:
        """Store new or changed items with the embeddings of their texts, x (n, d)."""
        with failures(self.folder):
            self._put(items, x)

    def _put(self, items: Sequence[Item], x: NDArray[np.float32]) -> None:
        if self._waiting + len(items) > SEGMENT:
            self._flush()
        for item in items:
            (number,) = self._db.execute(
                "INSERT INTO items (id, title, description, fields, text_sha256) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET title = excluded.title, description = excluded.description,"
                " fields = excluded.fields, text_sha256 = excluded.text_sha256 RETURNING item",
                (item.id, item.title, item.description, _json(item.fields), _text_sha256(item)),
            ).fetchone()
            self._bury(number)
            self._db.execute("INSERT INTO keys VALUES (?, ?)", (self._next + self._waiting, number))
            self._waiting += 1
        self._rows.append(np.ascontiguousarray(x, np.float32))

    def drop_unseen(self) -> int:
        """Remove the items that `compare` was not asked about; how many they were."""
        with failures(self.folder):
            gone = self._db.execute("SELECT item FROM items WHERE id NOT IN (SELECT id FROM seen)").fetchall()
            for (number,) in gone:
                self._bury(number)
                self._db.execute("DELETE FROM items WHERE item = ?", (number,))
        return len(gone)

    def commit(self, info: Info) -> Info:
        """Make it all real, and return `info` with its counts and times. After it nothing can be lost."""
        with failures(self.folder, "written"):
            self._flush()
            self._drop_dead_segments()
            (items,) = self._db.execute("SELECT count(*) FROM items").fetchone()
            (keys,) = self._db.execute("SELECT count(*) FROM keys").fetchone()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            created = self.info.created if self.info else now
            info = info._replace(items=items, keys=keys, created=created, updated=now)
            self._db.execute("DELETE FROM info")
            rows = [(name, json.dumps(value)) for name, value in info._asdict().items()]
            self._db.executemany("INSERT INTO info VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        return info

    def _bury(self, item: int) -> None:
        self._db.execute("INSERT INTO tombstones SELECT key FROM keys WHERE item = ?", (item,))
        self._db.execute("DELETE FROM keys WHERE item = ?", (item,))

    def _flush(self) -> None:
        """Write the rows that wait as a segment, durable before any transaction can list it."""
        if not self._waiting:
            return
        folder = self.folder / "segments"
        file = f"{uuid.uuid4().hex}.npy"
        temporary = folder / f".{file}"
        with temporary.open("xb") as stream:
            np.save(stream, np.concatenate(self._rows), allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        with temporary.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        temporary.rename(folder / file)
        sync(folder)
        self._db.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", (self._next, self._waiting, file, sha256))
        self._next += self._waiting
        self._rows, self._waiting = [], 0

    def _drop_dead_segments(self) -> None:
        """Take segments without a living row off the list; the next writer deletes their files."""
        dead = self._db.execute(
            "SELECT first, first + rows FROM segments WHERE NOT EXISTS"
            " (SELECT 1 FROM keys WHERE key >= first AND key < first + rows)"
        ).fetchall()
        for first, end in dead:
            self._db.execute("DELETE FROM segments WHERE first = ?", (first,))
            self._db.execute("DELETE FROM tombstones WHERE key >= ? AND key < ?", (first, end))

    def close(self) -> None:
        """Give the lock back. What was not committed is as if it had never been."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _text_sha256(item: Item) -> bytes:
    return hashlib.sha256(item.text.encode()).digest()
