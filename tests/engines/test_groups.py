"""Groups against plain loops in float64; no block, thread or order of the work changes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attnsearch import threads
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import PAIRS, Cut


class Keys:
    """The keys x (q, d) as a store has them."""

    def __init__(self, x):
        self.x = np.asarray(x, np.float32)
        self.x /= np.linalg.norm(self.x, axis=1, keepdims=True)
        self.most = 0

    def embeddings(self, keys):
        self.most = max(self.most, len(keys))
        return self.x[keys]


def group(x, counts=None, min_score=0.95, *, rows=PAIRS, progress=None):
    keys = Keys(x)
    counts = np.ones(len(keys.x), np.int64) if counts is None else np.array(counts)
    engine = LocalEngine(keys, Cut(pairs=rows))
    return engine.group_items(np.cumsum(counts) - counts, counts, min_score, progress=progress)


def oracle_score(a, b) -> float:
    """The mean of each key's best match in the other item, from the item for which it is lower."""
    z = a.astype(float) @ b.astype(float).T
    return min(float(np.mean([max(row) for row in z])), float(np.mean([max(row) for row in z.T])))


def oracle(items, min_score):
    """The leader of each item, and all scores (n, n)."""
    scores = np.array([[oracle_score(a, b) for b in items] for a in items])
    leaders: list[int] = []
    leader = []
    for i in range(len(items)):
        near = [j for j in leaders if scores[i, j] >= min_score]
        if not near:
            leaders.append(i)
        leader.append(max(near, key=lambda j, i=i: scores[i, j]) if near else i)
    return leader, scores


def check_groups(groups, expected, scores, min_score):
    """The groups are those of the `oracle`, but for leaders that an item is equally like."""
    for i, (leader, score) in enumerate(zip(groups.leader, groups.score, strict=True)):
        assert (leader == i) == (expected[i] == i)
        if leader != i:
            assert leader < i
            assert score == pytest.approx(scores[i, leader], abs=2e-6)
            assert scores[i, leader] >= scores[i, expected[i]] - 2e-6
            assert score >= min_score


counts_of_words = st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any)
catalogs = st.lists(st.lists(counts_of_words, min_size=1, max_size=3), min_size=1, max_size=12)


class TestOracle:
    @given(catalogs, st.sampled_from([-1.0, 0.3, 0.71, 0.9, 0.97]), st.integers(1, 9))
    def test_any_items(self, items, min_score, rows):
        counts = [len(keys) for keys in items]
        x = Keys([key for keys in items for key in keys]).x
        parts = np.split(x, np.cumsum(counts)[:-1])
        expected, scores = oracle(parts, min_score)
        assume((np.abs(scores - min_score) > 1e-5).all())
        check_groups(group(x, counts, min_score, rows=rows), expected, scores, min_score)

    @settings(max_examples=20)
    @given(st.integers(0, 99), st.booleans())
    def test_blocks_and_threads_change_nothing(self, seed, has_passages):
        random = np.random.default_rng(seed)
        counts = random.integers(1, 4, 60) if has_passages else np.ones(60, np.int64)
        centers = random.standard_normal((12, 24))
        x = centers[random.integers(12, size=counts.sum())] + 0.25 * random.standard_normal((counts.sum(), 24))
        keys = Keys(x).x
        pairs = [oracle_score(keys[i : i + 1], keys[j : j + 1]) for i in range(20) for j in range(i)]
        min_score = float(np.float32(max(score for score in pairs if score < 0.97)))  # on the edge of a pair
        first = group(x, counts, min_score)
        for rows in (1, 7, 32):
            for count in (1, 3):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(threads, "count", lambda count=count: count)
                    again = group(x, counts, min_score, rows=rows)
                np.testing.assert_array_equal(again.leader, first.leader)
                np.testing.assert_array_equal(again.score, first.score)


class TestGroups:
    def test_ends_of_a_chain_are_not_one_group(self):
        """0°, 20°, 40°: each is near the next, but the first and the last are not near each other."""
        angles = np.radians([0, 20, 40])
        groups = group(np.stack([np.cos(angles), np.sin(angles)], axis=1), min_score=0.9)
        assert groups.leader.tolist() == [0, 0, 2]

    def test_best_leader_wins(self):
        angles = np.radians([0, 40, 25])
        groups = group(np.stack([np.cos(angles), np.sin(angles)], axis=1), min_score=0.9)
        assert groups.leader.tolist() == [0, 1, 1]
        assert groups.score[2] == pytest.approx(np.cos(np.radians(15)), abs=1e-6)

    def test_best_leader_wins_by_less_than_a_product_can_tell(self):
        """Matrix products of 384 numbers are off by up to 5e-5."""
        v, a, b = np.eye(3, 384)
        x = [0.8 * v + 0.6 * a, np.cos(np.arccos(0.8) - 1e-5) * v + np.sin(np.arccos(0.8) - 1e-5) * b, v]
        groups = group(x, min_score=0.7)
        assert groups.leader.tolist() == [0, 1, 1]
        assert groups.score[2] == pytest.approx(0.800006, abs=1e-6)

    def test_equal_vectors_have_one(self):
        """A product of a unit vector with itself is 1 but for rounding."""
        x = np.random.default_rng(0).standard_normal((50, 384))
        groups = group(np.repeat(x, 2, axis=0), min_score=1.0)
        assert groups.leader.tolist() == np.repeat(np.arange(0, 100, 2), 2).tolist()
        assert (groups.score == 1).all()

    def test_a_shared_passage_makes_no_duplicates(self):
        same, a, b = np.eye(3)
        groups = group([same, a, same, b], [2, 2], min_score=0.6)
        assert groups.leader.tolist() == [0, 1]
        assert group([same, a, same, b], [2, 2], min_score=0.5).score[1] == 0.5

    def test_a_part_is_no_duplicate_of_the_whole(self):
        assert group([*np.eye(3), np.eye(3)[0]], [3, 1], min_score=0.5).leader.tolist() == [0, 1]

    def test_nothing(self):
        assert len(group(np.empty((0, 4))).leader) == 0

    def test_progress_ends_with_all_pairs(self):
        steps = []
        group(np.eye(10), rows=3, progress=lambda *step: steps.append(step))
        assert len(steps) > 1
        assert steps[-1] == (45, 45)


class TestManyPairs:
    """n near items have n²/2 pairs; the work and the memory must not have as many parts."""

    @pytest.mark.parametrize("noise", [0, 0.001], ids=["equal", "near"])
    def test_one_group(self, noise, monkeypatch):
        from attnsearch.engines import groups

        settled = []
        settle = groups._settle
        monkeypatch.setattr(groups, "_settle", lambda *pair: settled.append(len(pair[2])) or settle(*pair))
        n = 5_000
        random = np.random.default_rng(0)
        x = random.standard_normal((1, 16)) + noise * random.standard_normal((n, 16))
        assert (group(x, rows=512).leader == 0).all()
        assert sum(settled) < 3 * n

    def test_blocks_are_bounded(self):
        keys = Keys(np.eye(300))
        ones = np.ones(300, np.int64)
        LocalEngine(keys, Cut(pairs=32)).group_items(np.arange(300), ones, 0.95)
        assert keys.most <= 32
