"""Memory: raised logits give the mixture of two attentions, and a corrected state is that of the raised logits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.attention.memory import (
    Recall,
    attend_requests,
    raise_logits,
    raise_state,
    request_logits,
    share_attention,
    share_of_none,
)
from attnsearch.attention.softmax import State

EXACT = 1e-12


@st.composite
def cases(draw):
    """Logits z (m, i), some hidden; judged requests with cosines (m, j), and what is right for them (j, i)."""
    m, i, j = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    z = rng.normal(0, draw(st.sampled_from([0.1, 3, 20])), (m, i))
    hidden = rng.random(i) < draw(st.sampled_from([0, 0.5]))
    hidden[rng.integers(i)] = False  # one is visible
    z[:, hidden] = -np.inf
    right = np.where(hidden, 0.0, rng.integers(0, 3, (j, i)).astype(float))
    totals = right.sum(axis=1, keepdims=True)
    right = np.divide(right, totals, out=right, where=totals > 0)
    recall = Recall(
        draw(st.sampled_from([0.0, 0.3, 0.9, 0.99])),
        draw(st.sampled_from([1e-3, 0.02, 0.5])),
        draw(st.sampled_from([-100.0, 0.2, 0.85, 1.0])),
    )
    return z, rng.uniform(-1, 1, (m, j)), right, recall


def softmax(z):
    z_exp = np.exp(z - z.max(axis=1, keepdims=True))
    return z_exp / z_exp.sum(axis=1, keepdims=True)


def log_normalizers(z):
    top = z.max(axis=1)
    return top + np.log(np.exp(z - top[:, None]).sum(axis=1))


def naive_shares(cosines, recall):
    """μ · softmax([x·x_j/τ, θ/τ]), without the last."""
    null = np.full((len(cosines), 1), recall.threshold)
    return recall.most * softmax(np.hstack([cosines, null]) / recall.temperature)[:, :-1]


@given(cases())
def test_attention_over_judged_requests_has_a_null_key(case):
    _, cosines, _, recall = case
    shares = attend_requests(cosines, recall)
    assert np.allclose(shares, naive_shares(cosines, recall), rtol=0, atol=EXACT)
    assert (shares.sum(axis=1) <= recall.most + EXACT).all()


@given(cases())
def test_raised_logits_give_the_mixture(case):
    z, cosines, right, recall = case
    shares = attend_requests(cosines, recall)
    raised = raise_logits(z, log_normalizers(z), shares @ right, shares)
    mixture = (1 - shares.sum(axis=1, keepdims=True)) * softmax(z) + shares @ right
    mixture /= mixture.sum(axis=1, keepdims=True)  # where nothing is right, the request votes for none of these
    assert np.allclose(softmax(raised), mixture, rtol=0, atol=EXACT)
    assert np.array_equal(np.isneginf(raised), np.isneginf(z))
    is_unknown = shares @ right == 0
    assert np.array_equal(raised[is_unknown], z[is_unknown])  # to the last bit
    assert (raised >= z).all()


@given(cases(), st.integers(0, 6))
def test_a_corrected_state_is_that_of_the_raised_logits(case, split):
    """Of which some columns are raised, and others are not."""
    z, cosines, right, recall = case
    right[:, split:] = 0
    shares = attend_requests(cosines, recall)
    raised = raise_logits(z, log_normalizers(z), shares @ right, shares)
    v = np.random.default_rng(0).normal(size=(z.shape[1], 2))
    corrected = raise_state(State.from_logits(z, v, k=0), z[:, :split], raised[:, :split], v[:split])
    naive = State.from_logits(raised, v, k=0)
    p = softmax(raised)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    assert np.allclose(corrected.log_normalizer(), naive.log_normalizer(), rtol=EXACT, atol=EXACT)
    assert np.allclose(corrected.entropy(), entropy, rtol=0, atol=1e-10)
    assert np.allclose(corrected.mean_value(), p @ v, rtol=0, atol=1e-10)
    assert np.array_equal(corrected.maximum, naive.maximum)
    assert np.array_equal(corrected.visible, naive.visible)


@given(cases())
def test_none_of_these_is_a_mixture_too(case):
    _, cosines, right, recall = case
    shares, chance = attend_requests(cosines, recall), np.linspace(0, 1, len(cosines))
    answered = right.sum(axis=1) > 0
    expected = [
        (1 - sum(row)) * p + sum(share for share, is_answered in zip(row, answered, strict=True) if not is_answered)
        for row, p in zip(shares, chance, strict=True)
    ]
    mixed = share_of_none(chance, shares, answered)
    assert np.allclose(mixed, expected, rtol=0, atol=EXACT)
    assert ((mixed >= 0) & (mixed <= 1 + EXACT)).all()


def test_requests_of_several_catalogs_share_one_softmax():
    """Each with its own recall: a logit is (cosine - θ)/τ, and that of the null key 0."""
    first, second = Recall(0.5, 0.1, 0.8), Recall(0.9, 0.05, 0.9)
    logits = np.hstack([request_logits(np.array([[0.8]]), first), request_logits(np.array([[0.9]]), second)])
    assert np.allclose(share_attention(logits, np.array([0.5, 0.9])), [[0.5 / 3, 0.9 / 3]])


def test_without_a_judged_request_nothing_changes():
    shares = attend_requests(np.empty((2, 0)), Recall(0.9, 0.02, 0.85))
    z = np.array([[1.0, -np.inf], [2.0, 3.0]])
    raised = raise_logits(z, log_normalizers(z), np.zeros((2, 2)), shares)
    assert np.array_equal(raised, z)
    state = State.from_logits(z, k=1)
    corrected = raise_state(state, z, raised)
    assert all(np.array_equal(*pair) for pair in zip(corrected[1:4], state[1:4], strict=True))


def test_where_everything_is_hidden_nothing_is_raised():
    z = np.full((1, 2), -np.inf)
    raised = raise_logits(z, np.array([-np.inf]), np.array([[0.5, 0.0]]), np.array([[0.5]]))
    assert np.isneginf(raised).all()
    state = raise_state(State.from_logits(z, np.ones((2, 1)), k=0), z, raised, np.ones((2, 1)))
    assert (state.total[0], state.entropy()[0], state.output[0, 0]) == (0, 0, 0)
