"""A word → those that differ from it in one letter or in two, and those most like it, for messages.

A letter too many, one too few, another one, or two in the wrong order: Damerau 1964,
https://doi.org/10.1145/363958.363994, in the form in which no part is changed twice (optimal string alignment).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


def edit_once(word: str, letters: Iterable[str]) -> set[str]:
    """All strings that differ from the word in one letter, with new letters from `letters`: Norvig 2007.

    >>> sorted(edit_once("ab", "c"))
    ['a', 'abc', 'ac', 'acb', 'b', 'ba', 'cab', 'cb']
    """
    splits = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    edited = {left + right[1:] for left, right in splits if right}
    edited |= {left + right[1] + right[0] + right[2:] for left, right in splits if len(right) > 1}
    for letter in letters:
        edited |= {left + letter + right[1:] for left, right in splits if right}
        edited |= {left + letter + right for left, right in splits}
    return edited - {word}


def within(distance: int, word: str, words: Collection[str]) -> list[str]:
    """Those of the words that differ from the word in so many letters at most."""
    from rapidfuzz.distance import OSA  # these take milliseconds, which a request without a mistake does not need
    from rapidfuzz.process import extract

    return [near for near, _, _ in extract(word, [*words], scorer=OSA.distance, score_cutoff=distance, limit=None)]


def find_nearest(word: str, words: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The words most like another, at most so many, the nearest first; none that is less alike than `cutoff`, of 1.

    Two words are as alike as the share of their letters that they have in common, in the same order. Of words as alike,
    those come first that begin with the word, then those that fewer mistakes lead to, of which two swapped letters are
    one.

    >>> find_nearest("overveiw", ["title", "overview"]), find_nearest("lang", ["language"]), find_nearest("x", ["year"])
    (['overview'], ['language'], [])
    """
    from rapidfuzz.distance import OSA
    from rapidfuzz.fuzz import ratio
    from rapidfuzz.process import extract

    alike = extract(word, [*words], scorer=ratio, score_cutoff=100 * cutoff, limit=None)
    ordered = sorted(
        alike, key=lambda match: (-match[1], not match[0].startswith(word), OSA.distance(word, match[0]), match[2])
    )
    return [near for near, _, _ in ordered[:most]]
