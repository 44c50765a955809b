from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.postings.terms import Terms, _load_stemmer, split_terms
from attnsearch.syntax.languages import LANGUAGES, NONE
from tests.postings.parts import terms_of

K1, B = 1.5, 0.75


def by_hand(texts: list[str], term: str) -> dict[int, float]:
    """The BM25 score of each text that contains the term: Robertson's formula with Lucene's idf, in plain loops."""
    documents = [[term for _, term in split_terms(text)] for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    containing = sum(term in document for document in documents)
    idf = math.log(1 + (len(documents) - containing + 0.5) / (containing + 0.5))
    scores = {}
    for number, document in enumerate(documents):
        count = document.count(term)
        if count:
            scores[number] = idf * count / (count + K1 * (1 - B + B * len(document) / mean))
    return scores


TEXTS = ["moon and moons over the sea", "sea", "", "a robot", "robots, robots in 東京都"]


@pytest.mark.parametrize("cuts", [(), (5,), (4, 9)])
@pytest.mark.parametrize("term", ["moon", "sea", "robot", "東京", "京都"])
def test_the_formula(cuts, term):
    keys_of_texts = [3, 5, 6, 8, 11]
    with terms_of(TEXTS, keys=keys_of_texts, cuts=cuts) as parts:
        keys, scores = Terms(parts).find(term)
    expected = by_hand(TEXTS, term)
    assert keys.tolist() == [keys_of_texts[number] for number in expected]
    assert scores == pytest.approx(list(expected.values()), rel=1e-5)
    assert keys.dtype == np.uint32


def test_scores_are_those_of_bm25s():
    documents = [[term for _, term in split_terms(text)] for text in TEXTS]
    oracle = bm25s.BM25(method="lucene", k1=K1, b=B)
    oracle.index(documents, show_progress=False)
    with terms_of(TEXTS, cuts=(2, 3)) as parts:
        terms = Terms(parts)
        for term in ("moon", "sea", "robot", "over", "京都"):
            keys, scores = terms.find(term)
            expected = oracle.get_scores([term])
            assert keys.tolist() == np.flatnonzero(expected).tolist()
            assert scores == pytest.approx(expected[keys], rel=1e-6)


def test_a_term_that_no_text_has():
    with terms_of(TEXTS) as parts:
        for term in ("dragon", "the", ""):
            assert Terms(parts).find(term) is None


def test_texts_without_any_word():
    with terms_of(["?", "the"]) as parts:
        assert parts[0].db.execute("SELECT count(*) FROM terms").fetchone() == (0,)
        assert Terms(parts).find("the") is None


def test_no_part_at_all():
    assert Terms([]).find("moon") is None


def test_a_word_that_one_text_has_very_often():
    with terms_of(["moon " * 70_000, "moon", "sea"]) as parts:
        assert Terms(parts).find("moon").scores == pytest.approx(
            [*by_hand(["moon " * 70_000, "moon", "sea"], "moon").values()]
        )


words = st.sampled_from(["moon", "sea", "robot", "lamp"])
texts_of_few_words = st.lists(st.lists(words, max_size=6).map(" ".join), min_size=1, max_size=12)


@given(texts_of_few_words, st.data())
def test_any_segments_and_removed_items_score_as_one_that_is_new(texts, data):
    """To the bit, whatever segments the texts lie in, and whatever was in them before."""
    numbers = range(len(texts))
    cuts = sorted(data.draw(st.sets(st.sampled_from(numbers))) - {0})
    dead = data.draw(st.sets(st.sampled_from(numbers)))
    living = [number for number in numbers if number not in dead]
    with terms_of(texts, cuts=cuts, dead=dead) as parts, terms_of([texts[number] for number in living]) as new:
        some, anew = Terms(parts), Terms(new)
        for term in ("moon", "sea", "robot", "lamp"):
            score, expected = some.find(term), anew.find(term)
            assert (score is None) == (expected is None)
            if score and expected:
                assert score.keys.tolist() == [living[row] for row in expected.keys]
                assert score.scores.tobytes() == expected.scores.tobytes()


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE terms SET rows = x'00'",
        "UPDATE terms SET rows = x'ffff'",
        "UPDATE terms SET rows = 'moon'",
        "UPDATE terms SET rows = x'01000000'",
        "UPDATE terms SET counts = x'010101'",
        "UPDATE texts SET lengths = x'00000000'",
        "UPDATE texts SET lengths = 7",
        "DELETE FROM texts",
    ],
)
def test_what_no_index_writes(script):
    with terms_of(["moon", "moon", "sea"]) as parts:
        parts[0].db.execute(script)
        with pytest.raises((ValueError, TypeError)):
            Terms(parts).find("moon")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Running RUNS", [("running", "run"), ("runs", "run")]),
        ("of the", []),
        ("x y", [("x", "x"), ("y", "y")]),
        ("don't, l’eau, e.g. the U.S. and I", [("don", "don"), ("eau", "eau")]),
        ("C", [("c", "c")]),
        ("written in R.", [("written", "written"), ("r", "r")]),
        ("C#, F# or C++!", [("c#", "c#"), ("f#", "f#"), ("c++", "c++")]),
        ("(C++11) a+b .NET", [("c++", "c++"), ("11", "11"), ("b", "b"), ("net", "net")]),
        ("Disney+ x_ _", [("disney", "disney"), ("x_", "x_")]),
        ("C++ कि 5", [("c++", "c++"), ("कि", "कि")]),
        ("snake_case 3.14", [("snake_case", "snake_cas"), ("14", "14")]),
        ("猫", [("猫", "猫")]),
        ("हिन्दी में किताब", [("हिन्दी", "हिन्दी"), ("में", "में"), ("किताब", "किताब")]),
        ("தமிழ் நூல்", [("தமிழ்", "தமிழ்"), ("நூல்", "நூல்")]),
        ("กินข้าว", [("กิน", "กิน"), ("นข้", "นข้"), ("ข้า", "ข้า"), ("าว", "าว")]),
        ("שָׁלוֹם", [("שָׁלוֹם", "שָׁלוֹם")]),
        ("E\u0301cole カ\u3099ス", [("école", "école"), ("ガス", "ガス")]),
        (
            "東京タワーtower",
            [("東京", "東京"), ("京タ", "京タ"), ("タワ", "タワ"), ("ワー", "ワー"), ("tower", "tower")],
        ),
    ],
)
def test_terms(text, terms):
    assert split_terms(text) == terms


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("german", "die Häuser des Hauses, was", ["die", "haus", "des", "haus", "was"]),
        ("french", "les chevaux continuellement", ["le", "cheval", "continuel"]),
        ("none", "the Houses of", ["the", "houses", "of"]),
    ],
)
def test_languages(language, text, terms):
    """Only English has stop words, which mean something else in other languages."""
    assert [term for _, term in split_terms(text, language)] == terms


def test_every_language_has_its_algorithm():
    import Stemmer

    assert set(LANGUAGES) - {NONE} <= set(Stemmer.algorithms())
    for language in LANGUAGES:
        assert split_terms("x9", language) == [("x9", "x9")]


def test_threads_share_no_stemmer():
    barrier = threading.Barrier(4)

    def ask(_):
        barrier.wait(10)
        return id(_load_stemmer("german")), _load_stemmer("german") is _load_stemmer("german")

    with ThreadPoolExecutor(4) as pool:
        stemmers = list(pool.map(ask, range(4)))
    assert len({number for number, _ in stemmers}) == 4
    assert all(is_kept for _, is_kept in stemmers)


def test_a_megabyte_of_anything():
    assert len(split_terms("a" * 1_000_000)) == 1
    assert len(split_terms("b+" * 500_000)) == 500_000
    assert len(split_terms("b" + "+" * 1_000_000)) == 1
    assert len(split_terms("b." * 500_000)) == 0
    assert len(split_terms("漢" * 100_000)) == 99_999
