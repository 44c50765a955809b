"""How a catalog is asked: filters, terms and priors by hand, and hiding an item as removing it."""

from __future__ import annotations

import json
import operator
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import identity, textbook
from attnsearch.errors import InputError
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import search
from attnsearch.search.setting import LEXICAL, Setting, bias_of
from attnsearch.storage.learned import Learned
from tests.postings.test_terms import by_hand
from tests.search.conftest import BOOKS, index_items

COMPARE = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
WORDS = st.sampled_from(["moon", "Moonlight", "sea", "SEA", "robot", "a, b"])
NUMBERS = st.integers(-3, 3).map(lambda n: n if n % 2 else f"{n}.0")
DATES = st.dates(min_value=date(2019, 11, 1), max_value=date(2020, 3, 31))
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"title": st.sampled_from(["moon", "sea", "robot", "moon sea", "other moon", "sea robot robot"])},
        optional={
            "n": NUMBERS | st.lists(NUMBERS, max_size=3),
            "when": DATES.map(str),
            "word": WORDS | st.lists(WORDS),
        },
    ),
    min_size=1,
    max_size=8,
)


@st.composite
def filters(draw) -> tuple[str, str, list[str]]:
    field = draw(st.sampled_from(["n", "when", "word"]))
    op = draw(st.sampled_from([*COMPARE, "!=", "~", "?"]))
    asked = {
        "n": st.integers(-3, 3).map(str),
        "when": DATES.map(str) | st.sampled_from(["2019", "2020", "2020-01", "2020-02", "2019-12"]),
        "word": WORDS | st.sampled_from(["mOO", "e", "n"]),
    }[field]
    most = {"?": 0, "=": 2, "!=": 2, "~": 2}.get(op, 1)
    return field, op, draw(st.lists(asked, min_size=min(most, 1), max_size=most))


def holds(item: dict, field: str, op: str, wanted: list[str]) -> bool:
    """What a filter means, in plain loops."""
    value = item.get(field, [])
    values = [str(part) for part in (value if isinstance(value, list) else [value])]
    if op == "?":
        return bool(values)
    if op == "!=":
        return not holds(item, field, "=", wanted)
    if op == "~":
        return any(bound.casefold() in value.casefold() for value in values for bound in wanted)
    if field == "n":
        return any(COMPARE[op](float(value), float(bound)) for value in values for bound in wanted)
    if field == "when":  # of a date, as much as was asked for
        return any(COMPARE[op](value[: len(bound)], bound) for value in values for bound in wanted)
    return any(COMPARE[op](value, bound) for value in values for bound in wanted)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ITEMS, asked=filters(), query=st.sampled_from(["moon", "sea robot"]))
def test_hiding_items_is_removing_them(write, fitted, items, asked, query):
    items = [{"id": f"{number}", **item} for number, item in enumerate(items)]
    field, op, values = asked
    passing = [item for item in items if holds(item, field, op, values)]
    where = (parse_filter(f"{field} {op} " + ",".join(f'"{value}"' for value in values)),)
    with Index.open(index_items(write, "whole", items)) as index:
        if not any(holds(item, field, "?", []) for item in items):
            with pytest.raises(InputError, match=r"has a (field|value in)"):
                search(index, [query], Setting(where=where), k=9)
            return
        (hidden,) = search(index, [query], Setting(where=where), k=9)
    assert [hit.id for hit in hidden.hits] == [hit.id for hit in sorted(hidden.hits, key=lambda hit: -hit.logit)]
    assert hidden.masked == len(items) - len(passing)
    if not passing:
        assert (hidden.hits, hidden.none_of_these, hidden.effective_items) == ([], 1.0, 0.0)
        return
    with Index.open(index_items(write, "passing", passing)) as index:
        (removed,) = search(index, [query], k=9)
    weights = {hit.id: hit.weight for hit in hidden.hits}  # ties are in the order of indexing, which is another here
    assert weights == pytest.approx({hit.id: hit.weight for hit in removed.hits}, abs=1e-6)
    assert hidden.effective_items == pytest.approx(removed.effective_items, abs=1e-6)
    assert hidden.none_of_these == pytest.approx(removed.none_of_these, abs=1e-6)


def hits(index, text: str, **options):
    (result,) = search(index, [text], Setting(**options), k=9, trace=True)
    return {hit.id: (hit, bias) for hit, bias in zip(result.hits, result.trace.biases, strict=True)}


