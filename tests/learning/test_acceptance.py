"""When what was learned is taken, by numbers that a person can check."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnsearch.learning.acceptance import (
    Gain,
    accept,
    accept_beside,
    accept_temperature,
    accept_unseen,
    interval,
    join_verdicts,
    require_requests,
)
from attnsearch.learning.bilinear import Keys, Targets
from attnsearch.learning.cross_validation import Answers, CrossValidation
from attnsearch.learning.examples import Graded, TrainingSet


def validation_of(kl_gain, ndcg_gain, *, related: bool = True, chosen: int = 2) -> tuple[TrainingSet, CrossValidation]:
    """A cross-validation in which each query's own item is on top, or that of the next one."""
    m = len(kl_gain)
    own = np.arange(m)
    top = np.full((m, 10), -2)
    top[:, 0] = own if related else np.roll(own, 1)
    graded = [Graded(np.array([item]), np.ones(1)) for item in own]
    eye = np.eye(m, 3, dtype=np.float32)
    training_set = TrainingSet(Keys(eye), eye, Targets(own, own, np.ones(m, np.float32)), graded)
    first = (top[:, 0] == own).astype(float)
    before = Answers(first, np.full(m, 3.0), top)
    after = Answers(first + ndcg_gain, 3.0 - np.array(kl_gain), top)
    return training_set, CrossValidation(np.zeros((3, m)), before, [after], chosen, [], [], m)


SURE = [0.1, 0.2, 0.3, 0.2, 0.1, 0.2]
UP = np.full(6, -0.1) + 0.2


def test_better_beyond_chance_is_taken():
    verdict = accept(*validation_of(SURE, UP))
    assert verdict.accepted
    assert verdict.requests == 6
    assert verdict.kl.change == pytest.approx(-np.mean(SURE))
    # t of 5 degrees of freedom is 2.5706 at 97.5 %
    error = np.std(SURE, ddof=1) / math.sqrt(6)
    assert verdict.kl.high == pytest.approx(-np.mean(SURE) + 2.5706 * error, abs=1e-4)


def test_what_may_be_chance_is_refused_and_says_how_many_more():
    verdict = accept(*validation_of([0.5, -0.4, 0.5, -0.4, 0.5, -0.4], UP))
    assert not verdict.accepted
    assert "chance" in verdict.reason
    # mean .05, spread .493: 2·.493/.05 = 19.7, squared 389
    assert verdict.more_requests == pytest.approx(389 - 6, abs=2)


def test_few_requests_have_to_show_it_in_ranks_too():
    unsure = np.array([0.3, -0.1] * 3)
    assert not accept(*validation_of(SURE, unsure)).accepted
    assert accept(*validation_of(SURE, unsure)).more_requests == 14
    assert accept(*validation_of(SURE * 4, np.tile(unsure, 4))).accepted


def test_a_worse_ranking_is_refused_however_good_kl_is():
    verdict = accept(*validation_of(SURE, -UP))
    assert not verdict.accepted
    assert "not ranked better" in verdict.reason


def test_judgments_that_have_nothing_to_do_with_the_requests_are_refused():
    verdict = accept(*validation_of(SURE, UP, related=False))
    assert not verdict.accepted
    assert "this catalog's" in verdict.reason


def test_where_the_identity_was_best_nothing_is_taken():
    assert "best without training" in accept(*validation_of(SURE, UP, chosen=0)).reason


def test_too_few():
    verdict = accept(*validation_of(SURE[:4], UP[:4]))
    assert (verdict.accepted, verdict.more_requests) == (False, 1)


def test_five_are_enough_and_with_twenty_kl_alone_shows_a_gain():
    assert accept(*validation_of(SURE[:5], UP[:5])).accepted
    unsure = np.tile([0.5, -0.4], 10)
    kl = np.tile(SURE, 4)
    assert accept(*validation_of(kl[:20], unsure)).accepted
    assert not accept(*validation_of(kl[:19], unsure[:19])).accepted


