"""Some keys → the state of attention after them: what every engine does with a block, wherever the block lies.

Axis letters: m = queries, n = keys of a block, d = width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import FEW, error_bound, multiply, multiply_fast, multiply_pairs
from attnsearch.attention.softmax import Candidates, State, best_of_each, find_candidates
from attnsearch.engines.engine import States

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias
    from attnsearch.storage.segment import Block

_SPARSE = 1 / 8  # of a block's keys: if fewer are visible, they are copied out before they are compared

Floats = NDArray[np.float32]
Product = Callable[[Floats, Floats], Floats]


class Scan:
    """One pass of some queries over blocks of keys. Threads may share it.

    The arguments are those of `engine.Engine.attend`; keys are numbered as in the bias. With `every_logit` (m, N), the
    logits are filled in there, by the keys' numbers. A block's sums depend on its keys and on all queries, but not on
    the blocks before it.
    """

    def __init__(
        self,
        q: Floats,
        plain: Floats | None,
        *,
        k: int,
        output: bool,
        bias: Bias | None,
        every_logit: Floats | None = None,
    ) -> None:
        m, d = q.shape
        self.is_plain = plain is None and not (bias and bias.adds)  # then one state is both
        self.queries = q if plain is None else np.concatenate([q, plain])  # compared together: keys are read but once
        self.empty = States(State.empty(m, k, d if output else None), State.empty(m, 0))
        self._q, self._k, self._output, self._bias, self._every_logit = q, k, output, bias, every_logit
        self._product = multiply if every_logit is not None else multiply_fast
        is_fast = self._product is multiply_fast and len(self.queries) > FEW
        self._error = error_bound(q) if k and is_fast else None
        self._best = np.empty((m, 0))  # logits so far: once there are k good ones, all threads skip worse keys

    def attend(self, block: Block) -> States:
        """The states after the keys of a block; with `is_plain`, the plain one is empty."""
        first, keys, alive, joined = block
        m, bias, end = len(self._q), self._bias, first + len(keys)
        mask = alive if bias is None else bias.mask(first, end, alive)
        columns = None if mask is None or joined is not None else np.flatnonzero(mask)
        z_both = _compare(self._product, self.queries, keys, columns)
        if joined is not None:  # once for each: by plain logits another passage may be an item's best
            z_both = best_of_each(z_both if mask is None else np.where(mask, z_both, -np.inf), joined)
        z, z_plain = z_both[:m], z_both[-m:]
        plain_state = self.empty.plain if self.is_plain else State.from_logits(z_plain, k=0)
        added = None
        if bias is not None and bias.adds:
            added = bias.block(first, end) if columns is None else bias.block(first, end)[:, columns]
            z = z + added
        if self._every_logit is not None:
            self._every_logit[:, slice(first, end) if columns is None else first + columns] = z
        v = None if not self._output else keys if columns is None else keys[columns]
        state = State.from_logits(z, v, k=0)  # before any is settled: which ones are depends on other threads
        if self._k:
            bound = self._error if self._error is None or added is None else self._error + _rounding(added)
            best = self._best
            threshold = best[:, 0] if best.shape[1] == self._k else np.full(m, -np.inf)
            candidates = find_candidates(z, self._k, threshold, bound)
            if self._error is not None:
                candidates = _settle(z, candidates, self._q, keys, columns, joined, added)
            state = state.with_top(z, candidates, self._k, first, columns)
            # Another thread may replace them meanwhile: then it is skipped that these are good, and nothing else.
            self._best = np.sort(np.hstack([best, state.top_logits]), axis=1)[:, -self._k :]
        return States(state, plain_state)

    def merge(self, states: Iterable[States]) -> States:
        """The states of all keys of disjoint sets of keys, merged in this order."""
        return functools.reduce(States.merge, states, self.empty)

    def finish(self, states: Iterable[States]) -> States:
        """The same; with `is_plain`, the plain state is that of attention."""
        merged = self.merge(states)
        return States(merged.attention, merged.attention) if self.is_plain else merged


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
