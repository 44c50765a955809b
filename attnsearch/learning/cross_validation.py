"""Judged requests, some of them held out → how strongly W is to be pulled towards I, and what it gains on the others.

Axis letters: m = queries, i = items, s = strengths, the first of them infinite: W = I.

Each request is held out once in each of several rounds, and answered by what was learned from those in the other folds
(Stone 1974). The strength is chosen by the held-out cross-entropy, as the strongest that is within a standard error of
the best (Breiman et al. 1984, the 1-SE rule); for what a fold gains, by the other folds alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import State
from attnsearch.evaluation import metrics
from attnsearch.evaluation.report import DEPTH
from attnsearch.learning.bilinear import Floats, Loss, fit_w, item_logits
from attnsearch.learning.examples import TrainingSet

STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # of the pull; each W is found from the one before

_PRIOR = 7  # requests' worth of pull at the least: a few alone would be learned by heart
_FEW, _MANY = 100, 1_000  # requests: fewer are cut into more folds, and oftener, since each is nearly as good as all
_OTHERS = 30  # queries whose answers are compared with a query's own
_WORSE = 2  # strengths in a row: then weaker ones need not be tried

Doubles = NDArray[np.float64]


class Answers(NamedTuple):
    """What logits say of each query: nDCG (m,), KL (m,) from what is right to the weights, the top items (m, DEPTH).

    Both are NaN for a query without a right item; where there are fewer items, the top is filled with -2.
    """

    ndcg: Doubles
    kl: Doubles
    top: NDArray[np.int64]

    def of(self, chosen: NDArray[np.int64]) -> Answers:
        """What was said of the chosen queries."""
        return Answers(self.ndcg[chosen], self.kl[chosen], self.top[chosen])


class Trial(NamedTuple):
    """What was seen on held-out queries.

    `kl` (s, m) is for each strength the mean over the rounds. `before` is what the untrained says, `after` are the
    rounds of what was learned. `chosen` is the number of the strength for all; `held_out` has, for each fold of each
    round, its queries and the W (d, d) that was learned without them at that strength.
    """

    kl: Doubles
    before: Answers
    after: list[Answers]
    chosen: int
    held_out: list[tuple[NDArray[np.int64], Floats]]

    @property
    def gain(self) -> Doubles:
        """By how much the nDCG of each query (m,) is better than before, as the mean of the rounds."""
        gain: Doubles = np.mean([told.ndcg for told in self.after], axis=0) - self.before.ndcg
        return gain

    @property
    def untrained(self) -> Trial:
        """The same, had nothing been learned."""
        d = self.held_out[0][1].shape[1]
        everyone = np.arange(len(self.before.kl)), np.eye(d, dtype=np.float32)
        return self._replace(after=[self.before], chosen=0, held_out=[everyone])

    @property
    def kl_gain(self) -> Doubles:
        """By how much the KL of each query (m,) is lower than before."""
        gain: Doubles = self.before.kl - np.mean([told.kl for told in self.after], axis=0)
        return gain


OnFits = Callable[[int, int, Sequence[float]], None]
"""Told how many fits are done, of how many, and what each strength so far gained in nDCG on held-out requests."""


def cross_validate(lesson: TrainingSet, *, seed: int = 0, progress: OnFits | None = None) -> Trial:
    """Answer every query by what was learned without it."""
    m = len(lesson.x)
    folds, rounds = (min(10, m), 3) if m < _FEW else (5, 2) if m < _MANY else (3, 1)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(m) % folds for _ in range(rounds)]  # the fold of each query, in each round
    cuts = [(number, fold) for number in range(rounds) for fold in range(folds)]

    before = measure(lesson, item_logits(lesson.catalog, lesson.x))
    told = [[before] * rounds]
    ws: list[list[Floats | None]] = [[None] * len(cuts)]
    kl = [before.kl]
    worse, curve = 0, list[float]()
    strengths = [pull for pull in STRENGTHS if pull * m >= _PRIOR and m > 1]
    losses = [_loss(lesson, np.flatnonzero(orders[number] != fold)) for number, fold in cuts if strengths]
    for strength, pull in enumerate(strengths, 1):
        found = [_empty(m) for _ in range(rounds)]
        ws.append([])
        for at, ((number, fold), loss) in enumerate(zip(cuts, losses, strict=True)):
            w = fit_w(loss, pull, ws[-2][at])
            ws[-1].append(w)
            out = np.flatnonzero(orders[number] == fold)
            _put(found[number], out, measure(_some(lesson, out), item_logits(lesson.catalog, lesson.x[out], w)))
            if progress:
                progress((strength - 1) * len(cuts) + at + 1, len(strengths) * len(cuts), curve)
        told.append(found)
        curve.append(float(np.nanmean([one.ndcg - before.ndcg for one in found])))
        kl.append(np.mean([one.kl for one in found], axis=0))
        worse = worse + 1 if np.nanmean(kl[-1]) > min(np.nanmean(one) for one in kl) else 0
        if worse == _WORSE:
            break

    kls = np.array(kl)
    after = []
    for number, order in enumerate(orders):
        best = [choose(kls[:, order != fold]) for fold in range(folds)]
        one = _empty(m)
        for fold, strength in enumerate(best):
            out = np.flatnonzero(order == fold)
            _put(one, out, told[strength][number].of(out))
        after.append(one)
    chosen = choose(kls)
    held_out = [
        (np.flatnonzero(orders[number] == fold), np.eye(lesson.x.shape[1], dtype=np.float32) if w is None else w)
        for (number, fold), w in zip(cuts, ws[chosen], strict=True)
    ]
    return Trial(kls, before, after, chosen, held_out)


def fit_strength(lesson: TrainingSet, strength: int) -> Floats:
    """W (d, d) from all queries, at the strength of that number."""
    loss = _loss(lesson, np.arange(len(lesson.x)))
    w = None
    for pull in STRENGTHS[:strength]:
        w = fit_w(loss, pull, w)
    return np.eye(lesson.x.shape[1], dtype=np.float32) if w is None else w


def choose(kl: Doubles) -> int:
    """The number of the strongest pull whose KL, of (s, m), is within a standard error of the best one's.

    >>> choose(np.array([[3.0, 3.0], [1.0, 1.2], [1.1, 1.0]]))  # the second is as good as the third, and stronger
    1
    """
    kl = kl[:, ~np.isnan(kl[0])]
    if kl.shape[1] < 2:
        return 0
    mean = kl.mean(axis=1)
    behind = kl - kl[mean.argmin()]
    error = behind.std(axis=1, ddof=1) / np.sqrt(kl.shape[1])
    return int(np.argmax(behind.mean(axis=1) <= error))


def measure(lesson: TrainingSet, z: Floats) -> Answers:
    """What the logits z (m, i) of the lesson's queries say."""
    state = State.of(z, k=DEPTH)
    log_total = state.log_normalizer()
    told = _empty(len(z))
    told.top[:, : state.top_keys.shape[1]] = state.top_keys
    for query, (items, grades) in enumerate(lesson.graded):
        found = items[(items >= 0) & (grades > 0)]
        if not (grades > 0).any():
            continue
        told.ndcg[query] = _ndcg(told.top[query], items, grades)
        if len(found):
            told.kl[query] = metrics.divergence(z[query, found].astype(np.float64) - log_total[query])
    return told


