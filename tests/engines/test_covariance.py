"""The directions in which keys differ: against numpy's SVD, and whatever the order, the segments and the threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch import threads
from attnsearch.engines import covariance
from attnsearch.engines.covariance import Covariance, principal_axes
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.opening.index import Index


def covariance_of(x) -> Covariance:
    x = np.asarray(x, np.float64)
    mean = x.mean(axis=0)
    return Covariance(len(x), mean, (x - mean).T @ (x - mean))


def random_keys(n: int, d: int, seed: int = 0):
    x = np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(3, 1, d)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "d"), [(5, 3), (40, 8), (7, 20), (300, 2)])
def test_the_axes_are_those_of_the_svd(n, d):
    x = random_keys(n, d)
    axes, variances = principal_axes(covariance_of(x), 2)
    _, sizes, rows = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    assert np.abs(np.vecdot(axes, rows[:2])).tolist() == pytest.approx([1, 1])
    assert variances.tolist() == pytest.approx(sizes[:2] ** 2 / n)


@given(st.integers(2, 60), st.integers(2, 9), st.integers(0, 99), st.data())
def test_covariances_of_parts_merge_to_that_of_all_in_any_order(n, d, seed, data):
    x = random_keys(n, d, seed)
    whole = covariance_of(x)
    order = data.draw(st.permutations(range(n)))
    cut = data.draw(st.integers(1, n - 1))
    parts = Covariance(0, np.zeros(d), np.zeros((d, d)))
    for part in (x[order[:cut]], x[order[cut:]]):
        parts = parts.merge(covariance_of(part))
    assert parts.size == n
    assert np.allclose(parts.mean, whole.mean)
    assert np.allclose(parts.scatter, whole.scatter)
    assert np.allclose(principal_axes(parts, 2)[0], principal_axes(whole, 2)[0], atol=1e-5)


def test_an_axis_points_the_way_of_its_largest_component():
    axes, _ = principal_axes(covariance_of([[3, -4], [-3, 4], [0, 0]]), 1)
    assert axes[0].tolist() == pytest.approx([-0.6, 0.8])


def test_of_equal_variances_the_axes_follow_the_components():
    """A regular triangle differs as much in every direction of its plane, which every rotation shows otherwise."""
    axes, variances = principal_axes(covariance_of(np.eye(3)), 2)
    assert variances.tolist() == pytest.approx([1 / 3, 1 / 3])
    assert axes[0].tolist() == pytest.approx([math.sqrt(2 / 3), -math.sqrt(1 / 6), -math.sqrt(1 / 6)])
    assert axes[1].tolist() == pytest.approx([0, math.sqrt(1 / 2), -math.sqrt(1 / 2)])


@pytest.mark.parametrize(
    ("keys", "count"), [([[1, 0, 0]], 0), ([[1, 0, 0]] * 4, 0), ([[1, 0, 0], [0, 1, 0]], 1), (np.eye(3), 2)]
)
def test_where_keys_do_not_differ_there_is_no_axis(keys, count):
    axes, variances = principal_axes(covariance_of(keys), 2)
    assert np.linalg.norm(axes, axis=1).tolist() == pytest.approx([1] * count + [0] * (2 - count))
    assert np.count_nonzero(variances) == count


def test_removed_keys_do_not_count_and_those_of_passages_do(write, small):
    """Items go, others have several keys: what counts is the keys that are left, each as much as any other."""
    from attnsearch.indexing.update import update

    long = ". ".join(["moon sea"] * 60 + ["robot"] * 60)
    lines = ["- {id: a, title: moon}\n", "- {id: b, title: sea}\n", "- {id: d, title: robot robot sea}\n"]
    path = write("shop.yaml", "".join([*lines, f"- {{id: c, title: robot, description: {long!r}}}\n"]))
    update([str(path)])
    path.write_text("".join([lines[0], lines[2], f"- {{id: c, title: robot, description: {long!r}}}\n"]))
    update([str(path)])
    with Index.open("shop") as index:
        keys = index.store.living()
        assert len(keys) > 3
        assert index.store.dead
        expected = covariance_of(index.store.embeddings(keys))
        covariance = index.engine.measure_covariance()
        assert covariance.size == len(keys)
        assert np.allclose(covariance.mean, expected.mean)
        assert np.allclose(covariance.scatter, expected.scatter)


def test_neither_threads_nor_blocks_change_a_bit(world, monkeypatch):
    index, _ = world
    engine = LocalEngine(index.store, Cut(piece=20, block=7))
    covariances = []
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        covariances.append(engine.measure_covariance())
    assert np.array_equal(covariances[1].scatter, covariances[0].scatter)
    assert np.array_equal(covariances[2].scatter, covariances[0].scatter)
    monkeypatch.setattr(covariance, "ROWS", 3)
    assert np.allclose(engine.measure_covariance().scatter, covariances[0].scatter)


def test_no_keys_add_nothing():
    empty = Covariance(0, np.zeros(2), np.zeros((2, 2)))
    full = covariance_of([[1, 0], [0, 1]])
    assert empty.merge(full) is full
    assert full.merge(empty) is full
