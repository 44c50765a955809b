"""The beginning of a `--where` filter → how it can go on: fields, then operators, then the commonest values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from attnsearch.errors import InputError
from attnsearch.postings.conditions import Filter
from attnsearch.postings.filters import parse_filter

if TYPE_CHECKING:
    from attnsearch.sources.kinds import KindName
    from attnsearch.sources.summary import Field

MOST = 50  # values that are offered

_OPERATORS: dict[KindName, tuple[str, ...]] = {
    "number": ("=", ">=", "<="),
    "date": ("=", ">=", "<="),
    "yes/no": ("=true", "=false"),
    "text": ("=", "~"),
    "mixed": ("=", ">=", "<=", "~"),
}
# What a filter before this one may end with, and the words before a field.
_JOINED = re.compile(r"(?:.*(?<=[\s)])(?:and|or)\s+)?(?:(?:not|has)\s+|\(\s*)*", re.IGNORECASE | re.DOTALL)
_BETWEEN = re.compile(r".*\sbetween\s+[^\s]+\s+and\s+", re.IGNORECASE | re.DOTALL)
_EQUALS = re.compile(r"==?|!=|<>|~|(?<=\s)(?:not\s+)?in\s*\(", re.IGNORECASE)


def complete_filter(text: str, fields: Collection[Field]) -> Iterator[str]:
    """How the last filter of a text can go on, each with all that stands before it.

    Names and values that would have to be quoted are not offered.
    """
    if _BETWEEN.fullmatch(text):
        return
    match = _JOINED.match(text)
    before = match[0] if match else ""
    rest = text[len(before) :]
    if equals := _EQUALS.search(rest):
        start = max(equals.end(), rest.rfind(",") + 1)
        beginning = rest[start:].lstrip()
        values = _complete_value(rest[: equals.start()], beginning, fields)
        yield from (f"{text.removesuffix(beginning)}{value}" for value in values)
        return
    named = [field for field in fields if field.name.startswith(rest) and _is_plain(field.name)]
    if len(named) == 1 and not re.search(r"\bhas\s+$", before, re.IGNORECASE):
        # More than one candidate: a shell puts a blank, or the closing quote, after a single one.
        yield from (f"{before}{named[0].name}{operator}" for operator in _OPERATORS[named[0].kind.name])
    else:
        yield from (f"{before}{field.name}" for field in named)


def _complete_value(name: str, beginning: str, fields: Collection[Field]) -> list[str]:
    """The commonest values of a field that begin so."""
    field = next((field for field in fields if field.name == name.strip()), None)
    counts = field.counts if field else None
    values = field.commonest(len(counts)) if field and counts else []
    return [value for value in values if value.startswith(beginning) and _is_plain("x", value)][:MOST]


def _is_plain(name: str, value: str = "x") -> bool:
    """Whether a filter takes a name and a value as they are, without quotes."""
    try:
        return parse_filter(f"{name} = {value}") == Filter(name, "=", (value,))
    except InputError:
        return False
