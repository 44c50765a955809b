from __future__ import annotations

import math

import pytest

from attnsearch.attention.projections import identity, textbook
from attnsearch.errors import InputError
from attnsearch.explanation.steps import explain_steps
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
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
    """From x to the output, and each by hand: x = (moon + other)/√2, W_Q = 8 I."""
    result = asked(identity(4, 0.25))
    tokens, query, keys, products, logits, weights, output = explain_steps(result)
    assert tokens.rows == [(0, "<"), (1, "moon"), (2, "now"), (3, ">")]
    half = math.sqrt(1 / 2)
    assert query.rows == [
        ("x", pytest.approx(1), *map(pytest.approx, (half, 0, 0, half))),
        ("q", pytest.approx(8), *map(pytest.approx, (8 * half, 0, 0, 8 * half))),
    ]
    assert "W_Q = 8 I" in query.says
    assert query.shapes == {"x": (1, 4), "W_Q": (4, 4), "Q": (1, 4)}
    assert "W_K = I" in keys.says
    assert keys.shapes == {"X": (3, 4), "W_K": (4, 4), "K": (3, 4)}
    assert keys.rows == [
        (1, "moon", pytest.approx(1), 1, 0, 0, 0),
        (2, "moon sea", pytest.approx(1), *map(pytest.approx, (half, half, 0, 0))),
    ]
    assert products.shapes == {"Q": (1, 4), "Kᵀ": (4, 3), "Q Kᵀ": (1, 3)}
    for number, product in enumerate(products.rows):
        pairs = zip(query.rows[1][2:], keys.rows[number][3:], strict=True)
        assert product == (number + 1, result.hits[number].title, pytest.approx(sum(map(math.prod, pairs))))
    assert products.says.endswith(
        "For rank 1: 5.656854 × 1.000000 + 0.000000 × 0.000000 + 0.000000 × 0.000000 + 5.656854 × 0.000000 = 5.6569."
    )
    for product, logit, hit in zip(products.rows, logits.rows, result.hits, strict=True):
        assert logit == (hit.rank, hit.title, hit.score, hit.logit)
        assert logit[-1] == pytest.approx(product[-1] / math.sqrt(4))
    assert "the cosine divided by the temperature 0.25" in logits.says
    total = 1 + math.exp(2 - 4 * half) + math.exp(-4 * half)  # logits 4/√2, 2 and 0
    assert weights.totals[-1] == (None, "Σ", pytest.approx(total, rel=1e-5), 1.0)
    assert f"Σ = {total:.4f}" in weights.says
    assert f"max + log {total:.4f} = {4 * half + math.log(total):.4f}." in weights.says
    for logit, weight in zip(logits.rows, weights.rows, strict=True):
        assert weight[2] == pytest.approx(math.exp(logit[-1] - 4 * half), rel=1e-5)
        assert weight[3] == pytest.approx(weight[2] / total, rel=1e-5)
    for number in (2, 3):  # the exponentials, and the weights, add up
        columns = [row[number] for row in (*weights.rows, *weights.totals)]
        assert sum(columns[:-1]) == pytest.approx(columns[-1], rel=1e-5)
    assert weights.totals[0][1] == "all others"
    assert output.shapes == {"weights": (1, 3), "V": (3, 4), "W_V": (4, 4), "output": (1, 4)}
    *parts, whole = [row[2:] for row in (*output.rows, *output.totals)]
    assert [row[2] for row in output.rows] == [row[3] for row in weights.rows]
    for number in range(2, 6):
        assert sum(part[0] * part[number] for part in parts) == pytest.approx(whole[number], abs=1e-6)
    assert whole[2:] == pytest.approx(result.trace.output.tolist())
    assert output.says.endswith("It is shorter than 1, since the values do not all point the same way.")
    assert output.totals[0][3:] == pytest.approx((1, 0, 0, 1, 0), abs=1e-5)  # the robot


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
    assert says["keys"].startswith("Each of 3 keys")
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


def test_one_item(write, small):
    update([str(write("x.yaml", "- {title: moon}\n"))])
    with Index.open("x") as index:
        says = {step.name: step.says for step in explain_steps(search(index, ["moon"], trace=True)[0])}
    assert says["keys"] == "The only key is the embedding of a description; W_K = I."
    assert "Σ = 1.0000 is the sum of exp(logit - max) over the only key." in says["weights"]
    assert says["output"] == "The mean of the values, weighted by attention; W_V = I."


