"""Shared words, tried on requests of which it is known whether words tell what is right."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.learning.acceptance import Gain, Verdict, accept_beside
from attnsearch.learning.bilinear import SHARPNESS, Keys, Targets
from attnsearch.learning.calibration import SHARPNESSES, FoldLogits, score_candidates
from attnsearch.learning.cross_validation import Fold, HeldOut
from attnsearch.learning.examples import Graded, TrainingSet
from attnsearch.learning.words import validate_words
from attnsearch.search.setting import LEXICAL

M, N, FOLDS = 120, 30, 4


def tried(lexical: float, *, shuffled: bool = False):
    """The training set, what is held out, and logits, of requests whose right item cosines and λ · BM25 decide."""
    rng = np.random.default_rng(0)
    cosine, bm25 = rng.uniform(0, 0.5, (M, N)), rng.exponential(3.0, (M, N)) * (rng.uniform(size=(M, N)) < 0.2)
    p = np.exp(SHARPNESS * cosine + lexical * bm25)
    right = [int(rng.choice(N, p=row / row.sum())) for row in p]
    right = [*map(int, rng.permutation(right))] if shuffled else right
    eye = np.eye(N, 4, dtype=np.float32)
    graded = [Graded(np.array([item]), np.ones(1)) for item in right]
    targets = Targets(np.arange(M), np.array(right), np.ones(M, np.float32))
    training_set = TrainingSet(Keys(eye), np.ones((M, 4), np.float32), targets, graded)
    numbers = np.arange(M)
    folds = [Fold(0, numbers[numbers % FOLDS == n], numbers[numbers % FOLDS != n]) for n in range(FOLDS)]
    held_out = [HeldOut(fold, np.eye(4, dtype=np.float32)) for fold in folds]

    def draw_logits():
        for fold in folds:
            queries = fold.held_out
            z, terms = (x[queries].astype(np.float32) for x in (cosine * SHARPNESS, bm25))
            yield FoldLogits(z, terms, [np.array([right[query]]) for query in queries])

    return training_set, held_out, draw_logits


NOTHING = Gain(0.0, 0.0, 0.0, 0.0)
SOUND = Verdict(M, NOTHING, NOTHING, accepted=True, reason="")


@pytest.mark.parametrize(("lexical", "count"), [(0.5, True), (0.0, False)])
def test_words_count_where_they_tell_what_is_right(lexical, count):
    validation = validate_words(*tried(lexical))
    assert (validation.gain.mean() > 0) == (validation.kl_gain.mean() > 0) == count
    assert accept_beside(SOUND, validation).accepted == count


def test_words_do_not_count_for_shuffled_answers():
    assert not accept_beside(SOUND, validate_words(*tried(0.5, shuffled=True))).accepted


def test_a_fold_is_measured_at_the_sharpness_that_the_others_choose():
    training_set, held_out, draw_logits = tried(0.5)
    validation = validate_words(training_set, held_out, draw_logits)
    first, *others = draw_logits()
    for lexical, answers in ((0.0, validation.before), (LEXICAL, validation.after[0])):
        candidates = [(beta, lexical * beta / SHARPNESS) for beta in SHARPNESSES]
        best = candidates[int(score_candidates(others, candidates).mean(axis=1).argmin())]
        expected = score_candidates([first], [best])[0]
        assert answers.kl[held_out[0].fold.held_out] == pytest.approx(expected, abs=1e-4)
