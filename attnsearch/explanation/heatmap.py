"""Requests × items: the attention of several requests as one matrix, whose rows add up to 100 %.

Axis letters: m = requests, the rows; n = items that have a column; p = their keys; d = width.

A cell has the very numbers that a ranked table has for its request and item. The softmax is over all items: those
without a column have the rest of the attention together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import multiply
from attnsearch.attention.softmax import best_of_each
from attnsearch.errors import InputError
from attnsearch.explanation.seriation import order_columns, order_rows
from attnsearch.search.index import Index
from attnsearch.search.items import keys_of_item
from attnsearch.search.scoring import Scores, fold_queries, score
from attnsearch.search.search import check_texts
from attnsearch.search.setting import DEFAULT, Asked, Setting, explain_empty
from attnsearch.storage.store import Store

TOP = 3  # items of a request, unless the options say otherwise
MOST_ROWS = 1_000  # requests: their order takes seconds from there on
MOST_CELLS = 1 << 22  # of a heatmap: 100 MB

_PRODUCTS = 1 << 22  # of requests and keys, in memory at a time: 16 MB

By = Literal["weight", "logit", "score"]
BY: tuple[By, ...] = get_args(By)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Column(NamedTuple):
    """An item that has a column, and the name of its catalog."""

    id: str
    title: str
    catalog: str


class Heatmap(NamedTuple):
    """The attention of m requests, in the order in which they are drawn, on n items, likewise.

    weights        (m, n), each from 0 to 1: the softmax over all items; 0 for a hidden one
    logits         (m, n), as the softmax saw them; -inf for a hidden item
    scores         (m, n), the cosine of the request and the item's best key; NaN for a hidden item
    others         (m,), the weight of all items together that have no column: with it, a row adds up to 1
    none_of_these  (m,), the chance that nothing fits, which is no share of the attention; None without a null key
    right          (m, n), whether the item is known to be right for the request; None if nothing is known

    The rest is as in `search.result.Result`, and the same for all requests: `items` counts all items of the catalogs,
    `masked` those that are hidden. If they all are, a row is 0 everywhere, and `emptied_by` says what hid the last.
    """

    queries: list[str]
    columns: list[Column]
    weights: Doubles
    logits: Doubles
    scores: Doubles
    others: Doubles
    none_of_these: Doubles | None
    right: NDArray[np.bool_] | None
    catalog: str
    catalogs: list[str]
    model: str
    temperature: float
    items: int
    masked: int
    lexical: float
    trained: bool
    emptied_by: str | None = None

    def values(self, by: By) -> Doubles:
        """The weights, logits or scores (m, n)."""
        return {"weight": self.weights, "logit": self.logits, "score": self.scores}[by]

    def strengths(self, by: By) -> Doubles:
        """How strong each cell (m, n) is beside the strongest, from -1 to 1; 0 for a hidden item."""
        values = np.where(np.isfinite(self.logits), self.values(by), 0.0)
        return values / (np.abs(values).max(initial=0.0) or 1.0)

    def narrow(self, count: int) -> Self:
        """The heatmap with at most so many columns; the weights of those that go are added to `others`.

        Each request keeps its best item before any keeps a second one, and so on. Of equal ranks, the items with the
        highest weight stay.
        """
        if count >= len(self.columns):
            return self
        ranks = np.argsort(np.argsort(-self.logits, axis=1, kind="stable"), axis=1)
        order = np.lexsort((-self.weights.max(axis=0, initial=0.0), ranks.min(axis=0, initial=len(self.columns))))
        kept = np.sort(order[:count])
        others = self.others + np.delete(self.weights, kept, axis=1).sum(axis=1)
        return self._arrange(np.arange(len(self.queries)), kept)._replace(others=others)

    def _arrange(self, rows: Numbers, columns: Numbers) -> Self:
        """The heatmap with these rows and columns, in this order."""
        cells = np.ix_(rows, columns)
        return self._replace(
            queries=[self.queries[row] for row in rows],
            columns=[self.columns[column] for column in columns],
            weights=self.weights[cells],
            logits=self.logits[cells],
            scores=self.scores[cells],
            others=self.others[rows],
            none_of_these=None if self.none_of_these is None else self.none_of_these[rows],
            right=None if self.right is None else self.right[cells],
        )


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
    scores = score(index.engine, asked, index.encoder.encode(texts, "query"), k=0 if idents is not None else k)
    if idents is None:
        heads = _best_items(index.store, scores, _best_right(index, asked, scores.x, right or (), k))
    else:
        heads = np.array(sorted({keys_of_item(index.store, ident)[0] for ident in idents}), np.int64)
    _check_cells(len(texts), len(heads))
    heatmap = _fill(index, asked, scores, texts, heads)
    if right is not None:
        heatmap = heatmap._replace(right=np.array([np.isin(heads, [*of_row]) for of_row in right]))
    if heatmap.masked == heatmap.items and setting.where:
        heatmap = heatmap._replace(emptied_by=explain_empty(index, setting.where))
    heatmap = heatmap._arrange(order_rows(heatmap.weights), np.arange(len(heads)))
    return heatmap._arrange(np.arange(len(texts)), order_columns(heatmap.weights))


def _check_cells(rows: int, columns: int) -> None:
    if rows * columns > MOST_CELLS:
        message = f"{rows:,} requests with {columns:,} items are too many for a heatmap"
        raise InputError(message, hint="ask fewer, or take fewer items of each: -k 3")


def _best_items(store: Store, scores: Scores, right: Numbers) -> Numbers:
    """The first keys (n,), ascending, of the best items of any request, and of those in `right`."""
    state = scores.state
    keys = state.top_keys[np.isfinite(state.top_logits)]
    return np.unique(np.concatenate([keys if store.heads is None else store.heads[keys], right]))


def _best_right(index: Index, asked: Asked, x: Floats, right: Sequence[Collection[int]], k: int) -> Numbers:
    """The first keys of the `k` best items of those that are right for each request; hidden ones are left out."""
    best = [np.empty(0, np.int64)]
    for row, of_row in enumerate(right):
        heads = np.array(sorted(of_row), np.int64)
        logits = _weigh(index, asked, x, heads, slice(row, row + 1)).logits[0]
        order = np.argsort(-logits, kind="stable")[:k]
        best.append(heads[order[np.isfinite(logits[order])]])
    return np.concatenate(best)


def _fill(index: Index, asked: Asked, scores: Scores, texts: Sequence[str], heads: Numbers) -> Heatmap:
    """The heatmap of the items whose first keys are `heads` (n,), in the order of the requests and keys."""
    logits, cosines = _weigh(index, asked, scores.x, heads, slice(None))
    state = scores.state
    is_empty = state.visible == 0
    log_normalizers = np.where(is_empty, 0.0, state.log_normalizer())
    weights = np.exp(logits - log_normalizers[:, None])
    has_all = state.visible == np.isfinite(logits).sum(axis=1)
    items = index.store.items_at(heads.tolist())
    catalogs = [index.info_of(int(key)).name for key in heads]
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
        trained=asked.learned is not None,
    )


def _weigh(index: Index, asked: Asked, x: Floats, heads: Numbers, rows: slice) -> _Cells:
    """The logits and scores of these `rows` of the requests x (m, d), and of the items by their first keys (n,)."""
    q = fold_queries(asked.projections, x)[rows]
    cells = _Cells(np.empty((len(q), len(heads))), np.empty((len(q), len(heads))))
    for part, keys, joined in _split(index.store, heads, max(_PRODUCTS // max(len(q), 1), 1)):
        vectors = index.store.embeddings(keys)
        z = multiply(q, vectors)
        best = np.broadcast_to(np.arange(len(keys)), z.shape)
        if joined.any():
            best = np.nonzero(np.isfinite(best_of_each(z, joined)))[1].reshape(len(q), -1)
        added: Any = 0
        if asked.bias is not None:
            added = asked.bias.at(heads[part])
            added = added[rows] if len(added) == len(x) else added
        cells.logits[:, part] = np.take_along_axis(z, best, axis=1) + added
        cells.scores[:, part] = np.take_along_axis(multiply(x[rows], vectors), best, axis=1)
    if asked.bias is not None and asked.bias.visible is not None:
        is_hidden = ~asked.bias.visible[heads]
        cells.logits[:, is_hidden] = -np.inf
        cells.scores[:, is_hidden] = np.nan
    return cells


def _split(store: Store, heads: Numbers, size: int) -> Iterator[tuple[slice, Numbers, NDArray[np.bool_]]]:
    """The items whose first keys are `heads` (n,) in parts of about `size` keys.

    For each part, its place among the items, its keys (p,), and which of these (p,) follow another key of their item.
    """
    keys = heads
    if store.heads is not None:
        is_asked = np.zeros(store.size, bool)
        is_asked[heads] = True
        living = store.living()
        keys = living[is_asked[store.heads[living]]]
    firsts = np.append(np.searchsorted(keys, heads), len(keys))
    start = 0
    while start < len(heads):
        stop = max(int(np.searchsorted(firsts, firsts[start] + size, side="right")) - 1, start + 1)
        part = keys[firsts[start] : firsts[stop]]
        joined = np.ones(len(part), bool)
        joined[firsts[start:stop] - firsts[start]] = False
        yield slice(start, stop), part, joined
        start = stop
