"""A catalog whose texts end in a number, from which a person can compute each vector; and what a folder holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attnsearch.encoding.passages import Passage
from attnsearch.indexing.checkpoint import Checkpoint
from attnsearch.indexing.writer import Writer
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from attnsearch.storage.database import Info, Source
from attnsearch.storage.store import Store
from attnsearch.teaching import feedback

INFO = Info("shop", "A shop.", (Source("shop.yaml", "ab"),), Fields(), "small", "5" * 64, "stamp", 3, 0.05)


def item(number: int, text: str = "", **fields) -> Item:
    return Item(f"i{number}", f"Item {number}", "", fields, text or f"Item {number}")


def vectors(*numbers: int) -> np.ndarray:
    return np.array([[n, n + 0.25, n + 0.5] for n in numbers], np.float32)


def whole(title, text):
    return [Passage(0, len(text), text)]


def embed(w, draft):
    """Embed what is missing: a text is the number in it."""
    w.recall(draft)
    missing = list(w.missing_texts())
    if missing:
        w.put_embeddings(
            draft, [sha256 for sha256, _ in missing], vectors(*(int(text.split()[-1]) for _, text in missing))
        )
    return [text for _, text in missing]


def write(w, items, keep=False):
    """One whole run: what changed, and which texts were embedded."""
    changes = w.take_items(items, whole, keep=keep)
    with Checkpoint(w.folder, "small") as draft:
        embedded = embed(w, draft)
        w.commit(INFO, draft)
    return changes, embedded


def put(folder, numbers, keep=False):
    """Write items with these numbers; how many texts were embedded, and how many items removed."""
    with Writer(folder) as w:
        changes, embedded = write(w, [item(n) for n in numbers], keep)
    return len(embedded), changes.removed


def contents(folder):
    """Every living key: its item's id and its vector's first component."""
    with Store(folder) as store:
        keys = []
        for first, x, alive, _ in store.blocks():
            rows = range(len(x)) if alive is None else np.flatnonzero(alive)
            places = store.items_at([first + row for row in rows])
            keys += [(place.item.id, float(x[row, 0])) for place, row in zip(places, rows, strict=True)]
        assert store.info.keys == len(keys)
        return keys


def grades(folder: Path) -> dict[str, dict[str, float]]:
    """The feedback of a catalog: the grade of each item, by request."""
    return {request.query: dict(request.grades) for request in feedback.read_feedback(folder)}


def temporary_files(folder: Path) -> list[str]:
    """The names of files that only a writer has use for."""
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]
