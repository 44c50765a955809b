from __future__ import annotations

import json
import math

import numpy as np
import pytest

from attnsearch.attention.projections import identity, textbook
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.errors import InputError
from attnsearch.explanation.reasons import explain_hits
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search import ranking
from attnsearch.search.result import Hit
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from tests.asking import query
from tests.conftest import logits_of
from tests.search.conftest import index_items

ITEMS = """\
- {id: m, title: moon}
- {id: ms, title: moon sea}
- {id: r, title: robot}
- {id: m2, title: moon, twin: 1}
- {id: o, title: other}
"""


@pytest.fixture
def index(write, small):
    update([str(write("x.yaml", ITEMS))])
    with Index.open("x") as opened:
        yield opened


def test_by_hand(index):
    """Cosines to "moon": 1, 1/√2, 0, 1, 0. With τ = 1/ln 3 a cosine of 1 is three times one of 0."""
    result = query(index, "moon", temperature=1 / math.log(3))
    total = 3 + math.sqrt(3 ** math.sqrt(2)) + 1 + 3 + 1
    assert [(hit.rank, hit.id) for hit in result.hits] == [(1, "m"), (2, "m2"), (3, "ms"), (4, "r"), (5, "o")]
    expected = [3 / total, 3 / total, math.sqrt(3 ** math.sqrt(2)) / total, 1 / total, 1 / total]
    assert [hit.weight for hit in result.hits] == pytest.approx(expected, rel=1e-6)
    assert [hit.score for hit in result.hits] == pytest.approx([1, 1, math.sqrt(0.5), 0, 0], abs=1e-6)
    assert result.hits[0].logit == pytest.approx(math.log(3), rel=1e-6)
    assert result.effective_items == pytest.approx(math.exp(-sum(p * math.log(p) for p in expected)))
    assert (result.items, result.masked, result.none_of_these) == (5, 0, None)
    assert result.hits[1].fields == {"twin": 1}


def test_weights_are_shares_of_all_items_not_of_those_shown(index):
    whole, top = query(index, "moon", k=99), query(index, "moon", k=2)
    assert sum(hit.weight for hit in whole.hits) == pytest.approx(1)
    assert top.hits == whole.hits[:2]
    assert top.effective_items == whole.effective_items


def test_default_temperature(index):
    result = query(index, "moon sea")
    assert result.elapsed_ms > 0
    assert result.temperature == 0.05
    for hit in result.hits:
        assert hit.logit == pytest.approx(20 * hit.score, abs=1e-4)


def test_the_textbook_is_flat(index):
    (result,) = search(index, ["moon"], Setting(textbook(4)))
    assert result.hits[0].logit == pytest.approx(1 / 2)  # 1/√4
    assert result.temperature == pytest.approx(2)
    assert result.effective_items > 4.5


def test_several_at_once_are_each_as_if_alone(index):
    texts = ["moon", "robot sea", "other"]
    for text, result in zip(texts, search(index, texts), strict=True):
        alone = query(index, text)
        assert result.query == text
        assert [hit.id for hit in result.hits] == [hit.id for hit in alone.hits]
        assert [hit.weight for hit in result.hits] == pytest.approx([hit.weight for hit in alone.hits])
    assert search(index, []) == []


def test_limits(index):
    (result,) = search(index, ["moon"], min_score=0.5)
    assert [hit.id for hit in result.hits] == ["m", "m2", "ms"]
    (result,) = search(index, ["moon"], min_weight=0.4)
    assert [hit.id for hit in result.hits] == ["m", "m2"]
    (result,) = search(index, ["moon"], min_weight=0.99)
    assert result.hits == []


def test_the_order_of_items_does_not_matter(write, small):
    lines = ITEMS.splitlines(keepends=True)
    weights = []
    for name, ordered in (("one", lines), ("two", lines[::-1])):
        update([str(write(f"{name}.yaml", "".join(ordered)))])
        with Index.open(name) as opened:
            weights.append({hit.id: hit.weight for hit in query(opened, "moon sea").hits})
    assert weights[0] == pytest.approx(weights[1])


def test_a_changed_catalog_answers_as_a_new_one(write, small):
    """Rows that were buried have no share."""
    path = write("x.yaml", ITEMS)
    update([str(path)])
    path.write_text(ITEMS.replace("title: robot", "title: moon robot").replace("- {id: o, title: other}\n", ""))
    update([str(path)])
    update([str(path)], name="fresh")
    answers = []
    for name in ("x", "fresh"):
        with Index.open(name) as opened:
            answers.append({hit.id: hit.weight for hit in query(opened, "moon", temperature=1).hits})
    assert answers[0] == pytest.approx(answers[1])
    assert set(answers[0]) == {"m", "ms", "r", "m2"}


@pytest.mark.parametrize(("text", "message"), [("", "the query is empty"), (" \t\n", "the query is empty"),
                                               ("a\udcff", "the query is not valid UTF-8")])  # fmt: skip
