"""A catalog open for its items alone; and the name of an item → its id, and its keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnsearch.errors import InputError
from attnsearch.opening.freshening import bring_up_to_date
from attnsearch.sources.fields import first_names
from attnsearch.sources.letters import normalize_text
from attnsearch.storage import home
from attnsearch.storage.files import is_address
from attnsearch.storage.store import Store
from attnsearch.syntax.formats import AS_FOUND
from attnsearch.syntax.nearest import find_nearest
from attnsearch.syntax.values import check_text
from attnsearch.upkeep.default import default_catalog
from attnsearch.upkeep.freshness import warn_if_changed

if TYPE_CHECKING:
    from attnsearch.indexing.embedding import Progress

_NEAR = 5_000  # titles and ids, at most, that a mistyped name is compared with
_LISTED = 5  # ids, at most, in a message


def open_items(
    ref: str | None = None, *, vectors: bool = False, offline: bool = False, progress: Progress | None = None
) -> Store:
    """The items of the catalog `ref`, with their `vectors` or not, but without the encoder, which takes longer to load.

    A file is indexed first if it is new or changed. Raises InputError and CatalogError as `Index.open` does, and
    ModelError for such a file.
    """
    ref = ref or default_catalog()
    if is_address(ref):
        from attnsearch.postgres.store import open_store

        return open_store(ref)
    folder, file = home.find_catalog(ref)
    if file:
        bring_up_to_date(folder, file, AS_FOUND, offline=offline, progress=progress)
    store = home.open_migrated(folder, lambda folder: Store(folder, vectors=vectors))
    if not file:
        warn_if_changed(folder, store.info, ref)
    return store


class UnknownItemError(InputError):
    """No item has this id or this title."""


def find_id(store: Store, name: str) -> str:
    """The id of the item with this id, else of the only item with this title, else the same without regard to case.

    Raises UnknownItemError for a name that no item has, and suggests the nearest; InputError for one that several have.
    """
    return find_ids(store, [name])[0]


def find_ids(store: Store, names: Iterable[str]) -> list[str]:
    """The id of each item that a name means, as `find_id` finds it; all titles together in one pass over the items."""
    wanted = []
    for name in names:
        check_text(name, "the item's name")
        wanted.append(normalize_text(name))
    ids = {name: store.short_id(name) for name in wanted if store.keys_of([name])}
    if titles := [name for name in wanted if name not in ids]:
        ids |= _find_by_title(store, titles)
    return [ids[name] for name in wanted]


def _find_by_title(store: Store, names: Sequence[str]) -> dict[str, str]:
    exact: dict[str, list[str]] = {name: [] for name in names}
    caseless: dict[str, list[str]] = {name.casefold(): [] for name in names}
    near: dict[str, str] = {}  # titles and ids by their lower case
    for _, item in store.items():  # noqa: PERF102 (it is not a dict)
        title = normalize_text(item.title)
        if title in exact:
            exact[title].append(item.id)
        for word, normal in ((item.title, title), (item.id, normalize_text(item.id))):
            if normal.casefold() in caseless:
                caseless[normal.casefold()].append(item.id)
            if word and len(near) < _NEAR:
                near.setdefault(word.casefold(), word)
    return {name: _choose(store, name, exact[name] or caseless[name.casefold()], near) for name in names}


def _choose(store: Store, name: str, ids: Iterable[str], near: Mapping[str, str]) -> str:
    """The only one of the ids of the items with this name. Raises as `find_id` does."""
    idents = list(dict.fromkeys(ids))
    if len(idents) == 1:
        return idents[0]
    if idents:
        hint = f"name one by its id: {first_names(idents, _LISTED)}"
        raise InputError(f"{len(idents)} items are called '{name}'", where=store.info.name, hint=hint)
    suggestions = [f"'{near[word]}'" for word in find_nearest(name.casefold(), near, most=3)]
    hint = f"did you mean {' or '.join(suggestions)}?" if suggestions else "name an item by its id or its title"
    raise UnknownItemError(f"no item '{name}'", where=store.info.name, hint=hint)


def keys_beside(store: Store, key: int) -> list[int]:
    """All keys of the item that has this one."""
    first_keys = store.first_keys
    return [key] if first_keys is None else np.flatnonzero(first_keys == first_keys[key]).tolist()


def keys_of_item(store: Store, ident: str) -> list[int]:
    """The keys of the item with this id, ascending. Raises InputError if there is none."""
    keys = store.keys_of([ident]).get(ident)
    if not keys:
        raise UnknownItemError(f"no item '{ident}'", where=store.info.name)
    return keys
