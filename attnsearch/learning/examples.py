"""Judged requests + an index → a training set: keys, queries, and the items that attention should go to.

Axis letters: m = queries, n = keys, i = items, d = width.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.projections import identity
from attnsearch.encoding.encoder import OnTexts
from attnsearch.errors import InputError
from attnsearch.evaluation.report import find_judged_keys
from attnsearch.learning.bilinear import Floats, Keys, Targets, item_logits
from attnsearch.opening.index import Index
from attnsearch.search.scoring import fold_plain, fold_queries
from attnsearch.search.spelling import embed_requests
from attnsearch.sources.judgments import Judged
from attnsearch.storage.segment import first_of_several
from attnsearch.storage.store import Store

MOST_KEYS = 32_768  # to learn from; a larger catalog is sampled
NEAREST = 100  # keys of each query that the sample always has

_TARGET_ITEMS = 50  # items that share the target of a request with only wrong items

Doubles = NDArray[np.float64]


class Graded(NamedTuple):
    """The judged items of a query, by item number, and their grades (j,). Item -1 is missing from the catalog."""

    items: NDArray[np.int64]
    grades: Doubles

    @property
    def answerable(self) -> bool:
        """Whether some item is right, in the catalog or not."""
        return bool((self.grades > 0).any())

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which of the items are right, and in the catalog (j,)."""
        right: NDArray[np.bool_] = (self.items >= 0) & (self.grades > 0)
        return right


class TrainingSet(NamedTuple):
    """Keys, queries x (m, d), the targets of the attention, and the judged items of each query.

    `plain` (m, d) are the folded queries of the plain logits; None stands for those of x.
    """

    keys: Keys
    x: Floats
    targets: Targets
    graded: Sequence[Graded]
    plain: Floats | None = None

    def take(self, queries: NDArray[np.int64]) -> TrainingSet:
        """The training set of these queries alone, numbered by their position in `queries`."""
        graded = [self.graded[query_number] for query_number in queries]
        plain = None if self.plain is None else self.plain[queries]
        return TrainingSet(self.keys, self.x[queries], self.targets.take(queries), graded, plain)


class Examples(NamedTuple):
    """A training set and its origin: the requests in its order, the first key of each of its items, by number.

    `unknown_ids` counts the judged ids that the catalog lacks.
    """

    training_set: TrainingSet
    requests: list[Judged]
    first_keys: NDArray[np.int64]
    unknown_ids: int

    @property
    def sampled(self) -> bool:
        """Whether the training set has only some of the catalog's items."""
        return self.training_set.keys.offset is not None


def gather_examples(
    index: Index,
    requests: Sequence[Judged],
    seed: int = 0,
    *,
    progress: OnTexts | None = None,
) -> Examples:
    """Build the training set from the requests that judge at least one item of the catalog.

    A request with right items needs one of them in the catalog, and one with only wrong items must leave an item that
    could be right. `seed` draws the sample of a large catalog. `progress` is called with the requests just
    embedded. Raises InputError if no request is usable.
    """
    if not requests:
        hint = "judge results with 'attnsearch feedback', or give a file of judgments"
        raise InputError("no judged requests", where=index.info.name, hint=hint)
    keys_of, unknown_ids = find_judged_keys(index, requests, consequence="they teach nothing")
    first_key = {ident: min(numbers) for ident, numbers in keys_of.items()}
    usable = [request for request in requests if _is_usable(request, first_key, index.info.items)]
    if not usable:
        hint = "judge results with 'attnsearch feedback', or name the judged catalog with -c"
        raise InputError("no judged request has a right item in the catalog", where=index.info.name, hint=hint)
    x = embed_requests(index, [request.query for request in usable], progress)
    keys, first_keys = _select_keys(index, x, np.array(sorted(first_key.values())), seed)
    graded = []
    for request in usable:
        items = [
            int(np.searchsorted(first_keys, first_key[ident])) if ident in first_key else -1 for ident in request.grades
        ]
        graded.append(Graded(np.array(items, np.int64), np.array(list(request.grades.values()), np.float64)))
    first = first_of_several(index.info)
    plain = fold_plain(x, first) if first else None
    training_set = TrainingSet(keys, x, _make_targets(keys, x, graded), graded, plain)
    return Examples(training_set, usable, first_keys, unknown_ids)