def unseen(m: int = 24, d: int = 12, *, seed: int = 0) -> TrainingSet:
    """Requests that a common direction, turned down, would help; the right item of each is otherwise the nearest."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(m, d))
    own[:, 0] = 0
    keys, x = (own + np.eye(1, d) * rng.normal(0, 3, (m, 1)) + rng.normal(size=(m, d)) * noise for noise in (0.1, 0.3))
    keys, x = ((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (keys, x))
    graded = [Graded(np.array([item]), np.ones(1)) for item in range(m)]
    return TrainingSet(Keys(keys), x, Targets(np.arange(m), np.arange(m), np.ones(m, np.float32)), graded)


class TestUnseen:
    """A W that was learned from none of the requests has to answer them better beyond chance."""

    turned = np.diag([0.1, *[1.0] * 11]).astype(np.float32)

    def test_better(self):
        verdict = accept_unseen(unseen(), self.turned)
        assert (verdict.accepted, verdict.requests) == (True, 24)
        assert verdict.ndcg.change > 0
        assert verdict.kl.high < 0

    def test_worse_or_the_same(self):
        for w in (np.eye(12, dtype=np.float32), np.diag([9.0, *[1.0] * 11]).astype(np.float32)):
            verdict = accept_unseen(unseen(), w)
            assert (verdict.accepted, verdict.reason) == (False, "the judged requests are not ranked better")

    def test_chance(self):
        """For every other request, what was on top before is right."""
        training_set = unseen()
        top = (training_set.x @ training_set.keys.vectors.T).argmax(axis=1)
        mixed = [
            graded if number % 2 else graded._replace(items=top[[number]])
            for number, graded in enumerate(training_set.graded)
        ]
        verdict = accept_unseen(training_set._replace(graded=mixed), np.diag([0.3, *[1.0] * 11]).astype(np.float32))
        assert verdict.ndcg.change > 0
        assert (verdict.accepted, verdict.reason) == (False, "the gain on the judged requests may be chance")

    def test_of_another_catalog(self):
        training_set = unseen()
        shuffled = training_set._replace(graded=[training_set.graded[number - 1] for number in range(24)])
        assert "are they this catalog's?" in accept_unseen(shuffled, self.turned).reason

    @pytest.mark.parametrize(("m", "reason"), [
        (0, "no judged request with an answer to measure it by, but at least 20 are needed"),
        (1, "1 judged request with an answer to measure it by, but at least 20 are needed"),
        (19, "19 judged requests with an answer to measure it by, but at least 20 are needed"),
    ])  # fmt: skip
    def test_too_few(self, m, reason):
        verdict = accept_unseen(unseen().take(np.arange(m)), self.turned) if m else require_requests(0)
        assert (verdict.accepted, verdict.reason, verdict.more_requests) == (False, reason, 20 - m)


def test_the_interval_of_too_few_or_of_equal_gains():
    assert interval(np.array([1.0])) == (-math.inf, math.inf)
    assert interval(np.array([0.5, np.nan, 0.5])) == (0.5, 0.5)


def test_a_temperature_alone_is_taken_if_kl_is_lower_beyond_chance():
    refused = accept(*validation_of(SURE, -UP))
    before = np.full(6, 3.0)
    accepted = accept_temperature(refused, before, before - SURE)
    assert accepted.accepted
    assert accepted.ndcg.change == 0
    assert accept_temperature(refused, before, before + np.array([0.1, -0.2, 0.1, -0.2, 0.1, 0.1])) == refused


def test_a_verdict_is_sound_if_the_requests_are_enough_and_of_this_catalog():
    assert accept(*validation_of(SURE, UP)).sound
    assert not accept(*validation_of(SURE, UP, related=False)).sound
    assert not accept(*validation_of(SURE[:4], UP[:4])).sound


@pytest.mark.parametrize(
    ("kl_gain", "ndcg_gain", "chosen", "reason"),
    [
        (SURE, UP, 2, "held-out requests are answered better beyond chance"),
        (SURE, UP, 0, "held-out requests are answered best without it"),
        (SURE, -UP, 2, "held-out requests are not ranked better with it"),
        ([0.5, -0.4, 0.5, -0.4, 0.5, -0.4], UP, 2, "the gain on held-out requests may be chance"),
    ],
)
@pytest.mark.parametrize("is_better", [True, False])
def test_memory_passes_the_same_tests_whether_or_not_w_q_did(is_better, kl_gain, ndcg_gain, chosen, reason):
    verdict = accept(*validation_of(SURE, UP if is_better else -UP))
    assert (verdict.accepted, verdict.sound) == (is_better, True)
    memory = accept_beside(verdict, validation_of(kl_gain, ndcg_gain, chosen=chosen)[1])
    assert memory.accepted == reason.endswith("beyond chance")
    assert memory.reason == reason


def test_judgments_that_are_too_few_or_about_something_else_are_not_remembered():
    verdict = accept(*validation_of(SURE, UP, related=False))
    memory = accept_beside(verdict, validation_of(SURE, UP)[1])
    assert not memory.accepted
    assert memory.reason == verdict.reason


def test_one_verdict_on_w_q_and_memory():
    taken, refused = accept(*validation_of(SURE, UP)), accept(*validation_of(SURE, -UP))
    remembered, forgotten = (accept_beside(taken, validation_of(SURE, gain)[1]) for gain in (UP, -UP))
    together = Gain(0.5, 0.9, 0.3, 0.5), Gain(3.0, 2.0, -1.5, -0.5)
    for verdict in (taken, refused):
        assert join_verdicts(verdict, forgotten, "memory", together) == verdict
    assert join_verdicts(taken, remembered, "memory", together) == taken._replace(ndcg=together[0], kl=together[1])
    alone = join_verdicts(refused, remembered, "memory", together)
    assert (alone.accepted, alone.ndcg, alone.kl) == (True, remembered.ndcg, remembered.kl)
    assert alone.reason.startswith(
        f"W_Q stays I, since {refused.reason}; but with memory, held-out requests are answered better"
    )


def test_fewer_than_fifty_requests_promise_only_an_interval():
    few, enough = (accept(*validation_of(SURE[:3] * (n // 3), np.tile(UP[:3], n // 3))) for n in (48, 51))
    assert (few.is_vague, enough.is_vague) == (True, False)
