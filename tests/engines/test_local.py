"""The local engine against plain loops in float64, however its keys are split."""

from __future__ import annotations

import json
import math
import zlib
from typing import NamedTuple

import numpy as np
import pytest

from attnsearch.encoding import loading
from attnsearch.engines.bias import Bias, WeightedTerm
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings.terms import Term
from tests.conftest import SmallEncoder

D = 8
CLOSE = 1e-4  # logits are some 15 at most: float32 is off by 3e-6

SIZES = [
    {},
    {"block": 1},
    {"block": 7, "parts": 3, "piece": 11},
    {"budget": 1, "piece": 1},
    {"block": 5, "budget": 40, "parts": 30, "piece": 8},
    {"parts": 1, "piece": 20},
]


class Directions(SmallEncoder):
    """Each text in a direction of its own; no two logits are equal unless the texts are."""

    window = 6

    def encode(self, texts, role="key", progress=None):
        x = np.array([np.random.default_rng(zlib.crc32(text.encode())).normal(size=D) for text in texts], np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(params=["short", "long"], scope="module")
def store(request, tmp_path_factory):
    """Forty items in two segments, some removed, some equal; in one of the two catalogs some have several keys."""
    folder = tmp_path_factory.mktemp("local")
    items = [{"id": f"{n}", "title": f"title {n % 11}"} for n in range(40)]
    if request.param == "long":
        for item in items[::4]:
            item["description"] = " ".join(f"word{item['id']}and{n}" for n in range(15))
    encoder = Directions()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSEARCH_HOME", str(folder / "home"))
        patch.setattr(loading, "load", lambda name=None, **options: encoder)
        path = folder / "x.json"
        path.write_text(json.dumps(items[:30]))
        update([str(path)])
        path.write_text(json.dumps([item for item in items if int(item["id"]) % 9 != 2]))
        update([str(path)])
        index = Index.open("x")
    with index:
        assert index.store.dead
        assert len(index.store.segments) == 2
        assert (index.store.first_keys is None) == (request.param == "short")
        yield index.store


@pytest.fixture(autouse=True)
def _four_threads(monkeypatch):
    monkeypatch.setattr("attnsearch.threads.count", lambda: 4)


def first_keys(store) -> np.ndarray:
    first_keys = np.arange(store.size) if store.first_keys is None else store.first_keys
    return np.unique(first_keys[store.living()])


def bias_of(store, kind: str, m: int) -> Bias | None:
    """A bias of `m` queries: a mask that hides most, or few; terms, priors, or all of it."""
    if kind == "none":
        return None
    rng = np.random.default_rng(3)
    firsts = first_keys(store)
    visible = np.zeros(store.size, bool)
    visible[firsts[::3] if "few" in kind else firsts[:-5]] = True
    if "one" in kind:
        visible[:] = False
        visible[firsts[7]] = True
    terms: list[dict[str, WeightedTerm]] = [{} for _ in range(m)]
    if "terms" in kind:
        for row in range(0, m, 2):
            for word in ("moon", "sea"):
                keys = np.sort(rng.choice(firsts, 12, replace=False)).astype(np.uint32)
                terms[row][word] = WeightedTerm(Term(keys, rng.uniform(0, 4, 12).astype(np.float32)), 0.5 + row)
    prior = np.zeros(store.size, np.float32)
    prior[firsts] = rng.uniform(-1, 1, len(firsts))
    priors = {"year": prior} if "priors" in kind else {}
    return Bias(store.first_keys, visible if "mask" in kind else None, terms, priors)


class Expected(NamedTuple):
    """For one query: the logit, and the plain logit, of each item's best key, by that key."""

    z: dict[int, float]
    plain: dict[int, float]


def by_loops(store, q, plain, bias: Bias | None) -> list[Expected]:
    x = store.embeddings(range(store.size)).astype(np.float64).tolist()
    first_keys = np.arange(store.size) if store.first_keys is None else store.first_keys
    keys_of: dict[int, list[int]] = {}
    for key in store.living().tolist():
        keys_of.setdefault(int(first_keys[key]), []).append(key)
    expected = []
    for row, (query, plain_query) in enumerate(zip(q, q if plain is None else plain, strict=True)):
        logits: dict[int, float] = {}
        plain_logits: dict[int, float] = {}
        for head, keys in keys_of.items():
            if bias and bias.visible is not None and not bias.visible[head]:
                continue
            added = 0.0
            if bias:
                added += sum(float(prior[head]) for prior in bias.priors.values())
                for term, weight in bias.terms[row].values():
                    scores = dict(zip(term.keys.tolist(), term.scores.tolist(), strict=True))
                    added += weight * scores.get(head, 0.0)
            for vector, best, bonus in ((query, logits, added), (plain_query, plain_logits, 0.0)):
                dots = [sum(a * b for a, b in zip(vector.tolist(), x[key], strict=True)) for key in keys]
                best[keys[dots.index(max(dots))]] = max(dots) + bonus
        expected.append(Expected(logits, plain_logits))
    return expected


def check_sums(state, row: int, z: dict[int, float]) -> None:
    """Everything of a state but its top, against the logits of all keys."""
    total = sum(math.exp(logit) for logit in z.values())
    shares = [math.exp(logit) / total for logit in z.values()]
    assert state.visible[row] == len(z)
    assert state.maximum[row] == pytest.approx(max(z.values()), abs=CLOSE)
    assert state.log_normalizer()[row] == pytest.approx(math.log(total), abs=CLOSE)
    assert state.entropy()[row] == pytest.approx(-sum(p * math.log(p) for p in shares), abs=CLOSE)


def queries(m: int) -> np.ndarray:
    return np.random.default_rng(m).normal(scale=2, size=(m, D)).astype(np.float32)


KINDS = ["none", "mask", "mask few", "mask one", "terms", "priors", "mask terms priors", "mask few terms"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [False, True], ids=["plain is q", "plain given"])
def test_attend(store, kind, given):
    q, plain = queries(3), queries(3)[::-1] * 0.5 if given else None
    bias = bias_of(store, kind, 3)
    x = store.embeddings(range(store.size)).astype(np.float64)
    expected = by_loops(store, q, plain, bias)
    for sizes in SIZES:
        states = LocalEngine(store, Cut(**sizes)).attend(q, plain, k=5, output=True, bias=bias)
        for row, (z, z_plain) in enumerate(expected):
            check_sums(states.attention, row, z)
            check_sums(states.plain, row, z_plain)
            ranked = sorted(z, key=lambda key, z=z: (-z[key], key))[:5]
            top = states.attention.top_logits[row]
            assert states.attention.top_keys[row][: len(ranked)].tolist() == ranked
            assert top[: len(ranked)] == pytest.approx([z[key] for key in ranked], abs=CLOSE)
            assert np.isneginf(top[len(ranked) :]).all()
            total = sum(math.exp(logit) for logit in z.values())
            mean = sum(math.exp(logit) / total * x[key] for key, logit in z.items())
            assert states.attention.mean_value()[row] == pytest.approx(mean, abs=CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [False, True], ids=["plain is q", "plain given"])
def test_logits(store, kind, given):
    """One for each item that is visible, at its best key; -inf for all other keys."""
    q, plain = queries(3), queries(3)[::-1] * 0.5 if given else None
    bias = bias_of(store, kind, 3)
    expected = by_loops(store, q, plain, bias)
    for sizes in SIZES:
        states, every_logit = LocalEngine(store, Cut(**sizes)).logits(q, plain, bias=bias)
        assert every_logit.shape == (3, store.size)
        assert every_logit.dtype == np.float32
        for row, (z, z_plain) in enumerate(expected):
            assert np.flatnonzero(every_logit[row] > -np.inf).tolist() == sorted(z)
            assert every_logit[row][sorted(z)] == pytest.approx([z[key] for key in sorted(z)], abs=CLOSE)
            check_sums(states.attention, row, z)
            check_sums(states.plain, row, z_plain)
        assert states.attention.top_keys.shape == (3, 0)
        assert states.attention.output is None


def test_many_queries(store):
    """More than are compared by dot products."""
    q, plain = queries(20), queries(20)[::-1]
    bias = bias_of(store, "mask terms priors", 20)
    states = LocalEngine(store, Cut(piece=20, block=9)).attend(q, plain, k=99, bias=bias)
    for row, (z, z_plain) in enumerate(by_loops(store, q, plain, bias)):
        check_sums(states.attention, row, z)
        check_sums(states.plain, row, z_plain)
        top = zip(states.attention.top_keys[row].tolist(), states.attention.top_logits[row].tolist(), strict=True)
        assert {key: logit for key, logit in top if logit > -math.inf} == pytest.approx(z, abs=CLOSE)


@pytest.mark.parametrize("kind", ["none", "mask", "mask terms priors"])
def test_plain_is_q_unless_it_is_given(store, kind):
    """Without the bias, but with the mask."""
    q, bias = queries(3), bias_of(store, kind, 3)
    engine = LocalEngine(store)
    left_out, given = engine.attend(q, bias=bias), engine.attend(q, q, bias=bias)
    for state, peer in ((left_out.attention, given.attention), (left_out.plain, given.plain)):
        assert state.visible.tolist() == peer.visible.tolist()
        for name in ("maximum", "total", "moment"):
            assert getattr(state, name) == pytest.approx(getattr(peer, name), rel=1e-4)


def test_nothing_is_visible(store):
    bias = Bias(store.first_keys, np.zeros(store.size, bool), [{}], {})
    engine = LocalEngine(store)
    state = engine.attend(queries(1), k=3, output=True, bias=bias).attention
    assert (state.visible.tolist(), state.maximum.tolist(), state.total.tolist()) == ([0], [-np.inf], [0])
    assert not np.isfinite(state.top_logits).any()
    states, every_logit = engine.logits(queries(1), bias=bias)
    assert np.isneginf(every_logit).all()
    assert states.plain.visible.tolist() == [0]


def test_without_k_and_output(store):
    state = LocalEngine(store).attend(queries(2)).attention
    assert state.top_keys.shape == (2, 0)
    assert state.output is None