def _is_usable(request: Judged, ids: Collection[str], items: int) -> bool:
    """Whether a request teaches anything; `ids` are the judged ids that the catalog of so many items has."""
    if request.relevant:
        return any(ident in ids for ident in request.relevant)
    return 0 < sum(ident in ids for ident in request.grades) < items


def find_first_keys(store: Store) -> NDArray[np.int64]:
    """The numbers of the first key of each item (i,), ascending."""
    numbers = store.living()
    return numbers if store.first_keys is None else np.unique(store.first_keys[numbers])


def _select_keys(index: Index, x: Floats, judged_keys: NDArray[np.int64], seed: int) -> tuple[Keys, NDArray[np.int64]]:
    """The keys to learn from, and the numbers of the first key of each of their items (i,).

    From a large catalog they are those of the judged items (their first keys: `judged_keys`), of the items near a
    query, and of a sample that stands for all others in the normalizer (Bengio & Senécal 2008).
    """
    store = index.store
    numbers = store.living()
    firsts = numbers if store.first_keys is None else store.first_keys[numbers]
    first_keys = np.unique(firsts)
    offset = None
    if len(numbers) > MOST_KEYS:
        near = np.concatenate([_nearest(index, x[start : start + NEAREST]) for start in range(0, len(x), NEAREST)])
        sure = np.union1d(judged_keys, near if store.first_keys is None else store.first_keys[near])
        rest = np.setdiff1d(first_keys, sure, assume_unique=True)
        room = max(int(MOST_KEYS * len(first_keys) / len(numbers)) - len(sure), MOST_KEYS // 4)
        sample = np.sort(np.random.default_rng(seed).choice(rest, min(room, len(rest)), replace=False))
        first_keys = np.union1d(sure, sample)
        offset = np.zeros(len(first_keys), np.float32)
        if len(sample):
            offset[np.isin(first_keys, sample)] = np.log(len(rest) / len(sample))
        selected = np.isin(firsts, first_keys)
        numbers, firsts = numbers[selected], firsts[selected]
    starts = None if len(first_keys) == len(numbers) else np.flatnonzero(np.diff(firsts, prepend=-1))
    return Keys(store.embeddings(numbers.tolist()), starts, offset), first_keys


def _nearest(index: Index, x: Floats) -> NDArray[np.int64]:
    """The numbers of the keys nearest to some of the queries x (m, d), untrained."""
    state = index.engine.attend(fold_queries(identity(index.info.d), x), k=NEAREST).attention
    return np.unique(state.top_keys[np.isfinite(state.top_logits)])


def _make_targets(keys: Keys, x: Floats, graded_queries: Sequence[Graded]) -> Targets:
    """The target of each query x (m, d): its right items, in proportion to their grades.

    For a request with only wrong items it is the other items, in the shares that untrained attention gives them.
    """
    queries, items, shares = [], [], []
    for query_number, graded in enumerate(graded_queries):
        if graded.right.any():
            targets, share = graded.items[graded.right], graded.grades[graded.right]
        else:
            z = item_logits(keys, x[query_number : query_number + 1])[0].astype(np.float64)
            z[graded.items[graded.items >= 0]] = -np.inf
            targets = np.argsort(-z, kind="stable")[: min(_TARGET_ITEMS, np.count_nonzero(np.isfinite(z)))]
            share = np.exp(z[targets] - z[targets[0]])
        order = np.argsort(targets)
        queries.append(np.full(len(targets), query_number))
        items.append(targets[order])
        shares.append((share / share.sum())[order])
    return Targets(np.concatenate(queries), np.concatenate(items), np.concatenate(shares).astype(np.float32))
