"""Several catalogs of one encoder, as if all of their items were in one: one softmax over all of them.

Keys are numbered through, in the order of the catalogs. What works on keys by their numbers, the engine and the bias,
needs to know no more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from attnsearch.errors import InputError
from attnsearch.opening.agreement import check_encoders
from attnsearch.opening.index import Index
from attnsearch.sources.items import Item
from attnsearch.storage import home
from attnsearch.storage.files import is_address
from attnsearch.storage.store import ItemSpan, Store
from attnsearch.syntax.formats import AS_FOUND, Reading

if TYPE_CHECKING:
    from attnsearch.indexing.embedding import Progress
    from attnsearch.postings.cache import Postings
    from attnsearch.postings.vocabulary import Vocabulary
    from attnsearch.sources.summary import Field
    from attnsearch.storage.database import Info
    from attnsearch.storage.learned import Learned, Remembered

T = TypeVar("T")


class UnionStore(Store):
    """The stores of several catalogs as one: their segments follow one another, and so do their items.

    An item is named by its id. If several catalogs have an item with that id, or if one has the whole name as an id,
    `CATALOG:ID` says which is meant.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        infos = [store.info for store in stores]
        self.folder = stores[0].folder
        self.stores = stores
        self.is_open = True
        # The number of each store's first key, and behind them that of all keys.
        self.firsts = np.cumsum([0, *(store.size for store in stores)]).tolist()
        self.info = infos[0]._replace(
            name=", ".join(info.name for info in infos),
            items=sum(info.items for info in infos),
            keys=sum(info.keys for info in infos),
        )
        self.segments = [
            row._replace(first=first + row.first)
            for first, store in zip(self.firsts, stores, strict=False)
            for row in store.segments
        ]
        self._x = [x for store in stores for x in store._x]

    @property
    def files(self) -> list[Path]:
        """The file of each of the segments."""
        return [file for store in self.stores for file in store.files]

    def number_of(self, key: int) -> int:
        """The number of the store with this key."""
        return int(np.searchsorted(self.firsts, key, side="right")) - 1

    def fields(self) -> list[Field]:
        """What each catalog knows of its fields."""
        return [field for store in self.stores for field in store.fields()]

    def value_counts(self) -> list[tuple[str, str]]:
        """The fields whose values are counted in each catalog that has them: the name, and the counts as JSON."""
        counts: dict[str, Counter[str]] = {}
        uncounted: set[str] = set()
        for store in self.stores:
            own = store.info.fields.own
            counted = {name: json.loads(values) for name, values in store.value_counts() if name not in own}
            uncounted |= {field.name for field in store.fields()} - set(counted)
            for name, values in counted.items():
                counts.setdefault(name, Counter()).update(values)
        return [(name, json.dumps(values)) for name, values in counts.items() if name not in uncounted]

    def mentions(self, name: str) -> bool:
        """Whether any item has a field of this name, or has the name as a value."""
        return any(store.mentions(name) for store in self.stores)

    def items(self, first: int = 0, end: int = 1 << 62) -> Iterator[tuple[int, Item]]:
        """The first key of every item, and the item, ordered by key: those from `first` to before `end`."""
        for start, store in zip(self.firsts, self.stores, strict=False):
            for key, item in store.items(first - start, end - start):
                yield start + key, item

    def keys_of(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """The keys of the item that each name means, ascending; names that mean no item are left out.

        Raises InputError for a name that means several.
        """
        keys: dict[str, list[int]] = {}
        for name in ids:
            readings = [reading for reading in self._readings(name) if reading[2]]
            if len(readings) > 1:
                names = " and ".join(f"'{ident}' of {catalog}" for catalog, ident, _ in readings)
                hint = f"write {' or '.join(f'{catalog}:{ident}' for catalog, ident, _ in readings)}"
                raise InputError(f"'{name}' can mean the items {names}", hint=hint)
            if readings:
                keys[name] = readings[0][2]
        return keys

    def short_id(self, name: str) -> str:
        """The id of the item that a name means, without its catalog's name unless other items have that id."""
        (keys,) = self.keys_of([name]).values()
        (span,) = self.spans_at(keys[:1])
        own = span.item.id
        return own if sum(bool(reading[2]) for reading in self._readings(own)) == 1 else name

    def _readings(self, name: str) -> Iterator[tuple[str, str, list[int]]]:
        """What a name can mean: the catalog, the id in it, and the keys, none if there is no such item."""
        for first, store in zip(self.firsts, self.stores, strict=False):
            catalog = store.info.name
            for ident in dict.fromkeys((name, name.removeprefix(f"{catalog}:"))):
                yield catalog, ident, [first + key for key in store.keys_of([ident]).get(ident, ())]

    def _find_spans(self, column: str, values: Iterable[int | str]) -> Iterator[tuple[int, ItemSpan]]:
        """The spans of these keys; `keys_of` looks for ids itself."""
        keys = np.fromiter(values, np.int64)
        numbers = np.searchsorted(self.firsts, keys, side="right") - 1
        for number, store in enumerate(self.stores):
            first = self.firsts[number]
            for key, span in store._find_spans(column, (keys[numbers == number] - first).tolist()):
                yield first + key, span

    def check_open(self) -> None:
        """Raise ClosedError after `close`."""
        for store in self.stores:
            store.check_open()

    def close(self) -> None:
        """End the snapshots."""
        self.is_open = False
        for store in self.stores:
            store.close()


class Union(Index):
    """Several catalogs open for queries as one; see `open_catalogs`."""

    def __init__(self, parts: Sequence[Index]) -> None:
        if len({part.info.name for part in parts}) < len(parts):  # folders were copied or renamed
            for part in parts:
                part.store.info = part.info._replace(name=home.displayed_name(part.store.folder, part.info))
        check_encoders(parts)
        self.parts = parts
        self._store = UnionStore([part.store for part in parts])
        super().__init__(self._store, min((part.encoder for part in parts), key=lambda encoder: encoder.quick))

    @property
    def stores(self) -> Sequence[Store]:
        """The stores of the catalogs."""
        return self._store.stores

    def info_of(self, key: int) -> Info:
        """The record of the catalog with the key of this number."""
        return self._store.stores[self._store.number_of(key)].info

    @property
    def lexical(self) -> float:
        """The λ of a query that names none. Raises InputError if the catalogs do not agree on it."""
        return self._agreed(
            [part.info.lexical for part in self.parts], "λ by default", "say which: --lexical 0.3, or 0"
        )

    @property
    def language(self) -> str:
        """The language of the terms. Raises InputError if the catalogs do not agree on it."""
        return self._agreed([part.info.language for part in self.parts], "languages", "ask without --lexical")

    @property
    def postings(self) -> Postings:
        """Which of the items have a value of a field, or a term."""
        from attnsearch.postings import union

        with self._opening:
            if self._postings is None:
                parts = zip(self._store.firsts, self.parts, strict=False)
                catalogs = [union.Catalog(first, part.postings) for first, part in parts]
                self._postings = union.UnionPostings(self.store, catalogs)
            return self._postings

    def _find_vocabulary(self) -> Vocabulary | None:
        from attnsearch.postings.vocabulary import Vocabulary

        parts = [part.find_vocabulary() for part in self.parts]
        if None in parts:
            return None
        return Vocabulary([opened for part in parts if part for opened in part.parts], self.store.folder)

    @cached_property
    def learned(self) -> Learned | None:
        """What was learned for the catalogs, without what each remembers; None if nothing was.

        Raises InputError if they have not learned the same, and CatalogError as `Index.learned` does.
        """
        first, *others = [_without_memory(part.learned) for part in self.parts]
        if all(_is_same(first, other) for other in others):
            return first
        trained = [part.info.name for part in self.parts if _without_memory(part.learned)]
        hint = "ask without: --untrained, or say whose: --projections FILE"
        raise InputError(f"the catalogs have not learned the same; {' and '.join(trained)} learned", hint=hint)

    def memories(self, learned: Learned | None = None) -> Sequence[Remembered | None]:
        """The judged requests that each catalog remembers, which are about its own items; see `Index.memories`."""
        return [memory for part in self.parts for memory in part.memories(learned)]

    def close(self) -> None:
        """End the snapshots."""
        if self._vocabulary:
            self._vocabulary.close()  # before its parts are
        for part in self.parts:
            part.close()
        self.store.close()
        if self._postings:
            self._postings.close()
        self.engine.close()

    def _agreed(self, values: Sequence[T], what: str, hint: str) -> T:
        """The value that all catalogs have. Raises InputError if some have another."""
        if len(set(values)) > 1:
            shown = ", ".join(f"{value} in {store.info.name}" for store, value in zip(self.stores, values, strict=True))
            raise InputError(f"the catalogs have different {what}: {shown}", hint=hint)
        return values[0]


def open_catalogs(
    refs: Sequence[str],
    *,
    reading: Reading = AS_FOUND,
    offline: bool = False,
    vectors: bool = True,
    progress: Progress | None = None,
) -> Union:
    """The catalogs `refs`, each as `Index.open` opens it, as one.

    `reading` is for the only one that is a file, or `-`. Raises InputError for catalogs that other encoders made, and
    for one that is named twice; else as `Index.open` does.
    """
    if any(map(is_address, refs)):
        raise InputError("a catalog in a database is asked alone", hint="name no other beside it")
    if refs.count("-") > 1:
        raise InputError("standard input is named twice", hint="name each catalog once")
    files = [] if reading == AS_FOUND else [ref for ref in refs if _is_file(ref)]
    if len(files) > 1:
        raise InputError(f"--from can be for {' or for '.join(files)}", hint="index one of them first")
    reading_ref = files[0] if files else refs[0]  # of catalogs alone, the first says that it was read already
    with ExitStack() as opened:
        parts: dict[Path, Index] = {}
        for ref in refs:
            own_reading = reading if ref == reading_ref else AS_FOUND
            part = opened.enter_context(
                Index.open(ref, reading=own_reading, offline=offline, vectors=vectors, progress=progress)
            )
            if part.store.folder in parts:
                raise InputError(f"the catalog '{part.info.name}' is named twice", hint="name each catalog once")
            parts[part.store.folder] = part
        union = Union(list(parts.values()))
        opened.pop_all()
    return union


def _is_file(ref: str) -> bool:
    """Whether a catalog is read from a file, or from standard input, when it is asked."""
    if ref == "-":
        return True
    folder, file = home.find_catalog(ref)
    return file not in (None, home.built_in_file(folder.name))


def _without_memory(learned: Learned | None) -> Learned | None:
    return learned._replace(memory=None) if learned and learned.trained else None


def _is_same(learned: Learned | None, other: Learned | None) -> bool:
    """Whether two catalogs learned the same, or nothing."""
    if learned is None or other is None:
        return learned is other
    numbers, other_numbers = (
        (part.identity, part.sha256, part.temperature, part.lexical, part.is_lexical, part.null)
        for part in (learned, other)
    )
    if learned.w is None or other.w is None:
        return numbers == other_numbers and learned.w is other.w
    return numbers == other_numbers and np.array_equal(learned.w, other.w)
