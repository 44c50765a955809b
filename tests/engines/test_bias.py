from __future__ import annotations

import json
import operator
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.attention import null_key
from attnsearch.encoding import loading
from attnsearch.errors import InputError
from attnsearch.indexing.update import update
from attnsearch.postings.filters import parse_filter
from attnsearch.search.index import Index
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from tests.conftest import SmallEncoder
from tests.postings.test_terms import by_hand

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


def holds(item: dict, field: str, op: str, values: list[str]) -> bool:
    """What a filter means, in plain loops."""
    has = item.get(field, [])
    has = [str(one) for one in (has if isinstance(has, list) else [has])]
    if op == "?":
        return bool(has)
    if op == "!=":
        return not holds(item, field, "=", values)
    if op == "~":
        return any(value.casefold() in one.casefold() for one in has for value in values)
    if field == "n":
        return any(COMPARE[op](float(one), float(value)) for one in has for value in values)
    if field == "when":  # of a date, as much as was asked for
        return any(COMPARE[op](one[: len(value)], value) for one in has for value in values)
    return any(COMPARE[op](one, value) for one in has for value in values)


def made(write, name: str, items: list[dict]) -> str:
    lines = "".join(json.dumps(item) + "\n" for item in items)
    update([str(write(f"{name}.jsonl", lines))], name=name)
    return name


@pytest.fixture
def fitted(monkeypatch):
    """The small encoder, with the weights' hash of a model that has a null key."""

    one = SmallEncoder(sha256=next(iter(null_key.FITTED)))
    monkeypatch.setattr(loading, "load", lambda name=None, **how: one)
    return one


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ITEMS, asked=filters(), query=st.sampled_from(["moon", "sea robot"]))
def test_hiding_items_is_removing_them(write, fitted, items, asked, query):
    items = [{"id": f"{number}", **item} for number, item in enumerate(items)]
    field, op, values = asked
    left = [item for item in items if holds(item, field, op, values)]
    where = (parse_filter(f"{field} {op} " + ",".join(f'"{value}"' for value in values)),)
    with Index.open(made(write, "whole", items)) as index:
        if not any(holds(item, field, "?", []) for item in items):
            with pytest.raises(InputError, match="has a field"):
                search(index, [query], Setting(where=where), k=9)
            return
        (hidden,) = search(index, [query], Setting(where=where), k=9)
    assert [hit.id for hit in hidden.hits] == [hit.id for hit in sorted(hidden.hits, key=lambda hit: -hit.logit)]
    assert hidden.masked == len(items) - len(left)
    if not left:
        assert (hidden.hits, hidden.none_of_these, hidden.effective_items) == ([], 1.0, 0.0)
        return
    with Index.open(made(write, "left", left)) as index:
        (removed,) = search(index, [query], k=9)
    weights = {hit.id: hit.weight for hit in hidden.hits}  # ties are in the order of indexing, which is another here
    assert weights == pytest.approx({hit.id: hit.weight for hit in removed.hits}, abs=1e-6)
    assert hidden.effective_items == pytest.approx(removed.effective_items, abs=1e-6)
    assert hidden.none_of_these == pytest.approx(removed.none_of_these, abs=1e-6)


BOOKS = [
    {"id": "a", "title": "moon sea", "year": 1900},
    {"id": "b", "title": "sea", "year": [1950, 1999], "kind": "x"},
    {"id": "c", "title": "robot moon moon", "kind": "y"},
    {"id": "d", "title": "sea moon", "year": 1950},
]


@pytest.fixture
def books(write, small):
    with Index.open(made(write, "books", BOOKS)) as index:
        yield index


def hits(index, text: str, **how):
    (result,) = search(index, [text], Setting(**how), k=9, trace=True)
    return {hit.id: (hit, bias) for hit, bias in zip(result.hits, result.trace.biases, strict=True)}


def test_the_lexical_bias_is_added_to_the_logit(books):
    plain = hits(books, "moons at sea")
    found = hits(books, "moons at sea", lexical=0.5)
    texts = [book["title"] for book in BOOKS]
    moon, sea = by_hand(texts, "moon"), by_hand(texts, "sea")
    for number, book in enumerate(BOOKS):
        hit, bias = found[book["id"]]
        expected = {"moons": 0.5 * moon.get(number, 0), "sea": 0.5 * sea.get(number, 0)}
        assert bias.lexical == pytest.approx({word: one for word, one in expected.items() if one}, rel=1e-5)
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
    found = hits(books, "moon", priors={"year": 3})
    assert {ident: bias.prior["year"] for ident, (_, bias) in found.items()} == pytest.approx(
        {"a": -1.0, "b": 1.0, "c": 0.0, "d": 0.0}
    )
    plain = hits(books, "moon")
    for ident, (hit, bias) in found.items():
        assert hit.logit == pytest.approx(plain[ident][0].logit + bias.prior["year"], abs=1e-5)


def test_priors_of_dates_and_of_words(write, small):
    dated = [{"id": f"{n}", "title": "moon", "when": f"20{n}0-01-01", "kind": "x"} for n in range(4)]
    with Index.open(made(write, "dated", dated)) as index:
        assert list(hits(index, "moon", priors={"when": 1})) == ["3", "2", "1", "0"]
        assert list(hits(index, "moon", priors={"when": -1})) == ["0", "1", "2", "3"]
        with pytest.raises(InputError, match="no numbers"):
            hits(index, "moon", priors={"kind": 1})


