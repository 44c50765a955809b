"""What every engine answers, on whatever threads, processes or machines: the same as one does by hand in float64.

An engine joins by its name in `ENGINES`: a function from the fixtures, a store and a cut to the engine.
"""

from __future__ import annotations

import pickle
from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsearch.attention.softmax import State
from attnsearch.cluster.part import answer
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut, cut_pieces
from attnsearch.engines.scan import Scan
from attnsearch.postgres.engine import PostgresEngine
from tests.engines.made import DiskStore, Scene, by_hand, make_bias
from tests.engines.test_groups import check_groups, oracle, oracle_score

D = 16
CUTS = [Cut(), Cut(piece=7, block=3)]
SCALES = {"τ=.05": 20.0, "τ=.005": 200.0}


def ask_here(tasks):
    """Each task as another process gets it, which has nothing but its bytes."""
    return [pickle.loads(pickle.dumps(answer(pickle.loads(pickle.dumps(task))))) for task in tasks]


ENGINES = {
    "local": lambda _, store, cut: LocalEngine(store, cut),
    "parts": lambda _, store, cut: RemoteEngine(store, ask_here, cut=cut),
    "local:3": lambda request, store, cut: RemoteEngine(store, request.getfixturevalue("cluster").ask, cut=cut),
    "postgres": lambda request, store, cut: PostgresEngine(request.getfixturevalue("in_postgres")(store), cut),
}
SLOW = {"local:3"}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in ENGINES])
def engine_of(request):
    """A function from a store and a cut to the engine."""
    return partial(ENGINES[request.param], request)


