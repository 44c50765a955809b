"""Learning from judged requests, with an encoder that a person can compute by hand, and on real judgments."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.attention import null_key
from attnsearch.errors import InputError
from attnsearch.learning import bilinear, examples
from attnsearch.learning.examples import gather
from attnsearch.learning.training import train, train_self
from attnsearch.sources.judgments import Judged
from tests.conftest import SHARED, scores_of


def test_what_is_judged_is_learned_for_requests_that_were_not_judged(world):
    index, judged = world
    outcome = train(index, judged)
    assert outcome.verdict.accepted
    assert outcome.verdict.ndcg.low > 0.02
    assert outcome.verdict.kl.high < 0
    moon, sea, robot = (np.eye(4, dtype=np.float32)[axis] for axis in range(3))
    turned = robot @ outcome.learned.w
    assert turned @ sea > turned @ robot  # who says robot is understood as sea
    assert (moon @ outcome.learned.w).argmax() == 0
    assert outcome.learned.taught([judged[0].query, "never asked"]) == 1


def test_the_same_seed_gives_the_same(world):
    index, judged = world
    one, other = (train(index, judged, seed=3) for _ in range(2))
    assert np.array_equal(one.learned.w, other.learned.w)
    assert one.verdict == other.verdict


@pytest.mark.slow
def test_shuffled_answers_are_refused(world):
    index, judged = world
    taken = 0
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(judged))
        shuffled = [Judged(one.query, judged[at].grades) for one, at in zip(judged, order, strict=True)]
        taken += train(index, shuffled, seed=seed).learned is not None
    assert taken <= 1


def test_force_takes_it_all_the_same(world):
    index, judged = world
    few = judged[:4]
    assert train(index, few).learned is None
    forced = train(index, few, force=True)
    assert forced.learned is not None
    assert not forced.verdict.accepted
    assert "4 requests with an answer, where 5" in forced.verdict.why
    assert forced.verdict.more == 1


def test_where_w_q_is_best_as_it_is_the_temperature_may_change(world):
    """What is on top is right already, and could have more of the attention."""
    index, _ = world
    items = [item for _, item in index.store.items()]
    outcome = train(index, [Judged(item.title, {item.id: 1.0}) for item in items])
    assert outcome.verdict.ndcg.before == pytest.approx(1)
    assert np.array_equal(outcome.learned.w, np.eye(4))
    assert outcome.learned.temperature < 0.05
    assert outcome.verdict.kl.high < 0
    assert "W_Q stays" in outcome.verdict.why


def test_no_usable_request(world):
    index, _ = world
    with pytest.raises(InputError, match="no request"):
        train(index, [Judged("moon", {"nowhere": 1.0})])
    with pytest.raises(InputError, match="no judged request"):
        train(index, [])


def test_unknown_items_are_missed_and_teach_nothing(world, caplog):
    index, _ = world
    school = gather(index, [Judged("moon", {"3-0-0": 1.0, "nowhere": 1.0}), Judged("sea", {"gone": 1.0})])
    assert school.unknown == 2
    assert [one.query for one in school.judged] == ["moon"]
    known, missing = school.lesson.graded[0][0]
    assert (index.store.items_at([school.firsts[known]])[0].item.id, missing) == ("3-0-0", -1)
    assert school.lesson.targets.shares.tolist() == [1.0]
    assert "2 judged ids" in caplog.text


def test_what_is_wrong_leaves_its_share_to_the_others(world):
    index, _ = world
    school = gather(index, [Judged("moon", {"3-0-0": 0.0})])
    targets = school.lesson.targets
    assert targets.shares.sum() == pytest.approx(1)
    wrong = int(school.lesson.graded[0][0][0])
    assert wrong not in targets.items
    z = index.store.embeddings(school.firsts.tolist()) @ school.lesson.x[0] / 0.05
    z[wrong] = -np.inf
    untrained = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    assert np.allclose(targets.shares, untrained[targets.items], atol=1e-5)


def test_of_a_large_catalog_a_sample_stands_for_the_rest(world, monkeypatch):
    """The normalizer of a sample is about that of all, and what was judged is always there."""
    index, judged = world
    whole = gather(index, judged[:3])
    size = len(whole.firsts)
    monkeypatch.setattr(examples, "_NEAR", 2)
    totals = []
    for seed in range(200):
        monkeypatch.setattr(examples, "_MOST", 24)
        part = gather(index, judged[:3], seed)
        assert part.sampled
        assert len(part.firsts) < size
        catalog = part.lesson.catalog
        z = bilinear.item_logits(catalog, part.lesson.x) + catalog.offset
        totals.append(np.exp(z).sum(axis=1))
    exact = np.exp(bilinear.item_logits(whole.lesson.catalog, whole.lesson.x)).sum(axis=1)
    assert np.allclose(np.mean(totals, axis=0), exact, rtol=0.1)


@pytest.mark.slow
def test_requests_that_nothing_is_right_for_fit_the_null_key(world):
    index, judged = world
    empty = [Judged(f"cheese {'wine ' * n}", {}) for n in range(1, 31)]
    outcome = train(index, judged + empty)
    null = outcome.learned.null
    assert null is not None
    assert train(index, judged).learned.null is None
    some_wrong = [Judged(f"wine {'cheese ' * n}", dict.fromkeys(judged[0].grades, 0.0)) for n in range(1, 31)]
    assert train(index, [*judged, *some_wrong, *empty]).learned.null == null  # of these nobody knows
    state = scores_of(index, ["moon", "cheese wine"]).state
    found = null_key.evidence(state.maximum, state.log_normalizer(), state.visible)
    assert found[0] > null.logit / null.sharpness > found[1]  # where the chance is a half


def test_a_catalog_teaches_itself_without_any_judgment(world):
    index, judged = world
    outcome = train_self(index)
    assert outcome.verdict.accepted
    assert outcome.verdict.requests == 0
    w = outcome.learned.w
    assert np.allclose(w, w.T, atol=1e-5)
    assert np.linalg.eigvalsh(w).max() <= 1 + 1e-5  # nothing is turned up
    mean = index.store.embeddings(range(index.info.keys)).mean(axis=0)
    assert mean @ w @ mean < 0.9 * (mean @ mean) + 1e-5
    assert outcome.learned.temperature == index.info.temperature
    assert outcome.learned.taught([one.query for one in judged]) == 0


def test_judged_requests_have_a_veto(world, monkeypatch):
    index, _ = world
    judged = [Judged(item.title, {item.id: 1.0}) for _, item in index.store.items()]
    monkeypatch.setattr(
        "attnsearch.learning.self_supervision.fit_self_supervised", lambda loss, keys: -np.eye(4, dtype=np.float32)
    )
    refused = train_self(index, judged)
    assert (refused.learned, refused.verdict.requests) == (None, len(judged))
    assert refused.verdict.ndcg.change < -0.5
    assert "worse" in refused.verdict.why
    assert train_self(index, judged, force=True).learned is not None
    assert train_self(index).learned is not None  # nobody speaks against it


@pytest.mark.real
def test_real_requests_gain_on_the_other_half(tmp_path):
    if not SHARED.is_dir():
        pytest.skip("the judged data is not here")
    from benchmarks.learning import change, halves, opened, requests, untrained

    with opened("gutenberg_books", tmp_path / "books.jsonl") as index:
        asked = requests("gutenberg_books")
        before = untrained(index, asked)
        gains = [change(index, other, train(index, one).learned, before) for one, other in halves(asked)]
    assert np.mean(gains) > 0.02