def test_the_lexical_bias_is_added_to_the_logit(books):
    plain = hits(books, "moons at sea")
    biased = hits(books, "moons at sea", lexical=0.5)
    texts = [book["title"] for book in BOOKS]
    moon, sea = by_hand(texts, "moon"), by_hand(texts, "sea")
    for number, book in enumerate(BOOKS):
        hit, bias = biased[book["id"]]
        expected = {"moons": 0.5 * moon.get(number, 0), "sea": 0.5 * sea.get(number, 0)}
        assert bias.lexical == pytest.approx({word: logits for word, logits in expected.items() if logits}, rel=1e-5)
        assert hit.logit == pytest.approx(plain[book["id"]][0].logit + sum(expected.values()), abs=1e-5)
        assert hit.score == pytest.approx(plain[book["id"]][0].score)


def test_a_word_said_twice_counts_twice(books):
    once, twice = (hits(books, text, lexical=1)["a"][1].lexical["sea"] for text in ("sea", "sea moon sea"))
    assert twice == pytest.approx(2 * once)


def test_no_weight_is_no_bias(books):
    assert [hit.logit for hit, _ in hits(books, "sea", lexical=0.0).values()] == [
        hit.logit for hit, _ in hits(books, "sea").values()
    ]
    assert not (books.store.folder / "postings").exists()


def test_a_prior_counts_by_rank(books):
    """1900 < 1950 < 1999 (the highest of two): a sixth, a half, five sixths, less a half; nothing for none."""
    biased = hits(books, "moon", priors={"year": 3})
    assert {ident: bias.prior["year"] for ident, (_, bias) in biased.items()} == pytest.approx(
        {"a": -1.0, "b": 1.0, "c": 0.0, "d": 0.0}
    )
    plain = hits(books, "moon")
    for ident, (hit, bias) in biased.items():
        assert hit.logit == pytest.approx(plain[ident][0].logit + bias.prior["year"], abs=1e-5)


def test_priors_of_dates_and_of_words(write, small):
    dated = [{"id": f"{n}", "title": "moon", "when": f"20{n}0-01-01", "kind": "x"} for n in range(4)]
    with Index.open(index_items(write, "dated", dated)) as index:
        assert list(hits(index, "moon", priors={"when": 1})) == ["3", "2", "1", "0"]
        assert list(hits(index, "moon", priors={"when": -1})) == ["0", "1", "2", "3"]
        with pytest.raises(InputError, match="give --prior a field of numbers"):
            hits(index, "moon", priors={"kind": 1})


def test_all_passages_of_an_item_have_its_bias(write, small):
    """Long texts have several keys; the bias is stored at the first of them."""
    small.window = 6
    long = "robot " * 12 + "moon"
    items = [
        {"id": "a", "title": "sea"},
        {"id": "b", "title": "x", "description": long, "year": 5},
        {"id": "c", "title": "moon"},
    ]
    with Index.open(index_items(write, "long", items)) as index:
        assert index.info.keys > 4
        plain = hits(index, "moon")
        biased = hits(index, "moon", lexical=1, priors={"year": 2}, where=(parse_filter("title = x,moon"),))
        for ident in ("b", "c"):
            hit, bias = biased[ident]
            assert bias.lexical["moon"] > 0
            assert hit.logit == pytest.approx(
                plain[ident][0].logit + sum(bias.lexical.values()) + sum(bias.prior.values()), abs=1e-5
            )
            assert hit.passage == plain[ident][0].passage
        assert set(biased) == {"b", "c"}
        (result,) = search(index, ["moon"], Setting(where=(parse_filter("year=5"),)), k=9, values=["year"])
        assert (result.masked, len(result.hits)) == (2, 1)
        assert result.values[0].known == pytest.approx(1)


def test_what_is_gone_does_not_come_back_by_what_it_is_not(write, small):
    """A row that is nobody's key any more has no value, which is unlike any."""
    items = [{"id": f"{n}", "title": "moon", "kind": "ab"[n % 2]} for n in range(12)]
    index_items(write, "left", items)
    with Index.open(index_items(write, "left", items[2:])) as index:
        assert index.store.dead == 2
        (result,) = search(index, ["moon"], Setting(where=(parse_filter("kind != a"),)), k=99)
    assert [hit.id for hit in result.hits] == ["3", "5", "7", "9", "11"]
    assert (result.masked, result.effective_items) == (5, pytest.approx(5))


