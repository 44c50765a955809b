"""A damaged catalog → a whole one: what is intact is reused, and only the rest is embedded again.

The new catalog is built in a folder of its own and swapped with the old one in one step, so an interruption makes
nothing worse. Items that are intact in the database stay as they are; only damaged ones are read from the sources.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from attnsearch.encoding import loading
from attnsearch.encoding.encoder import describe_change
from attnsearch.encoding.passages import split_passages
from attnsearch.errors import CatalogError, InputError
from attnsearch.exports.reading import open_export
from attnsearch.indexing import changes
from attnsearch.indexing.check import info_or_problem, sealed_info
from attnsearch.indexing.embedding import Progress, embed_missing, open_checkpoint
from attnsearch.indexing.salvage import SalvagedItems, read_older_info, salvage_embeddings, salvage_items
from attnsearch.indexing.writer import Writer
from attnsearch.sources import items
from attnsearch.sources.items import Item
from attnsearch.storage import files, home, learned, lock
from attnsearch.storage.database import Info, Source
from attnsearch.storage.failures import OlderError, missing, writing
from attnsearch.storage.files import FEEDBACK, LEARNED, LONGEST_NAME, PUBLISHED, copy_file, swap_folders, sync
from attnsearch.storage.segment import all_heads
from attnsearch.syntax.formats import FORMATS

_open_locks: list[sqlite3.Connection] = []  # closing one would delete the log of the database in its place

log = logging.getLogger("attnsearch")


class Lost(NamedTuple):
    """How many items could not be restored, and the ids of those whose ids are known."""

    items: int
    ids: tuple[str, ...]


class Repaired(NamedTuple):
    """The repaired catalog, how many texts were embedded again, and the items that it no longer has."""

    info: Info
    embedded: int
    lost: Lost


class _Record(NamedTuple):
    """The catalog's info, and whether it is that of the last commit; that of the seal may be of an earlier one."""

    info: Info
    is_current: bool


def repair(folder: Path, *, offline: bool = False, progress: Progress | None = None) -> Repaired:
    """Make the catalog whole. What is intact stays; what can't be restored is in `Repaired.lost`.

    A second repair waits for the first, and so do `remove` and every writer.

    Raises CatalogError if nothing records what it is or no item can be read, if the catalog is gone or another process
    is at work on it, ModelError if its encoder can't be loaded.
    """
    log.info("repairing %s", folder.name)
    staging = _staging_folder(folder)
    with ExitStack() as guards:
        with writing(folder):
            guards.enter_context(lock.guarding(folder))
            write_lock = lock.acquire_if_whole(folder)
        try:
            shutil.rmtree(staging, ignore_errors=True)  # left by a run that was interrupted
            with writing(folder):
                staging.mkdir()
                guards.enter_context(lock.guarding(staging))  # which soon has the catalog's name, and is not done then
            repaired = _build_catalog(folder, staging, offline=offline, progress=progress)
            with writing(folder):
                _copy_learned_and_feedback(folder, staging)
                swap_folders(folder, staging)
            if write_lock:
                _open_locks.append(write_lock)
                write_lock = None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if write_lock:
                write_lock.close()
    return repaired


def _build_catalog(folder: Path, staging: Path, *, offline: bool, progress: Progress | None) -> Repaired:
    """Build a whole catalog in the folder `staging`."""
    with closing(lock.connect_to_read(folder)) as db:
        record = _read_record(db, folder)
        info = record.info
        encoder = loading.load_heads(all_heads(info), offline=offline, quick=info.quick)
        if change := describe_change(encoder, all_heads(info), hashed=True):
            hint = f"index it again: {home.command_to_index(folder, info)}"
            raise CatalogError(change, where=folder.name, hint=hint)
        bulk_encoder = encoder.suited(0, info.precision)
        salvaged = salvage_items(db, info)
        incoming, lost = _restore_items(folder, record, salvaged)
        with Writer(staging) as writer:
            with open_checkpoint(bulk_encoder, staging) as checkpoint:
                reusable = {row.number: row.item for row in salvaged.intact if row.has_its_keys}
                salvage_embeddings(db, folder, info, encoder, reusable, checkpoint)
            writer.take_items(incoming, functools.partial(split_passages, encoder))
            with open_checkpoint(bulk_encoder, staging) as checkpoint:
                missing = writer.recall(checkpoint).missing
                embed_missing(bulk_encoder, writer, checkpoint, progress, missing)
                return Repaired(writer.commit(info, checkpoint), missing, lost)


def _read_record(db: sqlite3.Connection, folder: Path) -> _Record:
    """What the catalog is, by its database, else by its seal. Raises CatalogError if neither can be read.

    Raises MissingError if nothing was ever committed: the catalog was removed, and another one has only been begun.
    """
    try:
        info, problem = info_or_problem(db, folder)
    except OlderError:
        info, problem = read_older_info(db), "of an older form"
    if not (info or problem):
        raise missing(folder)
    if info:
        return _Record(info, is_current=True)
    if info := sealed_info(folder):
        return _Record(info, is_current=False)
    message = "the catalog no longer records its sources and model"
    raise CatalogError(message, where=folder.name, hint=_start_over(folder))


