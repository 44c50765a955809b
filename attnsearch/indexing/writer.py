"""Items and their embeddings → disk. The form on disk: docs/storage.md.

A run calls, in this order:

    take_items      what the sources hold, compared with what is stored
    recall          the embeddings that an interrupted run left in its checkpoint
    missing_texts   the texts that are still without an embedding
    put_embeddings  their embeddings, chunk by chunk
    commit          segment to a temporary name → fsync → rename → fsync of the folder → one SQLite transaction

The transaction lists the segment. So whatever is killed, and whenever, the last acknowledged transaction is whole and
names only whole files. One writer at a time, by SQLite's own lock.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnsearch.indexing import changes, compaction
from attnsearch.indexing.changes import Changes, Split
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.compaction import NewPassage
from attnsearch.sources.fields import UNNAMED, Fields
from attnsearch.sources.items import Item
from attnsearch.storage import checksum, lock, migration, seal
from attnsearch.storage.database import APPLICATION, FORM, TABLES, Info, KeyRow, read_info, write_info
from attnsearch.storage.failures import OlderError, reading, writing
from attnsearch.storage.files import SEAL, SEGMENTS
from attnsearch.storage.segment import read_segments

_LIFE = 1.0  # seconds between two signs of life

Part = TypeVar("Part")
Floats = NDArray[np.float32]

_MISSING_TEXTS = """
SELECT sha256, coalesce(passages.text, incoming.text)
FROM missing JOIN passages USING (n, start, sha256) JOIN incoming USING (n) ORDER BY n, start
"""
_NEW_PASSAGES = """
SELECT item, start, stop, key, row FROM passages JOIN vectors USING (sha256)
    JOIN incoming USING (n) JOIN items USING (id) ORDER BY n, start
