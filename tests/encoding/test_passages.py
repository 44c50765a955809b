"""Long texts: every word in a passage, every passage within the window."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.encoding.loading import load
from attnsearch.encoding.passages import OVERLAP, split_passages
from tests.conftest import SmallEncoder

READER = SmallEncoder()
ROOM = READER.window - 2


def words(count: int) -> str:
    return " ".join(f"w{n}" for n in range(count))


def check(reader, title, text):
    found = split_passages(reader, title, text)
    assert found[0].start == 0
    assert found[-1].stop == len(text)
    for one in found:
        assert len(reader.tokens(one.text)) <= reader.window
        assert one.text.endswith(text[one.start : one.stop])
    for one, after in itertools.pairwise(found):
        assert one.start < after.start
        assert one.stop < after.stop
        assert not text[one.stop : after.start].strip()
    return found


@pytest.mark.parametrize("count", [1, ROOM - 1, ROOM])
def test_what_fits_is_one_passage(count):
    text = words(count)
    assert split_passages(READER, "", text) == [(0, len(text), text)]


@pytest.mark.parametrize(("count", "passages"), [(ROOM + 1, 2), (170, 2), (500, 7)])
def test_as_few_as_overlap_enough(count, passages):
    found = check(READER, "", words(count))
    assert len(found) == passages
    for one, after in itertools.pairwise(found):
        shared = set(one.text.split()) & set(after.text.split())
        assert len(shared) >= ROOM * OVERLAP / 2 - 1


def test_all_but_the_first_begin_with_the_title():
    text = f"Moby Dick. {words(300)}"
    found = check(READER, "Moby Dick", text)
    assert [one.text.startswith("Moby Dick. ") for one in found] == [True] * len(found)
    assert not found[1].text.startswith("Moby Dick. Moby")


@pytest.mark.parametrize("title", ["another", words(60)])
def test_a_title_that_is_not_in_the_text_or_long_stays_out(title):
    text = words(300)
    assert all(text[one.start : one.stop] == one.text for one in check(READER, title, text))


@pytest.mark.parametrize("window", [3, 4, 5, 8])
def test_a_tiny_window(window):
    reader = SmallEncoder()
    reader.window = window
    assert len(check(reader, "", words(20))) >= 20 / (window - 2)


@given(st.lists(st.text("ab ", min_size=1, max_size=30), min_size=1, max_size=400))
def test_any_text(parts):
    text = " ".join(parts).strip()
    if text:
        check(READER, text[:5], text)


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
    reader = load()
    for one in (found := split_passages(reader, "", text)):
        assert len(reader.tokens(one.text)) <= reader.window
    assert found[0].start == 0
    assert found[-1].stop == len(text)
    assert all(one.stop >= after.start for one, after in itertools.pairwise(found))
