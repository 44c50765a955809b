"""A damaged catalog → a whole one: what is intact is reused, and only the rest is embedded again.

The new catalog is built in a folder of its own and swapped with the old one in one step, so an interruption makes
nothing worse. The items come from the database if all of them are intact there, else from their sources.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding import loading
from attnsearch.encoding.encoder import Encoder
from attnsearch.encoding.passages import split_passages
from attnsearch.errors import CatalogError
from attnsearch.indexing.check import info_or_problem, sealed_info
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.update import CHUNK, Progress, embed_missing, open_checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.sources import items
from attnsearch.sources.items import Item
from attnsearch.storage import home, learned, lock, segment
from attnsearch.storage.database import ITEM, KEY, Info, connect_to_read, read_item, read_key, read_segments
from attnsearch.storage.failures import DAMAGE, writing
from attnsearch.storage.files import FEEDBACK, LEARNED, LONGEST_NAME, SEGMENTS, sync

_open_locks: list[sqlite3.Connection] = []  # closing one would delete the log of the database in its place

log = logging.getLogger("attnsearch")


class Repaired(NamedTuple):
    """The repaired catalog, and how many texts were embedded again."""

    info: Info
    embedded: int


class _IntactItem(NamedTuple):
    """An item as it was written, its number, and whether its keys were embedded from its present text.

    They were not if an older attnsearch put the text together by other rules.
    """

    number: int
    item: Item
    has_its_keys: bool


def repair(folder: Path, *, offline: bool = False, progress: Progress | None = None) -> Repaired:
    """Make the catalog whole.

    Raises CatalogError if nothing records what it is or no item can be read, ModelError if its encoder can't be loaded.
    """
    log.info("repairing %s", folder.name)
    with writing(folder):
        write_lock = lock.acquire_if_whole(folder)
    staging = _staging_folder(folder)
    shutil.rmtree(staging, ignore_errors=True)  # left by a run that was interrupted
    try:
        repaired = _build_catalog(folder, staging, offline=offline, progress=progress)
        with writing(folder):
            _copy_learned_and_feedback(folder, staging)
            _swap_folders(folder, staging)
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
    with closing(connect_to_read(folder)) as db:
        info = info_or_problem(db, folder)[0] or sealed_info(folder)
        if info is None:
            message = "the catalog no longer records its sources and model"
            raise CatalogError(message, where=folder.name, hint=_start_over(folder))
        encoder = loading.load(info.model, offline=offline, quick=info.quick)
        if encoder.model.sha256 != info.sha256:
            hint = f"index it again: attnsearch index {' '.join(source.path for source in info.sources)}"
            raise CatalogError(f"the weights of {info.model} have changed", where=info.name, hint=hint)
        bulk_encoder = encoder.suited(0, info.precision)
        intact = list(_intact_items(db, info))
        with Writer(staging) as writer:
            with open_checkpoint(bulk_encoder, staging) as checkpoint:
                reusable = {row.number: row.item for row in intact if row.has_its_keys}
                _salvage_embeddings(db, folder, info, encoder, reusable, checkpoint)
            info, incoming = _choose_items(folder, info, [row.item for row in intact])
            writer.take_items(incoming, functools.partial(split_passages, encoder))
            with open_checkpoint(bulk_encoder, staging) as checkpoint:
                missing = writer.recall(checkpoint).missing
                embed_missing(bulk_encoder, writer, checkpoint, progress, missing)
                return Repaired(writer.commit(info, checkpoint), missing)


def _staging_folder(folder: Path) -> Path:
    """Where the catalog is rebuilt: `.repaired-NAME`, or a hash of the name if that would be too long."""
    name = f".repaired-{folder.name}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".repaired-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()}"
    return folder.with_name(name)


def _start_over(folder: Path) -> str:
    return f"'attnsearch remove {folder.name}', then index it again"


def _intact_items(db: sqlite3.Connection, info: Info) -> Iterator[_IntactItem]:
    """The items that are what was written, in the order in which they were indexed."""
    with suppress(*DAMAGE):
        order = f"SELECT {ITEM} FROM items ORDER BY (SELECT min(key) FROM keys WHERE keys.item = items.item)"  # noqa: S608
        for row in db.execute(order):
            with suppress(*DAMAGE):
                item = read_item(row, info.fields)
                number, *_, text_sha256, _ = row
                yield _IntactItem(number, item, text_sha256 == hashlib.sha256(item.text.encode()).digest())


def _choose_items(folder: Path, info: Info, intact: list[Item]) -> tuple[Info, Iterator[Item]]:
    """Where the items come from: the database if it has all, else the sources if they exist, else what is intact.

    Returns the info with the sources as they are now.
    """
    lost = info.items - len(intact)
    if not lost:
        return info, iter(intact)
    if all(source.sha256 and Path(source.path).is_file() for source in info.sources):
        paths = [source.path for source in info.sources]
        log.warning("%s: reading the items from %s, since %d are damaged", info.name, ", ".join(paths), lost)
        info = info._replace(sources=tuple(home.fingerprint_source(path) for path in paths))
        return info, items.read_items(paths, info.fields).items
    if not intact:
        raise CatalogError("no item can be read, and the source is gone", where=info.name, hint=_start_over(folder))
    log.warning("%s: %d of its items are lost, since the source is gone; index it again to restore them",
                info.name, lost)  # fmt: skip
    return info, iter(intact)


def _salvage_embeddings(
    db: sqlite3.Connection,
    folder: Path,
    info: Info,
    encoder: Encoder,
    reusable: dict[int, Item],
    checkpoint: Checkpoint,
) -> None:
    """Write every intact embedding of the reusable items, by their numbers, to the checkpoint for the new catalog."""
    hashes: list[bytes] = []
    vectors: list[NDArray[np.float32]] = []
    previous, hash_at = -1, dict[int, bytes]()  # an item, and the SHA-256 of its passages by where they start
    for number, start, x in _intact_embeddings(db, folder, info):
        if number not in reusable:
            continue
        if number != previous:
            passages = split_passages(encoder, reusable[number].title, reusable[number].text)
            hash_at = {passage.start: hashlib.sha256(passage.text.encode()).digest() for passage in passages}
            previous = number
        if start in hash_at:
            hashes.append(hash_at[start])
            vectors.append(x)
        if len(hashes) == CHUNK:
            checkpoint.append(hashes, np.array(vectors))
            hashes, vectors = [], []
    if hashes:
        checkpoint.append(hashes, np.array(vectors))


def _intact_embeddings(
    db: sqlite3.Connection, folder: Path, info: Info
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """For every key that is what was written: its item's number, where its passage starts, and its vector (d,)."""
    with suppress(*DAMAGE):
        for listed in read_segments(db, info.listing)[0]:
            shape = (listed.rows, info.d)
            with suppress(*DAMAGE):
                x, broken = segment.examine_segment(folder / SEGMENTS, listed.file, shape, listed.sums)
                damaged = {row for rows in broken for row in rows}
                numbers = (listed.first, listed.first + listed.rows)
                for row in db.execute(f"SELECT {KEY} FROM keys WHERE key >= ? AND key < ?", numbers):  # noqa: S608
                    with suppress(*DAMAGE):
                        key, item, start, _ = read_key(row)
                        if key - listed.first not in damaged:
                            yield item, start, x[key - listed.first]


def _copy_learned_and_feedback(folder: Path, staging: Path) -> None:
    """Copy what was learned, if it is intact, and the feedback."""
    names = [LEARNED, FEEDBACK]
    try:
        learned.read_learned(folder / LEARNED)
    except FileNotFoundError:
        names.remove(LEARNED)
    except (OSError, ValueError) as error:
        names.remove(LEARNED)
        log.warning("%s: what was learned is lost, since %s is damaged (%s); train it again",
                    folder.name, LEARNED, error)  # fmt: skip
    for name in names:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, staging / name)
            sync(staging / name)
    sync(staging)


def _swap_folders(folder: Path, staging: Path) -> None:
    """Let two folders swap their names, in one step if the system can."""
    library = ctypes.CDLL(None, use_errno=True)
    working_folder, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    swap = getattr(library, "renameat2", None)
    if swap is None or swap(working_folder, os.fsencode(folder), working_folder, os.fsencode(staging), exchange):
        removed = folder.with_name(f".removed-{uuid.uuid4().hex}")
        folder.rename(removed)
        staging.rename(folder)
        removed.rename(staging)
    sync(folder.parent)
