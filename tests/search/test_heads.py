"""By property: a catalog of two heads is one softmax over Σ_h cosine_h / τ_h, by whatever road."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsearch.attention import null_key
from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import TEMPERATURE
from attnsearch.encoding import loading
from attnsearch.errors import InputError
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.opening.union import open_catalogs
from attnsearch.search.duplicates import find_duplicates
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.storage.files import LEARNED
from attnsearch.storage.learned import Learned, write_learned
from attnsearch.storage.segment import all_heads, whole_identity
from tests.asking import query
from tests.conftest import SmallEncoder, VowelEncoder, logits_of

WORDS = ("moon", "sea", "robot", "fog", "island")
ENCODERS = (SmallEncoder(), VowelEncoder())

few = settings(max_examples=20)
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory):
    """The same items in one catalog of two heads, and in two asked as one; an item has several passages."""
    folder = tmp_path_factory.mktemp("heads")
    rng = np.random.default_rng(5)
    items = [
        {"id": f"i{n}", "title": " ".join(rng.choice(WORDS, rng.integers(1, 5))), "year": n, "kind": "ab"[n % 2]}
        for n in range(30)
    ]
    items.insert(9, {"id": "long", "title": "moon", "description": "sea fog " * 150, "year": 99, "kind": "a"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load", lambda name=None, **options: ENCODERS[name == "vowels"])
        patch.setenv("ATTNSEARCH_HOME", str(folder / "home"))
        for name, some in (("whole", items), ("left", items[:17]), ("right", items[17:])):
            source = folder / f"{name}.jsonl"
            source.write_text("\n".join(map(json.dumps, some)))
            update([str(source)])
            update([str(source)], heads=["vowels=0.2"])
        whole, union = Index.open("whole"), open_catalogs(["left", "right"])
    with whole, union:
        yield whole, union


def cosines_of(index, text):
    """The cosine of a text and each key, for each head, from the texts alone."""
    places = index.store.spans_at(index.store.living().tolist())
    read = [f"moon. {place.item.text[place.start : place.stop]}" if place.start else place.item.text[: place.stop]
            for place in places]  # fmt: skip
    return [(encoder.encode([text]) @ encoder.encode(read).T)[0].astype(np.float64) for encoder in ENCODERS]


def temperatures_of(index):
    """τ_h of each head."""
    return [index.info.temperature / head.weight for head in all_heads(index.info)]


def expected_logits(index, text):
    """Σ_h cosine_h / τ_h of each key, by the ids of their items: the best of each."""
    z = sum(cosine / tau for cosine, tau in zip(cosines_of(index, text), temperatures_of(index), strict=True))
    best = {}
    for place, logit in zip(index.store.spans_at(index.store.living().tolist()), z, strict=True):
        best[place.item.id] = max(best.get(place.item.id, -math.inf), float(logit))
    return best


def softmax(logits):
    top = max(logits.values())
    total = sum(math.exp(logit - top) for logit in logits.values())
    return {ident: math.exp(logit - top) / total for ident, logit in logits.items()}


def weights_of(result):
    return {hit.id: hit.weight for hit in result.hits}


@few
@given(texts)
def test_the_weights(catalogs, text):
    for index in catalogs:
        assert weights_of(query(index, text, k=99)) == pytest.approx(softmax(expected_logits(index, text)), abs=1e-6)


@few
@given(texts, st.sampled_from(["year > 11", "kind = a", "not kind = a and year < 20"]), st.floats(0.1, 3))
def test_with_filters_and_a_bias(catalogs, text, where, weight):
    passes = {
        "year > 11": lambda item: item["year"] > 11,
        "kind = a": lambda item: item["kind"] == "a",
        "not kind = a and year < 20": lambda item: item["kind"] != "a" and item["year"] < 20,
    }[where]
    for index in catalogs:
        fields = {place.item.id: place.item.fields for place in index.store.spans_at(index.store.living().tolist())}
        ranks = {ident: rank for rank, ident in enumerate(sorted(fields, key=lambda ident: fields[ident]["year"]))}
        logits = {
            ident: logit + weight * ((ranks[ident] + 0.5) / len(ranks) - 0.5)
            for ident, logit in expected_logits(index, text).items()
            if passes(fields[ident])
        }
        result = query(index, text, k=99, where=where, priors={"year": weight})
        assert weights_of(result) == pytest.approx(softmax(logits), abs=1e-6)


@few
@given(texts, st.floats(0.02, 2))
def test_a_temperature_is_that_of_all_heads(catalogs, text, temperature):
    """It scales all logits alike."""
    for index in catalogs:
        tau = 1 / sum(1 / tau for tau in temperatures_of(index))
        logits = {ident: logit * tau / temperature for ident, logit in expected_logits(index, text).items()}
        result = query(index, text, k=99, temperature=temperature)
        assert weights_of(result) == pytest.approx(softmax(logits), abs=1e-6)


@few
@given(texts)
def test_the_output(catalogs, text):
    """Σ_i p_i x_i, in the columns of each head what its own vectors add up to."""
    for index in catalogs:
        result = search(index, [text], Setting(), k=0, output=True)[0]
        x = index.store.embeddings(index.store.living()).astype(np.float64)
        _, z = logits_of(index, [text])
        z = z[0][index.store.living()].astype(np.float64)
        first_keys = index.store.first_keys[index.store.living()]
        best = np.array([z[first_keys == first].max() == logit for first, logit in zip(first_keys, z, strict=True)])
        p = np.where(best, np.exp(z - z.max()), 0.0)
        assert result.output == pytest.approx(p @ x / p.sum(), abs=1e-6)


@few
@given(texts, st.integers(0, 99))
def test_a_trained_matrix_over_the_whole_width(catalogs, text, seed):
    w = np.eye(10, dtype=np.float32) + 0.2 * np.random.default_rng(seed).standard_normal((10, 10)).astype(np.float32)
    for index in catalogs:
        info = index.info
        learned = Learned("small", info.sha256, w, 0.1, identity=whole_identity(info))
        assert learned.suits(info)
        x = index.store.embeddings(index.store.living()).astype(np.float64)
        q = index.encoder.encode([text], "query").astype(np.float64)
        z = (q @ w.astype(np.float64) @ x.T)[0] / 0.1
        best = {}
        for place, logit in zip(index.store.spans_at(index.store.living().tolist()), z, strict=True):
            best[place.item.id] = max(best.get(place.item.id, -math.inf), float(logit))
        result = query(index, text, k=99, learned=learned)
        assert weights_of(result) == pytest.approx(softmax(best), abs=1e-4)


@few
@given(texts)
def test_the_null_key_goes_by_the_first_head(catalogs, text):
    null = NullKey(14.0, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(null_key.FITTED, "5" * 64, null)
        for index in catalogs:
            first, _ = cosines_of(index, text)
            best = {}
            for place, cosine in zip(index.store.spans_at(index.store.living().tolist()), first, strict=True):
                best[place.item.id] = max(best.get(place.item.id, -math.inf), float(cosine) / TEMPERATURE)
            z = np.array(list(best.values()))
            log_sum = z.max() + math.log(np.exp(z - z.max()).sum())
            expected = null_key.chance(null, z[:1] * 0 + z.max(), np.array([log_sum]), np.array([len(z)]))
            for setting in ({}, {"temperature": 1.0}):
                assert query(index, text, **setting).none_of_these == pytest.approx(expected[0], abs=1e-4)


def test_what_is_like_an_item(catalogs):
    for index in catalogs:
        (result,) = search(index, [""], Setting(like=("i3",)), k=99)
        (place,) = index.store.spans_at(index.store.keys_of(["i3"])["i3"])
        logits = expected_logits(index, place.item.text)
        del logits["i3"]
        assert weights_of(result) == pytest.approx(softmax(logits), abs=1e-6)
        assert result.none_of_these is None


def test_duplicates_are_alike_by_all_heads(catalogs):
    """The threshold is of Σ a_h cosine_h."""
    for index in catalogs:
        x = index.store.embeddings(index.store.living()).astype(np.float64)
        places = index.store.spans_at(index.store.living().tolist())
        score = {(a.item.id, b.item.id): float(left @ right) for a, left in zip(places, x, strict=True)
                 for b, right in zip(places, x, strict=True) if a.stop == len(a.item.text) and not a.start}  # fmt: skip
        members = [group.members for group in find_duplicates(index, min_score=0.97).read()]
        assert sum(map(len, members)) > 4
        assert all(
            item.score == pytest.approx(score[group[0].id, item.id], abs=1e-5) for group in members for item in group
        )


class TestLearned:
    def test_what_is_for_other_heads_is_not_used(self, catalogs):
        info = catalogs[0].info
        w = np.eye(10, dtype=np.float32)
        for identity in (info.identity, "0" * 64):
            assert not Learned("small", info.sha256, w, 0.1, identity=identity).suits(info)
        other = info._replace(heads=(info.heads[0]._replace(weight=0.3),))
        assert not Learned("small", info.sha256, w, 0.1, identity=whole_identity(info)).suits(other)

    def test_another_catalog_s_is_refused(self, catalogs):
        other = Learned("small", "5" * 64, np.eye(10, dtype=np.float32), 0.1, identity="5" * 64)
        with pytest.raises(
            InputError, match="projections were learned for another prompt, tokenizer or head of small"
        ) as caught:
            query(catalogs[0], "moon", learned=other)
        assert (
            caught.value.hint == "use those of a catalog with the same model, prompts and heads, or none: --untrained"
        )

    def test_with_a_new_head_it_is_not_used(self, two, write, home, caplog):
        """Nor is it lost: without the head, it is."""
        source = write("shop.yaml", "- {title: moon}\n- {title: sea}\n")
        info = update([str(source)]).info
        write_learned(home / "shop" / LEARNED, Learned("small", info.sha256, np.eye(4, dtype=np.float32)[::-1], 0.1,
                                                       identity=info.identity))  # fmt: skip
        for heads, is_used in (["vowels"], False), (["none"], True):
            update([str(source)], heads=heads)
            caplog.clear()
            with Index.open("shop") as index:
                assert (index.learned is not None) == is_used
            assert ("is for other weights, another tokenizer, prompt or head and is not used" in caplog.text) != is_used


class TestFile:
    """A file that a query names: its catalog has the heads that `index` gave it."""

    def test_it_keeps_them_as_it_changes(self, two, write):
        source = write("shop.yaml", "- {title: moon}\n")
        update([str(source)], heads=["vowels"])
        source.write_text("- {title: moon}\n- {title: sea}\n")
        with Index.open(str(source)) as index:
            assert (index.info.items, [head.model for head in index.info.heads]) == (2, ["vowels"])

    def test_a_head_with_other_weights_is_taken_anew(self, two, write):
        source = write("shop.yaml", "- {title: moon}\n")
        update([str(source)], heads=["vowels"])
        two[1].sha256 = "7" * 64
        for encoder in two:
            encoder.read.clear()
        with Index.open(str(source)) as index:
            assert index.info.heads[0].sha256 == "7" * 64
        assert (two[0].read, "moon" in two[1].read) == ([], True)


class TestSeveralCatalogs:
    @pytest.mark.parametrize("heads", [None, ["vowels=0.3"]])
    def test_other_heads_can_t_be_compared(self, two, write, heads):
        for name, own in (("a", ["vowels=0.2"]), ("b", heads)):
            update([str(write(f"{name}.yaml", "- {title: moon}\n"))], heads=own)
        message = "a was embedded by small and vowels=0.2, b by small.*; .* with the other's --model and --head"
        with pytest.raises(InputError, match=f"their scores can't be compared: {message}"):
            open_catalogs(["a", "b"])


@pytest.mark.real
def test_the_table_beside_the_default_model(write):
    """Its cosines count, its pieces too; whether anything fits is the first model's to say, as before."""
    titles = ["Garden hose", "Reading lamp", "Soup of red lentils", "Rain coat for children"]
    source = write("shop.yaml", "".join(f"- {{title: {title}}}\n" for title in titles))
    update([str(source)])
    with Index.open("shop") as index:
        before = [query(index, text) for text in ("lentil soup", "quarterly tax report")]
    report = update([str(source)], heads=["wordllama"])
    assert (report.embedded, report.info.d) == (4, 384 + 256)
    with Index.open("shop") as index:
        after = [query(index, text) for text in ("lentil soup", "quarterly tax report")]
        assert after[0].hits[0].title == before[0].hits[0].title == titles[2]
        for first, both in zip(before, after, strict=True):
            assert both.none_of_these == pytest.approx(first.none_of_these, abs=1e-5)
            assert abs(both.hits[0].score - first.hits[0].score) > 1e-3
        (pieces,) = index.encoder.pieces(["lentil soup"])
        assert pieces.vectors.sum(axis=0) == pytest.approx(index.encoder.encode(["lentil soup"])[0], abs=1e-5)
