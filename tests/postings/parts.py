"""Parts of postings in memory, as `index` stores them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from attnsearch.postings import facets, stored, vocabulary
from attnsearch.postings.facets import Collector
from attnsearch.postings.stored import Part
from attnsearch.postings.terms import write_terms
from attnsearch.postings.values import Values
from attnsearch.postings.vocabulary import Vocabulary
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item


def make_part(first: int, count: int, dead: Collection[int] = ()) -> Part:
    """An empty part of a segment of `count` rows; `dead` are the numbers of keys whose items are gone."""
    living = np.array([key not in dead for key in range(first, first + count)], bool)
    return Part(first, living, sqlite3.connect(":memory:", check_same_thread=False))


@contextmanager
def values_of(
    field: str, items: Sequence[Item], *, cuts: Sequence[int] = (), dead: Collection[int] = (),
    size: int = facets.BUFFER, run: int = facets.RUN,
) -> Iterator[Values]:  # fmt: skip
    """The values of a field, the items' keys being 0, 1 and so on, in segments that end before each of the `cuts`."""
    parts = []
    for first, end in zip([0, *cuts], [*cuts, len(items)], strict=True):
        with closing(Collector([field], Fields(), end - first, size=size)) as collector:
            for row, item in enumerate(items[first:end]):
                collector.add(row, item)
            part = make_part(first, end - first, dead)
            collector.fill(part.db, field, run=run)
            parts.append(part)
    kind = Values(parts).kind
    again = [facets.read_again(part, kind) for part in parts]
    try:
        yield Values([new or part for new, part in zip(again, parts, strict=True)])
    finally:
        stored.close_all([*parts, *filter(None, again)])


@contextmanager
def terms_of(
    texts: Sequence[str], *, keys: Sequence[int] | None = None, cuts: Sequence[int] = (), dead: Collection[int] = ()
) -> Iterator[list[Part]]:
    """The terms of texts with these keys, by default 0, 1 and so on, in segments that end before each of the `cuts`."""
    numbers = range(len(texts)) if keys is None else keys
    size = max(numbers, default=-1) + 1
    gone = {*dead, *range(size)} - ({*numbers} - {*dead})
    parts = []
    for first, end in zip([0, *cuts], [*cuts, size], strict=True):
        own = [(key - first, text) for key, text in zip(numbers, texts, strict=True) if first <= key < end]
        part = make_part(first, end - first, gone)
        write_terms(part.db, [text for _, text in own], [row for row, _ in own], end - first)
        parts.append(part)
    try:
        yield parts
    finally:
        stored.close_all(parts)


def vocabulary_of(counts: Mapping[str, int]) -> Vocabulary:
    """Words of which each is in so many items."""
    most = max(counts.values(), default=0)
    part = make_part(0, most)
    vocabulary.write_words(part.db, {word: range(count) for word, count in counts.items()}, most)
    return Vocabulary([part], Path("shop"))
