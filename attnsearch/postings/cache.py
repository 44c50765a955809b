"""Which items have a value of a field, or a term: made when it is first asked for, and kept beside the keys.

    postings/terms.<commit>.<checksum>
    postings/field-<hash of its name>.<commit>.<checksum>

Each is an SQLite database, made of one state of the catalog, whose commit it names; it is never changed, and not
believed where its bytes do not have the checksum in its name. It says nothing that the items do not, so that what is
lost or spoiled is made anew.
"""

from __future__ import annotations

import logging
import mmap
import os
import re
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.postings import facets, filters
from attnsearch.postings.facets import Collector, Facet, Measured
from attnsearch.postings.terms import Term, find_term, write_terms
from attnsearch.storage import checksum
from attnsearch.storage.failures import writing
from attnsearch.storage.files import FLAGS_NO_LINK
from attnsearch.storage.store import Store

FOLDER = "postings"

_TERMS = "terms"
_NAME = re.compile(r"(terms|field-[0-9a-f]{16})\.([0-9a-f]{32})\.([0-9a-f]{16})")
_ALWAYS = ("id", "title", "description")  # fields that every item has
_TOLD = 12  # names of fields, at most, in a message

log = logging.getLogger("attnsearch")


class Postings:
    """Those of the state of a catalog that an open store holds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, sqlite3.Connection] = {}
        self._seen: set[str] = set()

    def ensure(self, fields: Iterable[str] = (), *, terms: bool = False) -> None:
        """Open what is there of these, and make the rest. Raises InputError for a field that no item has."""
        wanted = {_label(field): field for field in fields}
        missing = []
        for label in [*wanted, *[_TERMS] * terms]:
            if label not in self._open:
                db = _find(self._store.folder / FOLDER, label, self._store.info.commit)
                if db is None:
                    missing.append(label)
                else:
                    self._open[label] = db
        if missing:
            self.make([wanted[label] for label in missing if label != _TERMS], terms=_TERMS in missing)
        for label, field in wanted.items():
            if label not in self._open:
                raise self._unknown(field)

    def select(self, asked: filters.Filter) -> NDArray[np.uint32]:
        """The first keys of the items for which a filter holds; for `!=`, of those for which it does not."""
        self.ensure([asked.field])
        return facets.select_keys(self._open[_label(asked.field)], filters.conditions_of(asked))

    def measure(self, field: str) -> Measured | None:
        """The numbers, or the dates, of a field that has them for most of its items."""
        self.ensure([field])
        return facets.read_measured(self._open[_label(field)])

    def facets(self, field: str) -> list[Facet]:
        """All values of a field."""
        self.ensure([field])
        return facets.read_facets(self._open[_label(field)])

    def term(self, term: str) -> Term | None:
        """What a term says, if there is an item that has it."""
        self.ensure(terms=True)
        return find_term(self._open[_TERMS], term)

    def make(self, fields: Sequence[str], *, terms: bool) -> None:
        """Make these, in one pass over the items, and keep them; a field that no item has is left out."""
        info = self._store.info
        log.info("reading all %d items of %s, once", info.items, info.name)
        made: dict[str, sqlite3.Connection] = {}
        keys: list[int] = []
        with closing(Collector(fields, info.fields)) as drawn, writing(self._store.folder, "read"):

            def texts() -> Iterator[str]:
                for key, item in self._store.items():
                    keys.append(key)
                    drawn.add(key, item)
                    yield item.text

            if terms:
                made[_TERMS] = db = _new()
                write_terms(db, texts(), keys)
            else:
                for _ in texts():
                    pass
            self._seen = drawn.seen
            for field in fields:
                db = _new()
                if drawn.fill(db, field):
                    made[_label(field)] = db
                else:
                    db.close()
        for label, db in made.items():
            db.execute("COMMIT")
            _keep(db, self._store.folder / FOLDER, label, info.commit)
        self._open |= made

    def _unknown(self, field: str) -> InputError:
        import difflib  # a query that finds its fields does without

        near = difflib.get_close_matches(field, self._seen.union(_ALWAYS), n=1)
        known = ", ".join(sorted(self._seen)[:_TOLD])
        hint = f"did you mean '{near[0]}'?" if near else f"there is {known}" if known else "its items have no fields"
        return InputError(f"no item of {self._store.info.name} has a field '{field}'", hint=hint)

    def close(self) -> None:
        """Close what was opened."""
        for db in self._open.values():
            db.close()
        self._open.clear()


def refresh_postings(folder: Path, *, terms: bool = False) -> None:
    """Make for the state that the catalog is in those that an earlier one had, and, if asked for, `terms`.

    What can't be made now, the next query makes.
    """
    with (
        suppress(AttnsearchError, OSError, sqlite3.Error),
        Store(folder) as store,
        closing(Postings(store)) as postings,
    ):
        fields = set()
        for path, label, commit, told in list(_files(folder / FOLDER)):
            if commit == store.info.commit:
                continue
            terms |= label == _TERMS
            db = _read(path, told)
            if db and label != _TERMS:
                fields.add(facets.read_field_name(db))
            if db:
                db.close()
            path.unlink()
        if fields or terms:
            postings.make(sorted(fields), terms=terms)


def broken_files(folder: Path) -> Iterator[str]:
    """The names of those files whose bytes are not what was written."""
    for path, _, _, told in _files(folder / FOLDER):
        if _sum(path) != told:
            yield f"{FOLDER}/{path.name}"


def _label(field: str) -> str:
    raw = field.encode()
    return f"field-{checksum.part_checksums(raw, len(raw)).hex()}"


def _files(folder: Path) -> Iterator[tuple[Path, str, str, str]]:
    """What is there: its path, its label, its commit, its checksum."""
    if folder.is_dir():
        for path in folder.iterdir():
            if found := _NAME.fullmatch(path.name):
                yield path, found[1], found[2], found[3]


def _find(folder: Path, label: str, commit: str) -> sqlite3.Connection | None:
    files = _files(folder)
    found = (_read(path, told) for path, one, at, told in files if (one, at) == (label, commit))
    return next((db for db in found if db), None)


def _read(path: Path, told: str) -> sqlite3.Connection | None:
    """The database in a file, if its bytes are what was written."""
    with suppress(OSError, sqlite3.Error):
        if _sum(path) == told:
            return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return None


def _sum(path: Path) -> str:
    with suppress(OSError, ValueError), os.fdopen(os.open(path, FLAGS_NO_LINK), "rb") as stream:
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as raw:
                return checksum.part_checksums(memoryview(raw), len(raw)).hex()
    return ""


def _new() -> sqlite3.Connection:
    """A database in a file without a name, which goes when it is closed."""
    db = sqlite3.connect("", isolation_level=None)
    db.execute("BEGIN")
    return db


def _keep(db: sqlite3.Connection, folder: Path, label: str, commit: str) -> None:
    """Put a copy where the next query finds it, unless the disk is full or may not be written."""
    import uuid  # as above

    temporary = folder / f".{uuid.uuid4().hex}"
    try:
        folder.mkdir(exist_ok=True)
        db.execute("VACUUM INTO ?", (str(temporary),))
        temporary.rename(folder / f"{label}.{commit}.{_sum(temporary)}")
    except (OSError, sqlite3.Error) as error:
        log.info("%s can't be kept: %s", label, error)
        with suppress(OSError):
            temporary.unlink()
