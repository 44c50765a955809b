"""By hand, against plain loops in float64, by property, and against torch."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsearch.attention.softmax import State, attend, best_of_each, find_candidates, logits
from attnsearch.errors import ShapeError


def plain(q, k, v, scale, bias, mask):
    """Equation (1) as loops: weights (m, n) and output (m, e)."""
    weights, output = [], []
    for i, query in enumerate(q):
        z = [sum(a * b for a, b in zip(query, key, strict=True)) * scale + bias[i][j] if mask[i][j] else -math.inf
             for j, key in enumerate(k)]  # fmt: skip
        exps = [math.exp(x - max(z)) for x in z]
        weights.append([x / math.fsum(exps) for x in exps])
        output.append([math.fsum(w * row[c] for w, row in zip(weights[-1], v, strict=True)) for c in range(v.shape[1])])
    return np.array(weights), np.array(output)


class TestByHand:
    def test_a_scale_of_log_3_makes_three_to_one(self):
        q, k, v = np.array([[1.0, 0.0]]), np.eye(2), np.array([[4.0], [0.0]])
        attention = attend(q, k, v, scale=math.log(3))
        assert attention.weights == pytest.approx(np.array([[0.75, 0.25]]))
        assert attention.output == pytest.approx(np.array([[3.0]]))

    def test_the_scale_is_one_over_the_root_of_d(self):
        q = np.full((1, 4), 2.0)
        assert attend(q, q, q).logits == pytest.approx(np.array([[8.0]]))  # 4 · 2 · 2 / √4

    def test_a_bias_of_log_3_as_well(self):
        q, k = np.zeros((1, 2)), np.eye(2)
        assert attend(q, k, k, bias=np.array([math.log(3), 0])).weights == pytest.approx(np.array([[0.75, 0.25]]))

    def test_a_hidden_key_has_no_weight(self):
        q, k = np.zeros((1, 2)), np.eye(3, 2)
        assert attend(q, k, k, mask=np.array([True, False, True])).weights.tolist() == [[0.5, 0.0, 0.5]]

    def test_leading_axes(self):
        rng = np.random.default_rng(1)
        q, k, v = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(2, 3, 6, 7))
        stacked = attend(q, k, v)
        single = attend(q[1, 2], k[1, 2], v[1, 2])
        assert stacked.weights[1, 2] == pytest.approx(single.weights)
        assert stacked.output[1, 2] == pytest.approx(single.output)

    def test_states_of_two_keys(self):
        z = np.log(np.array([[3.0, 1.0]]))
        state = State.from_logits(z, np.array([[4.0], [0.0]]), k=5)
        assert state.weights().tolist() == [pytest.approx([0.75, 0.25])]
        assert state.mean_value() == pytest.approx(np.array([[3.0]]))
        assert math.exp(state.log_normalizer()[0]) == pytest.approx(4)
        assert state.entropy()[0] == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))


class TestRefused:
    def test_every_key_hidden(self):
        q, k = np.zeros((1, 2)), np.eye(2)
        with pytest.raises(ShapeError, match="every key hidden"):
            attend(q, k, k, mask=np.zeros(2, bool))

    def test_no_key(self):
        with pytest.raises(ShapeError, match="every key hidden"):
            attend(np.zeros((1, 2)), np.zeros((0, 2)), np.zeros((0, 1)))

    @pytest.mark.parametrize(
        ("q", "k", "v"), [((1, 2), (3, 4), (3, 1)), ((1, 2), (3, 2), (4, 1)), ((2,), (3, 2), (3, 1))]
    )
    def test_axes_that_disagree(self, q, k, v):
        with pytest.raises(ShapeError, match=r"attend needs q \(…, m, d\)"):
            attend(np.zeros(q), np.zeros(k), np.zeros(v))

    def test_an_output_without_values(self):
        with pytest.raises(ShapeError, match="no values"):
            State.from_logits(np.zeros((1, 2)), k=1).mean_value()


@st.composite
def problems(draw):
    """q, k, v, bias, a mask that keeps a key of each query, and a split of the keys into parts."""
    m, n, d = draw(st.integers(1, 3)), draw(st.integers(1, 24)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    k = rng.normal(size=(n, d))
    k[rng.integers(n, size=n // 3)] = k[0]  # equal keys, for ties
    mask = rng.random((m, n)) < draw(st.sampled_from([0.2, 0.7, 1.0]))
    mask[np.arange(m), rng.integers(n, size=m)] = True
    scale = draw(st.sampled_from([0.01, 1.0, 20.0, 2000.0]))
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=5)))
    bounds = list(zip([0, *cuts], [*cuts, n], strict=True))  # empty parts among them
    parts = draw(st.permutations(bounds))
    return rng.normal(size=(m, d)), k, rng.normal(size=(n, 3)), rng.normal(size=(m, n)), mask, scale, parts


@settings(max_examples=300, deadline=None)
@given(problems(), st.integers(1, 30), st.booleans())
def test_any_split_in_any_order_with_any_mask(problem, k, balanced):
    q, keys, v, bias, mask, scale, parts = problem
    weights, output = plain(q, keys, v, scale, bias, mask)
    whole = attend(q, keys, v, scale=scale, bias=bias, mask=mask)
    assert whole.weights == pytest.approx(weights, abs=1e-9)
    assert whole.output == pytest.approx(output, abs=1e-9)

    z = whole.logits
    states = [State.from_logits(z[:, a:b], v[a:b], k=k, first=a) for a, b in parts]
    bounded = State.empty(len(q), k, 3)
    for a, b in parts:
        threshold = bounded.top_logits[:, -1] if bounded.top_logits.shape[1] == k else None
        candidates = find_candidates(z[:, a:b], k, threshold)
        block = State.from_logits(z[:, a:b], v[a:b], k=0).with_top(z[:, a:b], candidates, k, a)
        bounded = bounded.merge(block)
    if balanced:
        while len(states) > 1:
            states = [functools.reduce(State.merge, states[i : i + 2]) for i in range(0, len(states), 2)]
    state = functools.reduce(State.merge, states, State.empty(len(q), k, 3))
    for name in ("top_logits", "top_keys"):
        top, expected = (getattr(merged, name)[:, : z.shape[1]] for merged in (bounded, state))
        width = min(top.shape[1], expected.shape[1])
        assert top[:, :width].tolist() == expected[:, :width].tolist()

    assert state.mean_value() == pytest.approx(output, abs=1e-6)
    assert state.visible.tolist() == mask.sum(axis=1).tolist()
    for i, row in enumerate(weights):
        expected = sorted(np.flatnonzero(mask[i]), key=lambda j: (-z[i, j], j))[:k]
        seen = np.isfinite(state.top_logits[i])
        assert state.top_keys[i][seen].tolist() == expected
        assert state.weights()[i][seen] == pytest.approx(row[expected], abs=1e-6)
        entropy = -sum(p * math.log(p) for p in row if p > 0)
        assert state.entropy()[i] == pytest.approx(entropy, abs=1e-6)


@given(st.integers(0, 2**32), st.lists(st.integers(1, 4), min_size=1, max_size=9))
def test_each_item_keeps_its_first_best_key(seed, sizes):
    z = np.random.default_rng(seed).integers(-2, 2, size=(3, sum(sizes))).astype(float)
    starts = np.cumsum([0, *sizes[:-1]])
    expected = np.full_like(z, -np.inf)
    for row in range(len(z)):
        for start, size in zip(starts, sizes, strict=True):
            best = max(range(start, start + size), key=lambda key: z[row, key])
            expected[row, best] = z[row, best]
    joined = ~np.isin(np.arange(z.shape[1]), starts)
    assert best_of_each(z, joined).tolist() == expected.tolist()


@settings(max_examples=100, deadline=None)
@given(problems())
def test_hiding_a_key_is_removing_it(problem):
    q, keys, v, bias, mask, scale, _ = problem
    keep = mask[0]
    hidden = attend(q[:1], keys, v, scale=scale, bias=bias[:1], mask=keep)
    removed = attend(q[:1], keys[keep], v[keep], scale=scale, bias=bias[:1, keep])
    assert hidden.weights[:, keep] == pytest.approx(removed.weights, abs=1e-12)
    assert hidden.output == pytest.approx(removed.output, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(problems())
def test_single_precision_with_any_mask(problem):
    q, keys, _, bias, mask, _, _ = problem
    q, keys, bias = (x.astype(np.float32) for x in (q, keys, bias))
    state = State.from_logits(logits(q, keys, scale=20, bias=bias, mask=mask), k=3)
    weights = attend(*(x.astype(np.float64) for x in (q, keys, keys)), scale=20, bias=bias, mask=mask).weights
    entropy = [-sum(p * math.log(p) for p in row if p > 0) for row in weights]
    assert state.entropy() == pytest.approx(entropy, abs=1e-4)
    assert state.weights()[:, 0] == pytest.approx(weights.max(axis=1), abs=1e-4)


def test_one_query_ranks_equal_keys_alike_wherever_they_lie():
    rng = np.random.default_rng(5)
    keys = np.tile(rng.normal(size=384).astype(np.float32), (1000, 1))
    z = logits(rng.normal(size=(1, 384)).astype(np.float32), keys)
    assert len(np.unique(z)) == 1


def test_a_state_without_keys_changes_nothing():
    empty = State.empty(1, 3, 2)
    assert empty.top_keys.shape == (1, 0)
    assert empty.entropy().tolist() == [0.0]
    hidden = State.from_logits(np.full((1, 4), -np.inf), np.ones((4, 2)), k=3)
    seen = State.from_logits(np.array([[1.0, 2.0]]), np.ones((2, 2)), k=3, first=4)
    for state in (empty.merge(seen), seen.merge(empty), hidden.merge(seen), seen.merge(hidden)):
        assert state.log_normalizer() == pytest.approx(np.log(np.exp([1.0]) + np.exp(2.0)))
        assert state.top_keys[0][np.isfinite(state.top_logits[0])].tolist() == [5, 4]
        assert state.visible.tolist() == [2]


@pytest.mark.slow
def test_torch_agrees():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    q, k, v = rng.normal(size=(2, 3, 5, 8)), rng.normal(size=(2, 3, 9, 8)), rng.normal(size=(2, 3, 9, 4))
    mask = rng.random((5, 9)) < 0.7
    mask[:, 0] = True
    bias = rng.normal(size=(5, 9))
    peer = torch.nn.functional.scaled_dot_product_attention
    given = [torch.from_numpy(x) for x in (q, k, v)]
    assert attend(q, k, v).output == pytest.approx(peer(*given).numpy(), abs=1e-12)
    output = attend(q, k, v, mask=mask, scale=0.3).output
    assert output == pytest.approx(peer(*given, attn_mask=torch.from_numpy(mask), scale=0.3).numpy(), abs=1e-12)
    output = attend(q, k, v, bias=bias).output
    assert output == pytest.approx(peer(*given, attn_mask=torch.from_numpy(bias)).numpy(), abs=1e-12)


@pytest.mark.parametrize("temperature", [0.05, 0.0005])
def test_a_million_keys(temperature):
    """float32 keys in blocks, as the store gives them, against float64 all at once."""
    rng = np.random.default_rng(3)
    n, d = 1_000_000, 16
    x = rng.normal(size=(n, d)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    q = x[:1] * np.float32(math.sqrt(d) / temperature)
    state = State.empty(1, 10, d)
    for first in range(0, n, 8192):
        block = x[first : first + 8192]
        state = state.merge(State.from_logits(logits(q, block), block, k=10, first=first))

    z = (x.astype(np.float64) @ x[0].astype(np.float64)) / temperature
    weights = np.exp(z - z.max())
    weights /= weights.sum()
    top = np.argsort(-z, kind="stable")[:10]
    # A float32 product of unit vectors is off by up to 7e-8; the logit, and so the weight, by that over τ.
    off = 1e-6 / temperature
    assert state.top_keys[0].tolist() == top.tolist()
    assert state.weights()[0] == pytest.approx(weights[top], rel=off)
    assert state.mean_value()[0] == pytest.approx(weights @ x, abs=off)
    entropy = -np.sum(weights[weights > 0] * np.log(weights[weights > 0]))
    assert state.entropy()[0] == pytest.approx(entropy, rel=1e-2 if temperature < 0.01 else 1e-4, abs=1e-6)


def test_equal_keys_rank_by_number_when_their_weights_underflow():
    z = np.array([[0.0, -5000.0, -4000.0, -5000.0]])
    state = State.from_logits(z, k=4)
    assert state.top_keys.tolist() == [[0, 2, 1, 3]]
    assert State.from_logits(z, k=3).top_keys.tolist() == [[0, 2, 1]]
    assert state.weights().tolist() == [[1.0, 0.0, 0.0, 0.0]]


def test_of_equal_passages_the_first_is_the_best():
    z = np.array([[2.0, 2.0, 1.0, 5.0, 3.0, 4.0, 4.0]])
    joined = np.array([False, True, True, False, False, True, True])
    hidden = -np.inf
    assert best_of_each(z, joined).tolist() == [[2.0, hidden, hidden, 5.0, hidden, 4.0, hidden]]
