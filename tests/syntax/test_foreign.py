"""Which language words give away, by their points."""

from __future__ import annotations

import pytest

from attnsearch.syntax.foreign import ENGLISH, OTHERS, PARTICLES, find_words, guess_language


def test_lists():
    assert all(not words & ENGLISH for words in OTHERS.values())
    assert all(word == word.casefold() and word.isalpha() for words in OTHERS.values() for word in words)
    assert set().union(*OTHERS.values()) >= PARTICLES


def test_words_of_their_own():
    text = "«L'été», der 2. file.txt pro- und a/b x1 (schön) l’eau e. -s y"
    assert [word[1] for word in find_words(text)] == ["L'été", "der", "und", "schön", "l’eau", "y"]


@pytest.mark.parametrize(
    ("words", "language"),
    [
        ("mit und", None),  # too few
        ("mit und boot", "German"),  # 2 + 2 - ½
        ("mit+ und boot boot", "German"),
        ("mit boot boot", None),  # 2 - ½ - ½
        ("mit moo+ boot", None),  # 2 + 1 - ½
        ("mit moo+ zoo", "German"),  # a short word says nothing
        ("mit the und zoo+", "German"),
        ("mit the moo+ zoo+", None),
        ("moo+ Mit Und zoo+", None),  # names
        ("Mit und zoo", "German"),
        ("MIT UND moo+ zoo+", None),  # abbreviations
        ("van de moo+", "Dutch"),
        ("van de moo+ boot", None),
        ("van der Moo+ Zoo+", None),  # a name may be cut in any language
        ("boo+ moo+ zoo+ goo+", None),  # jargon
        ("móo+ zóo+ boo+", "any"),
        ("móo+ zoo+ boo+", None),
        ("l'eau qu'ils moo+", "French"),
        ("ain't o'clock moo+", None),
    ],
)
def test_points(words, language):
    guess = guess_language([(word.rstrip("+"), 1 + word.endswith("+")) for word in words.split()])
    assert (guess is not None) if language == "any" else guess == language
