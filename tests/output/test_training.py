from __future__ import annotations

import json
import math

import numpy as np
import pytest

from attnsearch.attention.memory import Recall
from attnsearch.attention.null_key import NullKey
from attnsearch.learning.acceptance import Gain, Verdict
from attnsearch.learning.calibration import LEAST_LEXICAL
from attnsearch.learning.training import Outcome
from attnsearch.output.training import conclusion, verdict, verdict_as_json
from attnsearch.storage.learned import Learned, Remembered

NDCG, KL = Gain(0.5, 0.75, 0.125, 0.375), Gain(2.0, 1.5, -0.75, -0.25)
BETTER = Verdict(60, NDCG, KL, accepted=True, reason="held-out requests are answered better beyond chance")
CHANCE = Verdict(60, NDCG, KL, accepted=False, reason="it may be chance", more_requests=127)
LEARNED = Learned(
    "small", "5" * 64, np.eye(4, dtype=np.float32), 0.05, story={"from": "30 judged requests", "pull": 1.0}
)
MEMORY = Remembered(["sour soup"], np.eye(1, 4, dtype=np.float32), [{"a": 1.0}], Recall(0.5, 0.05, -9.0, 0.1))


def test_the_table():
    assert verdict(Outcome(LEARNED, BETTER, 0)).splitlines() == [
        "held out                     untrained  trained  change  95% interval",
        "nDCG@10                      0.500      0.750    +0.250  +0.125 to +0.375",
        "KL to the right items, nats  2.000      1.500    -0.500  -0.750 to -0.250",
        "",
        "learned from 30 judged requests: W_Q; W_K = W_V = I. Held-out requests are answered better beyond chance.",
    ]


def test_few_requests_promise_only_an_interval():
    assert verdict(Outcome(LEARNED, BETTER._replace(requests=49), 0)).splitlines()[:3] == [
        "held out                     untrained  change, 95% interval",
        "nDCG@10                      0.500      +0.125 to +0.375",
        "KL to the right items, nats  2.000      -0.750 to -0.250",
    ]


@pytest.mark.parametrize(
    ("memory", "pull", "requests", "sentence"),
    [
        (BETTER, 1.0, 60, "Of the change in nDCG@10, +0.250 (+0.125 to +0.375) is from memory."),
        (BETTER, 1.0, 49, "Of the change in nDCG@10, +0.125 to +0.375 is from memory."),
        (BETTER, 0, 60, "Held-out requests are answered better beyond chance."),  # all of the change
        (CHANCE, 1.0, 60, "Memory stays as it was: it may be chance."),
    ],
)
def test_what_memory_gains_or_why_it_stays(memory, pull, requests, sentence):
    remembered = 30 if memory.accepted else 0
    learned = LEARNED._replace(story={**LEARNED.story, "pull": pull, "remembered": remembered}, memory=MEMORY)
    outcome = Outcome(learned, BETTER, 0, memory=memory._replace(requests=requests))
    text = conclusion(outcome, stored=True)
    assert text.endswith(sentence)
    assert ("a memory of 30 requests" in text) == memory.accepted
    fields = json.loads(verdict_as_json(outcome, "shop", stored=True))["memory"]
    assert (fields["requests"], fields["accepted"], fields["why"]) == (remembered, memory.accepted, memory.reason)
    assert fields["held_out"]["ndcg"]["change"] == 0.25
    assert fields["recall"] == (MEMORY.recall.as_dict() if memory.accepted else None)


def test_memory_that_is_forced_does_not_stay_as_it_was():
    learned = LEARNED._replace(story={**LEARNED.story, "remembered": 30}, memory=MEMORY)
    text = conclusion(Outcome(learned, BETTER, 0, memory=CHANCE), stored=True)
    assert text.endswith("Memory: it may be chance; --force keeps it anyway.")


@pytest.mark.parametrize("accepted", [True, False])
def test_shared_words(accepted):
    """A λ that counts from now on is no option to give."""
    words = BETTER._replace(accepted=accepted, ndcg=Gain(0.5, 0.75, 0.125, 0.375), requests=50)
    learned = LEARNED._replace(lexical=0.25, is_lexical=accepted)
    outcome = Outcome(learned, BETTER, 0, words=words)
    text = conclusion(outcome, stored=True)
    assert ("that shared words count (λ 0.25)" in text) == accepted
    assert ("Shared words add +0.250 (+0.125 to +0.375); --lexical 0 leaves them out" in text) == accepted
    assert ("--lexical 0.25" in text) != accepted
    fields = json.loads(verdict_as_json(outcome, "shop", stored=True))["words"]
    assert (fields["accepted"], fields["held_out"]["ndcg"]["change"]) == (accepted, 0.25)


def test_a_lambda_that_could_not_be_smaller_is_no_advice():
    learned = LEARNED._replace(lexical=LEAST_LEXICAL)
    assert "hardly help" in conclusion(Outcome(learned, BETTER, 0), stored=True)
    assert "hardly help" not in conclusion(Outcome(learned._replace(lexical=0.11), BETTER, 0), stored=True)


def test_what_rounds_to_zero_has_no_minus():
    held_out = CHANCE._replace(kl=Gain(2.0, 2.0, -0.0001, -0.0))
    assert "KL to the right items, nats  2.000      2.000    +0.000  +0.000 to +0.000" in verdict(
        Outcome(None, held_out, 0)
    )


def test_no_table_of_a_single_request():
    assert verdict(Outcome(None, CHANCE._replace(requests=1), 0)).startswith("nothing learned: it may be chance;")


@pytest.mark.parametrize(
    ("outcome", "stored", "sentence"),
    [
        (Outcome(None, CHANCE, 0), True,
         "nothing learned: it may be chance; some 200 more judged requests might show a gain."
         " --force learns anyway."),
        (Outcome(None, CHANCE._replace(more_requests=None), 0), True,
         "nothing learned: it may be chance. --force learns anyway."),
        (Outcome(LEARNED, CHANCE, 0), True,
         "learned from 30 judged requests: W_Q; W_K = W_V = I. It may be chance; --force keeps it anyway."),
        (Outcome(LEARNED._replace(temperature=0.125, lexical=0.5, null=NullKey(1.0, 2.0)), BETTER, 0), False,
         "would be learned from 30 judged requests: W_Q, temperature 0.125, --lexical 0.5, the null key;"
         " W_K = W_V = I. Held-out requests are answered better beyond chance."),
        (Outcome(LEARNED._replace(temperature=0.125, story={**LEARNED.story, "pull": None}), BETTER, 0), True,
         "learned from 30 judged requests: temperature 0.125; W_K = W_V = I."
         " Held-out requests are answered better beyond chance."),
    ],
)  # fmt: skip
def test_the_conclusion(outcome, stored, sentence):
    assert conclusion(outcome, stored=stored) == sentence


def test_json():
    nobody = Gain(math.nan, math.nan, math.nan, math.nan)
    fields = json.loads(verdict_as_json(Outcome(LEARNED, BETTER._replace(kl=nobody), 3), "shop", stored=True))
    assert list(fields) == ["schema", "catalog", "requests", "unknown_ids", "accepted", "why", "more", "held_out",
                            "temperature", "lexical", "null_key", "memory", "words", "stored"]  # fmt: skip
    assert (fields["catalog"], fields["unknown_ids"], fields["stored"]) == ("shop", 3, True)
    assert fields["held_out"]["ndcg"] == {"before": 0.5, "after": 0.75, "low": 0.125, "high": 0.375, "change": 0.25}
    assert set(fields["held_out"]["kl"].values()) == {None}