def test_every_item_is_followed(asked, write, small):
    """Without others, the totals are the sums alone."""
    with Index.open("x") as index:
        (result,) = search(index, ["moon"], k=9, trace=True)
        steps = {step.name: step for step in explain_steps(result)}
        assert [row[1] for row in (*steps["weights"].totals, *steps["output"].totals)] == ["Σ", "output"]
        (hidden,) = search(index, ["moon"], Setting(where=(parse_filter("id = none"),)), trace=True)
        steps = {step.name: step for step in explain_steps(hidden)}
        assert (steps["weights"].rows, steps["weights"].totals) == ([], ())
        assert "Every item is hidden" in steps["weights"].says
        assert steps["output"].totals == [(None, "output", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)]
        assert "shorter" not in steps["output"].says


def test_there_is_a_bias_where_no_hit_has_a_term(asked, write, small):
    result = asked(Setting().projections)._replace(lexical=0.5)
    logits = explain_steps(result)[4]
    assert (logits.columns[3], logits.rows[0][3], logits.formula) == ("bias", 0.0, "Q Kᵀ / √d_k + bias")


@pytest.mark.parametrize(
    ("items", "setting", "keys"),
    [
        ("moon, sea, robot", Setting(like=("0",)), "each of the 2 items that are not hidden"),
        ("moon, sea", Setting(like=("0",)), "the only item that is not hidden"),
        ("moon, sea", Setting(where=(parse_filter("id = 0"),)), "the only item that a filter lets through"),
        ("moon " * 150, Setting(), "the only item"),
    ],
)
def test_the_weights_say_which_keys_count(write, small, items, setting, keys):
    lines = [f"- {{id: {number}, title: {title}}}\n" for number, title in enumerate(items.split(","))]
    update([str(write("x.yaml", "".join(lines)))])
    with Index.open("x") as index:
        (result,) = search(index, ["" if setting.like else "moon"], setting, trace=True)
    (weights,) = (step for step in explain_steps(result) if step.name == "weights")
    assert f"over the best key of {keys}. " in weights.says


BOOKS = """\
- {id: a, title: moon, year: 1900, made: 2020-01-01, kind: [x, y]}
- {id: b, title: moon sea, year: [1950, 2000], made: 2020-01-03, kind: x}
- {id: c, title: robot, year: 2100, made: 2020-01-05}
- {id: d, title: sea, kind: z}
"""


def test_what_is_carried_home(write, small):
    """The mean of what is printed is what is read out; each value has the weight of its items."""
    update([str(write("books.yaml", BOOKS))])
    with Index.open("books") as index:
        fields = ("year", "made", "kind")
        (result,) = search(index, ["moon"], Setting(identity(4, 1.0)), k=2, values=fields, trace=True)
    year, made, kind = explain_steps(result)[-3:]
    first, second = (hit.weight for hit in result.hits)
    rest = result.values[0].total - first - 2 * second  # two numbers of one item count twice
    assert year.formula == "softmax(Q Kᵀ / √d_k) V, where V is year"
    assert year.rows == [(1, "moon", first, 1900), (2, "moon sea", second, "1950; 2000")]
    assert year.totals == [
        (None, "all others", pytest.approx(rest), pytest.approx(2100)),
        (None, "mean", result.values[0].total, result.values[0].mean),
    ]
    assert (1900 * first + 3950 * second + 2100 * rest) / (first + 2 * second + rest) == pytest.approx(
        year.totals[1][3]
    )
    assert year.story.startswith("What you carry home: year about ")
    assert made.rows == [(1, "moon", first, "2020-01-01"), (2, "moon sea", second, "2020-01-03")]
    assert [row[3] for row in made.totals] == [None, result.values[1].mean]
    shares = result.values[2].shares
    assert kind.columns == ("value", "share", "items")
    assert kind.rows == [
        ("x", pytest.approx(first + second), "moon, moon sea"), ("y", pytest.approx(first), "moon"),
        ("z", shares["z"], ""),
    ]  # fmt: skip
    assert f"{first + second:.0%} x, {first:.0%} y" in kind.story


def test_others_without_attention_have_no_mean(write, small):
    update([str(write("books.yaml", BOOKS))])
    with Index.open("books") as index:
        (result,) = search(index, ["moon"], Setting(identity(4, 0.001)), k=1, values=["year"], trace=True)
    assert explain_steps(result)[-1].totals == [(None, "mean", 1.0, 1900.0)]


def test_passages_have_the_values_of_their_item(write, small):
    update(
        [str(write("x.yaml", f"- {{title: tide, year: 7, description: {'filler ' * 150} moon}}\n- {{title: sea}}\n"))]
    )
    with Index.open("x") as index:
        (result,) = search(index, ["moon"], values=["year"], k=2, trace=True)
        assert next(row[1:] for row in explain_steps(result)[-1].rows) == ("tide", result.hits[0].weight, 7.0)
