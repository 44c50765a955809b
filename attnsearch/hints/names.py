"""A request with a name in it → the filter that finds the items of that name.

Embeddings know few names: of "books by Jules Verne" they hear the books.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from attnsearch.opening.index import Index
from attnsearch.search.result import Hint, Result
from attnsearch.sources.fields import look_up, plain_text
from attnsearch.sources.letters import normalize_text, strip_marks

SHORTEST = 4  # letters of a name
COMMON = 4  # a name that more than 1 in so many items has says little
_LONGEST = 4  # words of a field's values, on average
_AFTER_BY = 4  # words after "by" that may be a name even in lower case

_WORD = re.compile(r"[^\W\d_]+")


def find_hint(index: Index, result: Result) -> Hint | None:
    """The filter for a name in the request, if hits lack the name while other items have it; None if a filter hid any.

    The name must be in a field of short texts, with a capital, and is given as it is written there.
    """
    names = [_fold(name) for name in _names(normalize_text(result.as_read))]
    if not names or result.masked:
        return None
    counted = [(field, counts) for field, counts in index.store.value_counts() if field not in index.info.fields.own]
    fields = [(field, counts, _fold(counts)) for field, counts in counted]
    for name in reversed(names):  # the surname first
        for field, counts, folded in fields:
            if name in folded and (hint := _find_in_field(result, name, field, json.loads(counts))):
                return hint
    return None


def _names(text: str) -> Iterator[str]:
    """The words of a request that may be names: in capitals but not at its beginning, or soon after "by"."""
    words = _WORD.findall(text)
    by = len(words)
    for number, word in enumerate(words):
        is_capital = word[0].isupper() and (number > 0 or len(words) == 1)
        if len(word) >= SHORTEST and (is_capital or by < number <= by + _AFTER_BY):
            yield word
        if word == "by":
            by = number


def _find_in_field(result: Result, name: str, field: str, counts: dict[str, int]) -> Hint | None:
    if sum(len(value.split()) for value in counts) > _LONGEST * len(counts):
        return None
    words = ((value, word) for value in counts for word in _WORD.findall(normalize_text(value)))
    spelled = {value: word for value, word in words if word[0].isupper() and _fold(word) == name}
    items = sum(counts[value] for value in spelled)
    shown = sum(plain_text(look_up(hit.fields, field)) in spelled for hit in result.hits)
    if not items or items * COMMON > result.items or shown >= min(items, len(result.hits)):
        return None
    return Hint(field, spelled[max(spelled, key=lambda value: counts[value])], items)


def _fold(text: str) -> str:
    """The text without case and accents."""
    return strip_marks(text.casefold())
