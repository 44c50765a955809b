"""Results → why each hit has its logit, and why one item ranks above another: sums that add up.

The total is always the float32 logit that the softmax saw, never one computed again: two kernels round a product
differently. `rounding` holds the difference, so the parts add up to that logit on any processor.
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
from attnsearch.explanation.matrix import By, Matrix, cross
from attnsearch.explanation.phrases import split_by_head, trace_of
from attnsearch.explanation.words import add_up
from attnsearch.opening.index import Index
from attnsearch.opening.items import find_ids
from attnsearch.search.result import Hit, Result, Sum, Trace, Why
from attnsearch.search.search import rank_items
from attnsearch.search.setting import Setting

BATCH = 64  # item texts split into pieces at once: the pieces of one take up to a megabyte

Doubles = NDArray[np.float64]
Kind = Literal["word", "marks", "rounding", "semantic", "term", "field", "memory"]


class Contribution(NamedTuple):
    """What a word of the query, a term, a field or a judged request adds to the difference of two logits.

    `name` is empty for the encoder's marks, for rounding, and for the semantic part of a model without word pieces.
    """

    kind: Kind
    name: str
    difference: float


class Lead(NamedTuple):
    """How far the logit of one hit is above that of another, or below, as a sum with the largest parts first.

    `ratio` is that of their weights, exp of the difference; None if it overflows a float.
    """

    first: Hit
    second: Hit
    difference: float
    ratio: float | None
    parts: list[Contribution]


def explain_items(
    index: Index, text: str, setting: Setting, names: Sequence[str], by: By | None = None
) -> tuple[Result, Lead | None, Matrix | None]:
    """Why an item, by id or title, has its logit for a text: as a double sum, too, if `by` says by what.

    Of two items, why the first ranks above the second, or below it. Raises InputError for an item that is named twice,
    and as `find_ids`, `rank_items` and `explain_pairs` do.
    """
    idents = find_ids(index.store, names)
    if len(set(idents)) < len(idents):
        raise InputError(f"'{names[0]}' and '{names[1]}' are the same item", hint="name two items")
    ranked = rank_items(index, text, setting, idents)
    lead = matrix = None
    if by:
        result, (matrix,) = explain_pairs(index, ranked, by)
    else:
        (result,) = explain_hits(index, [ranked])
        lead = compare_hits(result) if len(idents) > 1 else None
    return result._replace(trace=None), lead, matrix


def explain_hits(index: Index, results: Sequence[Result]) -> list[Result]:
    """The results, which this index gave, with the `whys` of their hits. Raises InputError for one without a trace."""
    traces = [trace_of(result) for result in results]
    folded = [_fold(trace, trace.x.astype(np.float64)) for trace in traces]
    semantics = [_semantic_logits(result, trace) for result, trace in zip(results, traces, strict=True)]
    item_sums = _sum_items(index, folded, semantics)
    query_pieces = _query_pieces(index, results)
    explained = []
    for number, (result, trace, pieces) in enumerate(zip(results, traces, query_pieces, strict=True)):
        folded_pieces = pieces and _fold_pieces(trace, pieces)
        whys = []
        for key, x, bias in zip(trace.hit_keys, _embeddings(index, trace.hit_keys), trace.biases, strict=True):
            semantic = semantics[number][key]
            query_sum = folded_pieces and add_up(result.as_read, folded_pieces, x, semantic)
            item_sum, heads = item_sums.get((number, key)), _split_heads(trace, folded[number], x)
            whys.append(Why(semantic, bias.lexical, bias.prior, query_sum, item_sum, heads, bias.memory))
        explained.append(result._replace(whys=whys))
    return explained


def explain_pairs(index: Index, result: Result, by: By = "words") -> tuple[Result, list[Matrix]]:
    """The result, which this index gave, with the `whys` of its hits; and of each, its logit as a double sum.

    Raises InputError for a result without a trace, and where a vector is not a sum over the pieces of its text.
    """
    trace = trace_of(result)
    if result.like or result.unlike:
        raise InputError("a query that is made of items is not a sum over words", hint="ask without --like, --unlike")
    (pieces,) = _query_pieces(index, [result])
    if pieces is None:
        raise _refusal(result)
    folded, folded_pieces = _fold(trace, trace.x.astype(np.float64)), _fold_pieces(trace, pieces)
    whys, matrices = [], []
    read = _read_items(index, trace.hit_keys)
    stored = _embeddings(index, trace.hit_keys)
    for hit, bias, x, (_, text, item_pieces) in zip(result.hits, trace.biases, stored, read, strict=True):
        if item_pieces is None:
            raise _refusal(result)
        semantic = hit.logit - bias.total
        query_sum = add_up(result.as_read, folded_pieces, x, semantic)
        item_sum = add_up(text, item_pieces, folded, semantic)
        heads = _split_heads(trace, folded, x)
        whys.append(Why(semantic, bias.lexical, bias.prior, query_sum, item_sum, heads, bias.memory))
        matrices.append(cross(hit, bias, (result.as_read, folded_pieces), (text, item_pieces), by))
    return result._replace(whys=whys), matrices


def _refusal(result: Result) -> InputError:
    message = f"what two words add to a logit together can't be told with {result.model}"
    return InputError(message, hint="its vectors are not sums over words")


def _query_pieces(index: Index, results: Sequence[Result]) -> list[Pieces | None]:
    """The word pieces of each request; None if it is not a text alone, or if the encoder has none."""
    worded = [number for number, result in enumerate(results) if not (result.like or result.unlike)]
    pieces: list[Pieces | None] = [None] * len(results)
    if worded:
        split = index.encoder.pieces([results[number].as_read for number in worded], "query")
        for number, of_query in zip(worded, split, strict=True):
            pieces[number] = of_query
    return pieces


def compare_hits(result: Result) -> Lead:
    """Why the first of a result's two hits ranks above the second, or below it. The result must have its `whys`."""
    (first, second), (first_why, second_why) = result.hits, result.whys or ()
    difference = first.logit - second.logit
    ratio = math.exp(difference) if abs(difference) < 700 else None
    parts = sorted(_contributions(first_why, second_why), key=lambda part: -abs(part.difference))
    return Lead(first, second, difference, ratio, parts)


