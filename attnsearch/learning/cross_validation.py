"""Judged requests, some of them held out → how strongly to pull W to the identity, and what that gains on the others.

Axis letters: m = queries, i = items, d = width, s = strengths, the first of them infinite: W = I.

Each round holds each request out once, and answers it by what was learned from the other folds (Stone 1974). The
strength is chosen by the held-out cross-entropy: the strongest that is within a standard error of the best (the 1-SE
rule of Breiman et al. 1984). For the gain of a fold, the other folds alone choose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import State
from attnsearch.evaluation import metrics
from attnsearch.evaluation.report import DEPTH
from attnsearch.learning.bilinear import Floats, Loss, fit_w, item_logits
from attnsearch.learning.examples import Graded, TrainingSet

STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # of the pull; the search for each W starts from the one before

_PRIOR = 7  # requests' worth of pull at the least: a few requests alone would be learned by heart
_FEW, _MANY = 100, 1_000  # requests: fewer are cut into more folds, and more often, so that nearly all are learned from
_NEIGHBORS = 30  # queries to compare with a query's own judgments
_WORSE = 2  # strengths in a row without progress: weaker ones are not tried

Doubles = NDArray[np.float64]


class Answers(NamedTuple):
    """How logits answer each query: nDCG (m,), KL (m,) from the right items to the weights, the top items (m, DEPTH).

    nDCG and KL are NaN for a query without a right item. If there are fewer items, the top is filled with -2.
    """

    ndcg: Doubles
    kl: Doubles
    top: NDArray[np.int64]

    @classmethod
    def empty(cls, m: int) -> Answers:
        """The answers of m queries, all still to be filled in."""
        return cls(np.full(m, np.nan), np.full(m, np.nan), np.full((m, DEPTH), -2))

    def take(self, queries: NDArray[np.int64]) -> Answers:
        """The answers of these queries alone."""
        return Answers(self.ndcg[queries], self.kl[queries], self.top[queries])

    def put(self, queries: NDArray[np.int64], answers: Answers) -> None:
        """Fill in the answers of these queries."""
        for whole, part in zip(self, answers, strict=True):
            whole[queries] = part


class Fold(NamedTuple):
    """One fold of one round: the queries that it holds out, and those of the others from which it learns."""

    round: int
    held_out: NDArray[np.int64]
    training: NDArray[np.int64]


class Fit(NamedTuple):
    """What a fold learned at one strength: W (d, d), and how it answers the queries that were held out."""

    w: Floats
    answers: Answers


class HeldOut(NamedTuple):
    """A fold, and the W (d, d) that was learned without the queries that it holds out."""

    fold: Fold
    w: Floats


class CrossValidation(NamedTuple):
    """The result of cross-validation.

    `kl` (s, m) is that of each strength, the mean over the rounds. `before` are the untrained answers, `after` the
    trained ones of each round. `chosen` is the index of the strength that all queries choose; `held_out` has what was
    learned at that strength in each fold of each round, and `by_others` what was learned at the strength that the other
    folds choose, which is what gave the answers. `learned_from` is how many queries a fold learned from, on average.
    """

    kl: Doubles
    before: Answers
    after: list[Answers]
    chosen: int
    held_out: list[HeldOut]
    by_others: list[HeldOut]
    learned_from: float

    @property
    def gain(self) -> Doubles:
        """By how much nDCG is higher than before (m,), the mean over the rounds."""
        gain: Doubles = np.mean([answers.ndcg for answers in self.after], axis=0) - self.before.ndcg
        return gain

    @property
    def kl_gain(self) -> Doubles:
        """By how much KL is lower than before (m,), the mean over the rounds."""
        gain: Doubles = self.before.kl - np.mean([answers.kl for answers in self.after], axis=0)
        return gain

    def since(self, earlier: CrossValidation) -> CrossValidation:
        """The result of both steps together, of which the `earlier` one is what this one builds on."""
        return self._replace(before=earlier.before)

    @property
    def untrained(self) -> CrossValidation:
        """The result for W = I."""
        eye = np.eye(len(self.held_out[0].w), dtype=np.float32)
        unlearned = [HeldOut(fold, eye) for fold, _ in self.held_out]
        return self._replace(after=[self.before], chosen=0, held_out=unlearned, by_others=unlearned)


OnFits = Callable[[int, int, Sequence[float]], None]
"""Called with the number of fits done, their total, and the held-out gain in nDCG of each finished strength."""


def cross_validate(
    training_set: TrainingSet, *, seed: int = 0, share: float = 1.0, progress: OnFits | None = None
) -> CrossValidation:
    """Answer every query by what was learned without it. `seed` cuts the folds.

    Each fold learns from this `share` of the queries that it does not hold out, the same ones each time. A larger share
    has all queries of a smaller one.
    """
    keys, x = training_set.keys, training_set.x
    folds = _cut_folds(len(x), seed)
    folds = [fold._replace(training=_sample(fold.training, share, (seed, n))) for n, fold in enumerate(folds)]
    before = measure_answers(training_set, item_logits(keys, x))
    eye = np.eye(x.shape[1], dtype=np.float32)

    strengths = [pull for pull in STRENGTHS if pull * len(x) * share >= _PRIOR and not np.isnan(before.kl).all()]
    losses = [_loss(training_set.take(fold.training)) for fold in folds] if strengths else []
    fits = [[Fit(eye, before.take(fold.held_out)) for fold in folds]]  # of each strength, of each fold
    kl, gains, worse = [before.kl], list[float](), 0
    for pull in strengths:
        weaker = []
        for number, (fold, loss, stronger) in enumerate(zip(folds, losses, fits[-1], strict=True), 1):
            w = fit_w(loss, pull, stronger.w)
            z = item_logits(keys, x[fold.held_out], w)
            weaker.append(Fit(w, measure_answers(training_set.take(fold.held_out), z)))
            if progress:
                progress(len(gains) * len(folds) + number, len(strengths) * len(folds), gains)
        fits.append(weaker)
        rounds = join_rounds(folds, [fit.answers for fit in weaker])
        gains.append(float(np.nanmean([answers.ndcg - before.ndcg for answers in rounds])))
        kl.append(np.mean([answers.kl for answers in rounds], axis=0))
        worse = worse + 1 if np.nanmean(kl[-1]) > min(map(np.nanmean, kl)) else 0
        if worse == _WORSE:
            break

    kls = np.array(kl)
    chosen = choose_strength(kls)
    by_others = [fits[choose_strength(kls[:, fold.training])][number] for number, fold in enumerate(folds)]
    return CrossValidation(
        kl=kls,
        before=before,
        after=join_rounds(folds, [fit.answers for fit in by_others]),
        chosen=chosen,
        held_out=[HeldOut(fold, fit.w) for fold, fit in zip(folds, fits[chosen], strict=True)],
        by_others=[HeldOut(fold, fit.w) for fold, fit in zip(folds, by_others, strict=True)],
        learned_from=float(np.mean([len(fold.training) for fold in folds])),
    )


def _cut_folds(m: int, seed: int) -> list[Fold]:
    """Cut m queries into folds, several times; the folds of a round hold out each query once."""
    count, rounds = (min(10, m), 3) if m < _FEW else (5, 2) if m < _MANY else (3, 1)
    rng = np.random.default_rng(seed)
    folds = []
    for number in range(rounds):
        fold_of = rng.permutation(m) % count
        folds += [Fold(number, np.flatnonzero(fold_of == f), np.flatnonzero(fold_of != f)) for f in range(count)]
    return folds


def _sample(training: NDArray[np.int64], share: float, seed: tuple[int, int]) -> NDArray[np.int64]:
    """A share of the queries that a fold may learn from, one at least, ascending."""
    if share == 1:
        return training
    return np.sort(np.random.default_rng(seed).permutation(training)[: max(round(share * len(training)), 1)])


def join_rounds(folds: Sequence[Fold], answers: Iterable[Answers]) -> list[Answers]:
    """The answers to all queries (m,) in each round, from those that each fold holds out."""
    m = sum(len(fold.held_out) for fold in folds if not fold.round)
    rounds = [Answers.empty(m) for _ in range(folds[-1].round + 1)]
    for fold, part in zip(folds, answers, strict=True):
        rounds[fold.round].put(fold.held_out, part)
    return rounds


def compare_answers(
    held_out: Sequence[HeldOut], before: Sequence[Answers], after: Sequence[Answers], kl: Doubles, chosen: int
) -> CrossValidation:
    """The result for something beside what each fold learned, from the answers of each fold without and with it."""
    folds = [fold for fold, _ in held_out]
    rounds = join_rounds(folds, before)
    return CrossValidation(
        kl=kl,
        before=rounds[0]._replace(
            ndcg=np.mean([answers.ndcg for answers in rounds], axis=0),
            kl=np.mean([answers.kl for answers in rounds], axis=0),
        ),
        after=join_rounds(folds, after),
        chosen=chosen,
        held_out=list(held_out),
        by_others=list(held_out),
        learned_from=float(np.mean([len(fold.training) for fold in folds])),
    )


def _loss(training_set: TrainingSet) -> Loss:
    return Loss(training_set.keys, training_set.x, training_set.targets)


def fit_strength(training_set: TrainingSet, strength_index: int) -> Floats:
    """W (d, d) from all queries, at the strength with that index in s; 0 is W = I."""
    loss = _loss(training_set)
    w = np.eye(training_set.x.shape[1], dtype=np.float32)
    for pull in STRENGTHS[:strength_index]:
        w = fit_w(loss, pull, w)
    return w


def choose_strength(kl: Doubles) -> int:
    """The index of the strongest pull with a KL, in (s, m), within a standard error of the best one's.

    >>> choose_strength(np.array([[3.0, 3.0], [1.0, 1.2], [1.1, 1.0]]))  # the second is as good as the third, stronger
    1
    """
    kl = kl[:, ~np.isnan(kl[0])]
    if kl.shape[1] < 2:
        return 0
    mean = kl.mean(axis=1)
    behind = kl - kl[mean.argmin()]
    error = behind.std(axis=1, ddof=1) / np.sqrt(kl.shape[1])
    return int(np.argmax(behind.mean(axis=1) <= error))


def measure_answers(training_set: TrainingSet, z: Floats) -> Answers:
    """How the logits z (m, i) answer the queries of the training set."""
    state = State.from_logits(z, k=DEPTH)
    log_total = state.log_normalizer()
    answers = Answers.empty(len(z))
    answers.top[:, : state.top_keys.shape[1]] = state.top_keys
    for query_number, graded in enumerate(training_set.graded):
        if not graded.answerable:
            continue
        answers.ndcg[query_number] = _ndcg(answers.top[query_number], graded)
        right = graded.items[graded.right]
        if len(right):
            answers.kl[query_number] = metrics.divergence(
                z[query_number, right].astype(np.float64) - log_total[query_number]
            )
    return answers


def relatedness(training_set: TrainingSet, answers: Answers) -> Doubles:
    """nDCG of each query's top (m,) against its own judgments, minus its mean against other queries' judgments.

    The mean is 0 if the judgments have nothing to do with the queries.
    """
    differences = np.full(len(answers.top), np.nan)
    answerable = [query_number for query_number, graded in enumerate(training_set.graded) if graded.answerable]
    neighbors = min(len(answerable) - 1, _NEIGHBORS)
    for position, query_number in enumerate(answerable):
        following = (answerable[(position + step) % len(answerable)] for step in range(1, neighbors + 1))
        values = [_ndcg(answers.top[query_number], training_set.graded[neighbor]) for neighbor in following]
        differences[query_number] = answers.ndcg[query_number] - np.mean(values) if values else np.nan
    return differences


def _ndcg(top: NDArray[np.int64], graded: Graded) -> float:
    """nDCG of the items `top` (DEPTH,)."""
    ranked = np.zeros(len(top))
    ranks, numbers = np.nonzero(top[:, None] == graded.items)
    ranked[ranks] = graded.grades[numbers]
    return metrics.ndcg(ranked, graded.grades, DEPTH)
