"""Words that a request shares with items, beside what was learned → whether they gain on held-out requests.

Axis letters: m = queries, c = candidates.

What is tried is the usual λ, 0.3 at τ = 0.05, so nothing has to be chosen but the sharpness on either side: by the
cross-entropy of the other folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from attnsearch.learning.bilinear import SHARPNESS, Floats
from attnsearch.learning.calibration import SHARPNESSES, FoldLogits, score_candidates
from attnsearch.learning.cross_validation import (
    Answers,
    CrossValidation,
    HeldOut,
    compare_answers,
    join_rounds,
    measure_answers,
)
from attnsearch.learning.examples import TrainingSet
from attnsearch.search.setting import LEXICAL


def validate_words(
    training_set: TrainingSet, held_out: Sequence[HeldOut], draw_logits: Callable[[], Iterable[FoldLogits]]
) -> CrossValidation:
    """What shared words gain beside what each fold learned: `before` is without them.

    `draw_logits` gives the logits of what `held_out` holds out, with BM25; of all folds at once they might not fit.
    """
    sides = [[(beta, lexical * beta / SHARPNESS) for beta in SHARPNESSES] for lexical in (0.0, LEXICAL)]
    kl = [[score_candidates([logits], candidates).sum(axis=1) for candidates in sides] for logits in draw_logits()]
    total = np.sum(kl, axis=0)
    answers: list[list[Answers]] = [[], []]
    for (fold, _), logits, own in zip(held_out, draw_logits(), kl, strict=True):
        queries = training_set.take(fold.held_out)
        for side, candidates in enumerate(sides):
            chosen = candidates[int((total[side] - own[side]).argmin())]
            answers[side].append(measure_answers(queries, _logits(logits, *chosen)))
    folds = [fold for fold, _ in held_out]
    means = [np.mean([part.kl for part in join_rounds(folds, side)], axis=0) for side in answers]
    without, beside = answers
    return compare_answers(held_out, without, beside, np.array(means), chosen=1)


def _logits(fold: FoldLogits, beta: float, lexical: float) -> Floats:
    z = fold.scaled(beta, lexical)
    return z if fold.mass is None else fold.mass.raise_logits(z)