def _staging_folder(folder: Path) -> Path:
    """Where the catalog is rebuilt: `.repaired-NAME`, or a hash of the name if that would be too long."""
    name = f".repaired-{folder.name}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".repaired-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()}"
    return folder.with_name(name)


def _start_over(folder: Path) -> str:
    return f"'attnsearch remove {files.quoted(folder.name)}', then index it again"


def _restore_items(folder: Path, record: _Record, salvaged: SalvagedItems) -> tuple[list[Item], Lost]:
    """The intact items, with those in place of damaged ones that the sources still have; and what they lack.

    Raises CatalogError if there is neither.
    """
    info, intact, damaged, doubtful = record.info, salvaged.intact, salvaged.damaged, salvaged.doubtful
    missing = max(info.items - len(intact), 0 if record.is_current else len(damaged))
    if missing <= 0 and not doubtful:
        return [row.item for row in intact], Lost(0, ())
    # A source that is as it was has only items that the catalog had. Of another one, only the damaged items are taken,
    # unless their ids can't be read.
    wanted = {*damaged, *doubtful} if len(damaged) >= missing else None
    restored: dict[str, Item] = {}
    for source in info.sources:
        restored |= _read_source(info, source, wanted, [row.item for row in intact])
    for row in intact:
        if row.item.id not in doubtful:
            restored.pop(row.item.id, None)
    if not (intact or restored):
        raise CatalogError("no item can be read, and the source is gone", where=info.name, hint=_start_over(folder))
    last = len(damaged) + max(damaged.values(), default=0)
    placed = [(salvaged.order(row.number), restored.pop(row.item.id, row.item)) for row in intact]
    placed += [(salvaged.order(damaged.get(ident, last)), item) for ident, item in restored.items()]
    placed.sort(key=lambda place: place[0])
    lost = max(missing - len(restored), 0)
    ids = tuple(ident for ident in damaged if ident not in restored) if lost else ()
    return [item for _, item in placed], Lost(lost, ids)


def _read_source(info: Info, source: Source, wanted: Collection[str] | None, intact: list[Item]) -> dict[str, Item]:
    """The items of a source, by id; if it has changed since, only the wanted ones, or all if None."""
    if not (source.sha256 and Path(source.path).exists()):
        return {}
    log.warning("%s: reading damaged items from %s", info.name, source.path)
    readable, sha256 = _try_formats(info, source.path)
    whole = {item.id: item for item in changes.number_items(_drop_repeated(readable), intact)}
    if wanted is None or sha256 == source.sha256:
        return whole
    return {ident: item for ident, item in whole.items() if ident in wanted}


def _drop_repeated(readable: list[Item]) -> list[Item]:
    """The items without those that have the id, in the file, of one before."""
    first = {item.id: item for item in reversed(readable) if item.has_own_id}
    return [item for item in readable if not item.has_own_id or first[item.id] is item]


def _try_formats(info: Info, path: str) -> tuple[list[Item], str]:
    """The items of a file, and its SHA-256. If it can't be read to its end, warn, and return those before.

    Catalogs of form 2 do not record a format that `index --from` gave. But a wrong one shows: the fields of the text
    are missing in it.
    """
    tried: list[tuple[list[Item], str, Exception]] = []
    for form in dict.fromkeys((info.reading.form, None, *FORMATS)):
        reading = info.reading._replace(form=form)
        whole: list[Item] = []
        digest = hashlib.sha256()
        try:
            if export := open_export(path, digest.update):
                whole.extend(entry.item for entry in export.entries)
            else:
                whole.extend(
                    items.read_items([path], fixed=info.fields, reading=reading, observers=[digest.update]).items
                )
        except (InputError, OSError) as error:
            tried.append((whole, digest.hexdigest(), error))
        else:
            return whole, digest.hexdigest()
    whole, sha256, problem = tried[0]
    log.warning("%s: %s", info.name, problem)
    return whole, sha256


def _copy_learned_and_feedback(folder: Path, staging: Path) -> None:
    """Copy what was learned, if it is intact, the feedback, and where the catalog is published."""
    names = [LEARNED, FEEDBACK, PUBLISHED]
    try:
        learned.read_learned(folder / LEARNED)
    except FileNotFoundError:
        names.remove(LEARNED)
    except InputError:
        pass  # a newer attnsearch wrote it, and may read it again
    except (OSError, ValueError) as error:
        names.remove(LEARNED)
        log.warning("%s: what was learned is lost, since %s is damaged (%s); train it again",
                    folder.name, LEARNED, error)  # fmt: skip
    for name in names:
        if (folder / name).is_file():
            copy_file(folder / name, staging / name)
    sync(staging)
