"""Judged requests on a catalog that a person can compute by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnsearch.attention.projections import identity
from attnsearch.errors import InputError
from attnsearch.evaluation import metrics, report
from attnsearch.evaluation.report import evaluate
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.search import scoring
from attnsearch.search.setting import Setting
from attnsearch.sources import judgments
from attnsearch.sources.judgments import Judged
from attnsearch.storage.home import built_in_file
from tests.asking import query

ITEMS = """\
- {id: m, title: moon}
- {id: ms, title: moon sea}
- {id: r, title: robot}
- {id: m2, title: moon, twin: 1}
- {id: o, title: other}
"""
THREE = Setting(identity(4, 1 / math.log(3)))  # a cosine of 1 weighs three times one of 0
ROOT = math.sqrt(3 ** math.sqrt(2))  # and one of 1/√2 so much


@pytest.fixture
def index(write, small):
    update([str(write("x.yaml", ITEMS))])
    with Index.open("x") as opened:
        yield opened


def row_of(index, grades, text="moon", setting=THREE, **options):
    (row,) = evaluate(index, [Judged(text, grades)], setting, **options).rows
    return row


def test_by_hand(index):
    """Ranks for "moon": m, m2, ms, r, o; weights 3, 3, √3^√2, 1, 1 over their sum."""
    total = 3 + 3 + ROOT + 1 + 1
    row = row_of(index, {"m2": 1, "ms": 2, "o": 0}, k=2)
    assert row.ndcg == pytest.approx((1 / math.log2(3) + 2 / 2) / (2 + 1 / math.log2(3)))
    assert (row.mrr, row.recall, row.precision_at_1, row.first, row.relevant) == (0.5, 0.5, 0, 2, 2)
    assert row.kl == pytest.approx(math.log(1 / 2) - (math.log(3 / total) + math.log(ROOT / total)) / 2, rel=1e-6)
    assert (row.top, row.top_title, row.top_weight) == ("m", "moon", pytest.approx(3 / total, rel=1e-6))
    assert row.none_of_these is None


def test_the_mass_by_hand(index):
    """Ranks for "moon" and "sea": m, m2, ms, r, o and ms, m, r, m2, o."""
    total = 3 + 3 + ROOT + 1 + 1
    evaluation = evaluate(index, [Judged("moon", {"m2": 1, "ms": 1, "gone": 1}), Judged("other", {}),
                                  Judged("robot", {"gone": 1}), Judged("sea", {"ms": 1})], THREE)  # fmt: skip
    moon, _, robot, sea = evaluation.rows
    assert moon.mass == pytest.approx((3 + ROOT) / total, rel=1e-6)
    assert (robot.mass, sea.mass) == (None, pytest.approx(ROOT / (ROOT + 4), rel=1e-6))
    mass = evaluation.mass
    assert mass.weight == pytest.approx((moon.mass + sea.mass) / 2)
    assert [top.share for top in mass.tops] == pytest.approx([number / 10 for number in range(1, 10)])
    half = mass.tops[4]
    # Half of the attention on "moon": m, and of m2 what is needed; for "sea": ms, and some of m.
    moon_half = (total / 2 - 3) / 3 / 2
    assert half.covered == pytest.approx((moon_half + min((ROOT + 4) / 2 / ROOT, 1)) / 2, rel=1e-5)
    assert half.items == (2 + (1 if ROOT > 4 else 2)) / 2
    assert half.right == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert mass.calibration_error == pytest.approx(np.mean([abs(top.covered - top.share) for top in mass.tops]))


def test_nothing_right_has_a_rank(index):
    assert evaluate(index, [Judged("moon", {"gone": 1}), Judged("sea", {"m": 0})]).mass is None


def test_gains(index):
    """Ranks for "moon": m, m2, ms."""
    graded = {"m": 1, "ms": 3}
    linear, exp = (1 + g / 2 for g in (3, 7)), (g + 1 / math.log2(3) for g in (3, 7))
    for gain, reached, best in zip(("linear", "exp"), linear, exp, strict=True):
        evaluation = evaluate(index, [Judged("moon", graded)], THREE, gain=gain)
        assert evaluation.rows[0].ndcg == pytest.approx(reached / best)
        assert (evaluation.gain, evaluation.is_graded) == (gain, True)
    assert not evaluate(index, [Judged("moon", {"m": 1, "ms": 0})]).is_graded


def test_all_right(index):
    row = row_of(index, {"m": 1, "m2": 1})
    assert (row.ndcg, row.mrr, row.recall, row.precision_at_1, row.first) == (1, 1, 1, 1, 1)


def test_the_means(index):
    asked = [Judged("moon", {"m": 1}), Judged("robot", {"o": 1}), Judged("sea", {})]
    evaluation = evaluate(index, asked, THREE, k=3)
    right, wrong, unanswerable = evaluation.rows
    assert evaluation.means == {
        name: (getattr(right, name) + getattr(wrong, name)) / 2
        for name in ("ndcg", "mrr", "recall", "precision_at_1", "kl")
    }
    assert evaluation.answerable == [right, wrong]
    assert (unanswerable.ndcg, unanswerable.kl, unanswerable.first, unanswerable.top) == (None, None, None, "ms")
    assert right.top_weight != wrong.top_weight
    assert evaluation.calibration_error == pytest.approx((1 - right.top_weight + wrong.top_weight) / 2)
    assert (evaluation.catalog, evaluation.model, evaluation.items) == ("x", "small", 5)
    assert (evaluation.k, evaluation.unknown_ids) == (3, 0)
    assert evaluation.temperature == pytest.approx(1 / math.log(3))
    assert evaluation.worst(1) == [wrong]
    assert evaluation.worst(9) == [wrong, right]
    assert evaluation.none_of_these is None


def test_of_equally_bad_ones_the_worst_is_found_furthest_down(index, monkeypatch):
    monkeypatch.setattr(report, "DEPTH", 1)
    evaluation = evaluate(index, [Judged("moon", {ident: 1}) for ident in ("m2", "o", "ms", "m")], THREE)
    assert [row.ndcg for row in evaluation.rows] == [0, 0, 0, 1]
    assert [row.first for row in evaluation.worst(4)] == [5, 3, 2, 1]


def test_ties_go_by_the_order_of_the_keys(index):
    assert row_of(index, {"r": 1}).first == 4
    assert row_of(index, {"o": 1}).first == 5
    assert row_of(index, {"m2": 1}).first == 2


def test_the_numbers_are_those_of_search(index):
    for text in ("moon sea", "robot", "sea"):
        result = query(index, text, k=99)
        for hit in result.hits:
            row = row_of(index, {hit.id: 1}, text, Setting())
            assert row.first == hit.rank
            assert row.kl == pytest.approx(-math.log(hit.weight), rel=1e-5, abs=1e-6)
            assert row.top_weight == pytest.approx(result.hits[0].weight)


def test_weights_too_small_for_floats(index):
    row = row_of(index, {"r": 1}, setting=Setting(identity(4, 0.0001)))
    assert row.kl == pytest.approx(10_000 + math.log(2), rel=1e-6)


def test_an_item_of_several_passages_counts_once(write, small):
    long = " ".join(["sea"] * 150 + ["moon"] * 150)
    content = f"- {{id: a, title: robot}}\n- {{id: long, description: {long}}}\n- {{id: m, title: moon}}\n"
    update([str(write("x.yaml", content))])
    with Index.open("x") as opened:
        assert opened.info.keys > 3
        row = row_of(opened, {"long": 1, "m": 1})
        assert (row.recall, row.first, row.top) == (1, 1, "long")
        assert row.ndcg == 1
        assert row.kl == pytest.approx(-math.log(2) - math.log(3 / 7), rel=1e-5)  # of 3, 3 and 1
        assert row_of(opened, {"a": 1}).first == 3


def test_ids_that_the_catalog_lacks_are_never_found(index, caplog):
    row = row_of(index, {"m": 1, "gone": 1, "lost": 0})
    assert (row.relevant, row.recall, row.first) == (2, 0.5, 1)
    assert row.ndcg == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert row.kl == pytest.approx(math.log((8 + ROOT) / 3), rel=1e-6)  # of those that are there
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "x: 2 of 3 judged ids are not in the catalog, such as 'gone'; they count as never found"
    ]
    evaluation = evaluate(index, [Judged("moon", {"gone": 1}), Judged("moon", {"m": 1})])
    missed, right = evaluation.rows
    assert (evaluation.unknown_ids, missed.ndcg, missed.kl, missed.first) == (1, 0, None, None)
    assert evaluation.means["kl"] == right.kl


def test_another_catalog_s_judgments(index):
    with pytest.raises(InputError, match="x: none of the 2 judged ids is in the catalog; name the catalog that was"):
        evaluate(index, [Judged("moon", {"a": 1}), Judged("sea", {"b": 1, "a": 0})])


def test_only_requests_without_an_answer(index):
    evaluation = evaluate(index, [Judged("moon", {}), Judged("sea", {"m": 0})])
    assert set(evaluation.means.values()) == {None}
    assert (evaluation.calibration_error, evaluation.none_of_these) == (None, None)
    assert (evaluation.worst(5), evaluation.unanswerable) == ([], 1)


def test_however_many_are_asked_at_once(index, monkeypatch):
    asked = [Judged(text, {"ms": 1}) for text in ("moon", "sea", "robot", "moon sea", "other")]
    whole = evaluate(index, asked)
    for logits in (1, 11):
        monkeypatch.setattr(report, "BATCH_LOGITS", logits)
        split = evaluate(index, asked)
        assert [row.first for row in split.rows] == [row.first for row in whole.rows]
        assert [row.kl for row in split.rows] == pytest.approx([row.kl for row in whole.rows])


def give_chances(monkeypatch, chances):
    """Let the requests, in their order, have these chances that nothing is right for them."""

    def score_all(*arguments):
        scores, z = scoring.score_all(*arguments)
        return scores._replace(none_of_these=np.array(chances)), z

    monkeypatch.setattr(report, "score_all", score_all)


@pytest.mark.parametrize(("chances", "accuracy"), [((0.9, 0.5, 0.2, 0.1), 1), ((0.9, 0.4, 0.6, 0.1), 0.5)])
def test_none_of_these(index, monkeypatch, chances, accuracy):
    asked = [Judged("moon", {}), Judged("sea", {}), Judged("robot", {"r": 1}), Judged("other", {"o": 1})]
    give_chances(monkeypatch, chances)
    evaluation = evaluate(index, asked)
    assert [row.none_of_these for row in evaluation.rows] == list(chances)
    true, false = sum(chances[:2]) / 2, sum(chances[2:]) / 2
    null = evaluation.none_of_these
    assert null[:3] == pytest.approx((true, false, accuracy))
    assert null.brier == pytest.approx(sum((chance - (n < 2)) ** 2 for n, chance in enumerate(chances)) / 4)
    assert sum(part.cases for part in null.reliability) == 4
    assert null.calibration_error == pytest.approx(metrics.calibration_error(null.reliability))
    assert null.reliability[0].accuracy == 0  # there is an answer where the chance of none is least
    assert evaluation.unanswerable == 2


def test_a_request_that_only_says_what_is_wrong_may_have_an_answer(index, monkeypatch):
    asked = [Judged("moon", {}), Judged("robot", {"r": 1}), Judged("sea", {"o": 0})]
    give_chances(monkeypatch, [0.9, 0.1, 0.3])
    evaluation = evaluate(index, asked)
    assert evaluation.none_of_these[:3] == pytest.approx((0.9, 0.1, 1))
    assert (evaluation.unanswerable, len(evaluation.answerable), len(evaluation.rows)) == (1, 1, 3)


@pytest.mark.real
@pytest.mark.parametrize(
    ("catalog", "ndcg", "recall", "kl", "error"),
    [("library", 0.68, 0.78, 2.1, 0.35), ("kitchen", 0.5, 0.56, 2.5, 0.35), ("toolbox", 0.83, 0.87, 1.3, 0.35)],
)
def test_the_built_in_catalogs(catalog, ndcg, recall, kl, error):
    """Far above what chance would reach, and where they stood when this was written, less a margin."""
    file = built_in_file(catalog).with_name(f"{catalog}.judgments.yaml")
    with Index.open(catalog) as index:
        evaluation = evaluate(index, judgments.read_judgments(str(file)))
    assert evaluation.unknown_ids == 0
    assert evaluation.means["ndcg"] > ndcg
    assert evaluation.means["recall"] > recall
    assert evaluation.means["kl"] < kl  # of equal weights: over 3.5 in kitchen, 4.5 in the others
    assert evaluation.calibration_error < error
