"""A catalog → what is wrong with it: every checksum, every count, every reference, and every byte of its database."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding import loading
from attnsearch.encoding.encoder import describe_change
from attnsearch.errors import InputError, ModelError
from attnsearch.postings import stored
from attnsearch.sources.summary import Summary
from attnsearch.storage import learned, lock, migration, seal, segment
from attnsearch.storage.database import (
    ITEM,
    KEY,
    Info,
    count_fields,
    parse_info,
    read_fields,
    read_info,
    read_item,
    read_key,
)
from attnsearch.storage.failures import DAMAGE, DamagedError, OlderError, busy, opening, refuse_forbidden
from attnsearch.storage.files import LEARNED, SEGMENTS
from attnsearch.storage.segment import SegmentRow, all_heads, read_segments

log = logging.getLogger("attnsearch")

_LINES = 20  # at most, of problems of one kind
_ATTEMPTS = 5  # to check a catalog that others change meanwhile


class Problems:
    """Problems of one kind: the first few in words, the others only counted."""

    def __init__(self, problems: Iterable[str] = ()) -> None:
        self._lines: list[str] = []
        self._others = 0
        for problem in problems:
            self.add(problem)

    def add(self, problem: str) -> None:
        """Add a problem."""
        if len(self._lines) < _LINES:
            self._lines.append(problem)
        else:
            self._others += 1

    def lines(self) -> list[str]:
        """A line for each of the first few, and one that counts the others."""
        return [*self._lines, f"and {self._others:,} more like that"] if self._others else self._lines


class _Checked(NamedTuple):
    """How many rows of a table are intact, and what is wrong with the others."""

    intact: int
    problems: list[str]


def find_problems(folder: Path) -> list[str]:
    """What is wrong with the catalog, one line for each problem; empty if it is whole.

    A catalog of an older form is converted first. Raises CatalogError if there is none, it is of a newer form, part of
    it may not be read, or others change it again and again meanwhile.
    """
    refuse_forbidden(folder)
    log.info("checking %s", folder.name)
    try:
        return _read_problems(folder)
    except OlderError:
        try:
            migration.migrate(folder)
        except DamagedError as error:
            return [error.message]
        return _read_problems(folder)


def _read_problems(folder: Path) -> list[str]:
    """The problems of one state. Files of a state that is over may be gone: that is no damage, so look again."""
    for _ in range(_ATTEMPTS):
        state = _read_state(folder)
        with closing(lock.connect_to_read(folder)) as db:
            problems = list(_check_catalog(db, folder))
        if not problems or state == _read_state(folder):
            return problems
    raise busy(folder)


def _read_state(folder: Path) -> tuple[int, str]:
    """Which state a catalog has: the inode of its folder, which a repair replaces, and the name of its last commit."""
    with closing(lock.connect_to_read(folder)) as db, opening(folder):
        info, _ = info_or_problem(db, folder)
        return folder.stat().st_ino, info.commit if info else ""


def _check_fields(db: sqlite3.Connection, info: Info) -> Iterator[str]:
    """Check each field's row, and that it says what the items hold."""
    try:
        stored = {field.name: field for field in read_fields(db)}
        known = Summary()
        count_fields(db, known, info.fields)
        counted = {field.name: field for field in known.fields()}
    except DAMAGE as error:
        yield f"index.sqlite: {error}"
        return
    for name in dict.fromkeys((*stored, *counted)):
        right, row = counted.get(name), stored.get(name)
        # Once there were too many values to count, they may have become fewer.
        if right and row and row.counts is None:
            right = right._replace(counts=None)
        if right != row:
            yield f"index.sqlite: the field {name!r} is not what the items hold"


def _check_catalog(db: sqlite3.Connection, folder: Path) -> Iterator[str]:
    info, problem = info_or_problem(db, folder)
    if problem:
        yield problem
    yield from _check_learned(folder)
    yield from _check_seal(folder, info)
    yield from Problems(_check_structure(db)).lines()
    if info is None:
        return
    try:
        segments, _ = read_segments(db, info.listing)
    except DAMAGE as error:
        yield f"index.sqlite: {error}"
        return
    yield from Problems(f"{name}: it is not what was written" for name in stored.broken_files(folder)).lines()
    for segment_row in segments:
        yield from Problems(_check_segment(folder, segment_row, info.d)).lines()
    yield from check_rows(db, info, segments)


def check_rows(db: sqlite3.Connection, info: Info, segments: list[SegmentRow]) -> Iterator[str]:
    """Check keys, items and fields, row by row and against one another and the segments; and whose model it is."""
    keys = _check_keys(db, segments)
    yield from keys.problems
    items = _check_items(db, info)
    yield from items.problems
    yield from _check_model(info)
    if not items.problems:
        yield from Problems(_check_fields(db, info)).lines()
    if (items.intact, keys.intact) != (info.items, info.keys):
        yield (
            f"index.sqlite: {items.intact:,} items and {keys.intact:,} keys are intact, of"
            f" {info.items:,} and {info.keys:,}"
        )


def info_or_problem(db: sqlite3.Connection, folder: Path) -> tuple[Info | None, str]:
    """The catalog's info, or what is wrong with it. Raises CatalogError for another form."""
    try:
        db.execute("BEGIN")
        return read_info(db, folder), ""
    except DamagedError as error:
        return None, error.message
    except DAMAGE as error:
        return None, f"index.sqlite: {error}"


