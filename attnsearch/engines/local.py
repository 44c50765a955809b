"""Attention over the keys on this machine, in one pass on all its cores.

Axis letters: m = queries, n = keys of a block, N = all keys, d = width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.attention.products import FEW, error_bound, multiply, multiply_fast, multiply_pairs
from attnsearch.attention.softmax import Candidates, State, best_of_each, find_candidates
from attnsearch.engines.engine import States
from attnsearch.storage.store import BLOCK, Store

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias

BUDGET = 1 << 22  # logits that a thread holds at once: 16 MB
PARTS = 4  # of the keys per thread: a thread that finishes early takes another

_SPARSE = 1 / 8  # of a block's keys: if fewer are visible, they are copied out before they are compared

Floats = NDArray[np.float32]
Product = Callable[[Floats, Floats], Floats]


class LocalEngine:
    """The engine over an open catalog: see `engine.Engine`, the protocol.

    Threads share the keys in `parts` parts each. Within a part, `block` keys at most are compared at once, and fewer if
    the queries have more than `budget` logits with these. None of the three changes a result, but for rounding.
    """

    def __init__(self, store: Store, *, block: int = BLOCK, budget: int = BUDGET, parts: int = PARTS) -> None:
        self._store = store
        self._block = block
        self._budget = budget
        self._parts = parts

    def attend(
        self, q: Floats, plain: Floats | None = None, *, k: int = 0, output: bool = False, bias: Bias | None = None
    ) -> States:
        """The states, with the `k` best keys of each query and, with `output`, softmax(z) X (m, d)."""
        return self._scan(q, plain, k, output, bias, None)

    def logits(
        self, q: Floats, plain: Floats | None = None, *, output: bool = False, bias: Bias | None = None
    ) -> tuple[States, Floats]:
        """The states, without best keys, and every logit (m, N); -inf where a key does not count."""
        every_logit = np.full((len(q), self._store.size), -np.inf, np.float32)
        return self._scan(q, plain, 0, output, bias, every_logit), every_logit

    def _scan(
        self, q: Floats, plain: Floats | None, k: int, output: bool, bias: Bias | None, every_logit: Floats | None
    ) -> States:
        """The states; `every_logit` (m, N), if given, is filled in."""
        m, d = q.shape
        is_plain = plain is None and not (bias and bias.adds)  # then one state is both
        queries = q if plain is None else np.concatenate([q, plain])  # compared together: the keys are read but once
        rows = max(min(self._block, self._budget // max(len(queries), 1)), 1)

        product = multiply if every_logit is not None else multiply_fast
        error = error_bound(q) if k and product is multiply_fast and len(queries) > FEW else None

        empty = States(State.empty(m, k, d if output else None), State.empty(m, 0))
        threshold = empty.attention.threshold()  # shared: once a thread has k good keys, all may skip worse ones

        def scan_part(part: tuple[int, int]) -> States:
            state, plain_state = empty
            for first, keys, alive, joined in self._store.blocks(*part, rows=rows):
                end = first + len(keys)
                mask = alive if bias is None else bias.mask(first, end, alive)
                columns = None if mask is None or joined is not None else np.flatnonzero(mask)
                z_both = _compare(product, queries, keys, columns)
                if joined is not None:  # once for each: by plain logits another passage may be an item's best
                    z_both = best_of_each(z_both if mask is None else np.where(mask, z_both, -np.inf), joined)
                z, z_plain = z_both[:m], z_both[-m:]
                if not is_plain:
                    plain_state = plain_state.merge(State.from_logits(z_plain, k=0))
                added = None
                if bias is not None and bias.adds:
                    added = bias.block(first, end) if columns is None else bias.block(first, end)[:, columns]
                    z = z + added
                bound = error if error is None or added is None else error + _rounding(added)
                candidates = find_candidates(z, k, threshold, bound)
                if error is not None:
                    candidates = _settle(z, candidates, q, keys, columns, joined, added)
                if every_logit is not None:
                    every_logit[:, slice(first, end) if columns is None else first + columns] = z
                v = None if not output else keys if columns is None else keys[columns]
                of_block = State.from_logits(z, v, k=k, first=first, columns=columns, candidates=candidates)
                state = state.merge(of_block)
                np.maximum(threshold, state.threshold(), out=threshold)
            return States(state, plain_state)

        parts = self._store.parts(self._parts * threads.count(), least=max(self._block // max(m, 1), 1))
        states = [empty, *threads.each(scan_part, parts)]
        attention = functools.reduce(State.merge, (both.attention for both in states))
        plain_state = functools.reduce(State.merge, (both.plain for both in states))
        return States(attention, attention if is_plain else plain_state)


def _compare(product: Product, q: Floats, keys: Floats, columns: NDArray[np.int64] | None) -> Floats:
    """The products (m, n) of the queries q (m, d) with a block's keys, or with those in the rows `columns` (n,)."""
    if columns is not None and len(columns) < _SPARSE * len(keys):
        return product(q, keys[columns])
    z = product(q, keys)
    return z if columns is None else z[:, columns]


def _rounding(added: Floats) -> NDArray[np.float64]:
    """How far apart (m,) or (1,) two sums of one logit and of what is `added` (m or 1, n) to it may be."""
    largest: NDArray[np.float64] = np.maximum(added.max(axis=1, initial=0), -added.min(axis=1, initial=0))
    return largest * float(np.finfo(added.dtype).eps)


def _settle(
    z: Floats,
    candidates: Candidates,
    q: Floats,
    keys: Floats,
    columns: NDArray[np.int64] | None,
    joined: NDArray[np.bool_] | None,
    added: Floats | None,
) -> Candidates:
    """Replace the candidates' logits in z (m, n) by those of products that are summed in one order.

    So equal keys have equal logits, whatever the other queries and keys are. If another passage is now the best of its
    item, it becomes the candidate.
    """
    row, column = candidates
    if joined is None:
        z_settled = multiply_pairs(q, keys, row, column if columns is None else columns[column])
    else:
        row, column, joined = _all_passages(row, column, joined)
        z_settled = multiply_pairs(q, keys, row, column)
        z_settled = best_of_each(z_settled[None], joined)[0]
    if added is not None:
        z_settled = z_settled + added[np.minimum(row, len(added) - 1), column]
    z[row, column] = z_settled
    visible = z_settled > -np.inf
    return Candidates(row[visible], column[visible])


def _all_passages(
    row: NDArray[np.int64], column: NDArray[np.int64], joined: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """All passages of the items with these candidates, and whether each follows another one of its item."""
    starts = np.flatnonzero(~joined)
    sizes = np.diff(np.append(starts, len(joined)))
    item = np.searchsorted(starts, column, side="right") - 1
    count = sizes[item]
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)  # 0 is an item's first passage
    return np.repeat(row, count), np.repeat(starts[item], count) + number, number > 0
