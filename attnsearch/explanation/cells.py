"""Requests and a catalog → their heatmap.

Axis letters: m = requests, the rows; n = items that have a column; p = their keys; d = width.

A cell has exactly the numbers of the ranked table for its request and item. The softmax is over all items: those
without a column have the rest of the attention together. The keys are scanned once, for the sums and for the best items
of each request; then the columns' keys alone are compared with every request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import multiply
from attnsearch.attention.softmax import best_of_each
from attnsearch.errors import InputError
from attnsearch.explanation.heatmap import Column, Heatmap
from attnsearch.explanation.seriation import order_columns, order_rows
from attnsearch.opening.index import Index
from attnsearch.opening.items import keys_of_item
from attnsearch.search.emptied import explain_empty
from attnsearch.search.scoring import Scores, fold_queries, score
from attnsearch.search.search import check_texts
from attnsearch.search.setting import DEFAULT, Asked, Setting
from attnsearch.storage.store import Store

TOP = 3  # items of a request, unless the options say otherwise
MOST_ROWS = 1_000  # requests: their order takes seconds from there on
MOST_CELLS = 1 << 22  # of a heatmap: 100 MB

_PRODUCTS = 1 << 22  # of requests and keys, in memory at a time: 16 MB

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]


class _Cells(NamedTuple):
    """The logits and scores (m, n) of some items."""

    logits: Doubles
    scores: Doubles


def compute_heatmap(
    index: Index,
    texts: Sequence[str],
    setting: Setting = DEFAULT,
    *,
    k: int = TOP,
    idents: Sequence[str] | None = None,
    right: Sequence[Collection[int]] | None = None,
) -> Heatmap:
    """The heatmap of the requests and the items with the ids `idents`; without these, of each request's `k` best.

    `right` has, for each request, the first keys of the items that are right for it. Without `idents`, the `k` best of
    these have a column too.

    Raises InputError for more than `MOST_ROWS` requests or `MOST_CELLS` cells, and as `search` does.
    """
    if len(texts) > MOST_ROWS:
        raise InputError(f"{len(texts):,} requests are too many for a heatmap", hint=f"ask {MOST_ROWS:,} at most")
    _check_cells(len(texts), len(idents) if idents is not None else min(k, index.info.items))
    check_texts(index, texts, setting)
    asked = setting.resolve(index, texts)
    scores = score(index.engine, asked, index.encoder.encode(asked.texts, "query"), k=0 if idents is not None else k)
    if idents is None:
        first_keys = _best_items(index.store, scores, _best_right(index, asked, scores, right or (), k))
    else:
        first_keys = np.array(sorted({keys_of_item(index.store, ident)[0] for ident in idents}), np.int64)
    _check_cells(len(texts), len(first_keys))
    heatmap = _fill(index, asked, scores, texts, first_keys)
    if right is not None:
        heatmap = heatmap._replace(right=np.array([np.isin(first_keys, [*of_row]) for of_row in right]))
    judged = {text: scores.recalled.requests(row) if scores.recalled else {} for row, text in enumerate(texts)}
    recalled = {text: shares for text, shares in judged.items() if shares}
    heatmap = heatmap._replace(asked=asked.corrected(texts), recalled=recalled)
    if heatmap.masked == heatmap.items and setting.where:
        heatmap = heatmap._replace(emptied_by=explain_empty(index, setting.where))
    by_text = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)  # decides between equal rows
    heatmap = heatmap.arrange(by_text[order_rows(heatmap.weights[by_text])], np.arange(len(first_keys)))
    return heatmap.arrange(np.arange(len(texts)), order_columns(heatmap.weights))


def _check_cells(rows: int, columns: int) -> None:
    if rows * columns > MOST_CELLS:
        message = f"{rows:,} requests with {columns:,} items are too many for a heatmap"
        raise InputError(message, hint="ask fewer, or take fewer items of each: -k 3")


def _best_items(store: Store, scores: Scores, right: Numbers) -> Numbers:
    """The first keys (n,), ascending, of the best items of any request, and of those in `right`."""
    state = scores.state
    keys = state.top_keys[np.isfinite(state.top_logits)]
    return np.unique(np.concatenate([keys if store.first_keys is None else store.first_keys[keys], right]))


def _best_right(index: Index, asked: Asked, scores: Scores, right: Sequence[Collection[int]], k: int) -> Numbers:
    """The first keys of the `k` best items of those that are right for each request; hidden ones are left out."""
    best = [np.empty(0, np.int64)]
    for row, of_row in enumerate(right):
        first_keys = np.array(sorted(of_row), np.int64)
        logits = _compare(index, asked, scores, first_keys, slice(row, row + 1)).logits[0]
        order = np.argsort(-logits, kind="stable")[:k]
        best.append(first_keys[order[np.isfinite(logits[order])]])
    return np.concatenate(best)


def _fill(index: Index, asked: Asked, scores: Scores, texts: Sequence[str], first_keys: Numbers) -> Heatmap:
    """The heatmap of the items with these first keys (n,), in the order of the requests and keys."""
    logits, cosines = _compare(index, asked, scores, first_keys, slice(None))
    state = scores.state
    has_all = state.visible == np.isfinite(logits).sum(axis=1)
    weights = _share(logits, state.log_normalizer(), has_all)
    items = index.store.items_at(first_keys.tolist())
    catalogs = [index.info_of(int(key)).name for key in first_keys]
    return Heatmap(
        queries=list(texts),
        columns=[Column(item.id, item.title, name) for (item, _), name in zip(items, catalogs, strict=True)],
        weights=weights,
        logits=logits,
        scores=cosines,
        others=np.where(has_all, 0.0, np.maximum(1 - weights.sum(axis=1), 0.0)),
        none_of_these=scores.none_of_these,
        right=None,
        catalog=index.info.name,
        catalogs=[store.info.name for store in index.stores],
        model=index.info.model,
        temperature=asked.projections.temperature,
        items=index.info.items,
        masked=index.info.items - int(state.visible.min(initial=index.info.items)),
        lexical=asked.lexical,
        trained=asked.learned is not None and asked.learned.trained,
        heads=[head.model for head in index.info.heads],
    )


def _share(logits: Doubles, log_normalizers: Doubles, has_all: NDArray[np.bool_]) -> Doubles:
    """The weights (m, n) of logits (m, n): of all items of a row if it `has_all` (m,), else of some.

    The scan may have summed a product in another order than `multiply` did. If logits are large, so is that rounding:
    no row may have more than all of the attention.
    """
    highest = logits.max(axis=1, initial=-np.inf)
    base = np.where(has_all, highest, log_normalizers)
    weights = np.exp(np.minimum(logits - np.where(base > -np.inf, base, 0.0)[:, None], 0.0))
    totals = weights.sum(axis=1)
    shares: Doubles = weights / np.where(has_all & (totals > 0), totals, np.maximum(totals, 1.0))[:, None]
    return shares


def _compare(index: Index, asked: Asked, scores: Scores, first_keys: Numbers, rows: slice) -> _Cells:
    """The logits and scores of these `rows` of the requests with the items that have the first keys (n,)."""
    x = scores.x
    q = fold_queries(asked.projections, x)[rows]
    cells = _Cells(np.empty((len(q), len(first_keys))), np.empty((len(q), len(first_keys))))
    for part, keys, joined in _split(index.store, first_keys, max(_PRODUCTS // max(len(q), 1), 1)):
        vectors = index.store.embeddings(keys)
        z = multiply(q, vectors)
        best = np.broadcast_to(np.arange(len(keys)), z.shape)
        if joined.any():
            best = np.nonzero(np.isfinite(best_of_each(z, joined)))[1].reshape(len(q), -1)
        added: Any = 0
        if asked.bias is not None:
            added = asked.bias.of_items(first_keys[part])
            added = added[rows] if len(added) == len(x) else added
        cells.logits[:, part] = np.take_along_axis(z, best, axis=1) + added
        cells.scores[:, part] = np.take_along_axis(multiply(x[rows], vectors), best, axis=1)
    if asked.bias is not None and asked.bias.visible is not None:
        is_hidden = ~asked.bias.visible[first_keys]
        cells.logits[:, is_hidden] = -np.inf
        cells.scores[:, is_hidden] = np.nan
    if scores.recalled is not None:
        columns, raised = scores.recalled.of_items(first_keys)
        cells.logits[:, columns] = raised[rows]
    return cells


def _split(store: Store, first_keys: Numbers, size: int) -> Iterator[tuple[slice, Numbers, NDArray[np.bool_]]]:
    """The items with these first keys (n,) in parts of about `size` keys.

    For each part, its place among the items, its keys (p,), and which of these (p,) follow another key of their item.
    """
    keys = first_keys
    if store.first_keys is not None:
        is_asked = np.zeros(store.size, bool)
        is_asked[first_keys] = True
        living = store.living()
        keys = living[is_asked[store.first_keys[living]]]
    firsts = np.append(np.searchsorted(keys, first_keys), len(keys))
    start = 0
    while start < len(first_keys):
        stop = max(int(np.searchsorted(firsts, firsts[start] + size, side="right")) - 1, start + 1)
        part = keys[firsts[start] : firsts[stop]]
        joined = np.ones(len(part), bool)
        joined[firsts[start:stop] - firsts[start]] = False
        yield slice(start, stop), part, joined
        start = stop
