from __future__ import annotations

import math

import pytest

from attnsearch.attention.projections import identity, textbook
from attnsearch.errors import InputError
from attnsearch.explanation.steps import explain_steps
from attnsearch.indexing.update import update
from attnsearch.postings.filters import parse_filter
from attnsearch.search.index import Index
from attnsearch.search.search import search
from attnsearch.search.setting import Setting


@pytest.fixture
def asked(write, small):
    update([str(write("x.yaml", "- {id: m, title: moon}\n- {id: ms, title: moon sea}\n- {id: r, title: robot}\n"))])
    with Index.open("x") as index:
        yield lambda projections=None: search(index, ["moon now"], Setting(projections), k=2, trace=True)[0]


def test_the_steps_are_the_formula(asked):
    steps = explain_steps(asked())
    assert [step.formula for step in steps] == [
        "text → tokens",
        "q = x W_Q",
        "K = X W_K",
        "Q Kᵀ",
        "Q Kᵀ / √d_k",
        "softmax(Q Kᵀ / √d_k)",
        "softmax(Q Kᵀ / √d_k) V",
    ]
    assert [step.name for step in steps] == ["tokens", "query", "keys", "products", "logits", "weights", "output"]
    for step in steps:
        assert all(len(row) == len(step.columns) for row in step.rows)


def test_each_number_follows_from_the_one_before(asked):
    """q·k / √d_k is the logit, exp(logit) over the sum is the weight; and they are the hits' own numbers."""
    result = asked(identity(4, 0.25))
    tokens, query, keys, products, logits, weights, output = explain_steps(result)
    assert tokens.rows == [(0, "<"), (1, "moon"), (2, "now"), (3, ">")]
    (x, q), root = query.rows, math.sqrt(4)
    assert x[:3] == ("x", "(1, 4)", pytest.approx(1))
    assert q[2] == pytest.approx(8)  # √4 / 0.25
    assert q[3:] == pytest.approx([8 * component for component in x[3:]])
    assert "W_Q = 8 I" in query.says
    assert "W_K = I" in keys.says
    assert keys.rows == [("X", "(3, 4)"), ("K", "(3, 4)")]
    for hit, product, logit, weight in zip(result.hits, products.rows, logits.rows, weights.rows, strict=True):
        assert product == (hit.rank, hit.title, pytest.approx(hit.logit * root))
        assert logit == (hit.rank, hit.title, hit.score, hit.logit)
        assert weight[-1] == hit.weight
        assert weight[2] == pytest.approx(math.exp(hit.logit - result.hits[0].logit))
        assert math.exp(hit.logit - result.trace.log_normalizer) == pytest.approx(hit.weight)
    assert "the cosine divided by the temperature 0.25" in logits.says
    assert output.rows[0][2] == pytest.approx(sum(v * v for v in result.trace.output) ** 0.5)


def test_the_textbook(asked):
    steps = explain_steps(asked(textbook(4)))
    assert "W_Q = I" in steps[1].says
    assert "√4 = 2.0000" in steps[4].says


def test_a_result_without_a_trace(write, small):
    update([str(write("x.yaml", "- {title: moon}\n"))])
    with Index.open("x") as index, pytest.raises(InputError, match="without a trace"):
        explain_steps(search(index, ["moon"])[0])


def test_of_several_passages_the_best_counts(write, small):
    update([str(write("x.yaml", f"- {{title: tide, description: {'filler ' * 150}}}\n- {{title: moon}}\n"))])
    with Index.open("x") as index:
        (result,) = search(index, ["moon"], trace=True)
    says = {step.name: step.says for step in explain_steps(result)}
    assert says["keys"].startswith("each of 3 keys")
    assert "the best key of each of 2 items" in says["weights"]


def test_a_mask_and_a_bias_are_steps_too(write, small):
    path = write("books.yaml", "- {title: moon, year: 1}\n- {title: moon sea, year: 2}\n- {title: robot}\n")
    update([str(path)])
    with Index.open("books") as index:
        plain, biased = (
            search(index, ["moon"], setting, k=2, trace=True)[0]
            for setting in (Setting(), Setting(where=(parse_filter("year?"),), lexical=1.0, priors={"year": -2}))
        )
    before, after = ({step.name: step for step in explain_steps(result)} for result in (plain, biased))
    for (*_, product), (*_, plain_product) in zip(after["products"].rows, before["products"].rows, strict=True):
        assert product == pytest.approx(plain_product, abs=1e-4)
    assert after["logits"].formula == "Q Kᵀ / √d_k + bias"
    assert "plus what terms and priors add" in after["logits"].says
    for (_, _, cosine, bias, logit), (_, _, plain_cosine, plain_logit) in zip(
        after["logits"].rows, before["logits"].rows, strict=True
    ):
        assert cosine == plain_cosine
        assert logit == pytest.approx(plain_logit + bias, abs=1e-5)
        assert bias != 0
    assert "the 2 items that a filter lets through" in after["weights"].says