def test_all_passages_of_an_item_have_its_bias(write, small):
    """Long texts have several keys; the bias is told at the first of them."""
    small.window = 6
    long = "robot " * 12 + "moon"
    items = [
        {"id": "a", "title": "sea"},
        {"id": "b", "title": "x", "description": long, "year": 5},
        {"id": "c", "title": "moon"},
    ]
    with Index.open(made(write, "long", items)) as index:
        assert index.info.keys > 4
        plain = hits(index, "moon")
        found = hits(index, "moon", lexical=1, priors={"year": 2}, where=(parse_filter("title = x,moon"),))
        for ident in ("b", "c"):
            hit, bias = found[ident]
            assert bias.lexical["moon"] > 0
            assert hit.logit == pytest.approx(
                plain[ident][0].logit + sum(bias.lexical.values()) + sum(bias.prior.values()), abs=1e-5
            )
            assert hit.passage == plain[ident][0].passage
        assert set(found) == {"b", "c"}
        (result,) = search(index, ["moon"], Setting(where=(parse_filter("year=5"),)), k=9, values=["year"])
        assert (result.masked, len(result.hits)) == (2, 1)
        assert result.values[0].known == pytest.approx(1)


def test_what_is_gone_does_not_come_back_by_what_it_is_not(write, small):
    """A row that is nobody's key any more has no value, which is unlike any."""
    items = [{"id": f"{n}", "title": "moon", "kind": "ab"[n % 2]} for n in range(12)]
    made(write, "left", items)
    with Index.open(made(write, "left", items[2:])) as index:
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


def test_the_null_key_sees_the_cosine_alone(write, fitted):
    """Neither temperature nor bias make more of a catalog than there is; a mask hides what is hidden."""
    from attnsearch.attention.projections import identity

    with Index.open(made(write, "books", BOOKS)) as index:
        (usual,) = search(index, ["moon"], k=1)
        for setting in (Setting(lexical=2.0), Setting(priors={"year": 5}), Setting(identity(4, 0.7))):
            (other,) = search(index, ["moon"], setting, k=1)
            assert other.none_of_these == pytest.approx(usual.none_of_these, rel=1e-4, abs=0)
        (hidden,) = search(index, ["moon"], Setting(where=(parse_filter("id=b"),)), k=1)
        assert hidden.none_of_these > usual.none_of_these


def test_the_null_key_sees_the_best_passage_alone(write, fitted):
    from attnsearch.attention.projections import identity

    fitted.window = 6
    items = [{"id": "a", "title": "x", "description": "sea " * 6 + "robot " * 6 + "moon"}, {"id": "b", "title": "sea"}]
    with Index.open(made(write, "long", items)) as index:
        assert index.info.keys > 3
        (usual,), (other,) = (
            search(index, ["moon robot"], setting) for setting in (Setting(), Setting(identity(4, 0.7)))
        )
        assert other.none_of_these == pytest.approx(usual.none_of_these, rel=1e-4, abs=0)


@pytest.mark.parametrize("where", ["n = 3,17", "n >= 20", "n != 5"])
def test_a_mask_leaves_each_logit_as_it_is(write, small, where):
    """However few or many are seen, terms and priors stay with their items."""
    words = ["moon", "sea moon", "robot", "moon moon robot"]
    made(write, "many", [{"id": f"{n}", "title": words[n % 4] + " more" * (n % 3), "n": n} for n in range(40)])
    with Index.open("many") as index:
        bias = {"lexical": 1.0, "priors": {"n": 2}}
        (every,) = search(index, ["moon robot"], Setting(**bias), k=99, output=True)
        (some,) = search(
            index, ["moon robot"], Setting(where=(parse_filter(where),), **bias), k=99, values=["n"], output=True
        )
    told = {hit.id: hit.logit for hit in every.hits}
    assert len(some.hits) == 40 - some.masked < 40
    assert {hit.id: hit.logit for hit in some.hits} == pytest.approx(
        {hit.id: told[hit.id] for hit in some.hits}, abs=1e-5
    )
    assert some.values[0].mean == pytest.approx(sum(hit.weight * int(hit.id) for hit in some.hits), rel=1e-5)
    x = small.encode([hit.title for hit in some.hits])
    assert some.output == pytest.approx(sum(hit.weight * row for hit, row in zip(some.hits, x, strict=True)), abs=1e-5)


def test_what_the_catalog_has_by_itself(write, small):
    path = write("books.jsonl", "".join(json.dumps(book) + "\n" for book in BOOKS))
    assert update([str(path)], lexical=0.5).info.lexical == 0.5
    assert update([str(path)]).info.lexical == 0.5
    with Index.open("books") as index:
        asked = [search(index, ["moon"], Setting(lexical=weight), k=1)[0] for weight in (None, 0.5, 0.0)]
        assert [result.lexical for result in asked] == [0.5, 0.5, 0.0]
        assert asked[0].hits[0].logit == asked[1].hits[0].logit > asked[2].hits[0].logit
    assert update([str(path)], lexical=0).info.lexical == 0