def keys_of(n: int, kind: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys (n, d), of which some are equal, some dead, and if the kind is "long" some passages of one item."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, D), np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[rng.permutation(n)[: n // 4]] = x[:4].repeat(-(-n // 16), axis=0)[: n // 4]
    joined = (rng.random(n) < 0.4) & (np.arange(n) > 0) if kind == "long" else np.zeros(n, bool)
    joined[:: max(n // 5, 1)] = False
    first = np.maximum.accumulate(np.where(joined, 0, np.arange(n)))
    return x, (rng.random(n) < 0.1)[first], joined


@pytest.fixture(params=["short", "long"], scope="module")
def store(request, tmp_path_factory):
    """A hundred keys and a half in five segments; in one of the two stores, some items have several keys."""
    x, dead, joined = keys_of(150, request.param)
    splits = [n for n in (30, 60, 90, 120) if not joined[n]]
    return DiskStore(tmp_path_factory.mktemp("made"), x, dead, joined, splits)


def queries(m: int, scale: float, seed: int = 1) -> np.ndarray:
    q = np.random.default_rng(seed).standard_normal((m, D), np.float32)
    return q / np.linalg.norm(q, axis=1, keepdims=True) * np.float32(scale)


def check(scene: Scene, engine, k: int, scale: float) -> None:
    states = engine.attend(scene.q, scene.plain, k=k, output=True, bias=scene.bias)
    close = 2e-7 * scale  # a logit of float32 is no nearer
    for state, expected in (
        (states.attention, by_hand(scene)),
        (states.plain, by_hand(scene, is_plain=True)),
    ):
        for row, truth in enumerate(expected):
            assert state.visible[row] == len(truth.keys)
            if truth.keys:
                assert state.log_normalizer()[row] == pytest.approx(truth.log_normalizer, abs=close)
                assert state.entropy()[row] == pytest.approx(truth.entropy, abs=10 * close)
            else:
                assert state.log_normalizer()[row] == -np.inf
    attention, weights = states.attention, states.attention.weights()
    for row, truth in enumerate(by_hand(scene)):
        shown = attention.top_logits[row] > -np.inf
        assert attention.top_keys[row][shown].tolist() == truth.keys[:k]
        logits = [truth.z[key] for key in truth.keys[:k]]
        assert attention.top_logits[row][shown].tolist() == pytest.approx(logits, abs=close)
        assert weights[row][shown].tolist() == pytest.approx(
            [np.exp(z - truth.log_normalizer) for z in logits], abs=close
        )
        if truth.keys:
            assert attention.mean_value()[row] == pytest.approx(truth.output, abs=close)
    again, z = engine.logits(scene.q, scene.plain, output=True, bias=scene.bias)
    assert z.dtype == np.float32
    for row, truth in enumerate(by_hand(scene)):
        assert np.flatnonzero(z[row] > -np.inf).tolist() == sorted(truth.z)
        assert z[row][sorted(truth.z)].tolist() == pytest.approx([truth.z[key] for key in sorted(truth.z)], abs=close)
    assert again.attention.log_normalizer() == pytest.approx(states.attention.log_normalizer(), abs=close)


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("share", [None, 0, 0.01, 0.5, 1])
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_masks_and_temperatures(engine_of, store, cut, share, scale):
    bias = None if share is None else make_bias(store, 1, share)
    check(Scene(store, queries(1, scale), None, bias), engine_of(store, cut), 10, scale)


@pytest.mark.parametrize("kinds", ["terms", "priors", "terms and priors"])
@pytest.mark.parametrize("m", [1, 100])
def test_bias_and_a_learned_query(engine_of, store, m, kinds):
    """Queries that were folded by a learned W_Q, plain ones beside them, terms and priors."""
    scene = Scene(store, queries(m, 20), queries(m, 20, seed=2), make_bias(store, m, 0.5, kinds))
    check(scene, engine_of(store, Cut(piece=40, block=16)), 10, 30)


@pytest.mark.parametrize("m", [1, 9, 100])
@pytest.mark.parametrize("k", [0, 1, 400])
def test_more_keys_than_there_are(engine_of, store, m, k):
    engine = engine_of(store, Cut(piece=40, block=16))
    check(Scene(store, queries(m, 20), None, None), engine, k, 20)


@pytest.mark.parametrize("m", [1, 100])
def test_ties_across_segments_rank_by_position(engine_of, tmp_path, m):
    x = np.tile(queries(3, 1), (20, 1))
    none = np.zeros(60, bool)
    store = DiskStore(tmp_path, x, none, none, [7, 8, 31])
    top = engine_of(store, Cut(piece=10, block=4)).attend(queries(m, 20, 5), k=60).attention
    for row, query in enumerate(queries(m, 20, 5)):
        z = np.array([np.vecdot(query, key) for key in x])
        assert top.top_keys[row].tolist() == np.argsort(-z, kind="stable").tolist()
        assert len({*top.top_logits[row].tolist()}) == 3


@pytest.mark.parametrize("m", [1, 9, 100])
@pytest.mark.parametrize("kinds", ["", "terms and priors"])
def test_every_engine_gives_the_same_bits(store, monkeypatch, m, kinds):
    """Whatever the number of threads, and each time."""
    cut, bias = Cut(piece=40, block=16), make_bias(store, m, 0.7, kinds)
    answers = []
    for threads in (1, 2, 7):
        monkeypatch.setattr("attnsearch.threads.count", lambda threads=threads: threads)
        for engine in (LocalEngine(store, cut), RemoteEngine(store, ask_here, cut=cut)):
            for _ in range(3):
                states = engine.attend(queries(m, 20), queries(m, 9), k=5, output=True, bias=bias)
                answers.append((states.attention, states.plain))
    for both in answers[1:]:
        for state, first in zip(both, answers[0], strict=True):
            for name, array in state._asdict().items():
                assert np.array_equal(array, getattr(first, name)), name


@settings(max_examples=60)
@given(st.data())
def test_any_grouping_in_any_order(store, data):
    """States of disjoint pieces merge to that of all, however they are grouped and in whatever order they come."""
    scan = Scan(queries(2, 20), None, k=7, output=True, bias=None)
    pieces = data.draw(st.permutations(list(cut_pieces(store.segments, data.draw(st.integers(1, 60))))))
    states = [scan.attend(store.block(*piece)).attention for piece in pieces]
    while len(states) > 1:
        number = data.draw(st.integers(0, len(states) - 2))
        states[number : number + 2] = [State.merge(*states[number : number + 2])]
    for row, truth in enumerate(by_hand(Scene(store, queries(2, 20), None, None))):
        assert states[0].top_keys[row].tolist() == truth.keys[:7]
        assert states[0].log_normalizer()[row] == pytest.approx(truth.log_normalizer, abs=4e-6)
        assert states[0].mean_value()[row] == pytest.approx(truth.output, abs=4e-6)


def test_an_empty_catalog(engine_of, tmp_path):
    store = DiskStore(tmp_path, np.empty((0, D), np.float32), np.empty(0, bool), np.empty(0, bool), [])
    states, z = engine_of(store, Cut()).logits(queries(2, 20))
    assert states.attention.visible.tolist() == [0, 0]
    assert z.shape == (2, 0)
    assert engine_of(store, Cut()).measure_covariance().size == 0
    assert engine_of(store, Cut()).project(np.eye(2, D)).shape == (0, 2)


def items_of(store, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The living items in some order: the first key of each, and how many it has."""
    firsts = np.arange(store.size) if store.first_keys is None else store.first_keys
    first_keys, counts = np.unique(firsts[store.living()], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(first_keys))[: -len(first_keys) // 10]
    return first_keys[order], counts[order]


def edge_of(store, first_keys, counts) -> float:
    """A score that some pairs of items have, to the last digit."""
    x = [store.embeddings(np.arange(first, first + count)) for first, count in zip(first_keys, counts, strict=True)]
    scores = sorted({round(oracle_score(x[i], x[j]), 6) for i in range(len(x)) for j in range(i)})
    return scores[len(scores) * 9 // 10]


@pytest.mark.parametrize("cut", [*CUTS, Cut(piece=40, block=16, pairs=13)], ids=str)
def test_groups(engine_of, store, cut):
    first_keys, counts = items_of(store)
    x = [store.embeddings(np.arange(first, first + count)) for first, count in zip(first_keys, counts, strict=True)]
    for min_score in (0.97, 0.5, edge_of(store, first_keys, counts) + 5e-7):
        groups = engine_of(store, cut).group_items(first_keys, counts, min_score)
        leader, scores = oracle(x, min_score)
        check_groups(groups, leader, scores, min_score)
    assert 1 < len(set(leader)) < len(x)


def test_groups_on_an_edge_are_the_same(engine_of, store):
    """Where rounding decides who is near, all engines round alike, however the work is cut."""
    first_keys, counts = items_of(store)
    edge = edge_of(store, first_keys, counts)
    expected = LocalEngine(store).group_items(first_keys, counts, edge)
    for pairs in (13, 50):
        groups = engine_of(store, Cut(piece=40, pairs=pairs)).group_items(first_keys, counts, edge)
        assert np.array_equal(groups.leader, expected.leader)
        assert np.array_equal(groups.score, expected.score)


def test_each_pair_of_items_is_compared_once(store):
    compared = Counter()

    def ask(tasks):
        for task in tasks:
            leaders = task["leaders"][0].tolist()
            assert task["items"][0].size <= 30
            assert len(leaders) <= 40
            pairs = [(i, j) for i in task["items"][0].tolist() for j in leaders if j < i]
            compared.update(pairs)
        return ask_here(tasks)

    first_keys, counts = items_of(store)
    groups = RemoteEngine(store, ask, cut=Cut(piece=40, pairs=10)).group_items(first_keys, counts, 0.97)
    assert set(compared.values()) == {1}
    leaders = sorted(set(groups.leader.tolist()))
    assert {*compared} >= {(i, j) for i in range(len(first_keys)) for j in leaders if j < i}


def test_groups_of_nothing(engine_of, store):
    none = np.empty(0, np.int64)
    assert len(engine_of(store, Cut()).group_items(none, none, 0.5).leader) == 0


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_covariance_and_projection(engine_of, store, cut):
    x = np.concatenate([np.asarray(part, np.float64) for part in store._x])
    numbers = store.living()  # what a projection has for other numbers is for nobody
    living = x[numbers]
    engine = engine_of(store, cut)
    covariance = engine.measure_covariance()
    assert covariance.size == len(living)
    assert covariance.mean == pytest.approx(living.mean(axis=0), abs=1e-15)
    assert covariance.scatter / len(living) == pytest.approx(np.cov(living.T, bias=True), abs=1e-15)
    axes = np.linalg.qr(np.random.default_rng(4).standard_normal((D, 2)))[0].T
    points = engine.project(axes)
    assert points[numbers] == pytest.approx(living @ axes.T, abs=1e-15)
    alone = LocalEngine(store, cut)
    assert np.array_equal(covariance.scatter, alone.measure_covariance().scatter)
    assert np.array_equal(points[numbers], alone.project(axes)[numbers])


def test_a_projection_of_keys_of_which_some_numbers_are_unused(engine_of, tmp_path):
    store = DiskStore(tmp_path, *keys_of(60, "short"), [20, 40])
    store.segments[1:] = [segment._replace(first=segment.first + 15) for segment in store.segments[1:]]
    points = engine_of(store, Cut()).project(np.eye(2, D))
    assert points.shape == (75, 2)
    assert not points[20:35].any()
    numbers = store.living()
    x = np.concatenate(store._x)[np.where(numbers < 20, numbers, numbers - 15)]
    assert np.array_equal(points[numbers], x[:, :2].astype(np.float64))
