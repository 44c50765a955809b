"""A catalog → what is wrong with it: every checksum, every count, every reference, and every byte of its database."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings import cache
from attnsearch.storage import files, learned, seal, segment
from attnsearch.storage.database import (
    ITEM,
    KEY,
    Info,
    SegmentRow,
    connect_to_read,
    parse_info,
    read_info,
    read_item,
    read_key,
    read_segments,
)
from attnsearch.storage.failures import DAMAGE, DamagedError

log = logging.getLogger("attnsearch")

_LINES = 20  # of one kind


def find_problems(folder: Path) -> list[str]:
    """What is wrong, in one line each; nothing where the catalog is whole.

    Raises CatalogError where there is none, or it is of another form.
    """
    log.info("checking %s", folder.name)
    with closing(connect_to_read(folder)) as db:
        return list(_find(db, folder))


def _find(db: sqlite3.Connection, folder: Path) -> Iterator[str]:
    info, problem = info_or_problem(db, folder)
    if problem:
        yield problem
    yield from _learned(folder)
    yield from _first(_seal(folder, info))
    yield from _first(_structure(db))
    if info is None:
        return
    try:
        listed, _ = read_segments(db, info.listing)
    except DAMAGE as error:
        yield f"index.sqlite: {error}"
        return
    yield from _first(f"{name}: it is not what was written" for name in cache.broken_files(folder))
    for one in listed:
        yield from _first(_segment(folder, one, info.d))
    numbers: list[int] = []
    yield from _first(_keys(db, listed, numbers))
    items: list[int] = []
    yield from _first(_items(db, info, items))
    if (len(items), len(numbers)) != (info.items, info.keys):
        yield (
            f"index.sqlite: {len(items):,} items and {len(numbers):,} keys are whole, and it should have"
            f" {info.items:,} and {info.keys:,}"
        )


def info_or_problem(db: sqlite3.Connection, folder: Path) -> tuple[Info | None, str]:
    """What the catalog says about itself, or what is wrong with that. Raises CatalogError for another form."""
    try:
        db.execute("BEGIN")
        return read_info(db, folder), ""
    except DamagedError as error:
        return None, error.message
    except DAMAGE as error:
        return None, f"index.sqlite: {error}"


def sealed_info(folder: Path) -> Info | None:
    """What the catalog said about itself when it was sealed, if that is whole."""
    try:
        sealed = seal.read_seal(folder)
        return parse_info(sealed.info) if sealed else None
    except DAMAGE:
        return None


def _seal(folder: Path, info: Info | None) -> Iterator[str]:
    try:
        sealed = seal.read_seal(folder)
        if sealed and (info is None or info.commit == sealed.commit) and seal.database_sha256(folder) != sealed.sha256:
            yield "index.sqlite: some of its bytes are not what was written"
    except DAMAGE as error:
        yield f"index.seal: {error}"


def _learned(folder: Path) -> Iterator[str]:
    try:
        learned.read_learned(folder / files.LEARNED)
    except FileNotFoundError:
        pass  # nothing was learned
    except DAMAGE as error:
        yield f"{files.LEARNED}: {error}"


def _structure(db: sqlite3.Connection) -> Iterator[str]:
    try:
        for (line,) in db.execute(f"PRAGMA integrity_check({_LINES})"):
            if line != "ok":
                yield f"index.sqlite: {line}".replace("\n", " ")
    except DAMAGE as error:
        yield f"index.sqlite: {error}"


def _segment(folder: Path, listed: SegmentRow, d: int) -> Iterator[str]:
    try:
        _, broken = segment.examine_segment(folder / "segments", listed.file, (listed.rows, d), listed.sums)
    except FileNotFoundError:
        yield f"segments/{listed.file}: it is gone"
    except DAMAGE as error:
        yield f"segments/{listed.file}: {error}"
    else:
        for rows in broken:
            yield f"segments/{listed.file}: {segment.describe_damage(rows)}"


def _keys(db: sqlite3.Connection, listed: list[SegmentRow], numbers: list[int]) -> Iterator[str]:
    """What is wrong with the keys; the numbers of those that are whole."""
    joined = []
    try:
        for row in db.execute(f"SELECT {KEY} FROM keys ORDER BY key"):  # noqa: S608 (our own words)
            try:
                key, _, start, _ = read_key(row)
                numbers.append(key)
                joined.append(start > 0)
            except DAMAGE as error:
                yield f"index.sqlite: {error}"
        found = np.array(numbers, np.int64)
        if not np.array_equal(found, _living(listed)):
            yield "index.sqlite: its keys are not the living rows of its segments"
        elif not np.array_equal(np.array(joined, bool), _joined(listed)):
            yield "index.sqlite: its passages are not where its segments have them"
        orphans = "SELECT key FROM keys LEFT JOIN items USING (item) WHERE id IS NULL"
        for (key,) in db.execute(orphans):
            yield f"index.sqlite: the key {key} has no item"
    except DAMAGE as error:
        yield f"index.sqlite: its keys can't be read: {error}"


def _living(listed: list[SegmentRow]) -> NDArray[np.int64]:
    rows = [np.flatnonzero(~one.dead) if one.dead is not None else np.arange(one.rows) for one in listed]
    return np.concatenate([np.empty(0, np.int64), *(at + one.first for at, one in zip(rows, listed, strict=True))])


def _joined(listed: list[SegmentRow]) -> NDArray[np.bool_]:
    bits = [np.zeros(one.rows, bool) if one.joined is None else one.joined for one in listed]
    alive = [bit if one.dead is None else bit[~one.dead] for bit, one in zip(bits, listed, strict=True)]
    return np.concatenate([np.empty(0, bool), *alive])


def _items(db: sqlite3.Connection, info: Info, numbers: list[int]) -> Iterator[str]:
    """What is wrong with the items; the numbers of those that are whole."""
    try:
        for row in db.execute(f"SELECT {ITEM} FROM items"):  # noqa: S608 (our own words)
            try:
                read_item(row, info.fields)
                numbers.append(row[0])
            except DAMAGE as error:
                yield f"index.sqlite: {error}"
        for (ident,) in db.execute("SELECT id FROM items WHERE item NOT IN (SELECT item FROM keys)"):
            yield f"index.sqlite: the item {ident!r} has no key"
    except DAMAGE as error:
        yield f"index.sqlite: its items can't be read: {error}"


def _first(problems: Iterator[str]) -> Iterator[str]:
    """The first of many lines of one kind, and how many more there are."""
    more = 0
    for number, problem in enumerate(problems):
        if number < _LINES:
            yield problem
        else:
            more += 1
    if more:
        yield f"and {more:,} more like that"
