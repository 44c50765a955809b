"""Words near another: by property, and as messages name them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.syntax.nearest import edit_once, find_nearest, within

LETTER = st.sampled_from("abc")
WORDS = st.text(LETTER, min_size=1, max_size=5)


@given(WORDS, st.lists(WORDS, max_size=30))
def test_one_edit_is_distance_one(word, others):
    """In both directions: what is made differs in one letter, and what differs in one letter is made."""
    edited = edit_once(word, "abc")
    assert {*within(1, word, edited)} == edited
    assert {other for other in within(1, word, others) if other != word} <= edited
    assert word not in edited


def test_two_mistakes_are_within_two():
    assert within(2, "tommorow", ["tomorrow", "borrow", "tomorrows"]) == ["tomorrow"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("titel", ["title", "titles"]),
        ("tilte", ["title", "titles"]),
        ("yeer", ["year"]),
        ("lang", ["language"]),
        ("overveiw", ["overview"]),
        ("tittles", ["titles", "title"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_messages_name_what_is_like_a_word(word, expected):
    words = ["title", "year", "language", "overview", "titles"]
    assert find_nearest(word, words, most=2) == expected
    assert find_nearest(word, words) == expected[:1]


def test_swapped_letters_are_one_mistake():
    """By the letters that are in the same order, both others are as near."""
    assert find_nearest("form", ["ormf", "from"]) == ["from"]


def test_a_beginning_is_likelier_than_a_mistake():
    assert find_nearest("text", ["exact", "textbook"]) == ["textbook"]
