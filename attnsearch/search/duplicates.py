"""A catalog reads itself: items that say almost the same, in groups, the one to keep first.

Exact copies have the same text, so that they are embedded alike; what is left is grouped by cosine: `engines.groups`.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.search.setting import find_passing

if TYPE_CHECKING:
    from attnsearch.engines.groups import Progress
    from attnsearch.opening.index import Index
    from attnsearch.postings.conditions import Where
    from attnsearch.storage.store import Store

_READ = 500  # items at once

Numbers = NDArray[np.int64]


class Member(NamedTuple):
    """An item of a group: its `score` with the one to keep, 1 for that one itself.

    `same_as` is the id of the first item of the group with the same text; None if that is this item.
    """

    id: str
    title: str
    score: float
    same_as: str | None


class Group(NamedTuple):
    """Items that say almost the same: the one to keep, then the others by their scores. `size` counts all."""

    size: int
    members: list[Member]


class Duplicates:
    """The groups of two items and more, the largest first.

    `copies` counts the items with the same text as an earlier one of their group, `near` the others but for those to
    keep, `items` all that were compared.
    """

    def __init__(self, store: Store, items: int, groups: Sequence[_Members]) -> None:
        self._store, self._groups = store, groups
        self.items = items
        self.copies = sum(int((group.text[1:] == group.text[:-1]).sum()) for group in groups)
        self.near = sum(len(group.first_keys) - 1 for group in groups) - self.copies

    def __len__(self) -> int:
        return len(self._groups)

    def read(self, groups: int | None = None, members: int | None = None) -> Iterator[Group]:
        """The first groups and the first members of each, all by default, read from the open catalog one by one.

        Raises CatalogError for a damaged row.
        """
        for group in self._groups[:groups]:
            yield Group(len(group.first_keys), list(self._read_members(group, members)))

    def _read_members(self, group: _Members, members: int | None) -> Iterator[Member]:
        first = ""
        first_keys = group.first_keys[:members].tolist()
        for start in range(0, len(first_keys), _READ):
            for i, (item, _) in enumerate(self._store.items_at(first_keys[start : start + _READ]), start):
                is_copy = i > 0 and group.text[i] == group.text[i - 1]
                first = first if is_copy else item.id
                yield Member(item.id, item.title, float(group.scores[i]), first if is_copy else None)


class _Members(NamedTuple):
    """A group: the first keys (n,) of its items, their scores (n,), and a number (n,) for the text of each."""

    first_keys: Numbers
    scores: NDArray[np.float64]
    text: Numbers


class _Items(NamedTuple):
    """All items (n,): the first key of each, the length of its text, how many fields it has, and the SHA-256 of it."""

    first_keys: Numbers
    lengths: Numbers
    fields: Numbers
    texts: NDArray[np.bytes_]

    def take(self, index: Numbers | NDArray[np.bool_]) -> _Items:
        """The items with these indices, or marks."""
        return _Items(self.first_keys[index], self.lengths[index], self.fields[index], self.texts[index])


def find_duplicates(
    index: Index, *, min_score: float, where: Sequence[Where] = (), progress: Progress | None = None
) -> Duplicates:
    """The groups of items with a score of at least `min_score`, of those that pass the filters.

    The one to keep has the longest text of its group; of equals, the one with the most fields, then the first. Raises
    InputError for a field that no item has, CatalogError for a damaged row.
    """
    items = _read_items(index.store)
    if where:
        items = items.take(find_passing(index, where)[items.first_keys])
    items = items.take(np.lexsort((items.first_keys, -items.fields, -items.lengths)))
    # The first item with a text stands for all of them; texts are numbered in the order of these.
    _, first, text = np.unique(items.texts, return_index=True, return_inverse=True)
    order = np.argsort(first)
    text = np.argsort(order)[text]
    first_keys = items.first_keys[first[order]]
    groups = index.engine.group_items(first_keys, _count_keys(index.store, first_keys), min_score, progress=progress)
    return Duplicates(
        index.store, len(items.first_keys), _gather(items.first_keys, text, groups.leader[text], groups.score[text])
    )


def _read_items(store: Store) -> _Items:
    columns = array("q"), array("q"), array("q")
    texts = bytearray()
    for key, item in store.items():
        row = key, len(item.text), len(item.fields) + bool(item.description)
        for column, number in zip(columns, row, strict=True):
            column.append(number)
        texts += hashlib.sha256(item.text.encode()).digest()
    first_keys, lengths, fields = (np.array(column, np.int64) for column in columns)
    return _Items(first_keys, lengths, fields, np.frombuffer(texts, "S32"))


def _count_keys(store: Store, first_keys: Numbers) -> Numbers:
    """How many keys the items with these first keys have."""
    if store.first_keys is None:
        return np.ones(len(first_keys), np.int64)
    return np.bincount(store.first_keys, minlength=store.size)[first_keys]


def _gather(first_keys: Numbers, text: Numbers, leader: Numbers, scores: NDArray[np.float64]) -> list[_Members]:
    """The groups of several items, the largest first, then by the key of the one to keep."""
    order = np.lexsort((text, -scores, leader))  # a leader has the lowest number of its texts
    first_keys, text, leader, scores = first_keys[order], text[order], leader[order], scores[order]
    starts = np.flatnonzero(np.diff(leader, prepend=-1))
    sizes = np.diff(np.append(starts, len(leader)))
    several = sizes > 1
    parts = [slice(start, start + size) for start, size in zip(starts[several], sizes[several], strict=True)]
    groups = [_Members(first_keys[part], scores[part], text[part]) for part in parts]
    return sorted(groups, key=lambda group: (-len(group.first_keys), int(group.first_keys[0])))
