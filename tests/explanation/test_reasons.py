"""Sums by hand, by property, and of the real model."""

from __future__ import annotations

import json
import math
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.attention.projections import Projections, identity
from attnsearch.encoding import loading
from attnsearch.engines.bias import Added as Bias
from attnsearch.errors import InputError
from attnsearch.explanation import reasons
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from tests.conftest import SmallEncoder

DISHES = ["lentil soup", "bread with olives and thyme", "pancakes", "tofu and ginger", "roast chicken", "white beans"]
ITEMS = "- {id: m, title: moon}\n- {id: ms, title: Moon and sea}\n- {id: r, title: robot}\n- {id: r2, title: robot}\n"


@pytest.fixture
def index(write, small):
    update([str(write("x.yaml", ITEMS))])
    with Index.open("x") as opened:
        yield opened


def explained(index, text, setting=None, **options):
    (result,) = reasons.explain_hits(index, search(index, [text], setting or Setting(), trace=True, **options))
    return result


def shares(told):
    return {word.word: pytest.approx(word.share, abs=1e-6) for word in told.words}


def total(told):
    return sum(word.share for word in told.words) + told.marks


EXACT = 1e-9  # logits: sums of a few dozen float64 numbers are off by 1e-14
LOST = 2e-4  # logits: float32 loses up to 1.1e-5 of 1/τ = 20, by the processor's kernel; bfloat16 a hundred times that


def check_sums(hit, why, lost=LOST):
    """The parts add up to the logit that is shown, whatever rounding is; and rounding is small."""
    assert why.semantic + sum(why.lexical.values()) + sum(why.prior.values()) == pytest.approx(hit.logit, abs=EXACT)
    for side in (why.query, why.item):
        assert total(side) + side.rounding == pytest.approx(why.semantic, abs=EXACT)
        assert abs(side.rounding) < lost


def test_by_hand(index):
    """τ = 1/4, so logits are four cosines; "Moon and sea" is (1, 1, 0, 1)/√3, and "moon sea" (1, 1, 0, 0)/√2."""
    result = explained(index, "moon sea", Setting(identity(4, 0.25)), k=2)
    why = dict(zip([hit.id for hit in result.hits], result.whys, strict=True))
    each = 4 / math.sqrt(6)
    assert shares(why["ms"].query) == {"moon": each, "sea": each}
    assert shares(why["ms"].item) == {"Moon": each, "and": 0, "sea": each}
    assert why["ms"].semantic == pytest.approx(2 * each)
    assert shares(why["m"].query) == {"moon": 4 / math.sqrt(2), "sea": 0}
    assert why["m"].item.text == "moon"
    assert (why["m"].lexical, why["m"].prior) == ({}, {})


def test_only_with_a_trace(index):
    with pytest.raises(InputError, match="without a trace"):
        reasons.explain_hits(index, search(index, ["moon"]))


def test_hits_that_are_left_out(index):
    """Keys stay with their hits when a limit takes others away."""
    result = explained(index, "sea", min_score=0.1)
    assert [hit.id for hit in result.hits] == ["ms"]
    assert [why.item.text for why in result.whys] == ["Moon and sea"]
    assert reasons.explain_hits(index, search(index, ["sea"], trace=True, min_score=1.0))[0].whys == []


def test_each_key_is_read_once(index, small, monkeypatch):
    read = []
    monkeypatch.setattr(reasons, "BATCH", 2)
    monkeypatch.setattr(small, "pieces", lambda texts, role="key": read.append(texts) or [None] * len(texts))
    asked = search(index, ["moon", "sea", "robot"], trace=True)
    results = reasons.explain_hits(index, asked)
    assert sorted(text for texts in read[:2] for text in texts) == ["Moon and sea", "moon", "robot", "robot"]
    assert read[2] == ["moon", "sea", "robot"]
    assert len(read) == 3
    for result in results:
        assert [(why.query, why.item) for why in result.whys] == [(None, None)] * 4
        for hit, why in zip(result.hits, result.whys, strict=True):
            assert why.semantic == hit.logit