def _semantic_logits(result: Result, trace: Trace) -> dict[int, float]:
    """The logit of each hit without its bias, by the hit's key."""
    hits = zip(trace.hit_keys, result.hits, trace.biases, strict=True)
    return {key: hit.logit - bias.total for key, hit, bias in hits}


def _sum_items(
    index: Index, folded: Sequence[Doubles], semantics: Sequence[dict[int, float]]
) -> dict[tuple[int, int], Sum]:
    """The semantic logit of each hit as a sum over the words of the item, by the query's number and the hit's key.

    The encoder reads each text once, however many queries it is a hit of.
    """
    queries_of: dict[int, list[int]] = {}
    for number, semantic_of in enumerate(semantics):
        for key in semantic_of:
            queries_of.setdefault(key, []).append(number)
    sums = {}
    for key, text, pieces in _read_items(index, list(queries_of)):
        if pieces is None:
            continue
        for number in queries_of[key]:
            sums[number, key] = add_up(text, pieces, folded[number], semantics[number][key])
    return sums


def _read_items(index: Index, keys: Sequence[int]) -> Iterator[tuple[int, str, Pieces | None]]:
    """Each key, the text that the encoder read for it, and its pieces."""
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        texts = [
            passages.passage_text(index.encoder, span.item.title, span.item.text, span.start, span.stop)
            for span in index.store.spans_at(batch)
        ]
        yield from zip(batch, texts, index.encoder.pieces(texts), strict=True)


def _split_heads(trace: Trace, folded: Doubles, x: Doubles) -> dict[str, float]:
    """What each head adds to the product of a folded query (d,) and an embedding (d,); nothing if there is only one."""
    if not trace.heads:
        return {}
    (parts,) = split_by_head(trace.heads, folded, x[None]).tolist()
    return dict(zip((head.model for head in trace.heads), parts, strict=True))


def _fold(trace: Trace, x: Doubles) -> NDArray[Any]:
    """x W_Q W_Kᵀ / √d_k (…, d), whose product with an embedding is a logit."""
    return trace.projections.fold(x) * trace.projections.scale


def _fold_pieces(trace: Trace, pieces: Pieces) -> Pieces:
    return pieces._replace(vectors=_fold(trace, pieces.vectors))


def _embeddings(index: Index, keys: Sequence[int]) -> Doubles:
    return index.store.embeddings(keys).astype(np.float64)


def _contributions(first: Why, second: Why) -> Iterator[Contribution]:
    """The difference of two logits, part by part."""
    if first.query and second.query:
        for word, second_word in zip(first.query.words, second.query.words, strict=True):
            yield Contribution("word", word.word, word.share - second_word.share)
        yield Contribution("marks", "", first.query.marks - second.query.marks)
        yield Contribution("rounding", "", first.query.rounding - second.query.rounding)
    else:
        yield Contribution("semantic", "", first.semantic - second.semantic)
    for term in {**first.lexical, **second.lexical}:
        yield Contribution("term", term, first.lexical.get(term, 0.0) - second.lexical.get(term, 0.0))
    for field in {**first.prior, **second.prior}:
        yield Contribution("field", field, first.prior.get(field, 0.0) - second.prior.get(field, 0.0))
    for request in {**first.memory, **second.memory}:
        yield Contribution("memory", request, first.memory.get(request, 0.0) - second.memory.get(request, 0.0))
