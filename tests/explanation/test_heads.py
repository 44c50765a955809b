"""A catalog of two heads that split words differently: what each adds, shown everywhere, adds up."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from attnsearch.attention.projections import Projections, identity
from attnsearch.encoding import loading
from attnsearch.explanation.cells import compute_heatmap
from attnsearch.explanation.following import follow_requests
from attnsearch.explanation.phrases import describe_reading
from attnsearch.explanation.reasons import explain_hits, explain_pairs
from attnsearch.explanation.several import explain_together
from attnsearch.explanation.steps import explain_steps
from attnsearch.indexing.update import update
from attnsearch.models.model import ENDLESS
from attnsearch.opening.index import Index
from attnsearch.output.formats import as_json
from attnsearch.output.notes import footer
from attnsearch.pictures.reasons import whys
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from tests.conftest import SmallEncoder
from tests.explanation.test_matrix import ITEMS, MarkedEncoder, check, labels

EXACT = 1e-4  # logits: float32 loses up to 1.1e-5 of 1/τ = 20


@pytest.fixture
def index(write, monkeypatch):
    encoders = {None: SmallEncoder(), "small": SmallEncoder(), "marked": MarkedEncoder("marked", "6" * 64)}
    monkeypatch.setattr(loading, "load", lambda name=None, **options: encoders[name])
    update([str(write("x.yaml", ITEMS))], heads=["marked"])
    with Index.open("x") as opened:
        yield opened


def cosines_of(index, query, text):
    """The cosine of each head, by its own vectors."""
    return [float(np.vecdot(*part.encode([query, text]).astype(float))) for part in index.encoder.encoders]


def random_projections(d):
    """Learned matrices, which mix the columns of all heads."""
    w = np.eye(d, dtype=np.float32) + np.random.default_rng(0).normal(0, 0.3, (d, d)).astype(np.float32)
    return Projections(w * 20, np.eye(d, dtype=np.float32), np.eye(d, dtype=np.float32), 0.05)


def test_a_logit_is_the_sum_of_the_cosines_over_each_temperature(index):
    (result,) = explain_hits(index, search(index, ["moon sea"], k=3, trace=True))
    weights = [1 - index.info.heads[0].weight, index.info.heads[0].weight]
    for hit, why in zip(result.hits, result.whys, strict=True):
        cosines = cosines_of(index, "moon sea", hit.title)
        expected = [weight / result.temperature * c for weight, c in zip(weights, cosines, strict=True)]
        assert why.heads == pytest.approx(dict(zip(["small", "marked"], expected, strict=True)), abs=EXACT)
        assert sum(why.heads.values()) == pytest.approx(why.semantic, abs=EXACT)
        assert hit.score == pytest.approx(np.dot(weights, cosines), abs=EXACT)


@pytest.mark.parametrize("projections", [None, identity(8, 0.3), random_projections(8)], ids=["own", "τ", "learned"])
@pytest.mark.parametrize("by", ["words", "pieces"])
def test_words_of_both_heads_add_up(index, by, projections):
    """One head has a piece for each word, the other two and marks."""
    setting = Setting(projections)
    result, matrices = explain_pairs(index, rank_items(index, "moon sea", setting, ["ms", "r"]), by)
    for matrix, why in zip(matrices, result.whys, strict=True):
        check(matrix, lost=1e-3)
        assert sum(why.heads.values()) == pytest.approx(why.semantic, abs=1e-3)
        if by == "words":
            assert labels(matrix.rows) == ["moon", "sea", "the marks"]
            shares = [*(word.share for word in why.query.words), why.query.marks]
            assert [line.sum for line in matrix.rows] == pytest.approx(shares, abs=EXACT)
        else:
            assert labels(matrix.rows) == ["moon", "sea", "[CLS]", "mo", "##on", "se", "##a", "[SEP]"]


class TestSteps:
    def test_each_head_has_its_cosine_and_its_logit(self, index):
        (result,) = search(index, ["moon sea"], k=2, trace=True)
        steps = {step.name: step for step in explain_steps(result)}
        heads = steps["heads"]
        assert [*steps][3:6] == ["products", "heads", "logits"]
        assert heads.columns == ("rank", "item", "cosine 1", "logit 1", "cosine 2", "logit 2", "sum")
        assert heads.formula == "Q Kᵀ / √d_k = Σ_h cosine_h / τ_h"
        for row, hit, logits in zip(heads.rows, result.hits, steps["logits"].rows, strict=True):
            assert [row[2], row[4]] == pytest.approx(cosines_of(index, "moon sea", hit.title), abs=EXACT)
            assert row[3] + row[5] == pytest.approx(row[6])
            assert row[6] == pytest.approx(logits[-1], abs=EXACT)
        for head in result.trace.heads:
            assert f"is {head.model}, 4 columns with the weight {head.weight:.3g}, so its temperature is" in heads.says
        assert "the weighted cosine divided by the temperature" in steps["logits"].says
        assert "small and marked turn them into x" in steps["query"].says

    @pytest.mark.parametrize("like", [(), ("m", "r")])
    def test_without_a_cosine_there_are_only_logits(self, index, like):
        """What was learned mixes the columns, and a query made of items has no length of its own in each head."""
        setting = Setting(like=like) if like else Setting(random_projections(8))
        (result,) = search(index, ["" if like else "moon"], setting, k=1, trace=True)
        (heads,) = (step for step in explain_steps(result) if step.name == "heads")
        assert heads.columns == ("rank", "item", "logit 1", "logit 2", "sum")
        assert heads.formula == "Q Kᵀ / √d_k = Σ_h Q_h K_hᵀ / √d_k"
        (row,) = heads.rows
        assert row[2] + row[3] == pytest.approx(row[4])
        assert row[4] == pytest.approx(result.hits[0].logit, abs=1e-3)

    def test_other_keys_have_no_columns_of_a_head(self, index):
        projections = random_projections(8)
        projections = projections._replace(w_k=projections.w_q, temperature=math.sqrt(8))
        (result,) = search(index, ["moon"], Setting(projections), k=1, trace=True)
        assert "heads" not in [step.name for step in explain_steps(result)]

    def test_several_requests_name_both(self, index):
        together = explain_together(follow_requests(index, ["moon", "sea"], Setting(), k=2))
        assert "small and marked turn each request into a unit vector" in together[1].says

    def test_each_head_reads_its_own_tokens(self, index):
        (result,) = search(index, ["moon"], k=1, trace=True)
        step = explain_steps(result)[0]
        assert step.columns == ("head", "position", "token")
        assert [row[0] for row in step.rows] == ["small"] * 3 + ["marked"] * 4
        assert [row[2] for row in step.rows] == ["<", "moon", ">", "[CLS]", "mo", "##on", "[SEP]"]
        assert "small reads 3 tokens of the request, 100 at most. marked reads 4" in step.says

    @pytest.mark.parametrize(("tokens", "says"), [(["a", "b"], "all 2 tokens"), (["a"], "the only token")])
    def test_an_encoder_without_an_end(self, tokens, says):
        assert describe_reading("It", tokens, ENDLESS) == f"It reads {says} of the request."


class TestShown:
    def test_json_names_the_heads(self, index):
        (result,) = explain_hits(index, search(index, ["moon"], k=1, trace=True))
        fields = json.loads(json.dumps(as_json(result)))
        assert (fields["model"], fields["heads"]) == ("small", ["marked"])
        assert fields["hits"][0]["why"]["heads"] == result.whys[0].heads

    def test_so_do_tables_and_heatmaps(self, index):
        (result,) = explain_hits(index, search(index, ["moon"], k=1, trace=True))
        assert footer(result).endswith("small · with marked")
        small, marked = result.whys[0].heads.values()
        assert f"semantic (small {small:.2f}, marked {marked:.2f})" in whys(result)
        assert compute_heatmap(index, ["moon"]).heads == ["marked"]

    def test_so_does_info(self, index, run):
        weight = index.info.heads[0].weight
        ran = run("info", "x", "--json")
        heads = json.loads(ran.out)["heads"]
        assert [head["model"] for head in heads] == ["small", "marked"]
        assert [head["weight"] for head in heads] == pytest.approx([1 - weight, weight])
        assert [head["temperature"] * head["weight"] for head in heads] == pytest.approx([index.info.temperature] * 2)
        assert f"marked (4 columns, weight {weight:.3g}, temperature" in " ".join(run("info", "x").out.split())
        assert "small, marked" in run("list").out
        assert json.loads(run("list", "--json").out)[0]["heads"] == ["marked"]

    def test_so_do_pages(self, index, run, tmp_path, undrawn):
        assert run("query", "moon", "-c", "x", "--explain", "-o", tmp_path / "x.html").code == 0
        page = (tmp_path / "x.html").read_text()
        assert ", with" in page
        assert page.count("marked") > 2


def test_one_head_says_nothing_of_heads(write, small):
    update([str(write("x.yaml", ITEMS))])
    with Index.open("x") as index:
        (result,) = explain_hits(index, search(index, ["moon"], k=1, trace=True))
    assert (result.heads, result.trace.heads, result.whys[0].heads) == ([], (), {})
    fields = as_json(result)
    assert "heads" not in fields
    assert "heads" not in fields["hits"][0]["why"]
    assert "heads" not in [step["name"] for step in fields["steps"]]


@pytest.mark.real
@pytest.mark.parametrize("by", ["words", "pieces"])
def test_the_real_heads_add_up(write, real, table, by):
    """One splits a word otherwise than the other, and only one has marks."""
    text = "An unbelievable story of naïve sci-fi fans 日本, whose journeys end well"
    update(
        [str(write("x.yaml", f"- {{id: a, title: {json.dumps(text)}}}\n- {{id: b, title: sea}}\n"))],
        heads=["wordllama"],
    )
    with Index.open("x") as index:
        result, (matrix,) = explain_pairs(index, rank_items(index, "unbelievable journeys", Setting(), ["a"]), by)
    check(matrix)
    (why,) = result.whys
    assert [*why.heads] == ["all-MiniLM-L6-v2", "wordllama"]
    assert sum(why.heads.values()) == pytest.approx(why.semantic, abs=EXACT)
    if by == "words":
        assert labels(matrix.rows) == ["unbelievable", "journeys", "the marks"]
    else:
        tokens = real.tokens("unbelievable journeys"), table.tokens("unbelievable journeys")
        assert labels(matrix.rows) == [*tokens[0], *tokens[1]]
        assert [len(part) for part in tokens] == [4, 7]
