"""A damaged catalog → a whole one: what is intact is kept, and only what is not is embedded again.

The new one is made in a folder of its own and takes the old one's place at once, so that nothing is worse if this is
interrupted. Items come from the database if all of them are intact there, else from their sources.
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
from attnsearch.indexing.update import CHUNK, Progress, checkpoint_of, embed_missing
from attnsearch.indexing.writer import Writer
from attnsearch.sources import items
from attnsearch.sources.items import Item
from attnsearch.storage import files, home, learned, lock, segment
from attnsearch.storage.database import ITEM, KEY, Info, connect_to_read, read_item, read_key, read_segments
from attnsearch.storage.failures import DAMAGE, writing
from attnsearch.storage.files import FEEDBACK, sync

_held: list[sqlite3.Connection] = []  # closing one would delete the log of the file that has its place now

log = logging.getLogger("attnsearch")


class Repaired(NamedTuple):
    """What `repair` did: the items there are now, and how many texts were embedded again."""

    info: Info
    embedded: int


def repair(folder: Path, *, offline: bool = False, progress: Progress | None = None) -> Repaired:
    """Make the catalog whole.

    Raises CatalogError where it says no more what it is, ModelError where its encoder is not to be had.
    """
    log.info("repairing %s", folder.name)
    with writing(folder):
        taken = lock.acquire_if_whole(folder)
    staging = folder.with_name(f".repaired-{folder.name}")
    shutil.rmtree(staging, ignore_errors=True)  # left by one who was interrupted
    try:
        done = _made_anew(folder, staging, offline=offline, progress=progress)
        with writing(folder):
            _carry_over(folder, staging)
            _exchange(folder, staging)
        if taken:
            _held.append(taken)
            taken = None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if taken:
            taken.close()
    return done


def _made_anew(folder: Path, staging: Path, *, offline: bool, progress: Progress | None) -> Repaired:
    """A whole catalog in the folder `staging`."""
    with closing(connect_to_read(folder)) as db:
        info = info_or_problem(db, folder)[0] or sealed_info(folder)
        if info is None:
            raise CatalogError("the catalog says no more what it was made of", where=folder.name, hint=_anew(folder))
        reader = loading.load(info.model, offline=offline, quick=info.quick)
        if reader.model.sha256 != info.sha256:
            hint = f"embed it anew: attnsearch index {' '.join(source.path for source in info.sources)}"
            raise CatalogError(f"{info.model} has other weights now", where=info.name, hint=hint)
        worker = reader.suited(0, info.precision)
        intact = list(_intact(db, info))
        with Writer(staging) as writer:
            with checkpoint_of(worker, staging) as draft:
                _salvage(db, folder, info, reader, {number: item for number, item, read in intact if read}, draft)
            info, source = _source(folder, info, [item for _, item, _ in intact])
            writer.take(source, functools.partial(split_passages, reader))
            with checkpoint_of(worker, staging) as draft:
                _, missing = writer.recall(draft)
                embed_missing(worker, writer, draft, progress, missing)
                return Repaired(writer.commit(info, draft), missing)


def _anew(folder: Path) -> str:
    return f"'attnsearch remove {folder.name}', then index it again"


def _intact(db: sqlite3.Connection, info: Info) -> Iterator[tuple[int, Item, bool]]:
    """The items that are what was written, in the order in which they were indexed: number, item, whether keys are its.

    They may be of what was its text by the rules of an older attnsearch.
    """
    with suppress(*DAMAGE):
        order = f"SELECT {ITEM} FROM items ORDER BY (SELECT min(key) FROM keys WHERE keys.item = items.item)"  # noqa: S608
        for row in db.execute(order):
            with suppress(*DAMAGE):
                item = read_item(row, info.fields)
                yield row[0], item, row[5] == hashlib.sha256(item.text.encode()).digest()


def _source(folder: Path, info: Info, intact: list[Item]) -> tuple[Info, Iterator[Item]]:
    """Where the items are to come from: the database if it has them all, else the sources, else what there is."""
    if len(intact) == info.items:
        return info, iter(intact)
    there = all(source.sha256 and Path(source.path).is_file() for source in info.sources)
    if there:
        paths = [source.path for source in info.sources]
        log.warning("%s: taken from %s, since %d of its items are damaged", info.name, ", ".join(paths),
                    info.items - len(intact))  # fmt: skip
        info = info._replace(sources=tuple(home.fingerprint_source(path) for path in paths))
        return info, items.read_items(paths, info.fields).items
    if not intact:
        raise CatalogError("no item can be read, and their source is not there", where=info.name, hint=_anew(folder))
    log.warning("%s: %d of its items are lost, and their source is not there; index it again to have them back",
                info.name, info.items - len(intact))  # fmt: skip
    return info, iter(intact)


def _salvage(
    db: sqlite3.Connection, folder: Path, info: Info, reader: Encoder, items: dict[int, Item], draft: Checkpoint
) -> None:
    """Put every embedding that is intact into the draft, where the new catalog finds it."""
    texts: list[bytes] = []
    rows: list[NDArray[np.float32]] = []
    last, passages = -1, dict[int, bytes]()
    for item, start, x in _embeddings(db, folder, info):
        if item not in items:
            continue
        if item != last:
            found = split_passages(reader, items[item].title, items[item].text)
            last, passages = item, {one.start: hashlib.sha256(one.text.encode()).digest() for one in found}
        if start in passages:
            texts.append(passages[start])
            rows.append(x)
        if len(texts) == CHUNK:
            draft.append(texts, np.array(rows))
            texts, rows = [], []
    if texts:
        draft.append(texts, np.array(rows))


def _embeddings(db: sqlite3.Connection, folder: Path, info: Info) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """The item, the place in its text, and the vector (d,) of every key that is what was written."""
    with suppress(*DAMAGE):
        for listed in read_segments(db, info.listing)[0]:
            shape = (listed.rows, info.d)
            with suppress(*DAMAGE):
                x, broken = segment.examine_segment(folder / "segments", listed.file, shape, listed.sums)
                lost = {row for rows in broken for row in rows}
                of = (listed.first, listed.first + listed.rows)
                for row in db.execute(f"SELECT {KEY} FROM keys WHERE key >= ? AND key < ?", of):  # noqa: S608
                    with suppress(*DAMAGE):
                        key, item, start, _ = read_key(row)
                        if key - listed.first not in lost:
                            yield item, start, x[key - listed.first]


def _carry_over(folder: Path, staging: Path) -> None:
    """Take along what was learned, if it is whole, and what was judged."""
    names = [files.LEARNED, FEEDBACK]
    try:
        learned.read_learned(folder / files.LEARNED)
    except FileNotFoundError:
        names.remove(files.LEARNED)
    except (OSError, ValueError) as error:
        names.remove(files.LEARNED)
        log.warning("%s: what was learned is lost, since %s is damaged (%s); train it again",
                    folder.name, files.LEARNED, error)  # fmt: skip
    for name in names:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, staging / name)
            sync(staging / name)
    sync(staging)


def _exchange(folder: Path, staging: Path) -> None:
    """Let two folders swap their names, at once where the system can do that."""
    system = ctypes.CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    swap = getattr(system, "renameat2", None)
    if swap is None or swap(here, os.fsencode(folder), here, os.fsencode(staging), exchange):
        away = folder.with_name(f".removed-{uuid.uuid4().hex}")
        folder.rename(away)
        staging.rename(folder)
        away.rename(staging)
    sync(folder.parent)
