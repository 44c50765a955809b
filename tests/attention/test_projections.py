from __future__ import annotations

import math

import numpy as np
import pytest

from attnsearch.attention.projections import Projections, identity, textbook
from attnsearch.errors import InputError


@pytest.fixture
def x():
    rows = np.random.default_rng(5).normal(size=(3, 6))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 0.0005])
def test_the_identity_makes_the_logit_cosine_over_temperature(x, temperature):
    p = identity(6, temperature)
    z = p.project(x) @ (x @ p.w_k).T / math.sqrt(6)
    assert z == pytest.approx((x @ x.T) / temperature, rel=1e-5, abs=1e-5 / temperature)
    assert p.fold(x) @ x.T * p.scale == pytest.approx(z, rel=1e-5, abs=1e-5 / temperature)


def test_the_textbook_divides_the_cosine_by_the_root_of_d(x):
    p = textbook(6)
    assert p.fold(x) @ x.T * p.scale == pytest.approx(x @ x.T / math.sqrt(6), abs=1e-6)
    assert p.temperature == pytest.approx(math.sqrt(6))
    assert p.w_q == pytest.approx(np.eye(6))


def test_folding_is_projecting_both_sides(x):
    rng = np.random.default_rng(6)
    p = Projections(rng.normal(size=(6, 4)), rng.normal(size=(6, 4)), rng.normal(size=(6, 6)), 1.0)
    keys = rng.normal(size=(5, 6))
    q, k = x @ p.w_q, keys @ p.w_k
    assert p.fold(x) @ keys.T * p.scale == pytest.approx(q @ k.T / math.sqrt(4))


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf, 1e-9])
def test_invalid_temperature(temperature):
    with pytest.raises(InputError, match=f"invalid temperature {temperature:g}; give a number of at least 0.000001"):
        identity(4, temperature)
