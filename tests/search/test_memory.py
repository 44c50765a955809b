"""Judged requests on the road: every way to ask gives the mixture of two attentions, and its parts add up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnsearch.attention.memory import Recall
from attnsearch.explanation.cells import compute_heatmap
from attnsearch.explanation.reasons import explain_hits
from attnsearch.explanation.saved import collect_arrays
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.opening.union import open_catalogs
from attnsearch.postings.filters import parse_filter
from attnsearch.search import memory
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from attnsearch.search.weights import weigh_items
from attnsearch.storage.files import LEARNED
from attnsearch.storage.learned import Learned, Remembered, write_learned
from tests.conftest import logits_of
from tests.search.conftest import BOOKS, index_items

RECALL = Recall(0.8, 0.25, 0.75)  # of a request that was judged: μ_q = 0.8 · e / (e + 1)
TRUST = 0.8 * math.e / (math.e + 1)
NEVER = Recall(0.0, 0.01, 99.0)
SOME, PLAIN = Setting(), Setting(untrained=True)


@pytest.fixture(autouse=True)
def one_recall(monkeypatch):
    """Judged requests are followed as a test says, and in no other way."""
    monkeypatch.setattr("attnsearch.attention.memory.careful_recall", lambda _: NEVER)


def query(index, text, setting=SOME, *, k=10):
    return search(index, [text], setting, k=k)[0]


def remember(index, judged, recall=RECALL, **members):
    """Write what a catalog remembers; it is open already, and reads it when it is asked first."""
    info = index.info
    x = index.encoder.encode(list(judged), "query")
    remembered = Remembered(list(judged), x, list(judged.values()), recall)
    members = {"w": None, "temperature": None, "identity": info.identity, "memory": remembered, **members}
    write_learned(index.store.folder / LEARNED, Learned(info.model, info.sha256, **members))


def weights_of(index, text, setting=SOME):
    return {hit.id: hit.weight for hit in query(index, text, setting, k=99).hits}


def mixture(index, text, right, trust, setting=PLAIN):
    """(1 - μ) softmax(z) + μ right."""
    return {ident: (1 - trust) * p + trust * right.get(ident, 0.0) for ident, p in
            weights_of(index, text, setting).items()}  # fmt: skip


def test_a_judged_request_is_answered_as_it_was_judged(books):
    remember(books, {"sea": {"c": 1.0}})
    plain = query(books, "sea", PLAIN, k=99)
    result = query(books, "sea", k=99)
    assert weights_of(books, "sea") == pytest.approx(mixture(books, "sea", {"c": 1.0}, TRUST))
    assert (result.hits[0].id, plain.hits[-1].id) == ("c", "c")
    assert result.recalled == pytest.approx({"sea": TRUST})
    p = np.array([hit.weight for hit in result.hits])
    assert p.sum() == pytest.approx(1)
    assert result.effective_items == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    assert result.hits[0].score == pytest.approx(plain.hits[-1].score)  # the cosine is what it was


def test_grades_are_shares(books):
    remember(books, {"sea": {"c": 3.0, "a": 1.0}})
    assert weights_of(books, "sea") == pytest.approx(mixture(books, "sea", {"c": 0.75, "a": 0.25}, TRUST))


def test_the_nearest_judged_request_counts_most(books):
    remember(books, {"sea": {"c": 1.0}, "sea moon": {"a": 1.0}})
    cosine = math.sqrt(0.5)
    logits = np.array([1.0, (cosine - 0.75) / 0.25, 0.0])
    shares = 0.8 * np.exp(logits) / np.exp(logits).sum()
    expected = mixture(books, "sea", {"c": shares[0] / shares[:2].sum(), "a": shares[1] / shares[:2].sum()},
                       shares[:2].sum())  # fmt: skip
    assert weights_of(books, "sea") == pytest.approx(expected)
    assert list(query(books, "sea").recalled) == ["sea", "sea moon"]


def test_a_request_like_no_judged_one_is_left_alone(books):
    remember(books, {"sea": {"c": 1.0}}, RECALL._replace(temperature=0.01))
    plain, result = query(books, "robot", PLAIN), query(books, "robot")
    assert result.hits == plain.hits
    assert result.recalled == {}


def test_items_that_nobody_judged_keep_their_logits_to_the_last_bit(books):
    remember(books, {"sea": {"c": 1.0}})
    before, after = (
        {hit.id: hit.logit for hit in query(books, "sea", setting, k=99).hits} for setting in (PLAIN, Setting())
    )
    assert {ident for ident in before if before[ident] != after[ident]} == {"c"}


def test_equal_items_stay_equal(write, small):
    items = [{"id": ident, "title": "sea"} for ident in "abcd"]
    with Index.open(index_items(write, "copies", items)) as index:
        remember(index, {"sea": {"d": 1.0, "b": 1.0}})
        hits = query(index, "sea").hits
        assert [hit.id for hit in hits] == ["b", "d", "a", "c"]
        assert hits[0].logit == hits[1].logit
        assert hits[2].logit == hits[3].logit


def test_the_top_is_cut_after_memory_has_raised_it(books):
    remember(books, {"sea": {"c": 1.0}})
    everything = query(books, "sea", k=99).hits
    for k in (1, 2, 3):
        assert query(books, "sea", k=k).hits == everything[:k]
    (share,) = search(books, ["sea"], k=None, top_p=0.5)
    assert [hit.id for hit in share.hits] == ["c"]


def test_the_number_of_queries_changes_nothing(books):
    remember(books, {"sea": {"c": 1.0}, "moon": {"b": 1.0}})
    texts = ["sea", "moon", "robot", "sea moon"] * 5
    together = search(books, texts, k=3)
    for text, result in zip(texts, together, strict=True):
        (alone,) = search(books, [text], k=3)
        assert [hit.id for hit in alone.hits] == [hit.id for hit in result.hits]
        assert [hit.logit for hit in alone.hits] == pytest.approx([hit.logit for hit in result.hits], abs=1e-5)


def test_what_is_negligible_is_so_beside_queries_for_which_it_is_not(books):
    """A share of 3e-7 would raise an item that has next to no weight by many logits."""
    remember(books, {"sea": {"a": 1.0}, "robot": {"c": 1.0}}, Recall(0.9, 0.05, 0.75))
    (alone,), (beside, _) = search(books, ["sea"]), search(books, ["sea", "robot"])
    assert [hit.logit for hit in alone.hits] == pytest.approx([hit.logit for hit in beside.hits], abs=1e-5)


def test_nothing_is_right(books):
    """Then it votes for none of these, and no item changes."""
    remember(books, {"sea": {}})
    plain, result = query(books, "sea", PLAIN), query(books, "sea")
    assert result.hits == plain.hits
    assert result.recalled == pytest.approx({"sea": TRUST})


def test_none_of_these_is_a_mixture(fitted, write):
    with Index.open(index_items(write, "books", BOOKS)) as index:
        remember(index, {"sea": {"c": 1.0}, "robot": {}})
        plain = {text: query(index, text, PLAIN).none_of_these for text in ("sea", "robot")}
        assert query(index, "sea").none_of_these == pytest.approx((1 - TRUST) * plain["sea"], abs=0.03)
        assert query(index, "robot").none_of_these == pytest.approx((1 - TRUST) * plain["robot"] + TRUST, abs=0.03)


class TestHidden:
    """What a filter hides, or what is gone, is as if it had not been judged."""

    def test_a_judged_request_without_visible_items(self, books):
        remember(books, {"sea": {"c": 1.0}})
        setting = Setting(where=(parse_filter("year > 1000"),))
        assert query(books, "sea", setting).hits == query(books, "sea", setting._replace(untrained=True)).hits
        assert query(books, "sea", setting).recalled == {}

    def test_the_others_that_are_right_share_what_it_had(self, books):
        remember(books, {"sea": {"c": 3.0, "a": 1.0, "gone": 5.0}})
        setting = Setting(where=(parse_filter("year > 1000"),))
        plain = setting._replace(untrained=True)
        assert weights_of(books, "sea", setting) == pytest.approx(mixture(books, "sea", {"a": 1.0}, TRUST, plain))
        assert weights_of(books, "sea") == pytest.approx(mixture(books, "sea", {"c": 0.75, "a": 0.25}, TRUST))

    def test_everything(self, books):
        remember(books, {"sea": {"c": 1.0}, "moon": {}})
        setting = Setting(where=(parse_filter("year > 3000"),))
        assert query(books, "sea", setting).hits == []

    def test_items_that_are_gone(self, books):
        remember(books, {"sea": {"gone": 1.0}})
        assert query(books, "sea").hits == query(books, "sea", PLAIN).hits


def test_items_as_a_query_are_no_request(books):
    remember(books, {"sea": {"c": 1.0}})
    for text in ("", "sea"):
        results = [search(books, [text], Setting(like=("b",), untrained=untrained))[0] for untrained in (True, False)]
        assert results[0].hits == results[1].hits


def test_every_way_to_ask_agrees(books):
    remember(books, {"sea": {"c": 1.0, "a": 1.0}, "moon": {"b": 1.0}})
    texts = ["sea", "moon"]
    results = search(books, texts, k=4, output=True, trace=True, values=("year",))
    weights = weigh_items(books, texts)
    heatmap = compute_heatmap(books, texts, k=4)
    arrays = collect_arrays(books, texts, Setting())
    _, z = logits_of(books, texts)
    for i, (text, result) in enumerate(zip(texts, results, strict=True)):
        of_id = {hit.id: hit for hit in result.hits}
        assert [of_id[ident].weight for ident in "abcd"] == pytest.approx(weights[i])
        assert [of_id[ident].logit for ident in "abcd"] == z[i].tolist()
        row = heatmap.queries.index(text)
        for column, cell in zip(heatmap.columns, heatmap.logits[row], strict=True):
            assert of_id[column.id].logit == pytest.approx(cell, abs=1e-5)
        assert heatmap.weights[row].sum() == pytest.approx(1)
        assert heatmap.recalled[text] == result.recalled
        ranked = rank_items(books, text, Setting(), ["d", "c"])
        assert [(hit.id, hit.rank) for hit in ranked.hits] == [(ident, of_id[ident].rank) for ident in "dc"]
        p = weights[i]
        assert result.output == pytest.approx(p @ books.store.embeddings([0, 1, 2, 3]), abs=1e-6)
        years = {"a": [1900], "b": [1950, 1999], "d": [1950]}
        numbers = [(of_id[ident].weight, year) for ident in years for year in years[ident]]
        mean = sum(weight * year for weight, year in numbers) / sum(weight for weight, _ in numbers)
        assert result.values[0].mean == pytest.approx(mean)
        logits = arrays["q"][i] @ arrays["K"].T / math.sqrt(books.info.d) + arrays["bias"][i]
        assert logits == pytest.approx(z[i], abs=1e-4)


def test_why_adds_up(books):
    remember(books, {"sea": {"c": 1.0, "a": 1.0}, "sea moon": {"a": 1.0}})
    (result,) = explain_hits(books, search(books, ["sea"], Setting(lexical=0.5), k=4, trace=True))
    for hit, why in zip(result.hits, result.whys, strict=True):
        total = why.semantic + sum(why.lexical.values()) + sum(why.prior.values()) + sum(why.memory.values())
        assert total == pytest.approx(hit.logit, abs=1e-12)
    why_of = dict(zip((hit.id for hit in result.hits), result.whys, strict=True))
    assert {ident: list(why.memory) for ident, why in why_of.items()} == {
        "a": ["sea", "sea moon"], "c": ["sea"], "b": [], "d": [],
    }  # fmt: skip
    share = result.recalled["sea"] / 2, result.recalled["sea moon"]
    assert why_of["a"].memory["sea"] / why_of["a"].memory["sea moon"] == pytest.approx(share[0] / share[1])
    plain = {hit.id: hit.logit for hit in query(books, "sea", Setting(lexical=0.5, untrained=True)).hits}
    assert {hit.id: hit.logit - plain[hit.id] for hit in result.hits} == pytest.approx(
        {ident: sum(why.memory.values()) for ident, why in why_of.items()}, abs=1e-5
    )


def test_of_a_long_item_its_best_passage_is_raised(write, small):
    text = "moon. " * 99 + "sea. " * 99  # more than the 100 words that the small encoder reads
    items = [{"id": "long", "description": text}, {"id": "other", "description": "robot robot"}]
    with Index.open(index_items(write, "long", items)) as index:
        assert index.info.keys > 2
        remember(index, {"robot": {"long": 1.0}})
        for text in ("robot moon", "robot sea"):
            plain, result = (
                search(index, [text], setting, k=2, trace=True, output=True)[0] for setting in (PLAIN, Setting())
            )
            passages = [{hit.id: hit.passage for hit in of_setting.hits} for of_setting in (plain, result)]
            assert passages[0] == passages[1]
            assert result.recalled
            right = {hit.id: hit.weight for hit in result.hits}
            trust = sum(result.recalled.values())
            assert right == pytest.approx(mixture(index, text, {"long": 1.0}, trust))
            keys = dict(zip((hit.id for hit in result.hits), result.trace.hit_keys, strict=True))
            vectors = index.store.embeddings([keys["long"], keys["other"]])
            assert result.output == pytest.approx(np.array([right["long"], right["other"]]) @ vectors, abs=1e-5)


def test_only_what_is_near_is_looked_up(books, monkeypatch):
    remember(books, {"sea": {"c": 1.0}, "robot": {"b": 1.0}}, Recall(0.9, 0.02, 0.85))
    asked = []
    keys_of = books.store.keys_of
    monkeypatch.setattr(books.store, "keys_of", lambda ids: asked.extend(ids) or keys_of(ids))
    query(books, "sea")
    assert asked == ["c"]
    query(books, "moon")
    assert asked == ["c"]


def test_what_is_left_out_is_negligible(books, monkeypatch):
    """With a memory so wide that nothing is, the weights are the same."""
    remember(books, {"sea": {"c": 1.0}, "robot": {"b": 1.0}}, Recall(0.9, 0.05, 0.85))
    some = weights_of(books, "sea")
    monkeypatch.setattr(memory, "_NEGLIGIBLE", 1e-300)
    assert some == pytest.approx(weights_of(books, "sea"), abs=2e-6)


class TestSeveralCatalogs:
    """Each remembers what was right among its own items; the softmax over judged requests is one."""

    @pytest.fixture
    def both(self, write, small):
        for name in ("books", "others"):
            with Index.open(index_items(write, name, BOOKS)) as index:
                ident = "c" if name == "books" else "a"
                remember(index, {"sea": {ident: 1.0}} if name == "books" else {"sea": {ident: 1.0}, "moon": {}})
        with open_catalogs(["books", "others"]) as index:
            yield index

    def test_memories_are_merged(self, both):
        hits = query(both, "sea", k=3).hits
        assert [(hit.catalog, hit.id) for hit in hits[:2]] in (
            [("others", "a"), ("books", "c")], [("books", "c"), ("others", "a")],
        )  # fmt: skip
        shares = query(both, "sea").recalled
        assert shares["sea"] == pytest.approx(0.8 * 2 * math.e / (2 * math.e + 1 + math.exp(-3)), rel=1e-3)

    def test_one_that_remembers_nothing_does_not_refuse(self, both, write, small):
        index_items(write, "third", BOOKS[:1])
        with open_catalogs(["third", "books"]) as index:
            assert query(index, "sea", k=1).hits[0].id == "c"

    def test_a_file_belongs_to_no_catalog(self, both):
        other = both.parts[0].learned._replace(identity="")
        result = query(both, "sea", Setting(learned=other), k=2)
        assert {(hit.catalog, hit.id) for hit in result.hits} == {("books", "c"), ("others", "c")}


def test_it_is_forgotten_for_once(books):
    remember(books, {"sea": {"c": 1.0}})
    assert query(books, "sea", PLAIN).recalled == {}
    assert not query(books, "sea").trained


def test_removed_items_are_left_out(write, small):
    path = write("shop.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: robot}\n")
    update([str(path)])
    with Index.open("shop") as index:
        remember(index, {"sea": {"c": 1.0, "a": 1.0}})
    path.write_text("- {id: a, title: moon}\n- {id: b, title: sea}\n")
    update([str(path)])
    with Index.open("shop") as index:
        assert weights_of(index, "sea") == pytest.approx(mixture(index, "sea", {"a": 1.0}, TRUST))


def test_after_a_training_the_same_request_is_still_answered_as_it_was_judged(books, monkeypatch):
    """It follows judged requests further, but less; the careful recall is beside that."""
    remember(books, {"sea": {"c": 1.0}, "moon": {"d": 1.0}}, Recall(0.3, 0.25, 0.0))
    wide = weights_of(books, "sea")
    assert max(wide, key=wide.get) == "b"
    monkeypatch.setattr("attnsearch.attention.memory.careful_recall", lambda _: Recall(0.9, 0.02, 0.85))
    logits = np.array([1 / 0.25, 0.0, 0.15 / 0.02, 0.0])  # of sea and moon, of sea again, of the null key
    trained_sea, trained_moon, careful_sea = np.array([0.3, 0.3, 0.9]) * np.exp(logits[:3]) / np.exp(logits).sum()
    trust = trained_sea + trained_moon + careful_sea
    right = {"c": (trained_sea + careful_sea) / trust, "d": trained_moon / trust}
    assert weights_of(books, "sea") == pytest.approx(mixture(books, "sea", right, trust), abs=1e-6)
    assert query(books, "sea").hits[0].id == "c"
    assert query(books, "sea").recalled["sea"] == pytest.approx(trained_sea + careful_sea)