def test_several_queries_each_have_their_own(books):
    both = search(books, ["moon", "sea"], Setting(lexical=1), k=9, trace=True)
    for result, text in zip(both, ["moon", "sea"], strict=True):
        (alone,) = search(books, [text], Setting(lexical=1), k=9, trace=True)
        assert [hit.logit for hit in result.hits] == pytest.approx([hit.logit for hit in alone.hits])
        assert result.trace.biases == alone.trace.biases


@pytest.mark.parametrize("where", ["n = 3,17", "n >= 20", "n != 5"])
def test_a_mask_leaves_each_logit_as_it_is(write, small, where):
    """However few or many are seen, terms and priors stay with their items."""
    words = ["moon", "sea moon", "robot", "moon moon robot"]
    index_items(write, "many", [{"id": f"{n}", "title": words[n % 4] + " more" * (n % 3), "n": n} for n in range(40)])
    with Index.open("many") as index:
        bias = {"lexical": 1.0, "priors": {"n": 2}}
        (every,) = search(index, ["moon robot"], Setting(**bias), k=99, output=True)
        (masked,) = search(
            index, ["moon robot"], Setting(where=(parse_filter(where),), **bias), k=99, values=["n"], output=True
        )
    logits = {hit.id: hit.logit for hit in every.hits}
    assert len(masked.hits) == 40 - masked.masked < 40
    assert {hit.id: hit.logit for hit in masked.hits} == pytest.approx(
        {hit.id: logits[hit.id] for hit in masked.hits}, abs=1e-5
    )
    assert masked.values[0].mean == pytest.approx(sum(hit.weight * int(hit.id) for hit in masked.hits), rel=1e-5)
    x = small.encode([hit.title for hit in masked.hits])
    mean = sum(hit.weight * row for hit, row in zip(masked.hits, x, strict=True))
    assert masked.output == pytest.approx(mean, abs=1e-5)


def test_what_the_catalog_has_by_itself(write, small):
    path = write("books.jsonl", "".join(json.dumps(book) + "\n" for book in BOOKS))
    assert update([str(path)], lexical=0.5).info.lexical == 0.5
    assert update([str(path)]).info.lexical == 0.5
    with Index.open("books") as index:
        asked = [search(index, ["moon"], Setting(lexical=weight), k=1)[0] for weight in (None, 0.5, 0.0)]
        assert [result.lexical for result in asked] == [0.5, 0.5, 0.0]
        assert asked[0].hits[0].logit == asked[1].hits[0].logit > asked[2].hits[0].logit
    assert update([str(path)], lexical=0).info.lexical == 0


class TestBias:
    """`bias_of` by itself: what goes to the engine, by key number."""

    def test_terms_by_their_first_word(self, books):
        (terms,) = bias_of(books, ["Moons at sea, moon by moon, dragon"], (), 0.5, {}).terms
        assert {word: weighted.weight for word, weighted in terms.items()} == {"moons": 1.5, "sea": 0.5}
        assert terms["sea"].term.keys.tolist() == [0, 1, 3]

    def test_requests_share_what_they_have_in_common(self, books):
        """So the postings of a word are read once, and go to a cluster once, however many requests have it."""
        first, second = bias_of(books, ["moon at sea", "the sea"], (), 0.5, {}).terms
        assert first["sea"].term is second["sea"].term

    def test_all_filters_must_pass(self, books):
        def visible(*conditions: str) -> list[bool]:
            return bias_of(books, [""], [parse_filter(text) for text in conditions], 0.0, {}).visible.tolist()

        assert visible("year < 1960") == [True, True, False, True]
        assert visible("year < 1960", "kind != x") == [True, False, False, True]
        assert visible("year < 1960", "kind != x", "title ~ sea", "year = 1900") == [True, False, False, False]
        assert visible("year < 1960", "kind = y") == [False] * 4

    def test_what_is_not_asked_for_is_not_there(self, books):
        bias = bias_of(books, ["moon", "sea"], (), 0.0, {"year": -2.0})
        assert (bias.first_keys, bias.visible, bias.terms, list(bias.priors)) == (None, None, [{}, {}], ["year"])
        assert bias.priors["year"].tolist() == pytest.approx([2 / 3, -2 / 3, 0, 0])

    def test_equal_numbers_share_their_ranks(self, write, small):
        """1, 1, 1 and 9: three eighths and seven eighths, less a half."""
        items = [{"id": f"{n}", "title": "moon", "year": year} for n, year in enumerate([1, 1, 9, 1])]
        with Index.open(index_items(write, "equal", items)) as index:
            ranks = bias_of(index, [""], (), 0.0, {"year": 1}).priors["year"]
        assert ranks.tolist() == [-0.125, -0.125, 0.375, -0.125]
        assert ranks.dtype == np.float32


