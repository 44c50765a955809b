"""The items and keys of an open index as arrays.

Axis letters: n = keys, d = width.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnsearch.opening.index import Index


class Arrays:
    """Each is read from an index when it is first asked for, and kept."""

    def __init__(self, index: Index) -> None:
        self._store = index.store

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the items, in the order in which they were indexed."""
        return tuple(item.id for _, item in self._store.items())

    @cached_property
    def keys(self) -> NDArray[np.float32]:
        """The keys (n, d), in the order of the items and of their passages."""
        keys = self._store.embeddings(self._store.living().tolist())
        keys.flags.writeable = False
        return keys

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """The place in `ids` of each key's item (n,)."""
        living, first_keys = self._store.living(), self._store.first_keys
        owners = np.arange(len(living)) if first_keys is None else np.cumsum(first_keys[living] == living) - 1
        owners.flags.writeable = False
        return owners
