"""Items as a query, against plain sums in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.errors import InputError
from attnsearch.explanation.reasons import explain_hits
from attnsearch.explanation.steps import explain_steps
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting
from tests.conftest import SmallEncoder
from tests.search.conftest import index_items

WORDS = ("moon", "sea", "robot", "other")
TEMPERATURE = 0.5

# A text of more than 100 words is split into passages.
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
long_texts = st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map(
    lambda words: " ".join(w for w in words for _ in range(90))
)
numbers = itertools.count()


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(texts | long_texts, min_size=3, max_size=8),
    text=st.just("") | texts,
    chosen=st.permutations(range(8)),
    counts=st.tuples(st.integers(0, 2), st.integers(0, 1)).filter(any),
    is_filtered=st.booleans(),
)
def test_it_is_the_softmax_over_the_other_items(write, small, items, text, chosen, counts, is_filtered):
    rows = [{"id": f"i{n}", "title": title, "odd": n % 2} for n, title in enumerate(items)]
    name = index_items(write, f"c{next(numbers)}", rows)
    order = [n for n in chosen if n < len(items)]
    like, unlike = order[: counts[0]], order[counts[0] : sum(counts)]
    with Index.open(name) as index:
        x = {key: index.store.embeddings([key])[0].astype(np.float64) for key in index.store.living().tolist()}
        keys = [index.store.keys_of([row["id"]])[row["id"]] for row in rows]
        directions = [unit(sum(x[key] for key in of_item)) for of_item in keys]
        q = sum((directions[n] for n in like), np.zeros(4)) - sum((directions[n] for n in unlike), np.zeros(4))
        if text:
            q = q + SmallEncoder().encode([text])[0]
        setting = Setting(temperature=TEMPERATURE, like=tuple(f"i{n}" for n in like),
                          unlike=tuple(f"i{n}" for n in unlike))  # fmt: skip
        if is_filtered:
            setting = setting._replace(where=(parse_filter("odd = 0"),))
        if np.linalg.norm(q) < 1e-4:
            with pytest.raises(InputError, match="cancels out"):
                search(index, [text], setting)
            return
        (result,) = search(index, [text], setting, k=99, output=True)
    seen = [n for n in range(len(items)) if n not in like + unlike and not (is_filtered and n % 2)]
    z = {n: max(float(x[key] @ unit(q)) for key in keys[n]) / TEMPERATURE for n in seen}
    total = sum(map(math.exp, z.values()))
    assert {hit.id: hit.weight for hit in result.hits} == pytest.approx(
        {f"i{n}": math.exp(z[n]) / total for n in seen}, abs=1e-6
    )
    assert (result.items, result.masked, result.none_of_these) == (len(items), len(items) - len(seen), None)


@pytest.fixture
def index(write, small):
    rows = [{"id": "m", "title": "moon"}, {"id": "ms", "title": "moon sea"}, {"id": "s", "title": "sea", "year": 1},
            {"id": "r", "title": "robot"}, {"id": "m2", "title": "moon"}]  # fmt: skip
    with Index.open(index_items(write, "x", rows)) as opened:
        yield opened


def like(index, *names: str, text: str = "", unlike: tuple[str, ...] = (), **options):
    return search(index, [text], Setting(like=names, unlike=unlike), **options)[0]


def weights(result) -> dict[str, float]:
    return {hit.id: hit.weight for hit in result.hits}


def test_by_hand(index):
    """The item itself is not among its likes; its double is."""
    result = like(index, "m")
    assert [(hit.id, round(hit.score, 4)) for hit in result.hits] == [
        ("m2", 1), ("ms", 0.7071), ("s", 0), ("r", 0),
    ]  # fmt: skip
    assert (result.query, result.like, result.unlike) == ("like: m", ("m",), ())
    both = like(index, "m", "s", text="robot", unlike=("r",))
    assert both.hits[0].id == "ms"
    assert both.hits[0].score == pytest.approx(1)
    assert (both.query, both.like, both.unlike) == ("robot", ("m", "s"), ("r",))
    assert like(index, "m", unlike=("s",)).query == "like: m; unlike: s"


def test_unlike_alone_turns_the_order_around(index):
    assert [hit.id for hit in like(index, unlike=("m",)).hits] == ["s", "r", "ms", "m2"]


def test_no_encoder_is_needed(index):
    index.encoder = None
    result = like(index, "m", unlike=("r",), values=["year"], k=None, output=True, trace=True)
    assert [hit.id for hit in result.hits] == ["m2", "ms", "s"]


def test_each_text_has_the_same_items(index):
    setting = Setting(like=("m",))
    answers = search(index, ["sea", "robot", ""], setting)
    assert [hit.id for result in answers for hit in result.hits[:1]] == ["ms", "r", "m2"]  # of equal ones, the first
    for text, result in zip(["sea", "robot", ""], answers, strict=True):
        assert weights(result) == pytest.approx(weights(search(index, [text], setting)[0]))


def test_an_engine_in_small_parts_hides_them_too(index):
    whole = like(index, "m")
    index.engine = LocalEngine(index.store, Cut(piece=3, block=1))
    assert weights(like(index, "m")) == pytest.approx(weights(whole))


def test_there_is_no_null_key_for_items(write, fitted):
    with Index.open(index_items(write, "x", [{"id": "m", "title": "moon"}, {"id": "s", "title": "sea"}])) as index:
        assert search(index, ["moon"])[0].none_of_these is not None
        assert like(index, "m").none_of_these is None


@pytest.mark.parametrize(
    ("names", "unlike", "text", "message"),
    [
        (["m"], ("m",), "", "'m' is to be both like and unlike"),
        (["m"], ("m2",), "", "cancels out"),
        (["zzz"], (), "", "no item 'zzz'"),
        ([], ("m",), "moon", "cancels out"),
    ],
)
def test_no_query(index, names, unlike, text, message):
    with pytest.raises(InputError, match=message):
        like(index, *names, unlike=unlike, text=text)


def test_terms_are_those_of_a_text(index):
    """Without one, a λ that is asked for is refused, and the catalog's own has nothing to count."""
    index.store.info = index.info._replace(lexical=0.5)
    assert like(index, "m").lexical == 0
    assert like(index, "m", text="sea").lexical == 0.5
    with pytest.raises(InputError, match="--lexical counts the words of a TEXT"):
        search(index, [""], Setting(like=("m",), lexical=0.3))


