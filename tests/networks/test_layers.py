"""Each part of a network by hand, against the standard library, or against transformers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.attention.softmax import attend
from attnsearch.networks.layers import ACTIVATIONS, attend_by_heads, gelu, layer_norm


@given(st.floats(-20, 20))
def test_gelu(value):
    x = np.array([value], np.float32)
    # Off by 3.3e-7 at most between -20 and 20; the bound is ten times the 5e-7 that its docstring promises.
    assert gelu(x.copy())[0] == pytest.approx(x[0] * 0.5 * (1 + math.erf(x[0] / math.sqrt(2))), abs=5e-6)


def test_gelu_takes_long_arrays_in_strips():
    x = np.linspace(-6, 6, 60, dtype=np.float32).reshape(3, 4, 5)
    assert gelu(x.copy(), strip=7).tolist() == gelu(x).tolist()


def test_layer_norm_by_hand():
    """Mean 2, variance 1: -1 and 1, times 3, plus 10."""
    x = np.array([[1.0, 3.0]], np.float32)
    normed = layer_norm(x, (np.full(2, 3, np.float32), np.full(2, 10, np.float32)), 0.0)
    assert normed.tolist() == [[7.0, 13.0]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_as_transformers_has_them(name):
    torch = pytest.importorskip("torch")
    from transformers.activations import ACT2FN

    x = np.linspace(-200, 200, 4_001, dtype=np.float32)
    assert ACTIVATIONS[name](x.copy()) == pytest.approx(ACT2FN[name](torch.from_numpy(x)).numpy(), abs=1e-5)


@pytest.mark.parametrize("most", [1, 8, 30, 1_000])
def test_heads_attend_as_well_apart(most):
    """Of 3 texts of 2 tokens with 3 heads: a head, two heads, two texts or all at once."""
    rng = np.random.default_rng(7)
    q, k, v = rng.normal(size=(3, 3, 3, 2, 5)).astype(np.float32)
    bias = rng.normal(size=(3, 2, 2)).astype(np.float32)
    mask = np.array([[True, True], [True, False], [False, True]])[:, None, None]
    whole = np.swapaxes(attend(q, k, v, bias=bias, mask=mask).output, 1, 2).reshape(3, 2, 15)
    assert attend_by_heads(q, k, v, bias=bias, mask=mask, most=most) == pytest.approx(whole, abs=1e-6)
    plain = np.swapaxes(attend(q, k, v).output, 1, 2).reshape(3, 2, 15)
    assert attend_by_heads(q, k, v, bias=None, mask=None, most=most) == pytest.approx(plain, abs=1e-6)
