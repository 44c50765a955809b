"""Long texts: every word in a passage, every passage within the window."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.encoding.loading import load
from attnsearch.encoding.passages import OVERLAP, split_passages
from tests.conftest import SmallEncoder

ENCODER = SmallEncoder()
ROOM = ENCODER.window - 2


def words(count: int) -> str:
    return " ".join(f"w{n}" for n in range(count))


def check(encoder, title, text):
    passages = split_passages(encoder, title, text)
    assert passages[0].start == 0
    assert passages[-1].stop == len(text)
    for passage in passages:
        assert len(encoder.tokens(passage.text)) <= encoder.window
        assert passage.text.endswith(text[passage.start : passage.stop])
    for passage, after in itertools.pairwise(passages):
        assert passage.start < after.start
        assert passage.stop < after.stop
        assert not text[passage.stop : after.start].strip()
    return passages


@pytest.mark.parametrize("count", [1, ROOM - 1, ROOM])
def test_what_fits_is_one_passage(count):
    text = words(count)
    assert split_passages(ENCODER, "", text) == [(0, len(text), text)]


@pytest.mark.parametrize(("count", "expected"), [(ROOM + 1, 2), (170, 2), (500, 7)])
def test_as_few_as_overlap_enough(count, expected):
    passages = check(ENCODER, "", words(count))
    assert len(passages) == expected
    for passage, after in itertools.pairwise(passages):
        shared = set(passage.text.split()) & set(after.text.split())
        assert len(shared) >= ROOM * OVERLAP / 2 - 1


def test_all_but_the_first_begin_with_the_title():
    text = f"Moby Dick. {words(300)}"
    passages = check(ENCODER, "Moby Dick", text)
    assert [passage.text.startswith("Moby Dick. ") for passage in passages] == [True] * len(passages)
    assert not passages[1].text.startswith("Moby Dick. Moby")


@pytest.mark.parametrize("title", ["another", words(60)])
def test_a_title_that_is_not_in_the_text_or_long_stays_out(title):
    text = words(300)
    assert all(text[passage.start : passage.stop] == passage.text for passage in check(ENCODER, title, text))


@pytest.mark.parametrize("window", [3, 4, 5, 8])
def test_a_tiny_window(window):
    encoder = SmallEncoder()
    encoder.window = window
    assert len(check(encoder, "", words(20))) >= 20 / (window - 2)


@given(st.lists(st.text("ab ", min_size=1, max_size=30), min_size=1, max_size=400))
def test_any_text(parts):
    text = " ".join(parts).strip()
    if text:
        check(ENCODER, text[:5], text)


@pytest.mark.real
@pytest.mark.parametrize(
    "text",
    [
        "the quick brown fox, jumped over it " * 300,
        "深度学习和注意力" * 400,
        "no-spaces/but_many.signs;" * 300,
        "antidisestablishmentarianism" * 500,
        "\u0301e\u200d\U0001f469 " * 700,
        "x" * 70_000 + " y" * 70_000,
    ],
)
def test_the_real_tokenizer(text):
    """In many scripts, and without any space, no passage is longer than the window."""
    encoder = load()
    for passage in (passages := split_passages(encoder, "", text)):
        assert len(encoder.tokens(passage.text)) <= encoder.window
    assert passages[0].start == 0
    assert passages[-1].stop == len(text)
    assert all(passage.stop >= after.start for passage, after in itertools.pairwise(passages))
