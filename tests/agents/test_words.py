"""Texts of a catalog for a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.agents import words

HIDDEN = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a b c"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("abc\u202edef", "abc\\u202edef"),
        (f"Dune{HIDDEN}", "Dune"),
        ("a\u200bb\u2060c\u00add", "abcd"),
        ("x\ufe00\ufe01\ufe02\ufe0f", "x\ufe00"),
        ("a\u200d\u200c\u200d\u200cb", "a\u200db"),
        ("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\U000e0100b", "ab"),
    ],
)
def test_what_acts_is_spelled_out_and_what_hides_is_left_out(text, shown):
    assert words.line(text) == shown


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("short", 200, "short"),
        ("one two three", 8, "one two…"),
        ("onetwothree", 8, "onetwot…"),
        ("word " * 10_000, 12, "word word…"),
        ("a, bcd efg", 6, "a, bc…"),
        ("", 5, ""),
    ],
)
def test_cut_after_a_word(text, most, shown):
    assert words.short(text, most) == shown


@given(st.text(max_size=300), st.integers(2, 60))
def test_never_longer_than_asked(text, most):
    assert len(words.short(text, most)) <= most


@given(st.text())
def test_a_name_comes_back(ident):
    spelled = words.name(ident)
    assert words.line(spelled) == " ".join(spelled.split())
    if "\\" not in ident:
        assert words.read_name(spelled) == ident


def test_a_text_keeps_its_lines():
    assert words.lines(f"a\n  b{HIDDEN}\x1b") == "a\n  b\\x1b"