def sealed_info(folder: Path) -> Info | None:
    """The catalog's info when it was sealed; None if there is no intact seal."""
    try:
        sealed = seal.read_seal(folder)
        return parse_info(sealed.info) if sealed else None
    except DAMAGE:
        return None


def _check_seal(folder: Path, info: Info | None) -> Iterator[str]:
    try:
        sealed = seal.read_seal(folder)
        if sealed and (info is None or info.commit == sealed.commit) and seal.database_sha256(folder) != sealed.sha256:
            yield "index.sqlite: some of its bytes are not what was written"
    except DAMAGE as error:
        yield f"index.seal: {error}"


def find_model_change(folder: Path) -> list[str]:
    """Which of its problems is that the model has changed: no repair helps then, but to index it again.

    Empty if it has not changed, or if that is not known.
    """
    with suppress(OlderError), closing(lock.connect_to_read(folder)) as db:
        info, _ = info_or_problem(db, folder)
        return list(_check_model(info)) if info else []
    return []


def _check_model(info: Info) -> Iterator[str]:
    """Whether the model still has the files that the keys were made with, if it is on this machine."""
    with suppress(ModelError):
        heads = all_heads(info)
        if change := describe_change(loading.load_heads(heads, offline=True, quick=info.quick), heads):
            yield f"it {change}"


def _check_learned(folder: Path) -> Iterator[str]:
    try:
        learned.read_learned(folder / LEARNED)
    except (FileNotFoundError, InputError):
        pass  # nothing was learned, or a newer attnsearch did, whose file is not ours to judge
    except DAMAGE as error:
        yield f"{LEARNED}: {error}"


def _check_structure(db: sqlite3.Connection) -> Iterator[str]:
    try:
        for (line,) in db.execute(f"PRAGMA integrity_check({_LINES})"):
            if line != "ok":
                yield f"index.sqlite: {line}".replace("\n", " ")
    except DAMAGE as error:
        yield f"index.sqlite: {error}"


def _check_segment(folder: Path, segment_row: SegmentRow, d: int) -> Iterator[str]:
    try:
        _, broken = segment.examine_segment(
            folder / SEGMENTS, segment_row.file, (segment_row.rows, d), segment_row.sums
        )
    except FileNotFoundError:
        yield f"segments/{segment_row.file}: it is gone"
    except DAMAGE as error:
        yield f"segments/{segment_row.file}: {error}"
    else:
        for rows in broken:
            yield f"segments/{segment_row.file}: {segment.describe_damage(rows)}"


def _check_keys(db: sqlite3.Connection, segments: list[SegmentRow]) -> _Checked:
    """Check each key's row, then the keys against the segments and the items."""
    problems = Problems()
    numbers, joined = [], []  # of the intact keys
    try:
        for row in db.execute(f"SELECT {KEY} FROM keys ORDER BY key"):  # noqa: S608 (our own words)
            try:
                key, _, start, _ = read_key(row)
                numbers.append(key)
                joined.append(start > 0)
            except DAMAGE as error:
                problems.add(f"index.sqlite: {error}")
        if not np.array_equal(np.array(numbers, np.int64), _living_keys(segments)):
            problems.add("index.sqlite: its keys are not the living rows of its segments")
        elif not np.array_equal(np.array(joined, bool), _joined_keys(segments)):
            problems.add("index.sqlite: its passages differ from those of its segments")
        orphans = "SELECT key FROM keys LEFT JOIN items USING (item) WHERE id IS NULL"
        for (key,) in db.execute(orphans):
            problems.add(f"index.sqlite: the key {key} has no item")
    except DAMAGE as error:
        problems.add(f"index.sqlite: its keys can't be read: {error}")
    return _Checked(len(numbers), problems.lines())


def _living_keys(segments: list[SegmentRow]) -> NDArray[np.int64]:
    """The numbers (n,) of the keys that the segments list as living."""
    numbers = [np.empty(0, np.int64)]
    for segment_row in segments:
        rows = np.arange(segment_row.rows) if segment_row.dead is None else np.flatnonzero(~segment_row.dead)
        numbers.append(rows + segment_row.first)
    return np.concatenate(numbers)


def _joined_keys(segments: list[SegmentRow]) -> NDArray[np.bool_]:
    """Which of the living keys (n,) belong to the item of the key before."""
    bits = [np.empty(0, bool)]
    for segment_row in segments:
        joined = np.zeros(segment_row.rows, bool) if segment_row.joined is None else segment_row.joined
        bits.append(joined if segment_row.dead is None else joined[~segment_row.dead])
    return np.concatenate(bits)


def _check_items(db: sqlite3.Connection, info: Info) -> _Checked:
    """Check each item's row, and that it has a key."""
    problems = Problems()
    intact = 0
    try:
        for row in db.execute(f"SELECT {ITEM} FROM items"):  # noqa: S608 (our own words)
            try:
                read_item(row, info.fields)
                intact += 1
            except DAMAGE as error:
                problems.add(f"index.sqlite: {error}")
        for (item_id,) in db.execute("SELECT id FROM items WHERE item NOT IN (SELECT item FROM keys)"):
            problems.add(f"index.sqlite: the item {item_id!r} has no key")
    except DAMAGE as error:
        problems.add(f"index.sqlite: its items can't be read: {error}")
    return _Checked(intact, problems.lines())
