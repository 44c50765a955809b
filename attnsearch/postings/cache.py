"""Which items have a value of a field, or a term: built with a segment, or on first use, and stored beside the keys.

    <segment>.terms-<hash of language and fields>.v5.<checksum>
    <segment>.field-<hash of its name and fields>.v4.<checksum>

Each is a file of `postings.stored`. It only repeats what the items hold, so whatever is lost or damaged is rebuilt. A
query reads what it needs of each segment, and counts only items that live.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import AttnsearchError
from attnsearch.postings import conditions, facets, field, stored, vocabulary
from attnsearch.postings import terms as terms_of_texts
from attnsearch.postings.conditions import Filter
from attnsearch.postings.facets import Collector
from attnsearch.postings.stored import Folder, Part, StoredFile
from attnsearch.postings.terms import Term, Terms
from attnsearch.postings.values import Facet, Measured, Values
from attnsearch.sources.kinds import Kind
from attnsearch.storage.database import Info
from attnsearch.storage.failures import DAMAGE, writing
from attnsearch.storage.segment import SegmentRow
from attnsearch.storage.store import Store
from attnsearch.syntax.values import check_text

# The forms of the tables, and of the rules for terms and kinds. Files of an earlier one are never read: the next commit
# removes them.
_TERMS_FORM = "v5"
_FIELD_FORM = "v4"

log = logging.getLogger("attnsearch")


class Postings:
    """The postings of an open store: of the one state of the catalog that it holds. Threads may share them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._values: dict[str, Values] = {}  # by the name of the field
        self._terms: Terms | None = None
        self._lock = threading.RLock()  # one statement, or one build, at a time
        self._noted: set[str] = set()  # fields of which it was said that values can't be read

    def ensure(self, fields: Iterable[str] = (), *, terms: bool = False) -> None:
        """Open the stored postings of these fields, and of the terms if asked; build those that are missing.

        Raises InputError for a field that no item has.
        """
        with self._lock, self._store.reading():
            self._store.check_open()
            names = [name for name in dict.fromkeys(fields) if name not in self._values]
            for name in names:
                check_text(name, "the name of the field")
            if names or (terms and self._terms is None):
                self._open(names, terms=terms and self._terms is None)

    def _find_files(self) -> Folder:
        """Where stored postings are."""
        return Folder(self._store.folder)

    def _make_terms(self, parts: Sequence[Part]) -> Terms:
        """The terms of these parts."""
        return Terms(parts)

    def _open(self, names: Sequence[str], *, terms: bool) -> None:
        labels = {field_label(name, self._store.info): name for name in names}
        parts = open_parts(self._store, self._find_files(), labels, terms=terms)
        if terms:
            self._terms = self._make_terms(parts.pop(terms_label(self._store.info)))
        values = {name: Values(parts[label]) for label, name in labels.items()}
        self._values |= {name: of_field for name, of_field in values.items() if of_field.count}
        for name, of_field in values.items():
            if not of_field.count:
                is_there = of_field.has_field
                stored.close_all(of_field.parts)
                raise field.unknown_field(self._store, name, is_there=is_there)

    def select_keys(self, where: Filter) -> NDArray[np.uint32]:
        """The first keys (n,) of the items for which a filter holds; for `!=`, of those for which it does not.

        Raises InputError for a value that the field's kind can't be compared with. Says once how many values of the
        field can't be read as its kind.
        """
        with self._lock, self._store.reading():
            values = self.find_values(where.field)
            kind = field.check_filter(values, where)
            if conditions.reads(where, kind):
                self._note_unread(values, where.field, kind, "they match nothing")
            return values.select_keys(conditions.conditions_of(where, kind))

    def find_near_value(self, name: str, value: str) -> str | None:
        """The text of a field that is most like this one, which no item has; None if there is none like it."""
        with self._lock, self._store.reading():
            return field.find_near_value(self.find_values(name), value)

    def read_measured(self, name: str) -> Measured | None:
        """The numbers, or the dates, of a field; None if most of its values are neither.

        Says once how many of its values are not.
        """
        with self._lock, self._store.reading():
            values = self.find_values(name)
            measured = values.read_measured()
            if measured is not None:
                kind = field.measured_kind(values, is_date=measured.is_date)
                self._note_unread(values, name, kind, "they do not count")
            return measured

    def describe_unmeasured(self, name: str) -> str:
        """What a field has in place of numbers or dates."""
        with self._lock, self._store.reading():
            return field.describe_unmeasured(self.find_values(name), name)

    def _note_unread(self, values: Values, name: str, kind: Kind, consequence: str) -> None:
        """Say once how many values of a field can't be read as its kind."""
        if kind.unread and name not in self._noted:
            self._noted.add(name)
            log.warning("%s: %s; %s", name, field.describe_unread(values, kind), consequence)

    def read_facets(self, name: str) -> list[Facet]:
        """All values of a field."""
        with self._lock, self._store.reading():
            return self.find_values(name).read_facets()

    def find_term(self, term: str) -> Term | None:
        """The postings of a term; None if no item contains it."""
        with self._lock, self._store.reading():
            return self.find_terms().find(term)

    def find_terms(self) -> Terms:
        """All terms."""
        self.ensure(terms=True)
        return self._terms or Terms([])

    def find_values(self, name: str) -> Values:
        """The values of a field. Raises InputError if no item has one."""
        self.ensure([name])
        return self._values[name]

    def open_same(self, other: Postings) -> None:
        """Open what the postings of another state of the catalog have open, as far as it is there."""
        with other._lock:
            names = list(other._values)
            terms = other._terms is not None
        try:
            self.ensure(names, terms=terms)
        except field.UnknownFieldError:  # no item has it any more; who asks for it is told
            for name in names:
                with suppress(field.UnknownFieldError):
                    self.ensure([name], terms=terms)

    def close(self) -> None:
        """Close all databases."""
        with self._lock:
            for values in self._values.values():
                stored.close_all(values.parts)
            if self._terms:
                stored.close_all(self._terms.parts)
            self._values.clear()
            self._terms = None


