from __future__ import annotations

import math

import pytest

from attnsearch.errors import InputError
from attnsearch.explanation.following import follow_requests
from attnsearch.explanation.several import explain_together
from attnsearch.explanation.steps import explain_steps
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.search.search import search
from attnsearch.search.setting import Setting

TEXTS = ["moon", "sea robot", "robot"]
ITEMS = """\
- {id: m, title: moon, year: 1}
- {id: ms, title: moon sea, year: 2}
- {id: r, title: robot, year: 3}
- {id: s, title: sea, kind: x}
- {id: long, title: tide, description: LONG}
"""


@pytest.fixture
def index(write, small):
    update([str(write("x.yaml", ITEMS.replace("LONG", "moon " * 80 + "robot " * 80)))])
    with Index.open("x") as opened:
        yield opened


def approximate(row):
    return [pytest.approx(cell, rel=1e-6, abs=1e-9) if isinstance(cell, float) else cell for cell in row]


@pytest.mark.parametrize("setting", [Setting(), Setting(lexical=0.5, priors={"year": 1.0})], ids=["plain", "biased"])
def test_each_row_is_what_the_request_has_alone(index, setting):
    results = follow_requests(index, TEXTS, setting, k=2, values=["year"])
    steps = {step.name: step for step in explain_together(results)}
    items = [column.split(" ", 1)[1] for column in steps["logits"].columns[2:]]
    assert len(items) == len({hit.id for hit in results[0].hits}) >= 3
    for number, text in enumerate(TEXTS):
        (alone,) = search(index, [text], setting, k=9, values=["year"], trace=True)
        single = {step.name: step for step in explain_steps(alone)}
        label = (number + 1, text)
        for name in ("products", "logits", "weights"):
            cells = {row[1]: row[-1] for row in single[name].rows}
            row = steps[name].rows[number]
            assert row[:2] == label
            assert [*row[2 : 2 + len(items)]] == approximate([cells[item] for item in items])
            assert steps[name].formula == single[name].formula
        *weights, maximum, total = steps["weights"].rows[number][2:]
        assert sum(weights) == pytest.approx(1)
        logits = steps["logits"].rows[number][2:]
        assert [*weights[: len(items)]] == pytest.approx([math.exp(logit - maximum) / total for logit in logits])
        assert [*steps["query"].rows[number]] == [*label, *approximate(single["query"].rows[1][1:])]
        assert [*steps["output"].rows[number]] == [*label, *approximate(single["output"].totals[-1][3:])]
        assert steps["value"].rows[number][2:4] == pytest.approx(single["value"].totals[-1][2:])
    assert [row[0].split(" ", 1)[1] for row in steps["keys"].rows if row[0].endswith("tide")] in (
        ["tide"],
        ["tide"] * 2,
    )
    assert steps["products"].shapes == {"Q": (3, 4), "Kᵀ": (4, 6), "Q Kᵀ": (3, 6)}


def test_hits_are_the_best_of_all_by_rank(index):
    results = follow_requests(index, ["moon", "robot"], Setting(), k=1)
    assert [[hit.title for hit in result.hits] for result in results] == [["moon", "robot"], ["robot", "moon"]]
    for result in results:
        (alone,) = search(index, [result.query], k=9)
        ranks = {hit.title: hit.rank for hit in alone.hits}
        assert [hit.rank for hit in result.hits] == [ranks[hit.title] for hit in result.hits]
        assert [step.rows[0][1] for step in explain_steps(result) if step.name == "keys"] == [result.hits[0].title]


def test_what_belongs_to_a_hit_stays_with_it(index):
    """The steps of each result, whose hits are in the order of their ranks, are those of its request alone."""
    setting = Setting(lexical=0.5, priors={"year": 1.0})
    results = follow_requests(index, TEXTS, setting, k=2, values=["year"])
    for text, result in zip(TEXTS, results, strict=True):
        (alone,) = search(index, [text], setting, k=9, values=["year"], trace=True)
        for step, single in zip(explain_steps(result), explain_steps(alone), strict=True):
            if step.columns[:2] == ("rank", "item"):
                rows = {row[1]: approximate(row) for row in single.rows}
                assert [[*row] for row in step.rows] == [rows[row[1]] for row in step.rows], step.name
    (keys,) = (step for step in explain_together(results) if step.name == "keys")
    (alone,) = search(index, ["moon"], k=9, trace=True)
    vectors = {row[1]: [*row[2:]] for row in explain_steps(alone)[2].rows}
    for name, *vector in keys.rows:
        item = name.split(" ", 1)[1]
        assert item == "tide" or vector == vectors[item]  # which has two keys


def test_each_request_has_shares_of_its_own(index):
    results = follow_requests(index, ["sea", "moon"], Setting(), k=1, values=["kind"])
    step = explain_together(results)[-1]
    assert step.columns == ("row", "request", "value", "share")
    assert [row[:3] for row in step.rows] == [(1, "sea", "x"), (2, "moon", "x")]
    assert [row[3] for row in step.rows] == [result.values[0].shares["x"] for result in results]


def test_when_everything_is_hidden_the_steps_say_so(index):
    from attnsearch.postings.filters import parse_filter

    setting = Setting(where=(parse_filter("year > 9"),))
    results = follow_requests(index, TEXTS, setting, k=2)
    assert [result.emptied_by for result in results] == [search(index, ["moon"], setting)[0].emptied_by] * 3
    assert results[0].emptied_by == "no item passes 'year > 9'"
    steps = explain_together(results)
    assert [len(row) for row in steps[5].rows] == [2, 2, 2]
    assert "Every item is hidden" in steps[5].says


def test_results_of_different_items_are_refused(index):
    results = search(index, ["moon", "robot"], k=1, trace=True)
    with pytest.raises(InputError, match="different hits"):
        explain_together(results)