def test_nothing_else_is_left(index):
    """The reason is the items, not the filter that they pass."""
    for filters in ("title = robot", "title = robot and not has year"):
        setting = Setting(like=("r",), where=(parse_filter(filters),))
        assert search(index, [""], setting)[0].emptied_by == ("no items are left but those that the query is made of")
    setting = Setting(like=("r",), where=(parse_filter("title = robots"),))
    assert search(index, [""], setting)[0].emptied_by == "title: no 'robots'; did you mean 'robot'?"


def test_the_only_item(write, small):
    with Index.open(index_items(write, "x", [{"id": "m", "title": "moon"}])) as index:
        result = like(index, "m")
        assert (result.hits, result.masked) == ([], 1)
        assert "no items are left but" in result.emptied_by


def test_items_explain_themselves_by_their_own_words(index):
    (result,) = explain_hits(index, [like(index, "m", trace=True)])
    by_id = dict(zip([hit.id for hit in result.hits], result.whys, strict=True))
    assert by_id["ms"].query is None
    assert {word.word: word.share for word in by_id["ms"].item.words} == pytest.approx(
        {"moon": 20 / math.sqrt(2), "sea": 0}, abs=1e-5
    )
    steps = explain_steps(result)
    assert steps[0].name == "query"
    assert steps[0].says.startswith("x is m as unit vectors, scaled to length 1")
    (mixed,) = explain_hits(index, [like(index, "m", text="sea", unlike=("r",), trace=True)])
    assert mixed.whys[0].query is None
    tokens, query, *_ = explain_steps(mixed)
    assert (tokens.name, len(tokens.rows)) == ("tokens", 3)
    assert query.says.startswith("x is the text + m - r as unit vectors")


def test_an_item_is_explained_as_it_was_ranked(index):
    setting = Setting(like=("m",), unlike=("r",))
    ranked = search(index, ["sea"], setting)[0]
    result = rank_items(index, "sea", setting, ["s", "m2"])
    assert sorted(result.hits) == [hit for hit in ranked.hits if hit.id in ("s", "m2")]
    assert result.like == ("m",)
    with pytest.raises(InputError, match="hides the item 'm'"):
        rank_items(index, "sea", setting, ["m"])
