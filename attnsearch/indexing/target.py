"""Files and options → the catalog that is meant, and how its items are read."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

from attnsearch.errors import InputError
from attnsearch.exports.form import Header
from attnsearch.exports.reading import Export, open_export
from attnsearch.indexing.writer import Writer
from attnsearch.readers.raw_file import inner_name, source_name
from attnsearch.sources import items
from attnsearch.sources.fields import UNNAMED, Fields, first_names
from attnsearch.sources.items import Listing
from attnsearch.sources.recognition import Survey
from attnsearch.storage import files, home, lock
from attnsearch.storage.database import Info, Source, read_fields
from attnsearch.storage.failures import reading as reading_errors
from attnsearch.syntax.formats import AS_FOUND, Reading
from attnsearch.syntax.names import fold_name
from attnsearch.syntax.values import Mapping
from attnsearch.upkeep.freshness import source_path, stamp_source

_LISTED = 6  # names of fields, at most, in a line
_LONGEST_NAME = 30  # characters of a field's name in it

log = logging.getLogger("attnsearch")


class SourceFile(NamedTuple):
    """A file to read: its name, its path, which is None for a pipe, and the SHA-256 of what was read of it so far.

    Its stamp is from before: a change while it is read is seen later.
    """

    name: str
    path: str | None
    digest: hashlib._Hash
    stamp: str

    @property
    def shown(self) -> str:
        """What the catalog calls it."""
        return self.path or self.name

    def as_read(self) -> Source:
        """What the catalog records of the file, once it is read to its end."""
        return Source(self.shown, self.digest.hexdigest() if self.path else None, self.stamp)


class Target(NamedTuple):
    """The catalog to bring up to date: where it is, what goes in, and what it was before, if it exists.

    `given` are the fields that a user named, now or earlier. `export` is what is read if the source is an export; its
    items are not in the `listing`.
    """

    folder: Path
    name: str
    sources: tuple[SourceFile, ...]
    given: Fields
    reading: Reading
    listing: Listing
    existing: Info | None
    export: Export | None = None


class Stored(NamedTuple):
    """What a catalog was before: its info, and the names of its fields."""

    info: Info
    names: list[str]


class Place(Protocol):
    """Where a catalog is, if not in the home: its name there, and the `folder` of what an unfinished run embedded."""

    name: str
    folder: Path

    def read_stored(self) -> Stored | None:
        """What is stored; None if there is no catalog yet."""

    def open_writer(self, wait: float) -> Writer:
        """The catalog, open for writing; another writer is waited for, see `Writer`."""


class Read(NamedTuple):
    """Which fields were read as the id, the title and the text, and which were not, those with most words first.

    No field of the id: it is made from the title. `longest` is a field that is not read though it has the most words.
    """

    id: tuple[str, ...]
    title: str
    text: tuple[str, ...]
    unread: tuple[str, ...]
    longest: str | None

    def sentence(self) -> str:
        """What was read and what was not, in one line.

        >>> Read(("sku",), "product", ("product", "blurb"), ("price",), None).sentence()
        'read: product, blurb (title: product; id: sku; not read: price; change it with --text-field)'
        >>> Read((), "title", ("title",), (), None).sentence()
        'read: title'
        """
        notes = []
        if fold_name(self.title) != "title":
            notes.append(f"title: {_cut(self.title)}" if self.title else "title: the beginning of the text")
        if self.id not in ((), ("id",)):
            notes.append(f"id: {' and '.join(map(_cut, self.id))}")
        if self.unread:
            notes += [f"not read: {_list_names(self.unread)}", "change it with --text-field"]
        in_brackets = f" ({'; '.join(notes)})" if notes else ""
        return f"read: {_list_names(self.text)}{in_brackets}"


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _list_names(names: Sequence[str]) -> str:
    return first_names([_cut(name) for name in names], _LISTED)


def describe_reading(fields: Fields, survey: Survey, names: Sequence[str]) -> Read:
    """What was read of the fields of a catalog, which has these `names`."""
    texts = survey.texts()
    unread = [name for name in dict.fromkeys((*texts, *names)) if name not in fields.names]
    longest = texts[0] if texts and texts[0] in unread and survey.is_prose(texts[0]) else None
    return Read(fields.id, fields.title, fields.text, tuple(unread), longest)


def resolve_target(
    paths: Sequence[str],
    name: str | None,
    given: Fields,
    reading: Reading,
    *,
    keep: bool,
    folder: Path | None,
    records: Iterator[Mapping] | None = None,
    place: Place | None = None,
) -> Target:
    """Decide which catalog is meant, whether it exists, and how its sources, or the `records`, are read.

    With a `place`, it is the one there.

    A catalog that a query made of the same file, and that has no name yet, gets the name.

    Raises InputError, and CatalogError for a catalog that can't be read or renamed.
    """
    sources = tuple(
        SourceFile(path, resolved := source_path(path), hashlib.sha256(), stamp_source(resolved)) for path in paths
    )
    shown = [source.shown for source in sources]
    existing, known = (place.read_stored() if place else _find_existing(shown, name)) or (None, [])
    required = given.names
    export = open_export(paths[0], sources[0].digest.update) if len(paths) == 1 and records is None else None
    if export:
        _refuse_options(given, reading, source_name(shown[0]))
        given = export.header.given
    elif existing:
        given = given.over(existing.given)
        if have_paths(existing.sources, shown):
            reading = reading.over(existing.reading)
    # The hash is that of the very bytes that are read: the file may be another one before and after.
    listing = (
        _list_nothing(export.header)
        if export
        else items.read_items(
            paths,
            given,
            remembered=existing.fields if existing else None,
            known=known,
            required=tuple(dict.fromkeys((*required, *given.id))),
            reading=reading,
            observers=[source.digest.update for source in sources],
            records=records,
        )
    )
    if folder:
        return Target(folder, source_name(shown[0]), sources, given, reading, listing, existing, export)
    folder, chosen = (place.folder, place.name) if place else _choose_folder(name, listing.name, sources)
    target = Target(folder, chosen, sources, given, reading, listing, existing, export)
    if not export:
        _warn_of_other_fields(target, keep=keep)
    return target


def _choose_folder(name: str | None, name_in_file: str | None, sources: Sequence[SourceFile]) -> tuple[Path, str]:
    """The folder of a catalog in the home, and its name, by default that in its file, else that of the file."""
    chosen = files.check_name(name) if name else files.make_name(name_in_file or _name_of_file(sources))
    folder = home.catalog_folder(chosen)
    if name is None:
        _refuse_other_sources(folder, [source.shown for source in sources])
    if len(sources) == 1 and sources[0].path:
        home.name_file_catalog(Path(sources[0].path), folder)
    return folder, chosen


def _refuse_options(given: Fields, reading: Reading, where: str) -> None:
    """Raise InputError if a user says how an export is to be read, which it says itself."""
    if given != UNNAMED or reading != AS_FOUND:
        hint = "leave out such options, or index the file that its catalog was made from"
        raise InputError("is an export of attnsearch, which says itself how it is read", where=where, hint=hint)


def _list_nothing(header: Header) -> Listing:
    """What an export says of its catalog, without items."""
    return Listing(header.name, header.description, iter(()), header.fields, Survey())


def _find_existing(paths: Sequence[str], name: str | None) -> Stored | None:
    """What is stored in the catalog called `name`, else in one made from the same files."""
    folder = home.catalog_folder(name) if name else None
    if folder and home.catalog_exists(folder):
        return Stored(home.read_catalog_info(folder), _read_names(folder))
    if not name and paths[0] == "-":  # no two pipes are the same
        return None
    made = [(folder, info) for folder, info in home.catalog_infos()
            if isinstance(info, Info) and have_paths(info.sources, paths)]  # fmt: skip
    if name:  # only what a query made of the file, which will get the name
        made = [(folder, info) for folder, info in made if folder.name.startswith("@")]
    made.sort(key=lambda catalog: catalog[0].name.startswith("@"))
    return Stored(made[0][1], _read_names(made[0][0])) if made else None


def _read_names(folder: Path) -> list[str]:
    with closing(lock.connect_to_read(folder)) as db, reading_errors(folder):
        return [field.name for field in read_fields(db)]


def have_paths(sources: Sequence[Source], paths: Sequence[str]) -> bool:
    """Whether these are the paths of the sources."""
    return [source.path for source in sources] == list(paths)


def _name_of_file(sources: Sequence[SourceFile]) -> str:
    if len(sources) > 1 or sources[0].name == "-":
        origin = "several files" if len(sources) > 1 else "standard input"
        raise InputError(f"a catalog from {origin} needs a name", hint="give it one with --name")
    return Path(inner_name(sources[0].name)).stem or Path.cwd().name


def _refuse_other_sources(folder: Path, paths: Sequence[str]) -> None:
    """InputError if the folder has a catalog of other files: it may be replaced only when its name was given."""
    if not home.catalog_exists(folder):
        return
    stored = home.read_catalog_info(folder).sources
    if not have_paths(stored, paths):
        raise InputError(
            f"the catalog '{folder.name}' was made from {', '.join(source.path for source in stored)}",
            hint=f"use --name {files.quoted(folder.name)} to replace it, or --name with another name to keep both",
        )


def _warn_of_other_fields(target: Target, *, keep: bool) -> None:
    """Say what of the last time is not in the data any more: the ids or the titles change with it.

    Items that we `keep` may have a field that the new ones lack.
    """
    if target.existing is None:
        return
    last, now, given = target.existing.fields, target.listing.fields, target.given
    if last.id != now.id and not given.id:
        what = f"'{' and '.join(now.id)}'" if now.id else "made from the titles"
        log.warning("%s: the ids are now %s", target.name, what)
    if last.title != now.title and not given.title:
        log.warning("%s: the titles are now %s", target.name, f"'{now.title}'" if now.title else "gone")
    if not keep and not target.listing.survey.is_full:
        for name in given._replace(id=()).names:
            if not target.listing.survey.has(name):
                log.warning("%s: no item has a field '%s' any more", target.name, name)