WORDS = st.lists(st.sampled_from(["moon", "Sea", "robot,", "and", "the"]), min_size=1, max_size=6).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=5), WORDS, st.integers(0, 9))
def test_all_sums_are_the_logit(tmp_path_factory, texts, text, seed):
    """With any matrices, whatever the words."""
    rng = np.random.default_rng(seed)
    w_q, w_k = rng.normal(size=(2, 4, 3)).astype(np.float32)
    setting = Setting(Projections(w_q, w_k, np.eye(4, dtype=np.float32), 0.05))
    home = tmp_path_factory.mktemp("home")
    (home / "x.json").write_text(json.dumps([{"id": str(n), "title": one} for n, one in enumerate(texts)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSEARCH_HOME", str(home))
        patch.setattr(loading, "load", lambda name=None, **how: SmallEncoder())
        update([str(home / "x.json")])
        with Index.open("x") as index:
            result = explained(index, text, setting)
    assert len(result.hits) == len(texts)
    for hit, why in zip(result.hits, result.whys, strict=True):
        check_sums(hit, why)


def test_what_a_stored_vector_lost_has_a_name(index, small, monkeypatch):
    """An encoder whose vectors are one per cent longer than those that were stored."""
    exact = small.pieces
    monkeypatch.setattr(
        small, "pieces", lambda texts, role="key": [one._replace(vectors=one.vectors * 1.01) for one in exact(texts)]
    )
    (why,) = explained(index, "moon", k=1).whys
    assert why.semantic == pytest.approx(20)
    assert (total(why.item), why.item.rounding) == (pytest.approx(20.2), pytest.approx(-0.2))


def test_later_passages_are_read_with_their_title(write, small):
    text = f"{'filler ' * 120}sea {'filler ' * 40}moon"
    update([str(write("x.json", json.dumps([{"id": "a", "title": "tide", "description": text}])))])
    with Index.open("x") as index:
        (hit,), (why,) = (result := explained(index, "moon")).hits, result.whys
        assert index.store.keys_of(["a"])["a"] == [0, 1]
    assert why.item.text == f"tide. {hit.passage}"
    assert why.item.text in small.read
    assert why.item.words[0].word == "tide"
    assert [word.word for word in why.item.words if word.share] == ["moon"]
    check_sums(hit, why)


def test_terms_and_priors_are_parts(write, small):
    """The road's own biases: BM25 of the word, and the rank of the price, 3 of 1 and 3 being above half of them."""
    items = "- {id: a, title: moon sea, price: 1}\n- {id: b, title: sea sea, price: 3}\n- {id: c, title: robot}\n"
    update([str(write("x.yaml", items))])
    setting = Setting(identity(4, 0.25), lexical=0.5, priors={"price": 2.0})
    with Index.open("x") as index:
        result = explained(index, "moon", setting)
        chosen = reasons.explain_hits(index, [rank_items(index, "moon", setting, ["a", "b", "c"])])[0]
    why = dict(zip([hit.id for hit in result.hits], result.whys, strict=True))
    assert list(why["a"].lexical) == ["moon"]
    assert why["a"].lexical["moon"] > 0
    assert [dict(why[ident].prior) for ident in "abc"] == [{"price": -0.5}, {"price": 0.5}, {"price": 0}]
    assert (why["b"].lexical, why["c"].lexical) == ({}, {})
    for hit, reason in [*zip(result.hits, result.whys, strict=True), *zip(chosen.hits, chosen.whys, strict=True)]:
        check_sums(hit, reason)
    assert [reason.lexical for reason in chosen.whys] == [why[ident].lexical for ident in "abc"]
    assert [hit.logit for hit in chosen.hits] == sorted(hit.logit for hit in result.hits)[::-1]


class TestCompare:
    def test_by_hand(self, index):
        """Of "moon sea", moon alone has 4/√2 for one word; the item of three words 4/√6 for each of two."""
        (result,) = reasons.explain_hits(
            index, [rank_items(index, "moon sea", Setting(identity(4, 0.25)), ["m", "ms"])]
        )
        lead = reasons.compare_hits(result)
        parts = {(part.kind, part.name): part.difference for part in lead.parts}
        assert parts["word", "sea"] == pytest.approx(-4 / math.sqrt(6))
        assert parts["word", "moon"] == pytest.approx(4 / math.sqrt(2) - 4 / math.sqrt(6))
        assert lead.parts[0].name == "sea"
        assert lead.difference == pytest.approx(-0.4376, abs=1e-3)
        assert lead.difference == pytest.approx(sum(parts.values()), abs=EXACT)
        assert lead.ratio == pytest.approx(result.hits[0].weight / result.hits[1].weight, rel=1e-5)

    def test_terms_and_fields(self, index, small, monkeypatch):
        monkeypatch.setattr(small, "pieces", lambda texts, role="key": [None] * len(texts))
        result = rank_items(index, "moon sea", Setting(), ["m", "ms"])
        biases = [Bias({"moon": 0.5}, {"stars": -0.25}), Bias({"moon": 0.25, "sea": 2.0}, {})]
        hits = [
            hit._replace(logit=hit.logit + sum(bias.lexical.values()) + sum(bias.prior.values()))
            for hit, bias in zip(result.hits, biases, strict=True)
        ]
        (result,) = reasons.explain_hits(
            index, [result._replace(hits=hits, trace=result.trace._replace(biases=biases))]
        )
        lead = reasons.compare_hits(result)
        parts = {(part.kind, part.name): part.difference for part in lead.parts}
        assert parts.pop(("semantic", "")) == pytest.approx(result.whys[0].semantic - result.whys[1].semantic)
        assert parts == {("term", "moon"): 0.25, ("term", "sea"): -2.0, ("field", "stars"): -0.25}
        assert sum(part.difference for part in lead.parts) == pytest.approx(lead.difference, abs=EXACT)

    def test_a_ratio_beyond_all_floats(self, index):
        (result,) = reasons.explain_hits(index, [rank_items(index, "moon", Setting(identity(4, 1e-4)), ["m", "r"])])
        assert reasons.compare_hits(result).ratio is None


@pytest.mark.real
def test_a_thousand_queries_add_up():
    """Every hit of a built-in catalog: the parts, the query's words and the item's words are each the logit."""
    with Index.open("kitchen") as index:
        vocabulary = sorted({word for _, item in index.store.items() for word in re.findall(r"\w+", item.title)})
        choose = random.Random(4)
        asked = [" ".join(choose.sample(vocabulary, choose.randint(1, 8))) for _ in range(1000)]
        setting = Setting(lexical=0.3, priors={"minutes": 1.0})
        results = reasons.explain_hits(index, search(index, asked, setting, k=10, trace=True))
    hits = [(hit, why) for result in results for hit, why in zip(result.hits, result.whys, strict=True)]
    assert len(hits) == 10_000
    assert sum(len(why.lexical) for _, why in hits) > 1000
    for hit, why in hits:
        check_sums(hit, why)


@pytest.mark.real
def test_a_few_items_add_up(write):
    """Few enough for test_kernels, which asks for them once for each kernel."""
    items = "".join(f"- {{title: {title}, minutes: {len(title)}}}\n" for title in DISHES)
    update([str(write("x.yaml", items))])
    setting = Setting(lexical=0.3, priors={"minutes": 1.0})
    with Index.open("x") as index:
        results = reasons.explain_hits(
            index, search(index, ["beans", "soup for a cold day", *DISHES], setting, trace=True)
        )
    for result in results:
        assert len(result.hits) == len(DISHES)
        for hit, why in zip(result.hits, result.whys, strict=True):
            check_sums(hit, why)


@pytest.mark.real
def test_bfloat16_is_told_as_rounding(write):
    update(
        [str(write("x.yaml", "- {title: The moon and the sea, description: A tide table.}\n"))], precision="bfloat16"
    )
    with Index.open("x") as index:
        (why,) = (result := explained(index, "when is high water")).whys
    check_sums(*result.hits, why, lost=0.5)
    assert abs(why.query.rounding) < LOST < abs(why.item.rounding)
