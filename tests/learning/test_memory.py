"""Memory of judged requests: what held-out requests recall, by hand and as a query does, and which margin is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.attention.memory import Recall, careful_recall
from attnsearch.attention.softmax import State
from attnsearch.learning import memory
from attnsearch.learning.bilinear import SHARPNESS, Keys, Targets, item_logits
from attnsearch.learning.cross_validation import Fold, HeldOut, cross_validate, measure_answers
from attnsearch.learning.examples import Graded, TrainingSet, gather_examples
from attnsearch.learning.memory import MARGINS, MOST, recall_at, recall_requests, validate_memory
from attnsearch.search.setting import Setting
from attnsearch.search.weights import weigh_items
from attnsearch.storage.learned import Learned, Remembered

NEVER = Recall(0.0, 0.01, 99.0)


def paraphrased(groups: int = 15, each: int = 4, d: int = 24, *, alike: bool = True, seed: int = 0) -> TrainingSet:
    """Requests in groups of near paraphrases, far from all items; those of a group have one right item if `alike`."""
    rng = np.random.default_rng(seed)
    keys, centers = (_unit(rng.normal(size=(count, d))) for count in (60, groups))
    x = _unit(np.repeat(centers, each, axis=0) + rng.normal(size=(groups * each, d)) * 0.04)
    right = np.repeat(rng.choice(60, groups, replace=False), each)
    right = right if alike else rng.integers(0, 60, len(x))
    graded = [Graded(np.array([item]), np.ones(1)) for item in right]
    return TrainingSet(Keys(keys), x, Targets(np.arange(len(x)), right, np.ones(len(x), np.float32)), graded)


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def unlearned(training_set: TrainingSet) -> list[HeldOut]:
    return cross_validate(training_set).untrained.by_others


def test_what_is_recalled_by_hand():
    """A judged request as near as one of two equal items, and a second that is far: a third of the half for memory."""
    x = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    keys = Keys(np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1]], np.float32))
    graded = [Graded(np.array([2]), np.ones(1)), Graded(np.array([2, -1, 1]), np.array([3.0, 1.0, 1.0])),
              Graded(np.array([0]), np.ones(1))]  # fmt: skip
    training_set = TrainingSet(keys, x, Targets(np.arange(3), np.array([2, 2, 0]), np.ones(3, np.float32)), graded)
    recalled = recall_requests(training_set, Fold(0, np.array([0]), np.array([1, 2])))
    recall = recall_at(MARGINS.index(0.0) + 1)
    assert (recall.most, recall.temperature, recall.margin) == (MOST, 1 / SHARPNESS, 0.0)
    mass = recalled.mass(recall)
    assert mass.items.tolist() == [0, 1, 2]
    assert mass.shares == pytest.approx([MOST / 3])
    assert mass.mass[0] == pytest.approx([0, MOST / 3 / 4, MOST / 3 * 3 / 4], abs=1e-6)  # by grade, without -1
    weights = State.from_logits(mass.raise_logits(item_logits(keys, x[:1])), k=3).weights()
    rest = (1 - MOST / 3) / 2
    assert sorted(weights[0]) == pytest.approx(sorted([rest, rest + MOST / 12, MOST / 4]), abs=1e-6)


def test_a_request_recalls_only_what_its_fold_learned_from(monkeypatch):
    training_set, recalled = paraphrased(), []
    recall = memory.recall_requests
    monkeypatch.setattr(memory, "recall_requests", lambda *args: recalled.append(args[1]) or recall(*args))
    validate_memory(training_set, unlearned(training_set), NEVER)
    for fold in recalled:
        assert not set(fold.held_out) & set(fold.training)
        assert len(recall(training_set, fold).cosines[0]) == len(fold.training)


def test_without_a_margin_nothing_is_remembered_and_each_smaller_one_follows_more():
    assert recall_at(0) is None
    training_set = paraphrased()
    recalled = recall_requests(training_set, unlearned(training_set)[0].fold)
    shares = [recalled.mass(recall_at(1 + index)).shares.mean() for index in range(len(MARGINS))]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < MOST


def test_paraphrases_are_answered_by_what_was_judged():
    training_set = paraphrased()
    validation = validate_memory(training_set, unlearned(training_set), NEVER)
    before = measure_answers(training_set, item_logits(training_set.keys, training_set.x))
    assert validation.before.ndcg == pytest.approx(before.ndcg)
    assert validation.before.kl == pytest.approx(before.kl, abs=1e-5)
    assert validation.chosen
    assert np.mean(validation.gain) > 0.5
    assert np.mean(validation.kl_gain) > 1


def test_where_paraphrases_have_nothing_in_common_nothing_is_remembered():
    training_set = paraphrased(alike=False)
    assert validate_memory(training_set, unlearned(training_set), NEVER).chosen == 0


def test_the_others_alone_choose_the_margin_for_a_fold(monkeypatch):
    training_set, counts = paraphrased(groups=3), []
    folds = unlearned(training_set)
    monkeypatch.setattr(memory, "choose_strength", lambda kl: counts.append(kl.shape) or 0)
    validate_memory(training_set, folds, NEVER)
    rows = 1 + len(MARGINS)
    assert counts == [*((rows, len(fold.training)) for fold, _ in folds), (rows, 12)]


def test_a_sample_stands_for_all_items():
    """An item that stands for 100 competes with judged requests as 100 items do."""
    training_set = paraphrased()
    fold = unlearned(training_set)[0].fold
    keys = training_set.keys
    offset = np.zeros(len(keys.vectors), np.float32)
    offset[0] = np.log(100)
    sampled = training_set._replace(keys=keys._replace(offset=offset))
    whole = training_set._replace(keys=Keys(np.concatenate([keys.vectors, np.repeat(keys.vectors[:1], 99, axis=0)])))
    assert recall_requests(sampled, fold).plain == pytest.approx(recall_requests(whole, fold).plain, abs=1e-5)


def test_with_several_heads_the_plain_logits_are_those_of_the_first_alone():
    training_set = paraphrased()
    fold = unlearned(training_set)[0].fold
    first = np.where(np.arange(24) < 16, training_set.x, 0) * SHARPNESS
    recalled = recall_requests(training_set._replace(plain=first), fold)
    z = (first[fold.held_out] @ training_set.keys.vectors.T).astype(np.float64)
    assert recalled.plain == pytest.approx(np.log(np.exp(z).sum(axis=1)), abs=1e-4)
    assert recalled.cosines == pytest.approx(recall_requests(training_set, fold).cosines)


def test_a_query_recalls_what_training_measured(world):
    """The weights of all items, by what each of two requests is to recall, are those of the road."""
    index, judged = world
    training_set, requests = gather_examples(index, judged[:20])[:2]
    fold = Fold(0, np.arange(2), np.arange(2, 20))
    recall = recall_at(len(MARGINS))
    z = item_logits(training_set.keys, training_set.x[:2])
    logits = (
        recall_requests(training_set, fold)
        .mass(recall, careful_recall(index.info.sha256))
        .raise_logits(z)
        .astype(np.float64)
    )
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    others = requests[2:]
    remembered = Remembered(
        [request.query for request in others], training_set.x[2:], [request.grades for request in others], recall
    )
    info = index.info
    learned = Learned(info.model, info.sha256, None, None, memory=remembered, identity=info.identity)
    weights = weigh_items(index, [request.query for request in requests[:2]], Setting(learned=learned))
    assert weights == pytest.approx(expected, abs=1e-6)
    plain = weigh_items(index, [request.query for request in requests[:2]], Setting(untrained=True))
    assert np.abs(weights - plain).max() > 0.01
