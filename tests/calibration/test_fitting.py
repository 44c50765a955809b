"""What is fitted to cosines of which one knows what they mean, and what is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.attention import null_key
from attnsearch.attention.projections import TEMPERATURE
from attnsearch.calibration import fitting
from attnsearch.calibration.fitting import (
    HIGHEST,
    LOWEST,
    fit,
    fit_null,
    fit_temperature,
    measure_evidence,
    measure_kl,
)
from attnsearch.calibration.shipped import Cosines
from tests.calibration.made import catalogs, squeeze

BY_HAND = Cosines("two", np.array([[0.5, 0.5 - 0.05 * math.log(3)]]), [np.array([0])], np.array([True]))


def test_kl_by_hand():
    """The weights are 3/4 and 1/4."""
    assert measure_kl(BY_HAND, 0.05).tolist() == pytest.approx([math.log(4 / 3)])
    assert measure_kl(BY_HAND._replace(right=[np.array([0, 1])]), 0.05).tolist() == pytest.approx(
        [math.log(16 / 3) / 2 - math.log(2)]
    )


def test_evidence_is_that_of_a_query():
    z = BY_HAND.cosines / 0.05
    total = np.log(np.exp(z).sum(axis=1))
    expected = null_key.evidence(z.max(axis=1), total, np.array([2]))
    assert measure_evidence(BY_HAND, 0.05) == pytest.approx(expected)


@pytest.mark.parametrize("beta", [8, 30, 120])
def test_the_temperature_is_that_by_which_items_were_right(beta):
    assert 1 / fit_temperature(catalogs(beta, m=600)) == pytest.approx(beta, rel=0.15)


@pytest.mark.parametrize(("beta", "more"), [(30, 0.0), (30, 3.0), (12, 9.0)])
def test_cosines_that_lie_near_to_each_other_are_no_problem(beta, more):
    """An encoder whose cosines are all near 1 gives the same weights at its own temperature, and the same chances."""
    plain, squeezed = fit(catalogs(beta, m=200)), fit(squeeze(catalogs(beta, m=200), more))
    assert squeezed.temperature * (1 + more) == pytest.approx(plain.temperature, rel=0.05)
    assert squeezed.accuracy.mean == pytest.approx(plain.accuracy.mean, abs=0.03)
    assert squeezed.null.sharpness == pytest.approx(plain.null.sharpness, rel=0.25)


def test_a_usual_temperature_stays():
    fitted = fit(catalogs(20))
    assert fitted.temperature == TEMPERATURE == fitted.null.temperature
    assert fitted.gain.low < 0


def test_another_temperature_has_to_be_better_beyond_chance():
    assert fit(catalogs(60)).temperature == pytest.approx(1 / 60, rel=0.2)
    fitted = fit(catalogs(26, m=15))
    assert fitted.gain.low < fitted.gain.mean
    assert fitted.temperature == TEMPERATURE


def test_an_encoder_without_sense_keeps_the_usual_temperature():
    """KL is lowest if all items weigh the same, which says nothing."""
    rng = np.random.default_rng(0)
    noise = [catalog._replace(cosines=rng.normal(0, 0.2, catalog.cosines.shape)) for catalog in catalogs()]
    fitted = fit(noise)
    assert fit_temperature(noise) > 0.3
    assert fitted.gain.low > 0
    assert (fitted.temperature, fitted.null) == (TEMPERATURE, None)


def test_requests_that_are_not_told_apart_have_no_null_key():
    fitted = fit(catalogs(gap=0.0))
    assert fitted.null is None
    assert fitted.accuracy.low <= 0.5
    assert fit(catalogs(gap=0.1)).null is not None


def test_an_encoder_that_sees_no_difference_has_no_constants():
    same = [catalog._replace(cosines=np.ones_like(catalog.cosines)) for catalog in catalogs()]
    fitted = fit(same)
    assert (fitted.temperature, fitted.null) == (TEMPERATURE, None)


def test_nothing_is_measured_on_what_it_was_fitted_to(monkeypatch):
    """Each catalog is left out in turn, of the temperature and of the null key."""
    seen = {"fit_temperature": [], "fit_null": []}
    for name, function in (("fit_temperature", fit_temperature), ("fit_null", fit_null)):

        def note(some, *rest, name=name, function=function):
            seen[name].append([catalog.name[-1] for catalog in some])
            return function(some, *rest)

        monkeypatch.setattr(fitting, name, note)
    fit(catalogs(60))
    without_one = [["1", "2"], ["0", "2"], ["0", "1"]]
    assert [*seen.values()] == [[*without_one, ["0", "1", "2"]]] * 2


def test_both_kinds_of_requests_weigh_the_same():
    """With twice as many strangers, each of them twice, the null key stays."""
    some = catalogs()
    doubled = []
    for catalog in some:
        rows = np.concatenate([np.arange(len(catalog.right)), np.flatnonzero(~catalog.has_answer)])
        doubled.append(
            catalog._replace(
                cosines=catalog.cosines[rows],
                right=[catalog.right[row] for row in rows],
                is_own=catalog.is_own[rows],
            )
        )
    null, other = fit_null(some, 0.05), fit_null(doubled, 0.05)
    assert other.logit / other.sharpness == pytest.approx(null.logit / null.sharpness, rel=0.02)


@given(st.integers(0, 5), st.floats(0.002, 0.5), st.floats(-0.5, 0.5))
def test_kl_does_not_see_what_all_cosines_have_in_common(seed, temperature, shift):
    some, moved = catalogs(m=4, n=5, seed=seed), catalogs(m=4, n=5, seed=seed, shift=shift)
    for catalog, other in zip(some, moved, strict=True):
        assert measure_kl(other, temperature) == pytest.approx(measure_kl(catalog, temperature), abs=1e-6)


@given(st.integers(0, 20))
def test_no_temperature_in_bounds_is_better(seed):
    some = catalogs(m=6, n=8, seed=seed)
    fitted = fit_temperature(some)
    mean = lambda temperature: np.concatenate([measure_kl(catalog, temperature) for catalog in some]).mean()  # noqa: E731
    assert LOWEST <= fitted <= HIGHEST
    assert all(mean(fitted) <= mean(other) + 2e-3 for other in np.geomspace(LOWEST, HIGHEST, 30))
