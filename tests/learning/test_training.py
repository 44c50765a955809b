"""Learning from judged requests, with an encoder that a person can compute by hand, and on real judgments."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.attention import null_key
from attnsearch.learning import acceptance, examples
from attnsearch.learning.acceptance import Gain
from attnsearch.learning.bilinear import Keys, Targets
from attnsearch.learning.cross_validation import STRENGTHS
from attnsearch.learning.memory import MARGINS
from attnsearch.learning.training import train, train_self
from attnsearch.sources.judgments import Judged
from tests.calibration.test_calibrate import OWN
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
    first, second = (train(index, judged, seed=3) for _ in range(2))
    assert np.array_equal(first.learned.w, second.learned.w)
    assert first.verdict == second.verdict


@pytest.mark.slow
def test_shuffled_answers_are_refused(world):
    index, judged = world
    accepted = 0
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(judged))
        shuffled = [Judged(request.query, judged[answer].grades) for request, answer in zip(judged, order, strict=True)]
        accepted += train(index, shuffled, seed=seed).learned is not None
    assert accepted <= 1


def test_force_accepts_it_all_the_same(world):
    index, judged = world
    few = judged[:4]
    assert train(index, few).learned is None
    forced = train(index, few, force=True)
    assert forced.learned is not None
    assert not forced.verdict.accepted
    assert forced.verdict.reason == "4 requests with an answer, but at least 5 are needed"
    assert forced.verdict.more_requests == 1


def test_where_w_q_is_best_as_it_is_the_temperature_may_change(world):
    """What is on top is right already, and could have more of the attention."""
    index, _ = world
    items = [item for _, item in index.store.items()]
    outcome = train(index, [Judged(item.title, {item.id: 1.0}) for item in items])
    assert outcome.verdict.ndcg.before == pytest.approx(1)
    assert np.array_equal(outcome.learned.w, np.eye(4))
    assert outcome.learned.temperature < 0.05
    assert outcome.verdict.kl.high < 0
    assert "W_Q stays" in outcome.verdict.reason


@pytest.mark.parametrize(("count", "is_enough"), [(19, False), (20, True)])
class TestEnough:
    """From twenty requests on, the temperature and λ are fitted, too."""

    def test_after_a_gain(self, world, count, is_enough):
        index, judged = world
        learned = train(index, judged[:count], force=True).learned
        assert (learned.temperature != index.info.temperature) == is_enough
        assert (learned.lexical is not None) == is_enough

    def test_where_w_q_is_best_as_it_is(self, world, count, is_enough):
        index, _ = world
        items = [item for _, item in index.store.items()][:count]
        outcome = train(index, [Judged(item.title, {item.id: 1.0}) for item in items])
        assert (outcome.learned is not None) == is_enough


def test_forced_it_learns_even_where_w_q_is_best_as_it_is(world, monkeypatch):
    index, judged = world
    monkeypatch.setattr("attnsearch.learning.cross_validation.choose_strength", lambda *_: 0)
    unforced, forced = train(index, judged).learned, train(index, judged, force=True).learned
    assert np.array_equal(unforced.w, np.eye(4))  # the temperature alone
    assert not np.array_equal(forced.w, np.eye(4))
    assert (unforced.story["pull"], forced.story["pull"]) == (0, STRENGTHS[0])


def test_shared_words_count_if_they_are_taken(world, monkeypatch):
    index, judged = world
    refused, forced = train(index, judged), train(index, judged, force=True)
    assert (refused.words.accepted, refused.learned.is_lexical) == (False, False)
    assert forced.learned.is_lexical
    monkeypatch.setattr(index.store, "info", index.info._replace(lexical=0.5))
    assert train(index, judged, force=True).words is None  # they count in this catalog anyway
    assert train(index, judged[:10], force=True).words is None


def test_of_a_sample_lambda_is_not_learned(world, monkeypatch):
    """BM25 knows all items, and the logits only those of the sample."""
    index, judged = world
    assert train(index, judged).learned.lexical is not None
    monkeypatch.setattr(examples, "NEAREST", 2)
    monkeypatch.setattr(examples, "MOST_KEYS", 24)
    assert train(index, judged[:20], force=True).learned.lexical is None


def paraphrased(monkeypatch, groups: int, d: int, each: int, *, shuffled: bool = False) -> list[Judged]:
    """Requests in groups of paraphrases; one of the four nearest items is right for all of a group, by no rule."""
    rng = np.random.default_rng(0)
    keys, centers = (rng.normal(size=(count, d)) for count in (200, groups))
    near = np.argsort(-centers @ (keys / np.linalg.norm(keys, axis=1, keepdims=True)).T, axis=1)[:, :4]
    right = np.repeat([rng.choice(row) for row in near], each)
    right = rng.permutation(right) if shuffled else right
    x = np.repeat(centers / np.linalg.norm(centers, axis=1, keepdims=True), each, axis=0)
    x, keys = (
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        for rows in (x + rng.normal(size=x.shape) * 0.02, keys)
    )
    m = len(x)
    sampled = Keys(keys, None, np.zeros(200, np.float32))  # so that λ is not learned
    graded = [examples.Graded(np.array([item]), np.ones(1)) for item in right]
    training_set = examples.TrainingSet(sampled, x, Targets(np.arange(m), right, np.ones(m, np.float32)), graded)
    judged = [Judged(f"moon {number}", {str(item): 1.0}) for number, item in enumerate(right)]
    gathered = examples.Examples(training_set, judged, np.arange(200), 0)
    monkeypatch.setattr("attnsearch.learning.training.gather_examples", lambda *_: gathered)
    return judged


class TestMemory:
    """Judged requests are followed as far as held-out ones show, whether or not W_Q gains anything."""

    def test_beside_w_q(self, world, monkeypatch):
        index, _ = world
        judged = paraphrased(monkeypatch, groups=40, d=12, each=2)
        outcome = train(index, judged, with_curve=True)
        assert outcome.memory.accepted
        assert not np.array_equal(outcome.learned.w, np.eye(12))
        assert outcome.memory.ndcg.before > outcome.verdict.ndcg.before + 0.1  # which is what W_Q gains
        assert outcome.memory.ndcg.after == pytest.approx(outcome.verdict.ndcg.after)
        assert outcome.curve.points[-1][1:] == (outcome.verdict.ndcg, outcome.verdict.kl)
        remembered = outcome.learned.memory
        assert (remembered.queries, list(remembered.right)) == (
            [request.query for request in judged], [request.grades for request in judged])  # fmt: skip
        assert remembered.recall.margin in MARGINS
        assert outcome.learned.story["remembered"] == 80

    def test_where_w_q_stays(self, world, monkeypatch):
        index, _ = world
        judged = paraphrased(monkeypatch, groups=25, d=6, each=3)
        monkeypatch.setattr("attnsearch.learning.cross_validation.STRENGTHS", ())
        outcome = train(index, judged)
        reason = "W_Q stays I, since held-out requests are answered best without training; but with memory, "
        assert outcome.verdict.reason.startswith(reason)
        assert np.array_equal(outcome.learned.w, np.eye(6))
        assert outcome.learned.story["pull"] == 0
        assert outcome.verdict.ndcg == outcome.memory.ndcg
        assert outcome.learned.memory.recall.margin in MARGINS
        assert outcome.learned.temperature != index.info.temperature

    def test_shuffled_judgments_are_not_remembered(self, world, monkeypatch):
        index, _ = world
        outcome = train(index, paraphrased(monkeypatch, groups=25, d=6, each=3, shuffled=True))
        assert not outcome.memory.accepted
        assert outcome.learned is None

    def test_what_is_refused_leaves_memory_to_the_feedback(self, world):
        index, judged = world
        outcome = train(index, judged)
        assert (outcome.memory.accepted, outcome.learned.memory) == (False, None)
        forced = train(index, judged, force=True).learned
        assert forced.memory.recall.margin == MARGINS[0]  # as little as there is


def test_requests_with_only_wrong_items_show_no_gain(world):
    """Nothing can be measured on them, without a warning about the mean of nothing."""
    index, _ = world
    outcome = train(index, [Judged(text, {"3-0-0": 0.0}) for text in ("moon", "sea", "robot", "moon sea")])
    assert outcome.learned is None
    assert outcome.verdict.reason == "0 requests with an answer, but at least 5 are needed"


@pytest.mark.slow
def test_requests_that_nothing_is_right_for_fit_the_null_key(world):
    index, judged = world
    empty = [Judged(f"cheese {'wine ' * n}", {}) for n in range(1, 31)]
    outcome = train(index, judged + empty)
    null = outcome.learned.null
    assert null is not None
    assert train(index, judged).learned.null is None
    only_wrong = [Judged(f"wine {'cheese ' * n}", dict.fromkeys(judged[0].grades, 0.0)) for n in range(1, 31)]
    assert train(index, [*judged, *only_wrong, *empty]).learned.null == null  # whether these have an answer is unknown
    state = scores_of(index, ["moon", "cheese wine"]).state
    evidence = null_key.evidence(state.maximum, state.log_normalizer(), state.visible)
    assert evidence[0] > null.logit / null.sharpness > evidence[1]  # where the chance is a half


def test_a_catalog_teaches_itself(world):
    index, judged = world
    outcome = train_self(index, force=True)
    assert outcome.verdict.requests == 0
    w = outcome.learned.w
    assert np.allclose(w, w.T, atol=1e-5)
    assert np.linalg.eigvalsh(w).max() <= 1 + 1e-5  # nothing is turned up
    mean = index.store.embeddings(range(index.info.keys)).mean(axis=0)
    assert mean @ w @ mean < 0.9 * (mean @ mean) + 1e-5
    assert outcome.learned.temperature == index.info.temperature
    assert outcome.learned.taught([request.query for request in judged]) == 0


def test_what_a_catalog_teaches_itself_is_kept_if_judged_requests_gain(world, monkeypatch):
    """At least twenty of them; nothing is learned from them."""
    index, _ = world
    judged = [Judged(item.title, {item.id: 1.0}) for _, item in index.store.items()]
    drawn = []
    w = -np.eye(4, dtype=np.float32)
    monkeypatch.setattr("attnsearch.learning.self_supervision.fit_self_supervised", lambda *_: drawn.append(w) or w)
    refused = train_self(index, judged)
    assert (refused.learned, refused.verdict.requests) == (None, len(judged))
    assert refused.verdict.ndcg.change < -0.5
    assert "not ranked better" in refused.verdict.reason
    assert train_self(index, judged, force=True).learned is not None
    drawn.clear()
    for few in ([], [Judged("cheese", {})] * 30, judged[:19]):
        assert "at least 20 are needed" in train_self(index, few).verdict.reason
    assert not drawn  # nothing is learned in vain
    gain = Gain(0.5, 0.6, 0.05, 0.15)
    accepted = refused.verdict._replace(ndcg=gain, accepted=True, reason="they gain")
    monkeypatch.setattr(acceptance, "accept_unseen", lambda *_: accepted)
    assert np.array_equal(train_self(index, judged).learned.w, w)


@pytest.mark.real
def test_real_requests_gain_on_the_other_half(tmp_path):
    if not SHARED.is_dir():
        pytest.skip("the judged data is not here")
    from benchmarks.learning import change, halves, opened, requests, untrained

    with opened("gutenberg_books", tmp_path / "books.jsonl") as index:
        asked = requests("gutenberg_books")
        before = untrained(index, asked)
        gains = [
            change(index, held_out, train(index, training).learned, before) for training, held_out in halves(asked)
        ]
    assert np.mean(gains) > 0.02


def test_what_is_fitted_to_the_encoder_is_where_training_begins(world):
    """Temperatures around its own are tried, and the null key's evidence is taken at its own."""
    index, judged = world
    strangers = [Judged(f"nothing {number} here", {}) for number in range(12)]
    usual = train(index, [*judged, *strangers]).learned
    index.__dict__["fit"] = OWN
    own = train(index, [*judged, *strangers]).learned
    assert usual.temperature < 0.05
    assert own.temperature < OWN.temperature
    assert (usual.null.temperature, own.null.temperature) == (0.05, OWN.temperature)
    assert train_self(index, judged, force=True).learned.temperature == OWN.temperature
