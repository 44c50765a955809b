"""The arrays of equation (1) → a file of NumPy, from which a few lines of numpy give every number that was printed.

Axis letters: m = requests, n = keys of all items, d = width, d_k = width of queries and keys.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.search.scoring import score_all
from attnsearch.search.self_attention import embed_queries
from attnsearch.search.setting import Setting
from attnsearch.storage.failures import writing
from attnsearch.storage.files import refuse_unless_regular, replacing

ENDING = ".npz"
LARGEST = 1 << 30  # bytes of all arrays

Arrays = dict[str, NDArray[Any]]


def collect_arrays(index: Index, texts: Sequence[str], setting: Setting) -> Arrays:
    """Every array of the formula for these requests: softmax(q Kᵀ / √d_k + bias) V, over all keys of the catalog.

    query (m,), x (m, d), W_Q (d, d_k), q (m, d_k) = x W_Q, W_K (d, d_k), K (n, d_k), W_V (d, d), V (n, d), bias, logits
    and weights (m, n), output (m, d), and the ids and titles (n,) of the items, with `catalogs` (n,) if there are
    several. The bias is what terms, priors and memory add, or -inf where a key does not count: where a filter hides its
    item, or another passage of the item is better. So the logits are q Kᵀ / √d_k + bias.

    Raises InputError if there is more than `LARGEST`, and as `search` does.
    """
    store = index.store
    keys = store.living()
    d, m = index.info.d, len(texts)
    size = 4 * (len(keys) + m) * 2 * d + 12 * d * d + 20 * m * len(keys)
    size += _count_bytes(texts, m)
    _check_size(index, size)
    ids, titles, catalogs = _name_items(index, keys, size)
    asked = setting.resolve(index, texts)
    x = embed_queries(index, asked.texts, asked.likeness)
    scores, z = score_all(index.engine, asked, x, output=True)
    logits, projections = z[:, keys], asked.projections
    added = np.zeros((1, store.size), np.float32) if asked.bias is None else asked.bias.block(0, store.size)
    if scores.recalled is not None:
        added = added + scores.recalled.spread(store.size)
    log_normalizers = scores.state.log_normalizer()[:, None]
    with np.errstate(invalid="ignore"):  # of a request without any item, which has no weights
        weights = np.exp(logits.astype(np.float64) - log_normalizers)
    embeddings = store.embeddings(keys)
    return {
        "query": np.array(texts),
        "x": x,
        "W_Q": projections.w_q,
        "q": projections.project(x),
        "W_K": projections.w_k,
        "K": projections.keys(embeddings),
        "W_V": projections.w_v,
        "V": projections.values(embeddings),
        "bias": np.where(logits > -np.inf, added[:, keys], np.float32(-np.inf)),
        "logits": logits,
        "weights": np.nan_to_num(weights),
        "output": scores.state.mean_value() @ projections.w_v,
        "ids": ids,
        "titles": titles,
        **({"catalogs": catalogs} if len(index.stores) > 1 else {}),
    }


def check_file(file: Path) -> None:
    """Raise InputError unless arrays can be saved as this file: a regular one, called FILE.npz."""
    if file.suffix.lower() != ENDING:
        raise InputError(f"--save writes arrays of NumPy, not '{file.name}'", hint=f"name it {file.stem}{ENDING}")
    refuse_unless_regular(file)


def save_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Save arrays of numbers or texts by their names, whole or not at all; `numpy.load` reads them without pickle.

    Raises InputError as `check_file` does, CatalogError if the file can't be written, TypeError for arrays of objects.
    """
    check_file(file)
    _refuse_objects(arrays)
    with writing(file), replacing(file) as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]  # its other parameter has a default


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """What `save_arrays` would write to a file. Raises TypeError for arrays of objects."""
    _refuse_objects(arrays)
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def _refuse_objects(arrays: Mapping[str, NDArray[Any]]) -> None:
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"arrays of objects would be pickled: {', '.join(objects)}")


def _check_size(index: Index, size: int) -> None:
    """Raise InputError for more bytes than `LARGEST`."""
    if size > LARGEST:
        message = f"all keys and values take {size / (1 << 30):.1f} GiB, and --save writes {LARGEST >> 30} GiB at most"
        hint = "save from a smaller catalog; for the vectors alone: attnsearch export"
        raise InputError(message, where=index.info.name, hint=hint)


def _name_items(index: Index, keys: NDArray[np.int64], size: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The id, the title and the catalog (n,) of each key's item, unless they make `size` bytes too many."""
    firsts, ids, titles, catalogs = [], [], [], []
    for first, item in index.store.items():
        firsts.append(first)
        ids.append(item.id)
        titles.append(item.title)
        catalogs.append(index.info_of(first).name)
    owners = np.searchsorted(np.array(firsts, np.int64), keys, side="right") - 1
    lists = ids, titles, catalogs
    _check_size(index, size + sum(_count_bytes(texts, len(keys)) for texts in lists))
    of_id, of_title, of_catalog = (np.array(texts, np.str_)[owners] for texts in lists)
    return of_id, of_title, of_catalog


def _count_bytes(texts: Sequence[str], count: int) -> int:
    """What an array of so many of the texts takes: each has room for the longest."""
    return 4 * count * max(map(len, texts), default=0)
