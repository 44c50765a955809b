"""Products of queries and keys: equal pairs have equal ones, wherever they lie and whatever lies beside them."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.attention.products import FEW, PAIRS, error_bound, multiply, multiply_fast, multiply_pairs

WIDTHS = [1, 2, 3, 7, 31, 64, 100, 383, 384, 385, 768]


def vectors(count: int, d: int, seed: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((count, d), np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("d", WIDTHS)
class TestOneOrder:
    def test_equal_keys_at_every_place(self, d):
        """Every row modulo 64, and every address of four bytes modulo 64."""
        q, (key,) = vectors(11, d), vectors(1, d, seed=2)
        products = set()
        for offset in range(16):
            keys = np.empty(131 * d + 16, np.float32)[offset : offset + 131 * d].reshape(131, d)
            keys[:] = key
            products |= {tuple(column) for column in multiply(q, keys).T.tolist()}
        assert len(products) == 1

    def test_any_number_of_queries(self, d):
        q, keys = vectors(40, d), vectors(70, d, seed=2)
        whole = multiply(q, keys)
        for m in range(1, 41):
            assert np.array_equal(multiply(q[:m], keys), whole[:m])
            assert np.array_equal(multiply(q[m - 1 : m], keys[m:]), whole[m - 1 : m, m:])
        assert np.array_equal(multiply_fast(q[:FEW], keys), whole[:FEW])

    def test_pairs(self, d):
        q, keys = vectors(9, d), vectors(70, d, seed=2)
        row, column = np.random.default_rng(3).integers([[9], [70]], size=(2, PAIRS + 3))
        assert np.array_equal(multiply_pairs(q, keys, row, column), multiply(q, keys)[row, column])
        assert multiply_pairs(q, keys, row[:0], column[:0]).shape == (0,)


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("m", [FEW + 1, 40])
def test_the_fast_way_is_within_the_bound(d, m):
    q, keys = vectors(m, d) * np.float32(300), vectors(500, d, seed=2)
    true = q.astype(np.float64) @ keys.T.astype(np.float64)
    bound = error_bound(q)[:, None]
    for products in (multiply(q, keys), multiply_fast(q, keys)):
        assert (np.abs(products - true) <= bound / 2).all()
    assert (bound <= 300 * (d + 4) * 1.2e-7).all()