"""


class Recalled(NamedTuple):
    """How many texts of this run an interrupted one has embedded, and how many are missing."""

    embedded: int
    missing: int


class MissingText(NamedTuple):
    """A text without an embedding, and its SHA-256."""

    sha256: bytes
    text: str


class Writer:
    """A catalog open for writing, new or not: one transaction, which only `commit` makes real.

    `info` is what is stored, None for a new catalog. Used as a context manager. Raises BusyError when another writer
    holds the lock and makes no progress for `wait` seconds, CatalogError when the folder can't be written.
    """

    def __init__(self, folder: Path, wait: float = lock.WAIT) -> None:
        self.folder = folder
        self._shown = time.monotonic()  # when we last showed life
        with writing(folder):
            self._db = lock.acquire(folder, wait)
            try:
                with reading(folder):
                    self._read_state()
                self._create_tables()
                self._delete_orphans()
            except BaseException:
                self.close()
                raise

    def _read_state(self) -> None:
        """Read the stored info, and the number of the next key; an older form is migrated first."""
        try:
            self.info = read_info(self._db, self.folder)
        except OlderError:
            migration.migrate_locked(self._db, self.folder)
            self.info = read_info(self._db, self.folder)
        self._next_key = 0
        self.d = self.info.d if self.info else 0
        if self.info is not None:
            segments, _ = read_segments(self._db, self.info.listing)
            self._next_key = max((segment_row.first + segment_row.rows for segment_row in segments), default=0)

    def _create_tables(self) -> None:
        if self.info is None:
            for statement in TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={FORM}")
            self._db.execute(f"PRAGMA application_id={APPLICATION}")
        changes.create_tables(self._db)

    def _delete_orphans(self) -> None:
        """Delete files that no transaction lists. We hold the lock, so no other writer is about to list them."""
        listed = {file for (file,) in self._db.execute("SELECT file FROM segments")}
        for path in (self.folder / SEGMENTS).iterdir():
            if path.name not in listed:
                path.unlink()
        for path in self.folder.glob(f".{SEAL}-*"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every item and key, so that everything is embedded again."""
        for table in ("keys", "items", "segments", "fields"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 (our own words)

    def replace_columns(
        self, checkpoint: Checkpoint, recode: Callable[[list[tuple[KeyRow, Item]], Floats], Floats]
    ) -> None:
        """Give every stored key other columns: `recode` makes them of some keys, their items, and their x (n, d).

        It may take them from rows of the checkpoint, see `recalled_row`. Raises CatalogError if the catalog is damaged.
        """
        fields = self.info.fields if self.info else UNNAMED

        def recode_rows(keys: NDArray[np.int64], x: Floats) -> Floats:
            with reading(self.folder):
                places = changes.stored_places(self._db, int(keys[0]), int(keys[-1]) + 1, fields)
                if [key.key for key, _ in places] != keys.tolist():
                    raise ValueError("its keys are not the living rows of its segments")
            return self._pass_on(recode(places, x))

        with writing(self.folder):
            changes.recall_rows(self._db, checkpoint.recall())
            self.d = compaction.replace_columns(self._db, self.folder, self.d, recode_rows)

    def count_characters(self) -> int:
        """How many characters all stored passages have."""
        return int(self._db.execute("SELECT coalesce(sum(stop - start), 0) FROM keys").fetchone()[0])

    def recalled_row(self, sha256: bytes) -> int | None:
        """See `changes.recalled_row`."""
        return changes.recalled_row(self._db, sha256)

    def take_items(
        self, items: Iterable[Item], split: Split, *, keep: bool = False, fields: Fields = UNNAMED
    ) -> Changes:
        """Bring the stored items up to date with `items`, drawn one by one; absent ones are removed, unless `keep`.

        Raises InputError for an id that is there twice; `fields` are those that are read.
        """
        with writing(self.folder):
            changes.load_items(self._db, (self._pass_on(item) for item in items), fields)
            return changes.compare_items(self._db, lambda title, text: self._pass_on(split(title, text)), keep=keep)

    def _pass_on(self, part: Part) -> Part:
        """Pass on a part of the work that is done, and let those who wait for us see that we make progress."""
        if time.monotonic() - self._shown > _LIFE:
            self._show_life()
            self._shown = time.monotonic()
        return part

    def _show_life(self) -> None:
        lock.show_life(self.folder)

    def has_kept(self) -> bool:
        """Whether there are items that were not among those taken."""
        query = "SELECT EXISTS (SELECT 1 FROM items WHERE id NOT IN (SELECT id FROM incoming))"
        return bool(self._db.execute(query).fetchone()[0])

    def field_names(self) -> list[str]:
        """The names of the catalog's fields."""
        return [name for (name,) in self._db.execute("SELECT name FROM fields ORDER BY rowid")]

    def supply(self, hashes: Sequence[bytes], x: NDArray[np.float32]) -> None:
        """Take embeddings x (n, d) that came with the items, of the texts with these SHA-256."""
        rows = ((sha256, row.tobytes()) for sha256, row in zip(hashes, x, strict=True))
        self._db.executemany("INSERT OR IGNORE INTO supplied VALUES (?, ?)", rows)

    def sample_supplied(self, count: int) -> list[changes.SuppliedText]:
        """See `changes.sample_supplied`."""
        return changes.sample_supplied(self._db, count)

    def count_unsupplied(self) -> int:
        """How many characters the texts have that nothing was supplied for."""
        return changes.count_unsupplied(self._db)

    def recall(self, checkpoint: Checkpoint) -> Recalled:
        """Reuse the embeddings in the checkpoint of an interrupted run, and list the texts that are missing.

        Those that were supplied are written to the checkpoint, and are not missing.
        """
        with writing(self.folder):
            embedded = changes.recall_rows(self._db, checkpoint.recall())
            for hashes, x in changes.draw_supplied(self._db):
                self.put_embeddings(checkpoint, hashes, x)
            return Recalled(embedded, changes.list_missing(self._db))

    def missing_texts(self) -> Iterator[MissingText]:
        """The texts without an embedding, each once, in the order of their items."""
        return map(MissingText._make, self._db.execute(_MISSING_TEXTS))

    def put_embeddings(self, checkpoint: Checkpoint, hashes: Sequence[bytes], x: NDArray[np.float32]) -> None:
        """Write the embeddings x (n, d) of the texts with these SHA-256, which survive even if the run ends here."""
        with writing(self.folder):
            first = checkpoint.append(hashes, x)
            rows = ((sha256, row) for row, sha256 in enumerate(hashes, first))
            self._db.executemany("INSERT INTO vectors VALUES (?, NULL, ?)", rows)

    def commit(self, info: Info, checkpoint: Checkpoint) -> Info:
        """Make it all real and durable; returns `info` with its width, counts and times."""
        with writing(self.folder, "written"):
            d = checkpoint.d or self.d
            self._add_keys(checkpoint, d)
            dead = [key for (key,) in self._db.execute("SELECT key FROM dead ORDER BY key")]
            with reading(self.folder):
                compaction.settle_segments(self._db, self.folder, d, dead)
                changes.update_fields(self._db, self.info.fields if self.info else info.fields, info.fields)
            info = self._write_info(info._replace(d=d))
            self._db.execute("COMMIT")
        # It is done. What remains may fail, and can be done later.
        self._db.execute("PRAGMA busy_timeout=0")
        with suppress(sqlite3.Error):
            self._db.execute("BEGIN IMMEDIATE")  # or another writer has opened the checkpoint, and will discard it
            checkpoint.discard()
            self._db.execute("ROLLBACK")
        seal.write_seal(self._db, self.folder, info.commit)
        return info

    def _write_info(self, info: Info) -> Info:
        """Add counts, times and a new name of the state to `info`, and store it."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        info = info._replace(
            items=self._db.execute("SELECT count(*) FROM items").fetchone()[0],
            keys=self._db.execute("SELECT count(*) FROM keys").fetchone()[0],
            created=info.created or (self.info.created if self.info else now),
            updated=now,
            commit=uuid.uuid4().hex,
            listing=read_segments(self._db)[1],
        )
        # Without a use, heads are as an older attnsearch reads them.
        heads = [head if head.use else head[:-1] for head in info.heads]
        write_info(self._db, {**info._asdict(), "heads": heads})
        return info

    def _add_keys(self, checkpoint: Checkpoint, d: int) -> None:
        """Give every passage of an item that differs its key, in order, in segments of at most `SEGMENT` rows."""
        for passages in compaction.split_segments(map(NewPassage._make, self._db.execute(_NEW_PASSAGES))):
            x = self._gather_embeddings(passages, checkpoint, d)
            keys = [
                (key, passage.item, passage.start, passage.stop) for key, passage in enumerate(passages, self._next_key)
            ]
            self._db.executemany(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?)", ((*key, checksum.row_checksum(*key)) for key in keys)
            )
            joined = np.array([passage.start > 0 for passage in passages])
            self._add_segment(keys, x, joined)
            self._next_key += len(x)

    def _add_segment(self, keys: list[tuple[int, int, int, int]], x: Floats, joined: NDArray[np.bool_]) -> None:
        """Write a segment with the vectors x (n, d) of these keys, of which it lists those that are joined (n,)."""
        compaction.add_segment(self._db, self.folder, keys[0][0], x, joined)

    def _gather_embeddings(self, passages: list[NewPassage], checkpoint: Checkpoint, d: int) -> NDArray[np.float32]:
        """The embeddings (n, d) of the passages, from the checkpoint or from the catalog's own keys."""
        x = np.empty((len(passages), d), np.float32)
        new = {index: passage.row for index, passage in enumerate(passages) if passage.row is not None}
        if new:
            x[list(new)] = checkpoint.embeddings(list(new.values()))
        stored = {index: passage.key for index, passage in enumerate(passages) if passage.key is not None}
        if stored:
            x[list(stored)] = self._read_rows(d, list(stored.values()))
        return x

    def _read_rows(self, d: int, keys: list[int]) -> Floats:
        """The stored vectors (n, d) of these keys. Raises CatalogError if the catalog is damaged."""
        with reading(self.folder):
            return compaction.read_rows(self._db, self.folder, d, keys)

    def close(self) -> None:
        """Release the lock. What was not committed never happened."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
