"""The name of an item → its id, and its keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from attnsearch.errors import InputError
from attnsearch.sources.fields import first_names
from attnsearch.sources.letters import normalize_text
from attnsearch.storage.store import Store
from attnsearch.syntax.nearest import find_nearest
from attnsearch.syntax.values import check_text

_NEAR = 5_000  # titles and ids, at most, that a mistyped name is compared with
_LISTED = 5  # ids, at most, in a message


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
