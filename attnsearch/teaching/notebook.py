"""Where what people taught a catalog lies: judgments, as the lines of feedback.jsonl, and what was learned.

A catalog in a folder has two files there; `postgres.place` has two tables. Only a holder of the catalog's lock changes
them, and a reader needs no lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from attnsearch.errors import CatalogError, InputError
from attnsearch.readers import records
from attnsearch.storage import home, learned, lock
from attnsearch.storage.database import Info, read_info
from attnsearch.storage.failures import missing, reading, writing
from attnsearch.storage.files import FEEDBACK, LEARNED, is_regular, refuse_link, replace_file, sync
from attnsearch.storage.learned import Learned
from attnsearch.storage.store import Store
from attnsearch.syntax.values import Mapping


class Notebook(Protocol):
    """What people taught a catalog. `where` is the place of its lines, and `name` what the catalog is called."""

    where: str
    name: str

    def open_items(self) -> Store:
        """The catalog, open for reading. Raises CatalogError."""

    def read_records(self) -> list[Mapping]:
        """The judgments, a record for each line, all of one moment; none if nobody has judged.

        Raises InputError, with the line, for what is not JSON; CatalogError if they can't be read.
        """

    def load_learned(self) -> Learned | None:
        """What was learned; None if nothing. Raises CatalogError, InputError for a newer version."""

    def forget_learned(self) -> Learned | None:
        """Delete what was learned, and return it; None if it is damaged or has a newer version.

        Raises FileNotFoundError if nothing was learned, CatalogError if the catalog is gone or can't be changed.
        """

    def writing(self, wait: float) -> AbstractContextManager[None]:
        """Hold the catalog's lock, for which another writer may take `wait` seconds, so that the body may `write`.

        Raises CatalogError if there is no catalog, or it can't be written.
        """

    def read_info(self) -> Info | None:
        """The catalog's record of itself, while the lock is held. Raises CatalogError."""

    def write(self, lines: Sequence[bytes] | None, before: Learned | None, after: Learned | None) -> None:
        """Make these all lines, while the lock is held; None leaves them as they are.

        `before` is to be what was learned until they are there, and `after` what was from then on; None leaves that
        alone, and what has nothing in it is forgotten.
        """


class FolderNotebook:
    """That of the catalog in a folder. A request is forgotten first, then judged, then remembered.

    So after a crash, what is remembered of the feedback is what the feedback says; a request may be missing until the
    next feedback or training.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder / FEEDBACK)
        self.name = folder.name
        self._db: Any  # that holds the lock

    def open_items(self) -> Store:
        """As that of `Notebook`."""
        return home.open_migrated(self.folder, Store)

    def read_records(self) -> list[Mapping]:
        """As that of `Notebook`. Raises CatalogError for a link."""
        file = self.folder / FEEDBACK
        refuse_link(file)
        if (regular := is_regular(file)) is None:
            return []
        if not regular:
            raise CatalogError("is not a regular file", where=str(file), hint="remove it")
        try:
            return list(records.read_records(str(file)).items)
        except InputError:
            if file.exists():
                raise
            return []  # the catalog was removed meanwhile

    def load_learned(self) -> Learned | None:
        """As that of `Notebook`."""
        return learned.load_learned(self.folder)

    def forget_learned(self) -> Learned | None:
        """As that of `Notebook`."""
        return learned.forget_learned(self.folder)

    @contextmanager
    def writing(self, wait: float) -> Iterator[None]:
        """As that of `Notebook`."""
        with writing(self.folder), closing(lock.acquire(self.folder, wait, create=False)) as self._db:
            if not self._db.execute("SELECT 1 FROM sqlite_schema").fetchone():  # it was removed while we waited
                raise missing(self.folder)
            yield

    def read_info(self) -> Info | None:
        """As that of `Notebook`."""
        with reading(self.folder):
            return read_info(self._db, self.folder)

    def write(self, lines: Sequence[bytes] | None, before: Learned | None, after: Learned | None) -> None:
        """As that of `Notebook`: one file after the other, each of them atomically."""
        self._remember(before)
        if lines is not None:
            self._clear(FEEDBACK)
            replace_file(self.folder / FEEDBACK, b"".join(lines))
        self._remember(after)

    def _remember(self, what: Learned | None) -> None:
        if what is None:
            return
        self._clear(LEARNED)
        if what.trained or what.memory is not None:
            learned.write_learned(self.folder / LEARNED, what)
        else:
            (self.folder / LEARNED).unlink(missing_ok=True)
            sync(self.folder)

    def _clear(self, name: str) -> None:
        """Delete what a killed writer of that file left: nobody else holds the lock."""
        for orphan in self.folder.glob(f".{name}-*"):
            orphan.unlink(missing_ok=True)
