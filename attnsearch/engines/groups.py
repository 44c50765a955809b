"""Items that say almost the same → groups, each led by the item to keep; blocks of keys against blocks of keys.

Axis letters: m, n = items of two blocks, with p, q keys; d = width.

Items are taken in order. One that is near no leader before it leads a group of its own; any other is a member of the
leader before it that it is most like. So each member is near its leader, and no two leaders are near each other, which
connected components would not give: in a chain, the ends may have nothing in common. And memory is bounded: n equal
items make n²/2 pairs, of which no list is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import error_bound, multiply, multiply_fast, multiply_pairs

DIGITS = 6  # of a score behind the point: float32 has no more, and equal vectors have 1

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]
Progress = Callable[[int, int], None]
"""Called with how many pairs of items have been compared, and how many there are."""


class Groups(NamedTuple):
    """For each item (n,), the item that leads its group, by its number, and the score of the two; a leader's is 1."""

    leader: Numbers
    score: NDArray[np.float64]


class Items(NamedTuple):
    """Some items: their numbers (n,), ascending; the first key (n,) of each, and how many it has (n,), in a row."""

    numbers: Numbers
    first_keys: Numbers
    counts: Numbers

    @property
    def keys(self) -> Numbers:
        """The numbers (q,) of all their keys."""
        return _expand(self.first_keys, self.counts)

    def take(self, index: Numbers | slice) -> Self:
        """The items with these indices (m,)."""
        return self._replace(numbers=self.numbers[index], first_keys=self.first_keys[index], counts=self.counts[index])

    def split(self, rows: int) -> Iterator[Self]:
        """The items in parts of about `rows` keys; an item with more is a part of its own."""
        number = np.cumsum(self.counts) // rows
        bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]
        for start, stop in itertools.pairwise(bounds):
            if start < stop:
                yield self.take(slice(start, stop))


class Pair(NamedTuple):
    """Items that are to be compared with `leaders`; if these `may_lead` only, they are some of the items themselves."""

    items: Items
    leaders: Items
    may_lead: bool = False

    def split(self, rows: int) -> Iterator[Self]:
        """The same with about `rows` keys of leaders at a time, none of whom depends on another."""
        return (self._replace(leaders=leaders) for leaders in self.leaders.split(rows))


class Matches(NamedTuple):
    """The best leader of some items: the numbers (m,) of both, and their scores (m,)."""

    items: Numbers
    leaders: Numbers
    scores: NDArray[np.float64]


Compare = Callable[[Pair], Iterable[Matches]]
"""Called with a pair, it returns what `match` does, for all of it or for its parts."""


class _Block(NamedTuple):
    """Some items: their numbers (n,), the vectors x (q, d) of their keys, each item's first row (n,) and count (n,)."""

    items: Numbers
    x: Floats
    starts: Numbers
    counts: Numbers

    @property
    def is_single(self) -> bool:
        """Whether each item has one key."""
        return len(self.x) == len(self.items)

    def take(self, index: Numbers) -> Self:
        """The items with these indices (m,)."""
        counts = self.counts[index]
        rows = _expand(self.starts[index], counts)
        return self._replace(items=self.items[index], x=self.x[rows], starts=_starts(counts), counts=counts)