def relatedness(lesson: TrainingSet, told: Answers) -> Doubles:
    """How much better each query's own answers rank in its top (m,) than those of some other queries do, in nDCG.

    The mean is 0 if what was judged has nothing to do with what was asked.
    """
    found = np.full(len(told.top), np.nan)
    there = [query for query, (_, grades) in enumerate(lesson.graded) if (grades > 0).any()]
    for at, query in enumerate(there):
        near = (there[(at + step) % len(there)] for step in range(1, min(len(there), _OTHERS + 1)))
        values = [_ndcg(told.top[query], *lesson.graded[other]) for other in near]
        found[query] = told.ndcg[query] - np.mean(values) if values else np.nan
    return found


def _ndcg(top: NDArray[np.int64], items: NDArray[np.int64], grades: Doubles) -> float:
    ranked = np.zeros(len(top))
    where, which = np.nonzero(top[:, None] == items)
    ranked[where] = grades[which]
    return metrics.ndcg(ranked, grades, DEPTH)


def _empty(m: int) -> Answers:
    return Answers(np.full(m, np.nan), np.full(m, np.nan), np.full((m, DEPTH), -2))


def _put(told: Answers, at: NDArray[np.int64], part: Answers) -> None:
    for whole, some in zip(told, part, strict=True):
        whole[at] = some


def _some(lesson: TrainingSet, chosen: NDArray[np.int64]) -> TrainingSet:
    graded = [lesson.graded[one] for one in chosen]
    return lesson._replace(x=lesson.x[chosen], targets=lesson.targets.take(chosen), graded=graded)


def _loss(lesson: TrainingSet, chosen: NDArray[np.int64]) -> Loss:
    part = _some(lesson, chosen)
    return Loss(part.catalog, part.x, part.targets)
