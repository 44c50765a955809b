"""The order of rows and columns: what is alike stands together, however it came."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.explanation.seriation import order_columns, order_rows


def blocks(sizes: list[int], rng: np.random.Generator) -> np.ndarray:
    """A matrix with a block for each of `sizes`: as many rows, and twice as many columns; little outside."""
    m = sum(sizes)
    weights = rng.uniform(0, 0.001, (m, 2 * m))
    start = 0
    for size in sizes:
        weights[start : start + size, 2 * start : 2 * (start + size)] = rng.uniform(0.3, 0.6, (size, 2 * size)) / size
        start += size
    return weights


def runs(labels: list[int]) -> int:
    """How many runs of equal labels there are."""
    return 1 + sum(left != right for left, right in itertools.pairwise(labels))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 1 << 32))
def test_the_diagonal_of_a_shuffled_block_matrix(sizes, seed):
    rng = np.random.default_rng(seed)
    weights = blocks(sizes, rng)
    of_row = np.repeat(np.arange(len(sizes)), sizes)
    of_column = np.repeat(of_row, 2)
    rows, columns = rng.permutation(len(of_row)), rng.permutation(len(of_column))
    shuffled = weights[np.ix_(rows, columns)]

    order = order_rows(shuffled)
    of_row = of_row[rows[order]].tolist()
    of_column = of_column[columns[order_columns(shuffled[order])]].tolist()
    assert sorted(order) == list(range(len(order)))
    assert runs(of_row) == runs(of_column) == len(sizes)
    assert list(dict.fromkeys(of_row)) == list(dict.fromkeys(of_column))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1 << 32))
def test_the_order_does_not_depend_on_that_of_the_rows(m, n, seed):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(n + 1), m)[:, :n]
    shuffled = weights[rng.permutation(m)]
    assert weights[order_rows(weights)].tolist() == shuffled[order_rows(shuffled)].tolist()


def test_a_chain_is_laid_out_straight():
    """Each row shares half of its attention with the next one."""
    weights = np.zeros((7, 8))
    for row in range(7):
        weights[row, row : row + 2] = 0.5
    shuffled = np.random.default_rng(3).permutation(7)
    order = shuffled[order_rows(weights[shuffled])].tolist()
    assert order in (list(range(7)), list(range(7))[::-1])


def test_small_weights_in_common_count():
    """By squares of differences, the last row would be nearer to both of the others than these to each other."""
    order = order_rows(np.array([[0.8, 0.05, 0, 0], [0, 0.05, 0.8, 0], [0, 0, 0, 0.79]])).tolist()
    assert order[1] != 2


def test_the_sharper_end_comes_first():
    weights = np.array([[0.0, 0.5], [0.3, 0.2], [0.9, 0.0]])
    assert order_rows(weights).tolist() == [2, 1, 0]
    assert order_rows(weights[::-1]).tolist() == [0, 1, 2]
    assert order_rows(weights[:2]).tolist() == [0, 1]


def test_columns_go_by_their_strongest_row_then_by_where_they_lean():
    weights = np.array([[0.1, 0.0, 0.5, 0.4], [0.0, 0.0, 0.3, 0.1], [0.9, 0.0, 0.0, 0.0]])
    assert order_columns(weights).tolist() == [3, 2, 0, 1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (2, 0)])
def test_hardly_anything_is_still_ordered(shape):
    weights = np.zeros(shape)
    assert sorted(order_rows(weights)) == list(range(shape[0]))
    assert sorted(order_columns(weights)) == list(range(shape[1]))


def test_each_of_equal_rows_has_a_place():
    assert sorted(order_rows(np.full((5, 2), 0.5))) == list(range(5))
