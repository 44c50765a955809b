"""Logistic regression, by hand and by property."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.attention.null_key import NullKey
from attnsearch.calibration.logistic import fit_logistic, surprise


def test_surprise_by_hand():
    """At log-odds of log 3 that there is an answer, it is 3/4 likely."""
    null = NullKey(1.0, 2.0)
    evidence = np.full(2, (np.log(3) + 1) / 2)
    assert np.exp(-surprise(null, evidence, np.array([False, True]))) == pytest.approx([0.75, 0.25])


def test_the_null_key_is_that_which_decided():
    rng = np.random.default_rng(0)
    evidence = rng.normal(3, 1, 20_000)
    answered = rng.random(20_000) < 1 / (1 + np.exp(4.5 - 1.5 * evidence))
    null = fit_logistic(evidence, ~answered, NullKey(0.0, 1.0, 0.02))
    assert null == pytest.approx((4.5, 1.5, 0.02), rel=0.05)


def test_counts_stand_for_repeated_requests():
    rng = np.random.default_rng(1)
    evidence, unanswerable, counts = rng.normal(0, 1, 50), rng.random(50) < 0.5, rng.integers(0, 4, 50)
    repeated = fit_logistic(np.repeat(evidence, counts), np.repeat(unanswerable, counts), NullKey(0.0, 1.0))
    counted = fit_logistic(evidence, unanswerable, NullKey(0.0, 1.0), counts=counts.astype(float))
    assert counted == pytest.approx(repeated, abs=1e-3)


def test_few_requests_stay_near_the_start():
    evidence, unanswerable = np.array([-9.0, 9.0]), np.array([True, False])
    start = NullKey(2.0, 3.0)
    assert fit_logistic(evidence, unanswerable, start) == pytest.approx(start, abs=0.5)
