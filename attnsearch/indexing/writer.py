"""Items and their embeddings → disk. The form on disk: docs/storage.md.

A run is: `take` what the sources hold and compare; `missing`, the texts that nobody has embedded yet; `put` their
embeddings, as often as there are some; `commit`, which is

    segment to a temporary name → fsync → rename → fsync of the folder → one SQLite transaction that lists it

so that whatever is killed, and whenever, the last transaction that was acknowledged is whole, and names only
files that are whole. One writer at a time, by SQLite's own lock.
"""

from __future__ import annotations

import itertools
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.indexing import changes, compaction
from attnsearch.indexing.changes import Changes, Split
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.sources.items import Item
from attnsearch.storage import checksum, lock, migration, seal
from attnsearch.storage.database import APPLICATION, FORM, Info, read_info, read_segments, write_info
from attnsearch.storage.failures import OlderError, reading, writing
from attnsearch.storage.files import SEAL
from attnsearch.storage.store import Store

_TABLES = """
CREATE TABLE info (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, file TEXT NOT NULL UNIQUE, sums BLOB NOT NULL,
                       dead BLOB, joined BLOB);
CREATE TABLE items (item INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL,
                    fields TEXT NOT NULL, text_sha256 BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE keys (key INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items, start INTEGER NOT NULL,
                   stop INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX keys_by_item ON keys (item);
"""

_MISSING = """
CREATE TEMP TABLE missing AS SELECT n, start, sha256 FROM passages
WHERE sha256 NOT IN (SELECT sha256 FROM vectors) GROUP BY sha256 HAVING n = min(n) ORDER BY n, start
"""
_COUNTS = """
SELECT (SELECT count(*) FROM vectors WHERE row IS NOT NULL AND sha256 IN (SELECT sha256 FROM passages)),
    (SELECT count(*) FROM missing)
"""


