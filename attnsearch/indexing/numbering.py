"""Ids that we make of titles: items of equal titles are numbered, and each keeps its number however they are ordered.

Of "Robin the Archer" twice, one is robin-the-archer and the other robin-the-archer-2. An item that is stored already
keeps its id: it is known by what it holds, else by its text, else by the fields that it shares with the stored item.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attnsearch.sources.letters import make_slug

_MOST_PAIRS = 10_000  # of items and stored items that are compared field by field

# Nearly all: no other item has that title, and no stored item of another one has the id.
_PLAIN = """
UPDATE incoming SET id = base WHERE base IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM incoming AS other WHERE other.base = incoming.base AND other.n != incoming.n)
    AND NOT EXISTS (SELECT 1 FROM incoming AS own WHERE own.id = incoming.base AND own.base IS NULL)
    AND NOT EXISTS (SELECT 1 FROM items WHERE items.id = incoming.base AND items.title IS NOT incoming.title)
    AND NOT EXISTS (SELECT 1 FROM items WHERE items.id > incoming.base || '-' AND items.id < incoming.base || '.')
"""
_CONTENT = "of_row(title, description, fields, text_sha256)"
_OTHERS = f"SELECT base, n, {_CONTENT}, text_sha256 FROM incoming WHERE id IS NULL ORDER BY base, text, fields, n"  # noqa: S608
_STORED = f"""
SELECT id, title, {_CONTENT}, text_sha256 FROM items WHERE id = :base OR (id > :base || '-' AND id < :base || '.')
"""  # noqa: S608

_Matched = dict[int | str, int | str]
"""The id that a stored item had, by the number in `incoming` of the item that it is now."""


class _Alike(NamedTuple):
    """An item by what it holds and by its text; `key` is its number in `incoming`, or its id if it is stored."""

    key: int | str
    content: int
    text_sha256: bytes


def number_ids(db: sqlite3.Connection) -> None:
    """Give an id to each item of `incoming` that has none: its `base`, with a number if that is taken."""
    db.execute("CREATE INDEX temp.incoming_by_base ON incoming (base) WHERE base IS NOT NULL")
    db.execute(_PLAIN)
    db.execute("CREATE TEMP TABLE numbered (id TEXT PRIMARY KEY, n INTEGER)")
    for base, rows in itertools.groupby(db.execute(_OTHERS), key=lambda row: row[0]):
        alike = [_Alike(*row[1:]) for row in rows]
        db.executemany("INSERT INTO numbered VALUES (?, ?)", _number_alike(db, base, alike))
    db.execute("UPDATE incoming SET id = (SELECT id FROM numbered WHERE numbered.n = incoming.n) WHERE id IS NULL")
    db.execute("DROP TABLE numbered")


def _number_alike(db: sqlite3.Connection, base: str, alike: list[_Alike]) -> list[tuple[str, int]]:
    """An id for each of the items that have the same base, and its number."""
    stored = _find_stored(db, base)
    matched = _match(db, alike, stored)
    # Nor does an id pass from a stored item to another one.
    free = (name for name in _names(base) if not _is_taken(db, name) and not _is_stored(db, name))
    return [(str(matched.get(row.key) or next(free)), int(row.key)) for row in alike]


def _names(base: str) -> Iterator[str]:
    """Every id that can be made of a base.

    >>> list(itertools.islice(_names("dune"), 3))
    ['dune', 'dune-2', 'dune-3']
    """
    yield base
    yield from (f"{base}-{number}" for number in itertools.count(2))


def _find_stored(db: sqlite3.Connection, base: str) -> list[_Alike]:
    """The stored items whose ids were made of this base, by their numbers."""
    stored: list[tuple[int, _Alike]] = []
    for ident, title, content, text_sha256 in db.execute(_STORED, {"base": base}).fetchall():
        number = ident[len(base) + 1 :] or "1"
        is_ours = number.isdecimal() and number.isascii() and ident in (base, f"{base}-{int(number)}")
        if is_ours and (not title or make_slug(title) == base) and not _is_taken(db, ident):
            stored.append((int(number), _Alike(ident, content, text_sha256)))
    return [row for _, row in sorted(stored)]


def _is_taken(db: sqlite3.Connection, ident: str) -> bool:
    taken = "SELECT 1 FROM incoming WHERE id = :id UNION ALL SELECT 1 FROM numbered WHERE id = :id"
    return db.execute(taken, {"id": ident}).fetchone() is not None


def _is_stored(db: sqlite3.Connection, ident: str) -> bool:
    return db.execute("SELECT 1 FROM items WHERE id = ?", (ident,)).fetchone() is not None


def _match(db: sqlite3.Connection, alike: list[_Alike], stored: list[_Alike]) -> _Matched:
    """The id that each item had, by its number in `incoming`: of the stored item that it agrees with most."""
    matched: _Matched = {}
    for agree_by in ("content", "text_sha256"):
        waiting: dict[int | bytes, list[_Alike]] = {}
        taken = {*matched.values()}
        for row in reversed(stored):
            if row.key not in taken:
                waiting.setdefault(getattr(row, agree_by), []).append(row)
        for row in alike:
            if row.key not in matched and (rows := waiting.get(getattr(row, agree_by))):
                matched[row.key] = rows.pop().key
    if len(alike) == len(stored) == 1:
        return {alike[0].key: stored[0].key}
    ids = {*matched.values()}
    new = [row.key for row in alike if row.key not in matched]
    old = [row.key for row in stored if row.key not in ids]
    if 0 < len(new) * len(old) <= _MOST_PAIRS:
        matched |= _match_fields(db, new, old)
    return matched


def _match_fields(db: sqlite3.Connection, new: Sequence[int | str], old: Sequence[int | str]) -> _Matched:
    """Pairs of items that agree in at least one field, those that agree in most of them first."""
    rows = {number: _read_fields(db, "incoming WHERE n", number) for number in new}
    stored = {ident: _read_fields(db, "items WHERE id", ident) for ident in old}
    pairs = [(-len(rows[number] & stored[ident]), i, j) for i, number in enumerate(new) for j, ident in enumerate(old)]
    matched: _Matched = {}
    for agreement, i, j in sorted(pairs):
        if agreement and new[i] not in matched and old[j] not in matched.values():
            matched[new[i]] = old[j]
    return matched


def _read_fields(db: sqlite3.Connection, where: str, key: int | str) -> set[tuple[str, str]]:
    """The fields of an item and their values, as JSON."""
    description, fields = db.execute(f"SELECT description, fields FROM {where} = ?", (key,)).fetchone()  # noqa: S608
    agreeing = {(name, json.dumps(value)) for name, value in json.loads(fields).items()}
    return agreeing | {("", description)} if description else agreeing
