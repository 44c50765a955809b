"""Judged requests + an index → what is learned from: the keys, the queries, and where attention should go.

Axis letters: m = queries, n = keys, i = items, d = width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.projections import identity
from attnsearch.errors import InputError
from attnsearch.learning import bilinear
from attnsearch.learning.bilinear import Floats, Keys, Targets
from attnsearch.search.index import Index
from attnsearch.search.scoring import fold
from attnsearch.sources.judgments import Judged
from attnsearch.storage.store import Store

_MOST = 32_768  # keys that are learned from: of a larger catalog, those that matter and some of the others
_NEAR = 100  # items that each query is nearest to: those that matter
_LEFT = 50  # items that share what a request leaves that only says what is wrong

Doubles = NDArray[np.float64]

log = logging.getLogger("attnsearch")


class TrainingSet(NamedTuple):
    """A catalog, queries x (m, d), what is right for them, and all that was judged right: grades by item number.

    A judged item that the catalog lacks has the number -1: it is missed.
    """

    catalog: Keys
    x: Floats
    targets: Targets
    graded: Sequence[tuple[NDArray[np.int64], Doubles]]


class Gathered(NamedTuple):
    """A lesson, and what it was made of: the requests in its order, the first key of each item, the unknown ids."""

    lesson: TrainingSet
    judged: list[Judged]
    firsts: NDArray[np.int64]
    unknown: int

    @property
    def sampled(self) -> bool:
        """Whether it has only some of the items."""
        return self.lesson.catalog.offset is not None


def gather(
    index: Index,
    judged: Sequence[Judged],
    seed: int = 0,
    *,
    progress: Callable[[int], None] | None = None,
) -> Gathered:
    """The lesson that the requests make which say anything of an item that the catalog has.

    `progress` is told how many more of the requests are embedded.
    """
    ids = dict.fromkeys(ident for one in judged for ident in one.grades)
    first = {ident: min(keys) for ident, keys in index.store.keys_of(ids).items()}
    unknown = len(ids) - len(first)
    usable = [one for one in judged if any(ident in first for ident in (one.relevant or one.grades))]
    if not usable:
        what = "no request has an item that the catalog knows" if judged else "there is no judged request"
        hint = "say what is right with 'attnsearch feedback', or name the catalog that was judged with -c"
        raise InputError(what, where=index.info.name, hint=hint)
    if unknown:
        log.warning("%s: %d judged ids are not in it, and teach nothing", index.info.name, unknown)
    x = index.encoder.encode([one.query for one in usable], "query", progress)
    catalog, firsts = _catalog(index, x, np.array(sorted(first.values())), seed)
    graded = []
    for one in usable:
        at = [int(np.searchsorted(firsts, first[ident])) if ident in first else -1 for ident in one.grades]
        graded.append((np.array(at, np.int64), np.array(list(one.grades.values()), np.float64)))
    lesson = TrainingSet(catalog, x, _targets(catalog, x, graded), graded)
    return Gathered(lesson, usable, firsts, unknown)


def _catalog(index: Index, x: Floats, judged: NDArray[np.int64], seed: int) -> tuple[Keys, NDArray[np.int64]]:
    """The keys to learn from, and the number of the first of each item's.

    Of a large catalog they are the judged items, those near a query, and, for all others, a sample that stands for
    them in the normalizer: Bengio & Senécal 2008.
    """
    store = index.store
    numbers = store.living()
    heads = numbers if store.heads is None else store.heads[numbers]
    firsts = np.unique(heads)
    offset = None
    if len(numbers) > _MOST:
        near = np.concatenate([_near(index, x[at : at + _NEAR]) for at in range(0, len(x), _NEAR)])
        sure = np.union1d(judged, near if store.heads is None else store.heads[near])
        rest = np.setdiff1d(firsts, sure, assume_unique=True)
        room = max(int(_MOST * len(firsts) / len(numbers)) - len(sure), _MOST // 4)
        drawn = np.sort(np.random.default_rng(seed).choice(rest, min(room, len(rest)), replace=False))
        kept = np.union1d(sure, drawn)
        offset = np.where(np.isin(kept, drawn), np.float32(np.log(len(rest) / max(len(drawn), 1))), np.float32(0))
        some = np.isin(heads, kept)
        numbers, heads, firsts = numbers[some], heads[some], kept
    begins = None if len(firsts) == len(numbers) else np.flatnonzero(np.diff(heads, prepend=-1))
    return Keys(store.embeddings(numbers.tolist()), begins, offset), firsts


def first_keys(store: Store) -> NDArray[np.int64]:
    """The first key of each item."""
    numbers = store.living()
    return numbers if store.heads is None else np.unique(store.heads[numbers])


def _near(index: Index, x: Floats) -> NDArray[np.int64]:
    state = index.engine.attend(fold(identity(index.info.d), x), k=_NEAR).attention
    return np.unique(state.top_keys[np.isfinite(state.top_logits)])


def _targets(catalog: Keys, x: Floats, graded: Sequence[tuple[NDArray[np.int64], Doubles]]) -> Targets:
    """Shares by the grades of what is right.

    For a request that says only what is wrong they are what untrained attention gives the other items.
    """
    queries, items, shares = [], [], []
    for query, (at, grades) in enumerate(graded):
        right = (at >= 0) & (grades > 0)
        if right.any():
            found, share = at[right], grades[right]
        else:
            z = bilinear.item_logits(catalog, x[query : query + 1])[0].astype(np.float64)
            z[at[at >= 0]] = -np.inf
            found = np.argsort(-z, kind="stable")[: min(_LEFT, np.count_nonzero(np.isfinite(z)))]
            share = np.exp(z[found] - z[found[0]])
        order = np.argsort(found)
        queries.append(np.full(len(found), query))
        items.append(found[order])
        shares.append((share / share.sum())[order])
    return Targets(np.concatenate(queries), np.concatenate(items), np.concatenate(shares).astype(np.float32))
