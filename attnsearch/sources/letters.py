"""Unicode text → its normal form, in linear time, and patterns of words that keep letters and their marks together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple


class WordPatterns(NamedTuple):
    """Patterns of text with marks.

    `word` is a letter and all letters and marks after it, at least one; `gap` is what no word has; `cluster` is a
    character with its marks; `name` is a text of letters, marks, spaces, `.`, `_` and `-` that begins with a letter and
    ends with a letter or mark.
    """

    word: re.Pattern[str]
    gap: re.Pattern[str]
    cluster: re.Pattern[str]
    name: re.Pattern[str]


Form = Literal["NFC", "NFD", "NFKC"]

JOINERS = "\u200c\u200d"  # after a mark they choose between two forms of the same word

_MARKS = re.compile("[\u0300-\u036f]+")

RUN = 32  # marks in a row that are put in order together; no writing system needs as many


def normalize_text(text: str, form: Form = "NFC") -> str:
    r"""The text in a normal form of Unicode, in time proportional to its length.

    Normalization sorts each run of marks, and Python takes quadratic time for a run. A run of more than `RUN` marks is
    normalized in parts, as the Stream-Safe Text Format does: https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format

    >>> normalize_text("e\u0301"), normalize_text("\ufb01", "NFKC")
    ('é', 'fi')
    """
    if text.isascii():
        return text
    start = 0
    parts = []
    for cut in _cuts(text):
        parts.append(unicodedata.normalize(form, text[start:cut]))
        start = cut
    return "".join([*parts, unicodedata.normalize(form, text[start:])])


def _cuts(text: str) -> Iterator[int]:
    """The places inside runs of more than `RUN` marks at which to cut them."""
    start = 0
    # Every run of so many marks has one at a place that `RUN` divides.
    for probe in range(RUN - 1, len(text), RUN):
        if probe < start or not _is_mark(text[probe]):
            continue
        first, end = probe, probe + 1
        while first > start and _is_mark(text[first - 1]):
            first -= 1
        while end < len(text) and _is_mark(text[end]):
            end += 1
        yield from range(first + RUN, end, RUN)
        start = end


def _is_mark(character: str) -> bool:
    """Whether normalization may move the character past its neighbors; some do so only once they are decomposed."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0


def has_marks(text: str) -> bool:
    r"""Whether the text has combining marks, which `\w` does not match.

    >>> has_marks("दिन"), has_marks("café")
    (True, False)
    """
    return not text.isascii() and any(unicodedata.category(character)[0] == "M" for character in set(text))


@cache
def word_patterns() -> WordPatterns:
    """The patterns of words of text with marks. They take milliseconds to make, so first ask `has_marks`."""
    marks = "".join(f"{chr(first)}-{chr(last)}" for first, last in _mark_ranges())
    letter = rf"(?:[\w{marks}]|(?<=[{marks}])[{JOINERS}])"
    return WordPatterns(
        re.compile(rf"\w{letter}+"),
        re.compile(rf"(?:(?!{letter}).)+", re.DOTALL),
        re.compile(rf".(?:[{marks}][{JOINERS}]?)*+", re.DOTALL),
        re.compile(rf"\w(?:(?:{letter}|[ .-])*{letter})?"),
    )


def _mark_ranges() -> Iterator[tuple[int, int]]:
    """The first and the last character of each range of combining marks."""
    first = None
    for code in (*range(0x300, 0x1F000), *range(0xE0100, 0xE01F1)):  # there are none elsewhere
        if unicodedata.category(chr(code))[0] == "M":
            first = code if first is None else first
        elif first is not None:
            yield first, code - 1
            first = None


def strip_marks(text: str) -> str:
    """The text without accents and other marks of Latin, Greek and Cyrillic letters.

    >>> strip_marks("Crème brûlée")
    'Creme brulee'
    """
    return text if text.isascii() else _MARKS.sub("", normalize_text(text, "NFD"))


def make_slug(title: str) -> str:
    """An id for a title: its letters and digits, lower case, joined by hyphens; the title itself if it has none.

    >>> make_slug("Dune: Part II"), make_slug("दीन और दिन")
    ('dune-part-ii', 'दीन-और-दिन')
    """
    plain = normalize_text(title, "NFKC")
    if has_marks(plain):  # without them ids stay what they always were
        return word_patterns().gap.sub("-", normalize_text(plain.casefold())).strip("-") or title
    return re.sub(r"\W+", "-", plain.casefold()).strip("-") or title
