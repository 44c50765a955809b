"""The null key: by hand, hidden items, sizes, and the built-in library asked for what it has and has not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnsearch.attention import null_key
from attnsearch.attention.null_key import NullKey, chance, evidence
from attnsearch.attention.softmax import State
from tests.conftest import scores_of

MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def chance_of(z, null=None):
    """The chance for logits z (m, n)."""
    state = State.from_logits(np.atleast_2d(np.array(z, float)), k=1)
    return chance(null or null_key.FITTED[MINILM], state.maximum, state.log_normalizer(), state.visible)


BY_HAND = NullKey(math.log(3), 1.0)  # evidence counts as it is


def test_evidence_is_the_mean_and_the_best_once_more_as_one_of_a_thousand():
    state = State.from_logits(np.log([[1.0, 2.0, 3.0, 6.0]]), k=1)
    assert np.exp(evidence(state.maximum, state.log_normalizer(), state.visible)) == pytest.approx([3 + 0.006])


def test_three_to_one_that_there_is_nothing():
    assert chance_of([-math.log(1.001)], BY_HAND) == pytest.approx([0.75])


def test_a_sharper_one():
    assert chance_of([math.log(3 / 1.001)], NullKey(math.log(3), 2.0)) == pytest.approx([0.25])  # 3 to 3²


def test_each_query_has_its_own():
    z = np.array([[1.0, 2.0], [4.0, -1.0], [0.0, 0.0]])
    assert chance_of(z, BY_HAND) == pytest.approx([chance_of(row, BY_HAND)[0] for row in z])
    assert chance_of(np.empty((0, 2)), BY_HAND).shape == (0,)


def test_where_every_item_is_hidden_there_is_nothing():
    assert chance_of([[-np.inf, -np.inf], [9.0, -np.inf]], BY_HAND)[0] == 1
    assert chance_of(np.empty((2, 0)), BY_HAND).tolist() == [1, 1]


def test_hiding_an_item_is_removing_it():
    z = np.random.default_rng(1).normal(2, 3, (4, 50))
    hidden = np.arange(50) % 3 == 0
    assert chance_of(np.where(hidden, -np.inf, z)) == pytest.approx(chance_of(z[:, ~hidden]))


@pytest.mark.parametrize(
    "null", [NullKey(1e308, 1e308), NullKey(-1e308, -1e308), NullKey(-1e308, 1e308), NullKey(1.0, 0.0)]
)
def test_any_null_key_has_a_chance(null):
    """A file of projections may hold any finite numbers: no warning, and no NaN."""
    chances = chance_of([[9.0, 9.0], [-9.0, -np.inf], [-np.inf, -np.inf]], null)
    assert np.all((chances >= 0) & (chances <= 1))
    assert chances[2] == 1


@pytest.mark.parametrize("value", [-20.0, 20.0, -4e5, 4e5])
def test_the_farthest_logits_are_no_trouble(value):
    assert chance_of([value]) == chance_of([[value] * 9]) == pytest.approx(float(value < 0), abs=1e-9)


def test_the_better_an_item_fits_the_less_likely_is_nothing():
    z = np.random.default_rng(2).normal(1, 1, 20)
    for item in range(20):
        better = [z + np.eye(20)[item] * more for more in range(12)]
        assert (np.diff(chance_of(better)) < 0).all()


def test_no_verdict_changes_with_the_size_alone():
    z = np.random.default_rng(3).normal(1, 2, 40)
    assert chance_of(np.tile(z, 200)) == pytest.approx(chance_of(z))


@pytest.mark.parametrize("n", [1, 10, 1_000, 100_000, 1_000_000])
def test_one_item_that_fits_is_found_among_any_number_of_strangers(n):
    strangers = np.random.default_rng(n).normal(0.03, 0.05, n) / 0.05
    assert chance_of(strangers) > 0.8
    assert chance_of([*strangers, 0.6 / 0.05]) < 0.2


@pytest.mark.real
@pytest.mark.parametrize(
    ("catalog", "has", "has_not"),
    [
        ("library", ["science fiction", "a detective", "vampires", "a love story", "the first world war", "poems"],
         ["how do I unclog a sink", "list open files", "cheap flights to lisbon", "kubernetes ingress", "qzx wvkj"]),
        ("kitchen", ["soup", "a chocolate dessert", "something warm and sour for a cold evening", "dumplings"],
         ["science fiction", "a detective", "git rebase", "insulin resistance in mice", "48 1195 7"]),
        ("toolbox", ["which program holds this port", "find files by name", "json", "resize a picture"],
         ["a chocolate dessert", "vampires", "symptoms of measles", "best running shoes", "?!"]),
    ],
)  # fmt: skip
def test_the_built_in_catalogs_know_what_they_have_not(real, catalog, has, has_not):
    from attnsearch.opening.index import Index

    with Index.open(catalog) as index:
        assert index.info.sha256 == real.model.sha256 == MINILM
        chances = scores_of(index, has + has_not).none_of_these
    assert dict(zip(has + has_not, chances > 0.5, strict=True)) == {text: text in has_not for text in has + has_not}
