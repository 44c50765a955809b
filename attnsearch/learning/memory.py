"""Judged requests that are remembered → how far to follow them, and what that gains on held-out requests.

Axis letters: m = queries, j = judged requests, i = items, d = width, s = margins, the first of them infinite: nothing
is remembered.

A held-out request recalls only the requests that its fold learned from, and its W was learned from the same. So memory
is measured beside what W_Q has already learned from these very requests. The margin δ is chosen as the strength of the
pull is: the largest, which follows judged requests least, whose held-out cross-entropy is within a standard error of
the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.memory import OFF, Recall, raise_logits, request_logits, share_attention
from attnsearch.learning.bilinear import SHARPNESS, Floats, item_logits
from attnsearch.learning.cross_validation import (
    Answers,
    CrossValidation,
    Fold,
    HeldOut,
    choose_strength,
    compare_answers,
    join_rounds,
    measure_answers,
)
from attnsearch.learning.examples import Graded, TrainingSet

MARGINS = (0.25, 0.2, 0.15, 0.1, 0.05, 0.0, -0.05)  # δ, from the least memory to the most
MOST = 0.5  # μ: what the items themselves say keeps half of the attention at least

Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]


def recall_at(strength_index: int) -> Recall | None:
    """How far judged requests are followed at the margin with that index in s; None for 0."""
    return Recall(MOST, 1 / SHARPNESS, OFF, MARGINS[strength_index - 1]) if strength_index else None


class MemoryMass(NamedTuple):
    """What memory holds of the attention of m queries: `mass` (m, c) of the items with the numbers `items` (c,).

    `shares` (m,) is what it holds of all. The items number c, ascending: those that were right for some judged request.
    """

    items: Numbers
    mass: Doubles
    shares: Doubles

    def take(self, queries: Sequence[int]) -> MemoryMass:
        """What memory holds of the attention of these queries alone."""
        return self._replace(mass=self.mass[queries], shares=self.shares[queries])

    def raise_weights(self, log_weights: Doubles, rows: Numbers, items: Numbers) -> Doubles:
        """The logs of some weights with memory, from those without: one each of the query and the item given."""
        places = np.minimum(np.searchsorted(self.items, items), max(len(self.items) - 1, 0))
        known = self.items[places] == items if len(self.items) else np.zeros(len(items), bool)
        raised = log_weights + np.log1p(-self.shares)[rows]
        raised[known] = np.logaddexp(raised[known], _log(self.mass[rows[known], places[known]]))
        return raised

    def raise_logits(self, z: Floats) -> Floats:
        """The logits of all items with memory (m, i), from those without, z (m, i)."""
        raised = z.copy()
        raised[:, self.items] = raise_logits(z[:, self.items], _log_sum(z), self.mass, self.shares[:, None])
        return raised


class FoldMemory(NamedTuple):
    """What held-out queries recall: their cosines with judged requests (m, j), and what is right for these (j, c).

    c are the `items` that were right for some of them. `plain` (m,) is log Σ exp over the plain logits of all items.
    """

    cosines: Floats
    right: Any  # a sparse array
    items: Numbers
    plain: Doubles

    def mass(self, *recalls: Recall) -> MemoryMass:
        """What memory holds if judged requests are followed in each of these ways, in one softmax, as by a query."""
        logits = [request_logits(self.cosines, recall, self.plain) for recall in recalls]
        most = np.repeat([recall.most for recall in recalls], self.cosines.shape[1])
        shares = share_attention(np.concatenate(logits, axis=1), most)
        shares = shares.reshape(len(shares), len(recalls), -1).sum(axis=1)
        return MemoryMass(self.items, shares @ self.right, shares.sum(axis=1))


def recall_requests(training_set: TrainingSet, fold: Fold) -> FoldMemory:
    """What the queries that a fold holds out recall of those that it learns from."""
    keys, x = training_set.keys, training_set.x
    remembered = np.array([query for query in fold.training if training_set.graded[query].right.any()], np.int64)
    right, items = _shares([training_set.graded[query] for query in remembered])
    plain = x * np.float32(SHARPNESS) if training_set.plain is None else training_set.plain
    z = keys.best_per_item(plain[fold.held_out] @ keys.vectors.T)
    z = z if keys.offset is None else z + keys.offset
    return FoldMemory(x[fold.held_out] @ x[remembered].T, right, items, _log_sum(z))


def _shares(graded_queries: Sequence[Graded]) -> tuple[Any, Numbers]:
    """What is right for each request, as shares that add up to 1 (j, c), and the numbers of these items (c,)."""
    from scipy.sparse import csr_array

    rows = [(graded.items[graded.right], graded.grades[graded.right]) for graded in graded_queries]
    ends = np.cumsum([0, *(len(numbers) for numbers, _ in rows)])
    items, places = np.unique(np.concatenate([np.empty(0, np.int64), *(own for own, _ in rows)]), return_inverse=True)
    shares = np.concatenate([np.empty(0), *(grades / grades.sum() for _, grades in rows)])
    return csr_array((shares, places, ends), shape=(len(rows), len(items))), items


def _log(mass: Doubles) -> Doubles:
    with np.errstate(divide="ignore"):
        return np.log(mass)


def _log_sum(z: Floats) -> Doubles:
    """log Σ exp z (m,)."""
    highest = z.max(axis=1)
    total: Doubles = highest + np.log(np.exp(z - highest[:, None]).sum(axis=1, dtype=np.float64))
    return total


def validate_memory(training_set: TrainingSet, held_out: Sequence[HeldOut], careful: Recall) -> CrossValidation:
    """What memory gains beside what each fold learned: `before` is without memory, s are the margins.

    Beside a margin, each judged request is followed with the `careful` recall, as it always is. For the gain of a fold,
    the other folds alone choose the margin.
    """
    folds = [fold for fold, _ in held_out]
    by_margin: list[list[Answers]] = [[] for _ in range(1 + len(MARGINS))]
    for fold, w in held_out:
        own = training_set.take(fold.held_out)
        z = item_logits(training_set.keys, own.x, w)
        recalled = recall_requests(training_set, fold)
        for index, answers in enumerate(by_margin):
            recall = recall_at(index)
            answers.append(measure_answers(own, recalled.mass(recall, careful).raise_logits(z) if recall else z))
    kls = np.array([np.mean([answers.kl for answers in join_rounds(folds, fits)], axis=0) for fits in by_margin])
    by_others = [by_margin[choose_strength(kls[:, fold.training])][number] for number, fold in enumerate(folds)]
    return compare_answers(held_out, by_margin[0], by_others, kls, choose_strength(kls))
