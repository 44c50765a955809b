"""An open catalog → what an export holds: its header, and its items with their vectors, one after another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from attnsearch.exports.form import Entry, Header
from attnsearch.storage.failures import damaged
from attnsearch.storage.store import Store


def read_header(store: Store, name: str) -> Header:
    """What an export says of a catalog, which is called `name` now."""
    heads = tuple(head._replace(stamp="") for head in store.info.heads)  # a stamp is of this machine
    info = store.info._asdict() | {"name": name, "heads": heads}
    return Header(**{member: info[member] for member in Header._fields})


def read_entries(store: Store) -> Iterator[Entry]:
    """The items of a catalog with their vectors, in the order of their keys. Raises CatalogError if it is damaged."""
    keys = itertools.groupby(store.key_rows(), key=lambda row: row.item)
    for head, item in store.items():
        rows = list(next(keys, (0, iter(())))[1])
        if not rows or rows[0].key != head:
            raise damaged(store.folder, f"the keys of the item '{item.id[:40]}' are not in order")
        x = store.embeddings([row.key for row in rows])
        yield Entry(item, [row.start for row in rows], [row.stop for row in rows], x)