LEARNED = Learned("small", "5" * 64, np.eye(4, dtype=np.float32), 0.5, lexical=0.7, null=NullKey(1.0, 2.0))


class TestResolve:
    def test_the_catalog_s_own(self, books):
        asked = Setting().resolve(books, ["moon"])
        assert asked.projections.temperature == books.info.temperature == 0.05
        assert asked[1:-1] == (None, 0, None, None, None, None, None)
        assert asked.texts == ["moon"]

    def test_what_was_learned(self, books):
        books.learned = LEARNED
        asked = Setting().resolve(books, ["moon"])
        assert (asked.learned, asked.null, asked.projections.temperature) == (LEARNED, LEARNED.null, 0.5)
        assert asked.lexical == 0  # the catalog's 0 stays
        assert Setting(untrained=True).resolve(books, ["moon"]).learned is None
        assert Setting(temperature=0.2).resolve(books, ["moon"]).projections.temperature == 0.2

    def test_projections_stand_alone(self, books):
        books.learned = LEARNED
        asked = Setting(textbook(4)).resolve(books, ["moon"])
        assert (asked.learned, asked.null, asked.projections.temperature) == (None, None, 2.0)
        assert Setting(identity(4, 0.7), temperature=9.0).resolve(books, ["moon"]).projections.temperature == 0.7

    @pytest.mark.parametrize(
        ("lexical", "learned", "expected"),
        [("auto", None, LEXICAL), ("auto", LEARNED, 0.7), (0.1, LEARNED, 0.1), (0.0, LEARNED, 0.0),
         ("auto", LEARNED._replace(lexical=None), LEXICAL), ("auto", LEARNED._replace(lexical=0.0), 0.0)],
    )  # fmt: skip
    def test_lambda(self, books, lexical, learned, expected):
        asked = Setting(lexical=lexical, learned=learned).resolve(books, ["moon"])
        assert asked.lexical == expected
        assert (asked.bias is None) == (expected == 0)

    def test_a_learned_lambda_goes_before_the_catalog_s(self, write, small):
        path = write("books.jsonl", "".join(json.dumps(book) + "\n" for book in BOOKS))
        update([str(path)], lexical=0.5)
        with Index.open("books") as index:
            assert Setting().resolve(index, [""]).lexical == 0.5
            index.learned = LEARNED
            assert Setting().resolve(index, [""]).lexical == 0.7
            assert Setting(lexical=0.0).resolve(index, [""]).lexical == 0

    def test_a_learned_lambda_counts_by_itself_if_that_was_learned(self, books):
        books.learned = LEARNED._replace(is_lexical=True)
        lambdas = [Setting(lexical=lexical).resolve(books, ["moon"]).lexical for lexical in (None, "auto", 0.5, 0.0)]
        assert lambdas == [0.7, 0.7, 0.5, 0]
        assert Setting(untrained=True).resolve(books, ["moon"]).lexical == 0
        assert Setting(like=("a",)).resolve(books, [""]).lexical == 0  # there is no word that could be shared

    @pytest.mark.parametrize("other", [LEARNED._replace(sha256="6" * 64), LEARNED._replace(w=np.eye(3))])
    def test_projections_of_another_encoder(self, books, other):
        with pytest.raises(
            InputError, match=r"books: has small .*, but the projections were learned for small"
        ) as caught:
            Setting(learned=other).resolve(books, ["moon"])
        assert (
            caught.value.hint == "use those of a catalog with the same model, prompts and heads, or none: --untrained"
        )

    def test_projections_for_another_prompt(self, books):
        """Their model, weights and width are the same: a message that compares these would say nothing."""
        assert books.info.identity
        other = LEARNED._replace(identity="7" * 64)
        with pytest.raises(InputError, match="learned for another prompt, tokenizer or head of small"):
            Setting(learned=other).resolve(books, ["moon"])
