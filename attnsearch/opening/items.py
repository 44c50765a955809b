"""The name of an item → its id, and its keys."""

from __future__ import annotations

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

    Raises InputError for a name that no item has, and suggests the nearest; and for one that several items have.
    """
    check_text(name, "the item's name")
    name = normalize_text(name)
    if store.keys_of([name]):
        return store.short_id(name)
    exact: list[str] = []
    caseless: list[str] = []
    near: dict[str, str] = {}  # titles and ids by their lower case
    for _, item in store.items():  # noqa: PERF102 (it is not a dict)
        if normalize_text(item.title) == name:
            exact.append(item.id)
        for word in (item.title, item.id):
            if normalize_text(word).casefold() == name.casefold():
                caseless.append(item.id)
            if word and len(near) < _NEAR:
                near.setdefault(word.casefold(), word)
    idents = list(dict.fromkeys(exact or caseless))
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