def group_items(
    first_keys: Numbers, counts: Numbers, compare: Compare, *, rows: int, progress: Progress | None = None
) -> Groups:
    """Group items by their keys: item i has `counts[i]` keys in a row, from `first_keys[i]` on, both (n,).

    Blocks of about `rows` keys are compared, by whoever has them: `compare`. The result does not depend on the blocks.
    """
    n = len(first_keys)
    every = Items(np.arange(n), first_keys, counts)
    groups = Groups(np.arange(n), np.ones(n))
    leaders = np.empty(0, np.int64)
    for items in every.split(rows):
        for matches in compare(Pair(items, every.take(leaders))):
            _join(groups, matches)
        free = items.take(np.flatnonzero(groups.leader[items.numbers] == items.numbers))
        for matches in compare(Pair(items, free, may_lead=True)):
            _join(groups, matches)
        leaders = np.concatenate([leaders, free.numbers[groups.leader[free.numbers] == free.numbers]])
        if progress:
            last = int(items.numbers[-1])
            progress((last + 1) * last // 2, n * (n - 1) // 2)
    return groups


def match(pair: Pair, read: Callable[[Numbers], Floats], min_score: float) -> Matches:
    """For each item that is near a leader before it, the most like it; of equals, the first. A new leader has none.

    `read` returns the vectors (q, d) of keys by their numbers (q,).
    """
    block = _read(pair.items, read)
    if not pair.may_lead:
        return _match(block, _read(pair.leaders, read), min_score)
    free = np.searchsorted(block.items, pair.leaders.numbers)
    new = free[_choose_leaders(block.take(free), min_score)]
    others = np.setdiff1d(np.arange(len(block.items)), new)
    return _match(block.take(others), block.take(new), min_score)


def _read(items: Items, read: Callable[[Numbers], Floats]) -> _Block:
    return _Block(items.numbers, read(items.keys), _starts(items.counts), items.counts)


def _join(groups: Groups, matches: Matches) -> None:
    """Make items members of leaders that they are more like than those so far; of equals, the first stays."""
    items, leaders, scores = matches
    is_better = (groups.leader[items] == items) | (scores > groups.score[items])
    groups.leader[items[is_better]] = leaders[is_better]
    groups.score[items[is_better]] = scores[is_better]


def _match(block: _Block, leaders: _Block, min_score: float) -> Matches:
    """For each item of the block that is near a leader before it, the most like it; of equals, the first."""
    nothing = np.empty(0, np.int64)
    if not (len(block.items) and len(leaders.items)):
        return Matches(nothing, nothing, np.empty(0))
    error = _error(block)
    z = multiply_fast(block.x, leaders.x)
    top = z.max(axis=1)
    top = top if block.is_single else np.maximum.reduceat(top, block.starts)
    near = np.flatnonzero(top >= min_score - error)  # others have no key that is near one of a leader's
    if not len(near):
        return Matches(nothing, nothing, np.empty(0))
    z = z[_expand(block.starts[near], block.counts[near])]
    block = block.take(near)
    scores = _scores(z, block, leaders)
    if leaders.items[-1] > block.items[0]:
        scores = np.where(leaders.items < block.items[:, None], scores, -np.inf)
    best = scores.max(axis=1, keepdims=True)
    row, column = np.nonzero(scores >= np.maximum(best - 2 * error, min_score - error))
    exact = _settle(block, leaders, row, column)
    is_near = exact >= min_score
    row, column, exact = row[is_near], column[is_near], exact[is_near]
    order = np.lexsort((column, -exact, row))
    first = order[np.unique(row[order], return_index=True)[1]]
    return Matches(block.items[row[first]], leaders.items[column[first]], exact[first])


def _choose_leaders(block: _Block, min_score: float) -> NDArray[np.bool_]:
    """Which of the items (n,) lead: those that are near no leader before them."""
    is_leader = np.ones(len(block.items), bool)
    if len(block.items) < 2:
        return is_leader
    scores = _scores(multiply_fast(block.x, block.x), block, block)
    near = scores >= min_score
    row, column = np.nonzero(np.abs(scores - min_score) <= _error(block))
    row, column = row[row > column], column[row > column]
    near[row, column] = _settle(block, block, row, column) >= min_score
    near = np.tril(near, -1)
    for item in np.flatnonzero(near.any(axis=1)):
        is_leader[item] = not (near[item] & is_leader).any()
    return is_leader


def _scores(z: Floats, block: _Block, other: _Block) -> NDArray[np.floating]:
    """The scores (m, n) of the items of two blocks from the products z (p, q) of their keys."""
    if block.is_single and other.is_single:
        return z
    of_rows = z if other.is_single else np.maximum.reduceat(z, other.starts, axis=1)
    of_columns = z if block.is_single else np.maximum.reduceat(z, block.starts, axis=0)
    forth = np.add.reduceat(of_rows, block.starts, axis=0, dtype=np.float64) / block.counts[:, None]
    back = np.add.reduceat(of_columns, other.starts, axis=1, dtype=np.float64) / other.counts
    return np.minimum(forth, back)


def _settle(block: _Block, other: _Block, row: Numbers, column: Numbers) -> NDArray[np.float64]:
    """The scores (p,) of pairs of items, from products that depend on their two vectors alone, to `DIGITS`."""
    if block.is_single and other.is_single:
        scores = multiply_pairs(block.x, other.x, row, column).astype(np.float64)
    else:
        scores = np.empty(len(row))
        for pair, (i, j) in enumerate(zip(row, column, strict=True)):
            left, right = block.take(np.array([i])), other.take(np.array([j]))
            scores[pair] = _scores(multiply(left.x, right.x), left, right)[0, 0]
    return np.minimum(scores.round(DIGITS), 1)


def _error(block: _Block) -> float:
    """How far a score may be from a settled one: a mean of maxima is no farther off than the products."""
    return float(error_bound(block.x).max()) + 10.0**-DIGITS


def _expand(firsts: Numbers, counts: Numbers) -> Numbers:
    """The numbers from each of `firsts` (n,) on, as many as `counts` (n,) says: 3, 7 and 2, 1 are 3, 4, 7."""
    return np.repeat(firsts - _starts(counts), counts) + np.arange(counts.sum())


def _starts(counts: Numbers) -> Numbers:
    """Where each of several runs begins that follow one another and have these lengths (n,)."""
    starts: Numbers = np.cumsum(counts) - counts
    return starts
