from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.sources import letters
from attnsearch.sources.letters import RUN, has_marks, normalize_text, word_patterns

MARKS = "\u0300\u0315\u0323\u0345\u0344\u05b0\u0f73\u093c\u302a\uff9e"
LETTERS = "aéΐक가\u1100\u1161\u11a8カ\ufdfa\uff76 1"


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@given(text=st.text(st.one_of(st.sampled_from(MARKS + LETTERS), st.characters(codec="utf-8"))))
def test_as_unicode_has_it(form, text):
    assert normalize_text(text, form) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize("before", range(RUN + 2))
def test_the_longest_run_that_is_sorted_as_one(form, before):
    text = "x" * before + "\u0315\u0300" * (RUN // 2) + "e\u0301"
    assert normalize_text(text, form) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize("unit", ["\u0315\u0300", "\uff9e\u0315", "\u0344\u0315", "\u0f73\u0315"])
def test_a_longer_run_is_cut(form, unit):
    """Each part is in order, nothing is lost, and what surrounds the run does not matter."""
    parts = [letters.normalize_text("1" * (before + 1) + unit * 1000 + "e\u0301", form) for before in (0, 7, RUN)]
    assert all(part.endswith("é") for part in parts)
    assert len({part.lstrip("1") for part in parts}) == 1
    decomposed = (unicodedata.normalize(form.replace("C", "D"), text) for text in (parts[0], unit * 1000 + "1é"))
    assert len({tuple(sorted(text)) for text in decomposed}) == 1


@pytest.mark.parametrize("unit", ["\u0315\u0300", "\uff9e\u0315"])
def test_a_million_marks(unit):
    start = time.thread_time()
    normalize_text("a" + unit * 500_000, "NFKC")
    assert time.thread_time() - start < 5


def test_every_mark_is_part_of_a_word():
    marks = [mark for mark in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(mark)[0] == "M"]
    assert all(map(has_marks, marks))
    assert word_patterns().word.findall(" ".join(f"a{mark}" for mark in marks)) == [f"a{mark}" for mark in marks]


def test_words_with_marks():
    patterns = word_patterns()
    assert patterns.word.findall("हिन्दी में, x क्\u200dष a\u200db1") == ["हिन्दी", "में", "क्\u200dष", "b1"]
    assert patterns.gap.sub("-", "दिन, और (रात)") == "दिन-और-रात-"
    assert patterns.cluster.findall("กินน้ำ") == ["กิ", "น", "น้", "ำ"]


@pytest.mark.parametrize("text", ["", "moon", "café", "東京", "\u200d", "가"])
def test_text_without_marks(text):
    assert not has_marks(text)
