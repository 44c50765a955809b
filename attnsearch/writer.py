"""Items and their embeddings → disk. The form on disk: docs/storage.md.

A run is: `take` what the sources hold and compare; `missing`, the texts that nobody has embedded yet; `put` their
embeddings, as often as there are some; `commit`, which is

    segment to a temporary name → fsync → rename → fsync of the folder → one SQLite transaction that lists it

so that whatever is killed, and whenever, the last transaction that was acknowledged is whole, and names only
files that are whole. One writer at a time, by SQLite's own lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch import lock
from attnsearch.catalog import Item
from attnsearch.draft import Draft
from attnsearch.errors import InputError
from attnsearch.lock import failures, sync
from attnsearch.store import APPLICATION, SCHEMA, Info, Store, damage, damaged, read_info

_as_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

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

# What one run needs to know: gone with its connection. `place` is the item's file:line; `vectors` says where the
# embedding of a text is: in the catalog under a key, or in a row of the draft.
_RUN = """
CREATE TEMP TABLE incoming (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT, description TEXT, fields TEXT,
                            text_sha256 BLOB, text TEXT, place TEXT);
CREATE TEMP TABLE pending (n INTEGER PRIMARY KEY, text_sha256 BLOB NOT NULL);
CREATE TEMP TABLE vectors (text_sha256 BLOB PRIMARY KEY, key INTEGER, row INTEGER) WITHOUT ROWID;
"""
_MISSING = """
CREATE TEMP TABLE missing AS SELECT min(n) AS n FROM pending
WHERE text_sha256 NOT IN (SELECT text_sha256 FROM vectors) GROUP BY text_sha256 ORDER BY 1
"""


class Changes(NamedTuple):
    """How what came stands to what was stored, in items; `length` is that of all texts to embed, in characters."""

    added: int
    changed: int
    removed: int
    length: int


class Writer:
    """A catalog open for writing, new or not: one transaction, which only `commit` makes real.

    Used as a context manager. Raises CatalogError: another writer works, or the folder can't be written.
    """

    def __init__(self, folder: Path, wait: float = lock.WAIT) -> None:
        self.folder = folder
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
        for statement in _RUN.split(";"):
            self._db.execute(statement)
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

    def take(self, items: Iterable[Item], *, keep: bool = False) -> Changes:
        """Bring everything but the keys up to date with `items`, drawn one by one; what is gone goes, unless `keep`.

        Raises InputError for an id used twice.
        """
        with failures(self.folder):
            self._draw(items)
            return self._compare(keep=keep)

    def _draw(self, items: Iterable[Item]) -> None:
        drawn = None

        def rows() -> Iterator[tuple[str | bytes, ...]]:
            nonlocal drawn
            for drawn in items:
                text, fields = drawn.text, _as_json(drawn.fields)
                sha256 = hashlib.sha256(text.encode()).digest()
                yield drawn.id, drawn.title, drawn.description, fields, sha256, text, drawn.place

        try:
            # NULL: the next number
            self._db.executemany("INSERT INTO incoming VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows())
        except sqlite3.IntegrityError:
            if drawn is None:
                raise
            (first,) = self._db.execute("SELECT place FROM incoming WHERE id = ?", (drawn.id,)).fetchone()
            file, _, line = first.rpartition(":")
            earlier = f"on line {line}" if drawn.place.startswith(f"{file}:") else f"at {first}"
            hint = "give each item its own id"
            raise InputError(f"id '{drawn.id}' was already used {earlier}", where=drawn.place, hint=hint) from None

    def _compare(self, *, keep: bool) -> Changes:
        run = self._db.execute
        run(
            "INSERT INTO pending SELECT n, incoming.text_sha256 FROM incoming LEFT JOIN items USING (id)"
            " WHERE items.text_sha256 IS NOT incoming.text_sha256"
        )
        added = run("SELECT count(*) FROM incoming WHERE id NOT IN (SELECT id FROM items)").fetchone()[0]
        same = run(
            "SELECT count(*) FROM incoming JOIN items USING (id, title, description, fields, text_sha256)"
        ).fetchone()[0]
        every = run("SELECT count(*) FROM incoming").fetchone()[0]
        # The same text may be there already, under another id.
        run(
            "INSERT INTO vectors SELECT text_sha256, min(key), NULL FROM items JOIN keys USING (item)"
            " WHERE text_sha256 IN (SELECT text_sha256 FROM pending) GROUP BY text_sha256"
        )
        removed = 0
        if not keep:
            gone = "SELECT item FROM items WHERE id NOT IN (SELECT id FROM incoming)"
            self._bury(gone)
            removed = run(f"DELETE FROM items WHERE item IN ({gone})").rowcount  # noqa: S608
        run(
            "INSERT INTO items (id, title, description, fields, text_sha256)"
            " SELECT id, title, description, fields, text_sha256 FROM incoming WHERE true ORDER BY n"
            " ON CONFLICT (id) DO UPDATE SET title = excluded.title, description = excluded.description,"
            " fields = excluded.fields, text_sha256 = excluded.text_sha256"
            " WHERE (title, description, fields, text_sha256)"
            " IS NOT (excluded.title, excluded.description, excluded.fields, excluded.text_sha256)"
        )
        self._bury("SELECT item FROM pending JOIN incoming USING (n) JOIN items USING (id)")
        length = run("SELECT coalesce(sum(length(text)), 0) FROM pending JOIN incoming USING (n)").fetchone()[0]
        return Changes(added, every - same - added, removed, length)

    def recall(self, draft: Draft) -> int:
        """Look what of this run an earlier one has embedded before it was interrupted; how many texts are missing."""
        with failures(self.folder):
            recalled = ((text, row) for row, text in enumerate(draft.recall()))
            self._db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, NULL, ?)", recalled)
            self._db.execute(_MISSING)
            return int(self._db.execute("SELECT count(*) FROM missing").fetchone()[0])

    def missing(self) -> Iterator[tuple[bytes, str]]:
        """The texts that nobody has embedded, each once, with its SHA-256, in the order of their items."""
        yield from self._db.execute("SELECT text_sha256, text FROM missing JOIN incoming USING (n) ORDER BY n")

    def put(self, draft: Draft, texts: Sequence[bytes], x: NDArray[np.float32]) -> None:
        """Keep the embeddings x (n, d) of the texts with these SHA-256, also if the run ends here."""
        with failures(self.folder):
            first = draft.append(texts, x)
            rows = ((text, first + at) for at, text in enumerate(texts))
            self._db.executemany("INSERT INTO vectors VALUES (?, NULL, ?)", rows)

    def commit(self, info: Info, draft: Draft) -> Info:
        """Make it all real, and return `info` with its width, counts and times. After it nothing can be lost."""
        with failures(self.folder, "written"):
            d = draft.d or (self.info.d if self.info else 0)
            self._place(draft, d)
            self._drop_dead_segments()
            (items,) = self._db.execute("SELECT count(*) FROM items").fetchone()
            (keys,) = self._db.execute("SELECT count(*) FROM keys").fetchone()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            created = self.info.created if self.info else now
            info = info._replace(d=d, items=items, keys=keys, created=created, updated=now)
            self._db.execute("DELETE FROM info")
            rows = [(name, json.dumps(value)) for name, value in info._asdict().items()]
            self._db.executemany("INSERT INTO info VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
            draft.discard()
        return info

    def _bury(self, items: str) -> None:
        """Make the keys of items, chosen by a SELECT of ours, nobody's."""
        self._db.execute(f"INSERT INTO tombstones SELECT key FROM keys WHERE item IN ({items})")  # noqa: S608
        self._db.execute(f"DELETE FROM keys WHERE item IN ({items})")  # noqa: S608

    def _place(self, draft: Draft, d: int) -> None:
        """Give every pending item its key, in the order of the items, in segments of at most `SEGMENT` rows."""
        pending = self._db.execute(
            "SELECT item, key, row FROM pending JOIN vectors USING (text_sha256) JOIN incoming USING (n)"
            " JOIN items USING (id) ORDER BY n"
        )
        while some := pending.fetchmany(SEGMENT):
            x = np.empty((len(some), d), np.float32)
            drafted = [at for at, (_, key, _) in enumerate(some) if key is None]
            if drafted:
                x[drafted] = draft.embeddings([some[at][2] for at in drafted])
            if len(drafted) < len(some):
                stored = [at for at, (_, key, _) in enumerate(some) if key is not None]
                with Store(self.folder) as before:
                    x[stored] = before.embeddings([some[at][1] for at in stored])
            numbered = enumerate((item for item, _, _ in some), self._next)
            self._db.executemany("INSERT INTO keys VALUES (?, ?)", numbered)
            self._write(x)

    def _write(self, x: NDArray[np.float32]) -> None:
        """Write x (n, d) as the next segment, durable before any transaction can list it."""
        folder = self.folder / "segments"
        file = f"{uuid.uuid4().hex}.npy"
        temporary = folder / f".{file}"
        with temporary.open("xb") as stream:
            np.save(stream, x, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        with temporary.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        temporary.rename(folder / file)
        sync(folder)
        self._db.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", (self._next, len(x), file, sha256))
        self._next += len(x)

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
