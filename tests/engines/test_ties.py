"""Equal keys have equal logits: ranks do not depend on the other queries, nor on how the keys are split."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsearch.attention.products import FEW, error_bound, multiply
from attnsearch.engines.bias import Bias, WeightedTerm
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.postings.terms import Term
from attnsearch.storage.segment import SegmentRow
from attnsearch.storage.store import Store

D = 24


class MadeStore(Store):
    """A store in memory: what the engine reads of it."""

    def __init__(self, x: np.ndarray, dead: np.ndarray, joined: np.ndarray, splits: list[int]) -> None:
        self.is_open = True
        edges = [0, *sorted(splits), len(x)]
        parts = [slice(*pair) for pair in itertools.pairwise(edges) if pair[0] < pair[1]]
        self._x = [x[part].copy() for part in parts]
        self.segments = [
            SegmentRow(part.start, part.stop - part.start, "", b"", dead[part], joined[part]) for part in parts
        ]


class Scene(NamedTuple):
    store: MadeStore
    q: np.ndarray
    plain: np.ndarray | None
    bias: Bias | None
    expected: np.ndarray  # every logit (m, N), each summed in one order; -inf for what does not count


def careless(q, keys):
    """A matrix product that is as wrong as it may be, and differently at each place."""
    z = multiply(q, keys)
    if len(q) <= FEW:
        return z
    noise = np.random.default_rng(z.size).choice([-0.9, 0.9], z.shape)
    return (z + noise * error_bound(q)[:, None]).astype(np.float32)


@st.composite
def scenes(draw, most=40) -> Scene:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, m = draw(st.integers(1, 90)), draw(st.integers(1, most))
    vectors = rng.standard_normal((draw(st.integers(1, 12)), D), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    x = vectors[rng.integers(len(vectors), size=n)]
    joined = (rng.random(n) < draw(st.sampled_from([0, 0.4]))) & (np.arange(n) > 0)
    first_keys = np.maximum.accumulate(np.where(joined, 0, np.arange(n)))
    firsts = np.flatnonzero(~joined)
    dead = (rng.random(n) < draw(st.sampled_from([0, 0.3])))[first_keys]
    splits = draw(st.lists(st.sampled_from(firsts.tolist()), max_size=4))
    scale = draw(st.sampled_from([0.1, 5, 1e4]))
    q = rng.standard_normal((m, D), np.float32) * np.float32(scale)
    q[m // 2 :] = q[0]  # equal queries, too
    visible = None
    if draw(st.booleans()):
        visible = np.zeros(n, bool)
        visible[firsts] = rng.random(len(firsts)) < draw(st.sampled_from([0, 0.1, 0.7]))
    terms: list[dict[str, WeightedTerm]] = [{} for _ in range(m)]
    if draw(st.booleans()):
        chosen = np.sort(rng.choice(firsts, len(firsts) // 2, replace=False)).astype(np.uint32)
        term = WeightedTerm(Term(chosen, np.full(len(chosen), 0.3, np.float32)), 1.5)
        for row in range(0, m, 2):
            terms[row]["moon"] = term
    priors = {}
    if draw(st.booleans()):
        prior = np.zeros(n, np.float32)
        prior[firsts] = np.float32(2000 * scale) * rng.integers(3, size=len(firsts))
        priors["year"] = prior
    bias = Bias(first_keys if joined.any() else None, visible, terms, priors)

    z = multiply(q, x)
    counts = ~dead if visible is None else ~dead & visible[first_keys]
    z[:, ~counts] = -np.inf
    for first in firsts:
        passages = np.flatnonzero(first_keys == first)
        for row in z:
            best = passages[row[passages].argmax()]
            row[passages[passages != best]] = -np.inf
    z = z + bias.block(0, n)
    plain = q[::-1].copy() if draw(st.booleans()) else None
    return Scene(MadeStore(x, dead, joined, splits), q, plain, bias, z)


SIZES = st.fixed_dictionaries(
    {
        "block": st.integers(1, 60),
        "budget": st.sampled_from([1, 100, 1000, 1 << 22]),
        "parts": st.integers(1, 6),
        "piece": st.integers(1, 90),
    }
)


def expected_top(z: np.ndarray, k: int) -> list[tuple[int, float]]:
    """The keys and logits of a row of z, by (-score, position)."""
    return [(key, float(z[key])) for key in np.argsort(-z, kind="stable")[:k].tolist() if z[key] > -np.inf]


@pytest.mark.parametrize("threads", [1, 2])
@settings(max_examples=150)
@given(scene=scenes(), sizes=SIZES, k=st.integers(1, 40))
def test_ranks_of_a_batch(threads, scene, sizes, k):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnsearch.threads.count", lambda: threads)
        patch.setattr("attnsearch.engines.scan.multiply_fast", careless)
        states = LocalEngine(scene.store, Cut(**sizes)).attend(scene.q, scene.plain, k=k, bias=scene.bias)
    top = states.attention
    for row, z in enumerate(scene.expected):
        filled = top.top_logits[row] > -np.inf
        ranked = list(zip(top.top_keys[row][filled].tolist(), top.top_logits[row][filled].tolist(), strict=True))
        assert ranked == expected_top(z, k)
        weights = top.weights()[row][filled]
        assert (weights <= 1 + 1e-6).all()
        assert top.visible[row] == np.isfinite(z).sum()


@settings(max_examples=100)
@given(scene=scenes(), sizes=SIZES)
def test_every_logit(scene, sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnsearch.engines.scan.multiply_fast", careless)
        _, z = LocalEngine(scene.store, Cut(**sizes)).logits(scene.q, scene.plain, bias=scene.bias)
    assert np.array_equal(z, scene.expected)


def test_rounding_of_a_large_bias():
    """Sums round to steps that are larger than what the products are off by."""
    x = np.zeros((64, D), np.float32)
    x[:, 0] = 1
    none = np.zeros(64, bool)
    q = np.random.default_rng(1).uniform(5, 9, (20, D)).astype(np.float32)
    bias = Bias(None, None, [{}] * 20, {"year": np.full(64, 10_000, np.float32)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnsearch.engines.scan.multiply_fast", careless)
        top = LocalEngine(MadeStore(x, none, none, [])).attend(q, k=3, bias=bias).attention
    assert top.top_keys.tolist() == [[0, 1, 2]] * 20