def test_no_query(index, text, message):
    with pytest.raises(InputError, match=message):
        query(index, text)


def test_a_long_query_says_what_it_leaves_out(index, caplog):
    query(index, "long " * 99)
    assert "the query is longer than the 100 tokens" in caplog.text


def test_a_language_that_the_encoder_does_not_read(write, fitted, monkeypatch):
    asked = []
    monkeypatch.setattr(ranking, "reads", lambda encoder, text: asked.append(text) or "?" not in text)
    with Index.open(index_items(write, "x", [{"id": "m", "title": "moon"}])) as index:
        results = search(index, ["moon ?", "robot ?", "robot"])
        hidden = search(index, ["robot ?"], Setting(where=(parse_filter("id = z"),)))[0]
    assert [result.unreadable for result in results] == [False, True, False]
    assert asked == ["robot ?", "robot"]  # only where nothing matches well
    assert (hidden.none_of_these, hidden.unreadable) == (1, False)


def test_the_trace_is_what_was_computed(index):
    (result,) = search(index, ["moon"], Setting(identity(4, 0.5)), trace=True)
    trace = result.trace
    assert trace.x.tolist() == [1, 0, 0, 0]
    assert trace.q == pytest.approx(np.array([4, 0, 0, 0]))  # √4 / 0.5
    assert trace.keys_shape == (5, 4)
    assert trace.maximum == pytest.approx(2)
    x = np.array([[1, 0, 0, 0], [0.5**0.5, 0.5**0.5, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    z = np.exp(x[:, 0] / 0.5)
    assert trace.log_normalizer == pytest.approx(math.log(z.sum()))
    assert trace.output == pytest.approx(z @ x / z.sum())
    assert search(index, ["moon"])[0].trace is None


def test_each_trace_is_its_own_query_s(index):
    traces = [result.trace for result in search(index, ["moon", "robot sea"], trace=True)]
    for text, trace in zip(["moon", "robot sea"], traces, strict=True):
        alone = search(index, [text], trace=True)[0].trace
        assert trace.tokens == alone.tokens
        assert trace.x.tolist() == alone.x.tolist()
        assert trace.output == pytest.approx(alone.output, abs=1e-5)
        assert (trace.maximum, trace.log_normalizer) == pytest.approx((alone.maximum, alone.log_normalizer))
    assert traces[0].output != pytest.approx(traces[1].output, abs=1e-2)


@pytest.mark.parametrize("queries", [1, 3])
def test_however_the_keys_are_split_among_threads(write, small, monkeypatch, queries):
    """Many equal keys, some of them removed, in parts of two and blocks of one: the same answers in the same order."""
    words = ["moon", "sea", "moon sea", "robot", "robot moon moon", "other"]
    path = write("x.jsonl", "".join(f'{{"id": "{n}", "title": "{words[n % 6]}"}}\n' for n in range(60)))
    update([str(path)])
    path.write_text("".join(line for n, line in enumerate(path.read_text().splitlines(keepends=True)) if n % 7))
    update([str(path)])
    texts = ["moon sea", "robot", "sea"][:queries]
    with Index.open("x") as opened:
        whole = search(opened, texts, k=20, trace=True)
        monkeypatch.setattr("attnsearch.threads.count", lambda: 4)
        engine = LocalEngine(opened.store, Cut(piece=5, block=2 * queries, budget=queries, parts=30))
        split = search(Index(opened.store, opened.encoder, engine), texts, k=20, trace=True)
    for result, peer in zip(whole, split, strict=True):
        assert [hit.id for hit in result.hits] == [hit.id for hit in peer.hits]
        assert [hit.weight for hit in result.hits] == pytest.approx([hit.weight for hit in peer.hits], rel=1e-5)
        assert result.effective_items == pytest.approx(peer.effective_items, rel=1e-5)
        assert result.trace.output == pytest.approx(peer.trace.output, abs=1e-5)  # 2.3e-7 with the oldest kernel
        ranked = [(-hit.logit, int(hit.id)) for hit in result.hits]
        assert ranked == sorted(ranked)


def test_every_logit(index):
    _, z = logits_of(index, ["moon sea", "robot"])
    for row, text in zip(z, ["moon sea", "robot"], strict=True):
        best = np.sort(row[np.isfinite(row)])[::-1]
        assert best.tolist() == pytest.approx([hit.logit for hit in query(index, text, k=99).hits], abs=1e-5)


class TestEveryLogit:
    """What needs every logit at once: all items, a share of the attention, a field read out."""

    TEXTS = ("moon sea", "robot", "sea", "other moon")

    def test_without_k_all_items_are_listed(self, index):
        """However little the last of them weighs: here exp(-100)."""
        (result,) = search(index, ["moon"], Setting(identity(4, 0.01)), k=None)
        assert [hit.id for hit in result.hits] == ["m", "m2", "ms", "r", "o"]

    @pytest.mark.parametrize("options", [{"top_p": 0.6}, {"top_p": 1.0}, {"values": ["twin"], "k": 3}])
    def test_in_batches(self, index, monkeypatch, options):
        options = {"k": None, "output": True, "trace": True, **options}
        whole = search(index, self.TEXTS, Setting(lexical=0.5), **options)
        monkeypatch.setattr("attnsearch.search.search.BUDGET", 2 * index.store.size + 1)
        split = search(index, self.TEXTS, Setting(lexical=0.5), **options)
        assert [result.query for result in split] == list(self.TEXTS)
        for result, peer in zip(whole, split, strict=True):
            assert [hit.id for hit in result.hits] == [hit.id for hit in peer.hits]
            assert [hit.weight for hit in result.hits] == pytest.approx([hit.weight for hit in peer.hits], abs=1e-4)
            shares = [pytest.approx(value.shares, abs=1e-4) for value in peer.values]
            assert [value.shares for value in result.values] == shares
            assert result.output == pytest.approx(peer.output, abs=1e-4)
            assert result.trace.biases == peer.trace.biases
            assert peer.elapsed_ms > 0

    def test_top_p_is_of_each_query(self, index):
        """One query needs two items for it, the other only one, though they are asked together."""
        moon, robot = search(index, ["moon", "robot"], k=None, top_p=0.6)
        assert [hit.id for hit in moon.hits] == ["m", "m2"]
        assert [hit.id for hit in robot.hits] == ["r"]


class TestRankItems:
    ITEMS = (
        "- {id: m, title: moon}\n- {id: ms, title: Moon and sea}\n- {id: r, title: robot}\n- {id: r2, title: robot}\n"
    )

    @pytest.fixture
    def index(self, write, small):
        update([str(write("x.yaml", self.ITEMS))])
        with Index.open("x") as opened:
            yield opened

    def test_ranks_and_weights_are_those_of_the_road(self, index):
        asked = ["moon sea", "robot"]
        every = search(index, asked, k=9)
        for text, whole in zip(asked, every, strict=True):
            result = rank_items(index, text, Setting(), ["r2", "ms", "m", "r"])
            assert [hit.id for hit in result.hits] == ["r2", "ms", "m", "r"]
            for hit in result.hits:
                (peer,) = [ranked for ranked in whole.hits if ranked.id == hit.id]
                assert (hit.rank, hit.title, hit.passage) == (peer.rank, peer.title, peer.passage)
                assert hit.logit == pytest.approx(peer.logit, abs=1e-5)
                assert hit.weight == pytest.approx(peer.weight, abs=1e-6)
                assert hit.score == peer.score
            assert [why.item.text for why in explain_hits(index, [result])[0].whys][1] == "Moon and sea"

    def test_by_the_best_passage(self, write, small):
        long = {"id": "a", "title": "tide", "description": f"{'filler ' * 140}moon"}
        update([str(write("x.json", json.dumps([{"id": "m", "title": "robot"}, long])))])
        with Index.open("x") as index:
            result = rank_items(index, "moon", Setting(), ["a"])
            assert result.hits[0].passage.endswith("moon")
            assert result.trace.hit_keys == [index.store.keys_of(["a"])["a"][-1]]
            assert result.hits[0].rank == 1

    def test_what_is_hidden(self, write, small):
        update([str(write("x.yaml", "- {id: a, title: moon, price: 1}\n- {id: b, title: sea}\n"))])
        with Index.open("x") as index:
            setting = Setting(where=(parse_filter("price?"),))
            assert rank_items(index, "moon", setting, ["a"]).hits[0].weight == pytest.approx(1)
            with pytest.raises(InputError, match="x: a filter hides the item 'b'"):
                rank_items(index, "moon", setting, ["b"])

    def test_nothing_there(self, index):
        with pytest.raises(InputError, match="x: no item 'zzz'"):
            rank_items(index, "moon", Setting(), ["zzz"])

    @pytest.mark.parametrize("text", ["", "\udcff"])
    def test_no_query(self, index, text):
        with pytest.raises(InputError, match="the query is"):
            rank_items(index, text, Setting(), ["m"])


def test_an_item_without_a_title_has_its_id_as_its_name():
    hit = Hit(1, "a", "", 1.0, 1.0, 20.0, "", {})
    assert (hit.name, hit._replace(title="moon").name) == ("a", "moon")


@pytest.mark.parametrize("options", [{}, {"top_p": 0.9}, {"min_score": 0.1}, {"values": ["title"]}])
def test_each_text_has_its_own_k(index, options):
    texts, counts = ["moon", "sea", "moon"], [2, 1, 1]
    together = search(index, texts, k=counts, **options)
    for result, text, k in zip(together, texts, counts, strict=True):
        assert result.hits == search(index, [text], k=k, **options)[0].hits
    assert [len(result.hits) for result in together] == [2, 1, 1]
