"""What judged requests teach, with an encoder that a person can compute by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.errors import InputError
from attnsearch.indexing.update import update
from attnsearch.learning import examples
from attnsearch.learning.bilinear import item_logits
from attnsearch.learning.examples import gather_examples
from attnsearch.opening.index import Index
from attnsearch.sources.judgments import Judged


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "world: no judged requests; judge results with 'attnsearch feedback', or give a file of judgments"),
        ([Judged("moon", {"nowhere": 1.0})], "world: none of the 1 judged ids is in the catalog; name the catalog"),
        ([Judged("moon", {})], "world: no judged request has a right item in the catalog; judge results with"),
        ([Judged("moon", {"nowhere": 1.0, "3-0-0": 0.0})], "world: no judged request has a right item in the catalog"),
    ],
)
def test_no_usable_request(world, requests, message):
    index, _ = world
    with pytest.raises(InputError) as error:
        gather_examples(index, requests)
    assert str(error.value).startswith(message)


def test_unknown_items_are_missed_and_teach_nothing(world, caplog):
    index, _ = world
    gathered = gather_examples(index, [Judged("moon", {"3-0-0": 1.0, "nowhere": 1.0}), Judged("sea", {"gone": 1.0})])
    assert gathered.unknown_ids == 2
    assert [request.query for request in gathered.requests] == ["moon"]
    right, missing = gathered.training_set.graded[0].items
    assert (index.store.items_at([gathered.first_keys[right]])[0].item.id, missing) == ("3-0-0", -1)
    assert gathered.training_set.targets.shares.tolist() == [1.0]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "world: 2 of 3 judged ids are not in the catalog, such as 'nowhere'; they teach nothing"
    ]


def test_what_is_wrong_leaves_its_share_to_the_others(world):
    index, _ = world
    gathered = gather_examples(index, [Judged("moon", {"3-0-0": 0.0})])
    targets = gathered.training_set.targets
    assert targets.shares.sum() == pytest.approx(1)
    wrong = int(gathered.training_set.graded[0].items[0])
    assert wrong not in targets.items
    z = index.store.embeddings(gathered.first_keys.tolist()) @ gathered.training_set.x[0] / 0.05
    z[wrong] = -np.inf
    untrained = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    assert np.allclose(targets.shares, untrained[targets.items], atol=1e-5)


def test_a_request_that_finds_every_item_wrong_teaches_nothing(write, small):
    update([str(write("pair.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n"))])
    with Index.open("pair") as index:
        all_wrong, one_right = Judged("moon", {"a": 0.0, "b": 0.0}), Judged("sea", {"b": 1.0})
        assert gather_examples(index, [all_wrong, one_right]).requests == [one_right]
        with pytest.raises(InputError, match="pair: no judged request has a right item in the catalog"):
            gather_examples(index, [all_wrong])


def test_of_a_large_catalog_a_sample_stands_for_the_rest(world, monkeypatch):
    """The normalizer of a sample is about that of all, and what was judged is always there."""
    index, judged = world
    whole = gather_examples(index, judged[:3])
    monkeypatch.setattr(examples, "NEAREST", 2)
    monkeypatch.setattr(examples, "MOST_KEYS", 24)
    totals = []
    for seed in range(200):
        part = gather_examples(index, judged[:3], seed)
        assert part.sampled
        assert len(part.first_keys) < len(whole.first_keys)
        keys, x, *_ = part.training_set
        totals.append(np.exp(item_logits(keys, x) + keys.offset).sum(axis=1))
    exact = np.exp(item_logits(whole.training_set.keys, whole.training_set.x)).sum(axis=1)
    assert np.allclose(np.mean(totals, axis=0), exact, rtol=0.1)


def test_a_large_catalog_that_was_judged_whole_needs_no_sample(world, monkeypatch):
    """Nothing is left to stand for; numpy would warn of the logarithm of nothing."""
    index, _ = world
    monkeypatch.setattr(examples, "MOST_KEYS", 24)
    items = [item for _, item in index.store.items()]
    gathered = gather_examples(index, [Judged(item.title, {item.id: 1.0}) for item in items])
    assert len(gathered.first_keys) == len(items)
    assert gathered.training_set.keys.offset.tolist() == [0.0] * len(items)
