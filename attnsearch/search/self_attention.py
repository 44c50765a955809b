"""Items as a query: the catalog reads itself.

The query is the sum of the unit vectors of the text, if there is one, and of the items to be like, less those of the
items to be unlike, scaled to length one: Mikolov et al. 2013, https://aclanthology.org/N13-1090. An item of several
passages has the direction of their mean. The items themselves are masked, or they would be the best answers.

Axis letters: m = queries, d = width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.opening.items import keys_of_item

_SHORTEST = 1e-5  # a sum of unit vectors that is no longer than this is rounding, and has no direction


class Likeness(NamedTuple):
    """The items in a query: their first keys (n,), and the sum (d,) of their unit vectors, some of them negated."""

    first_keys: NDArray[np.int64]
    total: NDArray[np.float64]


def read_likeness(index: Index, like: Sequence[str], unlike: Sequence[str]) -> Likeness | None:
    """The items with these ids, as part of a query; None without any.

    Raises InputError for an id that no item has, and for an item that the query is to be both like and unlike.
    """
    idents = [*like, *unlike]
    if not idents:
        return None
    for ident in like:
        if ident in unlike:
            raise InputError(f"'{ident}' is to be both like and unlike", hint="name it in one of --like and --unlike")
    keys = [keys_of_item(index.store, ident) for ident in idents]
    signs = [1.0] * len(like) + [-1.0] * len(unlike)
    total = sum(sign * _direction(index, item_keys) for sign, item_keys in zip(signs, keys, strict=True))
    return Likeness(np.array([item_keys[0] for item_keys in keys]), np.asarray(total, np.float64))


def embed_queries(index: Index, texts: Sequence[str], likeness: Likeness | None) -> NDArray[np.float32]:
    """The unit vector (m, d) of each query; with a likeness, a text may be empty: then the query is the items alone.

    Raises InputError if text and items add up to nothing.
    """
    if likeness is None:
        return index.encoder.encode(texts, "query")
    total = np.tile(likeness.total, (len(texts), 1))
    worded = [i for i, text in enumerate(texts) if text]
    if worded:  # else the encoder is not even loaded
        total[worded] += index.encoder.encode([texts[i] for i in worded], "query")
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    if (lengths <= _SHORTEST).any():
        raise InputError("what the query is to be like and unlike cancels out", hint="leave some of it out")
    x: NDArray[np.float32] = (total / lengths).astype(np.float32)
    return x


def _direction(index: Index, keys: Sequence[int]) -> NDArray[np.float64]:
    """The unit vector (d,) of an item: of its only key, or of the mean of its passages'."""
    mean = index.store.embeddings(keys).astype(np.float64).mean(axis=0)
    length = np.linalg.norm(mean)
    return mean / length if length > _SHORTEST else np.zeros_like(mean)