def open_parts(store: Store, files: Folder, fields: Mapping[str, str], *, terms: bool) -> dict[str, list[Part]]:
    """The parts of these fields, by the labels that they stand by, and of the terms: stored, or new and now stored.

    No item is read for a field that none has. Raises InputError for it.
    """
    labels: dict[str, Sequence[str]] = dict.fromkeys(fields, facets.TABLES)
    if terms:
        labels[terms_label(store.info)] = terms_of_texts.TABLES
    opened = {label: dict(files.open_all(store.segments, label, tables)) for label, tables in labels.items()}
    try:
        for label, name in fields.items():
            if not (opened[label] or field.is_mentioned(store, name)):
                raise field.unknown_field(store, name, is_there=False)
        _build_missing(store, files, fields, opened)
        for label in fields:
            _read_alike(store, files, label, opened[label])
    except BaseException:
        for parts in opened.values():
            stored.close_all(parts.values())
        raise
    return {label: [parts[number] for number in sorted(parts)] for label, parts in opened.items()}


def _build_missing(
    store: Store, files: Folder, fields: Mapping[str, str], opened: Mapping[str, dict[int, Part]]
) -> None:
    """Build and store what the segments lack, each in one pass over its items."""
    lacking = {}
    for number in range(len(store.segments)):
        if labels := [label for label, parts in opened.items() if number not in parts]:
            lacking[number] = labels
    stored.note_reading(store, [store.segments[number] for number in lacking])
    for number, labels in lacking.items():
        segment = store.segments[number]
        for label, part in _build(store, segment, labels, fields).items():
            files.store(part, segment, label)
            opened[label][number] = part


def _read_alike(store: Store, files: Folder, label: str, parts: dict[int, Part]) -> None:
    """Read the values of a field again, and store them, where they are read as of another kind than the whole is."""
    kind = Values(list(parts.values())).kind
    for number, part in parts.items():
        if again := facets.read_again(part, kind):
            part.db.close()
            parts[number] = again
            files.store(again, store.segments[number], label)


def _build(store: Store, segment: SegmentRow, labels: Sequence[str], fields: Mapping[str, str]) -> dict[str, Part]:
    """The parts of a segment with these labels, which are those of fields and of the terms."""
    built: dict[str, Part] = {}
    rows: list[int] = []
    names = {label: fields[label] for label in labels if label in fields}
    with (
        closing(Collector(names.values(), store.info.fields, segment.rows)) as collector,
        writing(store.folder, "read"),
    ):

        def texts() -> Iterator[str]:
            for row, item in stored.items_of(store, segment):
                rows.append(row)
                collector.add(row, item)
                yield item.text

        for label in labels:
            if label not in fields:
                built[label] = part = stored.create_part(segment)
                terms_of_texts.write_terms(part.db, texts(), rows, segment.rows, store.info.language)
                stored.write_about(part.db, stored.pack_rows(collector.covered))
        if not rows:
            for _ in texts():
                pass
        for label, name in names.items():
            built[label] = part = stored.create_part(segment)
            collector.fill(part.db, name)
    for part in built.values():
        part.db.execute("COMMIT")
    return built


def refresh_postings(folder: Path, *, terms: bool = False) -> None:
    """Build, for the catalog's present state, the postings that an earlier one had; also the terms, if asked.

    Only new segments are read. The words too, if a query would not count so many. What can't be built now is built by
    the next query.
    """
    with suppress(AttnsearchError, *DAMAGE), Store(folder) as store:
        names: list[str] = []
        words = store.info.items > vocabulary.COUNTED
        for label, file in Folder(folder).examples().items():
            terms = terms or label.startswith("terms")
            words = words or label.startswith("words")
            if label.startswith("field") and (name := _read_name(file)):
                names.append(name)
        labels = {field_label(name, store.info): name for name in sorted(set(names)) if field.is_mentioned(store, name)}
        parts = open_parts(store, Folder(folder), labels, terms=terms)
        wanted = {label for label in parts if label not in labels or Values(parts[label]).count}
        for opened in parts.values():
            stored.close_all(opened)
        if words:
            vocabulary.collect_all(store)
            wanted.add(vocabulary.words_label(store.info))
        segments = {stored.name_of(segment) for segment in store.segments}
        Folder(folder).clear(lambda file: file.segment in segments and file.label in wanted)


def _read_name(file: StoredFile) -> str:
    """The name of the field whose values a file has; empty if it is not what was written."""
    if db := stored.open_file(file):
        with closing(db), suppress(*DAMAGE):
            (name,) = db.execute("SELECT name FROM about").fetchone()
            return name if isinstance(name, str) else ""
    return ""


def field_label(name: str, info: Info) -> str:
    """The label of a field's postings. The id and the title are in fields of other names in each catalog."""
    return stored.make_label("field", _FIELD_FORM, name, info.fields.id, info.fields.title)


def terms_label(info: Info) -> str:
    """The label of the terms."""
    return stored.make_label("terms", _TERMS_FORM, info.language, *info.fields)
