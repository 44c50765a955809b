"""Attention over the keys on this machine, in one pass on all its cores.

Axis letters: m = queries, n = keys of a block, N = all keys, d = width.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.attention.softmax import State, best_of_each, logits
from attnsearch.engines.engine import States
from attnsearch.storage.store import BLOCK, Store

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias

_LOGITS = 1 << 22  # logits that a thread holds at once: 16 MB
_PARTS = 4  # of the keys, for each thread: whichever is done early takes another
_SPARSE = 1 / 8  # of a block's keys: if fewer are seen, they are copied out before they are compared

Floats = NDArray[np.float32]


class LocalEngine:
    """The engine over an open catalog: see `engine.Engine`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def attend(
        self, q: Floats, plain: Floats | None = None, *, k: int = 0, output: bool = False, bias: Bias | None = None
    ) -> States:
        """The states of the queries q (m, d), with the `k` best keys of each and, if asked for, the output."""
        return self._scan(q, plain, k, output, bias, None)

    def logits(
        self, q: Floats, plain: Floats | None = None, *, output: bool = False, bias: Bias | None = None
    ) -> tuple[States, Floats]:
        """The states of the queries q (m, d), and every logit (m, N)."""
        z = np.full((len(q), self._store.size), -np.inf, np.float32)
        return self._scan(q, plain, 0, output, bias, z), z

    def _scan(
        self, q: Floats, plain: Floats | None, k: int, output: bool, bias: Bias | None, z_all: Floats | None
    ) -> States:
        """The states; `z_all` (m, N), if there is one, holds every logit afterwards."""
        m, d = q.shape
        one_state = plain is None and not (bias and bias.adds)
        both_q = q if plain is None else np.concatenate([q, plain])  # compared together: the keys are read but once
        rows = max(min(BLOCK, _LOGITS // max(len(both_q), 1)), 1)

        empty = States(State.empty(m, k, d if output else None), State.empty(m, 0))
        least = empty.attention.least()  # shared: k good keys that one thread saw spare the others lesser ones

        def scan_part(part: tuple[int, int]) -> States:
            state, plain_state = empty
            for first, keys, alive, joined in self._store.blocks(*part, rows=rows):
                span = first, first + len(keys)
                mask = alive if bias is None else bias.mask(*span, alive)
                columns = None if mask is None or joined is not None else np.flatnonzero(mask)
                z_both = _compare(both_q, keys, columns)
                if joined is not None:  # for plain logits another passage may be an item's best
                    z_both = best_of_each(z_both if mask is None else np.where(mask, z_both, -np.inf), joined)
                z, z_plain = z_both[:m], z_both[-m:]
                if not one_state:
                    plain_state = plain_state.merge(State.of(z_plain, k=0))
                if bias is not None and bias.adds:
                    added = bias.block(*span)
                    z = z + (added if columns is None else added[:, columns])
                if z_all is not None:
                    z_all[:, slice(*span) if columns is None else first + columns] = z
                v = None if not output else keys if columns is None else keys[columns]
                state = state.merge(State.of(z, v, k=k, first=first, columns=columns, least=least))
                np.maximum(least, state.least(), out=least)
            return States(state, plain_state)

        parts = self._store.parts(_PARTS * threads.count(), least=max(BLOCK // max(m, 1), 1))
        states = [empty, *threads.each(scan_part, parts)]
        attention, plain_state = (functools.reduce(State.merge, column) for column in zip(*states, strict=True))
        return States(attention, attention if one_state else plain_state)


def _compare(q: Floats, keys: Floats, columns: NDArray[np.int64] | None) -> Floats:
    """The products (m, n) of the queries q (m, d) with a block's keys, or with those in the rows `columns` (n,)."""
    if columns is not None and len(columns) < _SPARSE * len(keys):
        return logits(q, keys[columns], scale=1)
    z = logits(q, keys, scale=1)
    return z if columns is None else z[:, columns]
