"""Unicode text → its normal form, in linear time, and patterns of words that keep letters and their marks together."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Literal

Form = Literal["NFC", "NFKC"]

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
