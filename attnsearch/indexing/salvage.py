"""A damaged catalog → what of it is intact: its items and its embeddings."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Encoder
from attnsearch.encoding.passages import split_passages
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.embedding import CHUNK
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from attnsearch.storage import segment
from attnsearch.storage.database import (
    ITEM,
    KEY,
    Info,
    parse_info,
    read_info_rows,
    read_item,
    read_item_1,
    read_key,
)
from attnsearch.storage.failures import DAMAGE
from attnsearch.storage.files import SEGMENTS

_ROWS = f"SELECT {ITEM} FROM items NOT INDEXED"  # noqa: S608 (our own words)
_KEY_ROWS = f"SELECT {KEY} FROM keys"  # noqa: S608
_ROWS_1 = "SELECT item, id, title, description, fields, text_sha256 FROM items NOT INDEXED"
_KEY_ROWS_1 = "SELECT key, item FROM keys"
_IDS = "SELECT id, item FROM items INDEXED BY sqlite_autoindex_items_1 ORDER BY id"  # from the index of UNIQUE alone
_PROBED = 1 << 24  # numbers of items, at most, that are tried one by one

Row = Sequence[Any]


class IntactItem(NamedTuple):
    """An item as it was written, its number, and whether its keys were embedded from its present text.

    They were not if an older attnsearch put the text together by other rules.
    """

    number: int
    item: Item
    has_its_keys: bool


class SalvagedItems(NamedTuple):
    """The intact items, in the order in which they were indexed, and the ids of damaged ones, as far as known.

    `first_keys` has the first key of each item, by its number; `damaged` the number of each damaged item, by its id.
    `doubtful` has the ids of intact items whose text does not have its hash, in form 1, where rows have no checksums:
    they are damaged, or an older attnsearch put their texts together by other rules.
    """

    intact: list[IntactItem]
    damaged: dict[str, int]
    first_keys: dict[int, int]
    doubtful: set[str]

    def order(self, number: int) -> tuple[float, int]:
        """Sorts items by their numbers as they were indexed."""
        return self.first_keys.get(number, float("inf")), number


def read_older_info(db: sqlite3.Connection) -> Info | None:
    """The info of a catalog that calls itself one of an older form; None if it can't be read."""
    with suppress(*DAMAGE):
        rows = read_info_rows(db)
        return parse_info(rows, has_sum="sum" in rows)
    return None


def salvage_items(db: sqlite3.Connection, info: Info) -> SalvagedItems:
    """Every item whose row is what was written, however damaged the rest of the database is."""
    db.text_factory = _decode
    reader = _RowReader(info.fields, has_sums=_has_sums(db))
    rows, key_rows = (_ROWS, _KEY_ROWS) if reader.has_sums else (_ROWS_1, _KEY_ROWS_1)
    _scan(db, f"{key_rows} ORDER BY key", reader.take_key)
    is_complete = _scan(db, f"{rows} ORDER BY item", reader.take_item)
    _scan(db, _IDS, reader.take_id)
    if not is_complete:
        # A damaged page ends a scan. The rows behind it are reached from the end, and those between two such pages,
        # one by one.
        _scan(db, f"{rows} ORDER BY item DESC", reader.take_item)
        last = max([info.items, *reader.intact, *reader.first_keys, *reader.damaged.values()])
        for number in range(1, min(last, _PROBED) + 1):
            if number not in reader.intact:
                _scan(db, f"{rows} WHERE item = ?", reader.take_item, number)
    for row in reader.intact.values():
        reader.damaged.pop(row.item.id, None)
    salvaged = SalvagedItems(list(reader.intact.values()), reader.damaged, reader.first_keys, reader.doubtful)
    salvaged.intact.sort(key=lambda row: salvaged.order(row.number))
    return salvaged


class _RowReader:
    """Takes rows of a damaged database, and keeps what is intact. `has_sums` says whether they have checksums."""

    def __init__(self, fields: Fields, *, has_sums: bool) -> None:
        self.fields = fields
        self.has_sums = has_sums
        self.first_keys: dict[int, int] = {}
        self.intact: dict[int, IntactItem] = {}
        self.damaged: dict[str, int] = {}
        self.doubtful: set[str] = set()

    def take_key(self, row: Row) -> None:
        key, number, *_ = read_key(row) if self.has_sums else row
        self.first_keys.setdefault(number, key)

    def take_item(self, row: Row) -> None:
        try:
            number, *_, text_sha256 = row[:6]
            item = (read_item if self.has_sums else read_item_1)(row, self.fields)
            has_its_hash = text_sha256 == hashlib.sha256(item.text.encode()).digest()
        except DAMAGE:
            self.take_id((row[1], row[0]))
            return
        self.intact[number] = IntactItem(number, item, has_its_hash and self.has_sums)
        if not (has_its_hash or self.has_sums):
            self.doubtful.add(item.id)

    def take_id(self, row: Row) -> None:
        ident, number = row
        if isinstance(ident, str) and number not in self.intact:
            self.damaged.setdefault(ident, number)


def _has_sums(db: sqlite3.Connection) -> bool:
    """Whether rows have checksums: from form 2 on."""
    try:
        return "sum" in {name for _, name, *_ in db.execute("PRAGMA table_info(items)")}
    except DAMAGE:
        return True


def _decode(raw: bytes) -> str:
    # Text that is not UTF-8 spoils its own row and not, as it would by default, the rows behind it.
    return raw.decode(errors="surrogateescape")


def _scan(db: sqlite3.Connection, statement: str, take: Callable[[Row], None], *parameters: int) -> bool:
    """Pass every row to `take`, which may refuse it; return whether SQLite could read to the end."""
    try:
        for row in db.execute(statement, parameters):
            with suppress(*DAMAGE):
                take(row)
    except DAMAGE:
        return False
    return True


def salvage_embeddings(
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
        for segment_row in segment.read_segments(db, info.listing)[0]:
            shape = (segment_row.rows, info.d)
            with suppress(*DAMAGE):
                x, broken = segment.examine_segment(folder / SEGMENTS, segment_row.file, shape, segment_row.sums)
                damaged = {row for rows in broken for row in rows}
                numbers = (segment_row.first, segment_row.first + segment_row.rows)
                for row in db.execute(f"{_KEY_ROWS} WHERE key >= ? AND key < ?", numbers):
                    with suppress(*DAMAGE):
                        key, item, start, _ = read_key(row)
                        if key - segment_row.first not in damaged:
                            yield item, start, x[key - segment_row.first]
