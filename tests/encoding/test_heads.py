"""By property: one product of joined vectors is the weighted sum of each head's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.encoding.encoder import parts_of
from attnsearch.encoding.heads import HeadsEncoder, fill_weights, join, parse_choices, part
from attnsearch.errors import InputError
from attnsearch.models.record import Head, join_identities, parse_heads
from tests.conftest import SmallEncoder, VowelEncoder

HEADS = [["b", "2" * 64, "2" * 64, "x", 3, 0.25], ["c", "3" * 64, "3" * 64, "x", 2, 0.25]]


@pytest.fixture
def two():
    return HeadsEncoder([SmallEncoder("a"), VowelEncoder("b")], [0.75, 0.25])


@given(st.lists(st.floats(1e-4, 10), min_size=1, max_size=8), st.floats(1e-3, 10), st.integers(0, 9))
def test_a_product_over_tau_is_the_sum_of_cosines_over_each_tau(shares, tau, seed):
    rng = np.random.default_rng(seed)
    weights = [share / math.fsum(shares) for share in shares]
    blocks = [rng.standard_normal((2, 3)) for _ in weights]
    blocks = [(x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in blocks]
    q, k = join(blocks, weights).astype(np.float64)
    assert np.linalg.norm(q) == pytest.approx(1, abs=1e-6)
    logit = sum(float(x[0] @ x[1]) / (tau / weight) for x, weight in zip(blocks, weights, strict=True))
    assert q @ k / tau == pytest.approx(logit, rel=1e-5, abs=1e-5 / tau)
    for x, own in zip(part(join(blocks, weights), [3] * len(blocks)), blocks, strict=True):
        assert x == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "filled"),
    [([None], [0.5]), ([0.25], [0.25]), ([None, 0.4], [0.3, 0.4]), ([None] * 3, [0.25] * 3)],
)
def test_what_has_no_weight_counts_as_much_as_the_first(given, filled):
    assert fill_weights(given) == pytest.approx(filled)


@pytest.mark.parametrize("weights", [[0.6, 0.4], [0.9, 0.9], [0.5, None, 0.5], [0.5, 0.4995]])
def test_weights_that_leave_nothing(weights):
    with pytest.raises(InputError, match=r"the weights of the heads add up to (1|0\.9995)"):
        fill_weights(weights)


@pytest.mark.parametrize("weight", ["0", "1", "-1", "nan", "inf", "1e-300", "1e-80", "0.0009", "0.9999999999999999"])
def test_a_weight_so_small_that_digits_are_lost(weight):
    """The columns of a head with √a_h = 0 would be 0: without it, they have no direction."""
    with pytest.raises(InputError, match="invalid weight"):
        parse_choices([f"wordllama={weight}"])


def test_the_least_weights_can_be_stored():
    for text in ("0.001", "0.999"):
        ((_, weight),) = parse_choices([f"wordllama={text}"])
        (filled,) = fill_weights([weight])
        assert parse_heads([[*HEADS[0][:5], filled]], 6)
    assert parse_heads(
        [[f"m{n}", *HEADS[0][1:5], weight] for n, weight in enumerate(fill_weights([0.994, *[0.001] * 5]))], 64
    )


def test_more_heads_than_a_catalog_can_have():
    assert len(fill_weights([None] * 7)) == 7
    with pytest.raises(InputError, match="8 heads beside the first model"):
        fill_weights([None] * 8)


def test_the_first_head_cuts(two):
    assert (two.window, two.model.name, two.quick, two.precision) == (100, "a", True, "float32")
    assert two.tokens("a b") == ["<", "a", "b", ">"]
    assert two.spans("a b") == [(0, 1), (2, 3)]
    assert [encoder.model.name for encoder in parts_of(two)] == ["a", "b"]
    assert parts_of(two.encoders[0]) == two.encoders[:1]


def test_vectors_come_in_parts_and_in_their_places(two):
    texts = [f"moon {'sea ' * n}" for n in range(40)] + ["x" * 20_000, "robot " * 5_000]
    parts = {}
    x = two.encode(texts, progress=lambda rows, vectors: parts.update(zip(rows, vectors, strict=True)))
    assert sorted(parts) == list(range(len(texts)))
    assert np.array_equal(np.array([parts[i] for i in range(len(texts))]), x)
    assert x == pytest.approx(join([encoder.encode(texts) for encoder in two.encoders], [0.75, 0.25]), abs=0)
    assert two.encode([]).shape == (0, 10)


@given(st.lists(st.sampled_from(["moon", "sea", "robot", "fog"]), min_size=1, max_size=5))
def test_pieces_of_all_heads_add_up(words):
    text = " ".join(words)
    both = HeadsEncoder([SmallEncoder("a"), SmallEncoder("b")], [0.75, 0.25])
    (pieces,) = both.pieces([text])
    assert pieces.vectors.sum(axis=0) == pytest.approx(both.encode([text])[0], abs=1e-6)
    assert len(pieces.spans) == len(pieces.tokens) == len(pieces.vectors) == 2 * len(words)
    assert not pieces.vectors[: len(words), 4:].any()
    assert not pieces.vectors[len(words) :, :4].any()


def test_without_the_pieces_of_one_head_there_are_none(two):
    assert two.pieces(["moon"]) == [None]


def test_the_lowest_precision_counts(two):
    two.encoders[1].precision = "bfloat16"
    two.encoders[1].quick = False
    assert (two.precision, two.quick) == ("bfloat16", False)
    assert two.suited(10).weights == two.weights


class TestParse:
    def test_what_was_written(self):
        assert parse_heads(HEADS, 6) == (Head(*HEADS[0]), Head(*HEADS[1]))

    @pytest.mark.parametrize(
        ("head", "column", "value"),
        [
            *((0, column, value) for column in range(4) for value in (1, None, [])),
            *((0, column, "") for column in range(3)),
            *((0, 4, d) for d in (0, -1, 4, 1 << 70, 3.0, True, "3", None)),
            *((0, 5, weight) for weight in (0.0, 1e-300, -0.1, 0.75, 0.7499, 1, math.inf, math.nan, "0.1", None)),
            (1, 0, "b"),
        ],
    )
    def test_anything_else_is_refused(self, head, column, value):
        heads = [list(members) for members in HEADS]
        heads[head][column] = value
        with pytest.raises((TypeError, ValueError)):
            parse_heads(heads, 6)

    @pytest.mark.parametrize("value", [3, "abcdef", {"a": 1}, [[]], [["b"]], [[*HEADS[0], 1]], HEADS * 4])
    def test_other_shapes_are_refused(self, value):
        with pytest.raises((TypeError, ValueError)):
            parse_heads(value, 1 << 16)

    def test_too_many(self):
        many = [[f"m{n}", *HEADS[0][1:5], 0.01] for n in range(8)]
        assert len(parse_heads(many[:7], 1 << 16)) == 7
        with pytest.raises(ValueError, match="no such heads"):
            parse_heads(many, 1 << 16)


def test_an_identity_of_all_heads():
    heads = [("2", 0.25), ("3", 0.25)]
    both = join_identities("1", heads)
    assert join_identities("1", ()) == "1"
    changed = [("2", heads), ("1", heads[:1]), ("1", heads[::-1]), ("1", [("2", 0.25), ("3", 0.2)])]
    assert len({both, *(join_identities(*pair) for pair in changed)}) == 5
