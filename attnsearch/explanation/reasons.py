"""Results → why each hit has its logit, and why one item ranks above another: sums that add up.

The whole is always the float32 logit that the softmax saw, never one computed anew: two kernels round one product
differently. So parts and `rounding` make that logit on any processor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding import passages
from attnsearch.encoding.pieces import Pieces
from attnsearch.errors import InputError
from attnsearch.explanation.words import add_up
from attnsearch.search.index import Index
from attnsearch.search.result import Hit, Result, Sum, Trace, Why

_TEXTS = 64  # whose shares are held at once: up to a megabyte each

Doubles = NDArray[np.float64]
Kind = Literal["word", "marks", "rounding", "semantic", "term", "field"]


class Contribution(NamedTuple):
    """What a word of the query, a term or a field adds to a difference of logits.

    Without a name: the encoder's marks, the rounding, or all that is semantic where no words can be told.
    """

    kind: Kind
    name: str
    difference: float


class Lead(NamedTuple):
    """By how much one hit's logit is above the other's, or below, as a sum: the largest parts first.

    `ratio` is that of their weights, exp of the difference; None where it is beyond all floats.
    """

    one: Hit
    other: Hit
    difference: float
    ratio: float | None
    parts: list[Contribution]


def explain_hits(index: Index, results: Sequence[Result]) -> list[Result]:
    """The same results of this index, each with the `whys` of its hits; InputError for one without a trace."""
    traces = [result.trace for result in results if result.trace is not None]
    if len(traces) < len(results):
        raise InputError("this result was computed without a trace", hint="search with trace=True")
    queries = [_folded(trace, trace.x.astype(np.float64)) for trace in traces]
    semantics = [_semantics(result, trace) for result, trace in zip(results, traces, strict=True)]
    by_item = _by_item(index, queries, semantics)
    asked = index.encoder.pieces([result.query for result in results], "query")
    found = []
    for i, (result, trace, shares, semantic_of) in enumerate(zip(results, traces, asked, semantics, strict=True)):
        pieces = shares and Pieces(shares.spans, _folded(trace, shares.vectors))
        whys = []
        for key, x, bias in zip(trace.hit_keys, _embeddings(index, trace.hit_keys), trace.biases, strict=True):
            by_query = pieces and add_up(result.query, pieces, x, semantic_of[key])
            whys.append(Why(semantic_of[key], bias.lexical, bias.prior, by_query, by_item.get((i, key))))
        found.append(result._replace(whys=whys))
    return found


def compare_hits(result: Result) -> Lead:
    """Why the first of a result's two hits, whose `whys` it has, ranks above the second, or below it."""
    (one, other), (why, why_other) = result.hits, result.whys or ()
    difference = one.logit - other.logit
    parts = sorted(_parts(why, why_other), key=lambda part: -abs(part.difference))
    return Lead(one, other, difference, math.exp(difference) if abs(difference) < 700 else None, parts)


def _semantics(result: Result, trace: Trace) -> dict[int, float]:
    """What of each hit's logit is not bias, by the hit's key."""
    hits = zip(trace.hit_keys, result.hits, trace.biases, strict=True)
    return {key: hit.logit - bias.total for key, hit, bias in hits}


def _by_item(
    index: Index, queries: Sequence[Doubles], semantics: Sequence[dict[int, float]]
) -> dict[tuple[int, int], Sum]:
    """What is semantic of each hit, by the number of its query and its key, as a sum over what was read of the item."""
    whose: dict[int, list[int]] = {}  # each text is read once, whoever met it
    for i, semantic_of in enumerate(semantics):
        for key in semantic_of:
            whose.setdefault(key, []).append(i)
    found = {}
    for first in range(0, len(whose), _TEXTS):
        keys = list(whose)[first : first + _TEXTS]
        texts = [
            passages.passage_text(index.encoder, place.item.title, place.item.text, place.start, place.stop)
            for place in index.store.places_at(keys)
        ]
        for key, text, shares in zip(keys, texts, index.encoder.pieces(texts), strict=True):
            if shares is None:
                continue
            for i in whose[key]:
                found[i, key] = add_up(text, shares, queries[i], semantics[i][key])
    return found


def _folded(trace: Trace, x: Doubles) -> NDArray[Any]:
    """x W_Q W_Kᵀ / √d_k: what is to be multiplied with an embedding for a logit."""
    return trace.projections.fold(x) * trace.projections.scale


def _embeddings(index: Index, keys: Sequence[int]) -> Doubles:
    return index.store.embeddings(keys).astype(np.float64)


def _parts(one: Why, other: Why) -> Iterator[Contribution]:
    if one.query and other.query:
        for word, word_other in zip(one.query.words, other.query.words, strict=True):
            yield Contribution("word", word.word, word.share - word_other.share)
        yield Contribution("marks", "", one.query.marks - other.query.marks)
        yield Contribution("rounding", "", one.query.rounding - other.query.rounding)
    else:
        yield Contribution("semantic", "", one.semantic - other.semantic)
    for term in {**one.lexical, **other.lexical}:
        yield Contribution("term", term, one.lexical.get(term, 0.0) - other.lexical.get(term, 0.0))
    for field in {**one.prior, **other.prior}:
        yield Contribution("field", field, one.prior.get(field, 0.0) - other.prior.get(field, 0.0))