class Writer:
    """A catalog open for writing, new or not: one transaction, which only `commit` makes real.

    Used as a context manager. Raises CatalogError: another writer works, or the folder can't be written.
    """

    def __init__(self, folder: Path, wait: float = lock.WAIT) -> None:
        self.folder = folder
        with writing(folder):
            self._db = lock.acquire(folder, wait)
            try:
                with reading(folder):
                    self._read()
                self._prepare()
            except BaseException:
                self.close()
                raise

    def _read(self) -> None:
        try:
            self.info = read_info(self._db, self.folder)
        except OlderError:
            migration.migrate_locked(self._db, self.folder)
            self.info = read_info(self._db, self.folder)
        self._next = 0
        if self.info is not None:
            segments, _ = read_segments(self._db, self.info.listing)
            self._next = max((listed.first + listed.rows for listed in segments), default=0)

    def _prepare(self) -> None:
        if self.info is None:
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={FORM}")
            self._db.execute(f"PRAGMA application_id={APPLICATION}")
        changes.create_tables(self._db)
        self._collect()

    def _collect(self) -> None:
        """Delete files that no transaction lists. We hold the lock, so no other writer is about to list them."""
        listed = {file for (file,) in self._db.execute("SELECT file FROM segments")}
        for path in (self.folder / "segments").iterdir():
            if path.name not in listed:
                path.unlink()
        for path in self.folder.glob(f".{SEAL}-*"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget every item and key, as when another model is to read them all again."""
        for table in ("keys", "items", "segments"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 (our own words)

    def take(self, items: Iterable[Item], split: Split, *, keep: bool = False) -> Changes:
        """Bring everything but the keys up to date with `items`, drawn one by one; what is gone goes, unless `keep`.

        Raises InputError for an id used twice.
        """
        with writing(self.folder):
            changes.load_items(self._db, items)
            return changes.compare_items(self._db, split, keep=keep)

    def recall(self, draft: Checkpoint) -> tuple[int, int]:
        """How many texts of this run an earlier one embedded before it was interrupted, and how many are missing."""
        with writing(self.folder):
            rows = ((text, row) for row, text in enumerate(draft.recall()))
            self._db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, NULL, ?)", rows)
            self._db.execute(_MISSING)
            recalled, missing = self._db.execute(_COUNTS).fetchone()
            return recalled, missing

    def missing(self) -> Iterator[tuple[bytes, str]]:
        """The texts that nobody has embedded, each once, with its SHA-256, in the order of their items."""
        yield from self._db.execute(
            "SELECT sha256, coalesce(passages.text, incoming.text) FROM missing JOIN passages USING (n, start, sha256)"
            " JOIN incoming USING (n) ORDER BY n, start"
        )

    def put(self, draft: Checkpoint, texts: Sequence[bytes], x: NDArray[np.float32]) -> None:
        """Keep the embeddings x (n, d) of the texts with these SHA-256, also if the run ends here."""
        with writing(self.folder):
            first = draft.append(texts, x)
            rows = ((text, first + at) for at, text in enumerate(texts))
            self._db.executemany("INSERT INTO vectors VALUES (?, NULL, ?)", rows)

    def commit(self, info: Info, draft: Checkpoint) -> Info:
        """Make it all real, and return `info` with its width, counts and times. After it nothing can be lost."""
        with writing(self.folder, "written"):
            d = draft.d or (self.info.d if self.info else 0)
            self._place(draft, d)
            buried = self._db.execute("SELECT key FROM buried ORDER BY key").fetchall()
            with reading(self.folder):
                compaction.settle_segments(self._db, self.folder, d, [key for (key,) in buried])
            info = self._conclude(info._replace(d=d))
            self._db.execute("COMMIT")
        # It is done, whatever happens now: what is left to do can be done later.
        self._db.execute("PRAGMA busy_timeout=0")
        with suppress(sqlite3.Error):
            self._db.execute("BEGIN IMMEDIATE")  # or another writer has the draft open, and will discard it
            draft.discard()
            self._db.execute("ROLLBACK")
        seal.write_seal(self._db, self.folder, info.commit)
        return info

    def _conclude(self, info: Info) -> Info:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        info = info._replace(
            items=self._db.execute("SELECT count(*) FROM items").fetchone()[0],
            keys=self._db.execute("SELECT count(*) FROM keys").fetchone()[0],
            created=info.created or (self.info.created if self.info else now),
            updated=now,
            commit=uuid.uuid4().hex,
            listing=read_segments(self._db)[1],
        )
        write_info(self._db, info._asdict())
        return info

    def _place(self, draft: Checkpoint, d: int) -> None:
        """Give every passage of a pending item its key, in their order, in segments of at most `SEGMENT` rows."""
        pending = self._db.execute(
            "SELECT item, start, stop, key, row FROM pending JOIN passages USING (n) JOIN vectors USING (sha256)"
            " JOIN incoming USING (n) JOIN items USING (id) ORDER BY n, start"
        )
        for some in _runs(pending):
            x = np.empty((len(some), d), np.float32)
            drafted = [at for at, row in enumerate(some) if row[3] is None]
            if drafted:
                x[drafted] = draft.embeddings([some[at][4] for at in drafted])
            if len(drafted) < len(some):
                stored = [at for at, row in enumerate(some) if row[3] is not None]
                with Store(self.folder) as before:
                    x[stored] = before.embeddings([some[at][3] for at in stored])
            keys = [(key, *row[:3]) for key, row in enumerate(some, self._next)]
            self._db.executemany(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?)", ((*key, checksum.row_checksum(*key)) for key in keys)
            )
            joined = np.array([start > 0 for _, _, start, _ in keys])
            compaction.add_segment(self._db, self.folder, self._next, x, joined)
            self._next += len(x)

    def close(self) -> None:
        """Give the lock back. What was not committed is as if it had never been."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _runs(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in lists of at most `SEGMENT`, or more where one item has more; no item is in two of them."""
    run: list[tuple[Any, ...]] = []
    for _, item in itertools.groupby(rows, key=lambda row: row[0]):
        passages = list(item)
        if run and len(run) + len(passages) > compaction.SEGMENT:
            yield run
            run = []
        run += passages
    if run:
        yield run
