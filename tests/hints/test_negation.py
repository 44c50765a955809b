"""Requests with a negation: what they do not want, and the filter for it."""

from __future__ import annotations

import pytest

from attnsearch.hints.negation import _unwanted_words, find_unwanted
from attnsearch.opening.index import Index
from attnsearch.output.notes import notes
from attnsearch.postings.filters import parse_filter
from attnsearch.search.result import Unwanted
from attnsearch.search.search import search
from attnsearch.search.setting import DEFAULT, Setting
from tests.search.conftest import index_items


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("soup, no cheese", ["cheese"]),
        ("No Cheese!", ["cheese"]),
        ("soup without any cheese", ["cheese"]),
        ("a book not about the war", ["war"]),
        ("not beef or chicken, or pork", ["beef", "chicken"]),
        ("without eggs, bacon, or sausage", ["eggs", "bacon"]),  # as far as four words go
        ("I don't like kale", ["kale"]),
        ("I don’t want kale", ["kale"]),
        ("it isn't too sweet", ["sweet"]),
        ("anything other than rice", ["rice"]),
        ("free of nuts", ["nuts"]),
        ("rice instead of pasta", ["pasta"]),
        ("no cheese, not sweet", ["cheese", "sweet"]),
        # Nothing is left out, or nobody knows what.
        ("soup with cheese", []),
        ("sugar-free cookies", []),
        ("nothing, nobody, notes", []),
        ("no longer young", []),
        ("not only war", []),
        ("aspirin has no effect", []),
        ("it does not work", []),
        ("files not modified today", []),
        ("without using a knife", ["knife"]),
        ("without cutting onions", []),
        ("not an ox", []),
        ("no 5", []),
        ("no", []),
        ("other", []),
        ("", []),
    ],
)
def test_what_is_unwanted(text, words):
    assert list(_unwanted_words(text)) == words


@pytest.fixture
def menu(write, small):
    items = [
        {"id": "a", "title": "Cheese moon", "description": "A warm moon of cheeses"},
        {"id": "b", "title": "Plain moon", "description": "With cheese, and a robot", "diet": ["war", "Robots"]},
        {"id": "c", "title": "moon", "description": "A ward for robots", "diet": "none"},
        {"id": "d", "title": "sea", "description": "Salt"},
    ]
    with Index.open(index_items(write, "menu", items)) as index:
        yield index


def unwanted(index: Index, text: str, setting: Setting = DEFAULT, **options) -> Unwanted | None:
    return find_unwanted(index, search(index, [text], setting, **options)[0])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("moon without cheese", Unwanted("description", "cheese", 2)),  # also in the plural
        ("moon without CHEESE", Unwanted("description", "cheese", 2)),
        ("moon without salt or cheese", Unwanted("description", "cheese", 2)),
        ("moon without robots", None),  # once "robots", once "robot": which the filter would not hide
        ("moon without robot", Unwanted("description", "robot", 2)),
        ("moon without salt", None),  # in one hit alone
        ("moon not about war", None),  # "warm", "ward"
        ("moon with cheese", None),
        ("moon without x.*", None),
    ],
)
def test_the_filter(menu, text, hint):
    assert unwanted(menu, text) == hint


def test_other_fields(write, small):
    items = [{"id": f"{n}", "title": "moon", "tags": ["cheese", "x"], "made.of": "milk"} for n in range(3)]
    with Index.open(index_items(write, "x", items)) as index:
        assert unwanted(index, "moon without cheese") == Unwanted("tags", "cheese", 3)
        assert unwanted(index, "moon without milk") == Unwanted("made.of", "milk", 3)
        assert unwanted(index, "robot, not moon") == Unwanted("title", "moon", 3)


def test_one_hit_is_enough_if_it_has_most_of_the_attention(menu):
    assert unwanted(menu, "sea without salt").hits == 1
    assert unwanted(menu, "sea without salt", Setting(temperature=10.0)) is None


def test_a_misspelled_word(menu, small):
    small.vocabulary = ["without"]
    assert unwanted(menu, "moon without cheeese") == Unwanted("description", "cheese", 2)
    assert unwanted(menu, "moon without cheeese", Setting(spell=False)) is None


def test_only_where_nothing_is_hidden(menu):
    assert unwanted(menu, "moon without cheese", Setting(where=(parse_filter("title ~ moon"),))) is None
    assert unwanted(menu, "moon without cheese", Setting(unlike=("a",))) is None
    assert unwanted(menu, "moon without cheese", k=1) is None


def test_the_filter_does_what_the_line_says(menu):
    (result,) = search(menu, ["moon without cheese"])
    line, _ = notes(result._replace(hint=find_unwanted(menu, result)))
    assert line == "2 of these 4 have 'cheese' in description: -w 'not description ~ cheese'"
    (filtered,) = search(menu, ["moon without cheese"], Setting(where=(parse_filter("not description ~ cheese"),)))
    assert {hit.id for hit in filtered.hits} == {"c", "d"}
