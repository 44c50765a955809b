"""Requests → the results that are explained: with the same items for all, and how these rank untrained."""

from __future__ import annotations

from collections.abc import Sequence

from attnsearch.errors import InputError
from attnsearch.explanation.phrases import trace_of
from attnsearch.opening.index import Index
from attnsearch.opening.items import keys_beside
from attnsearch.search.result import Result
from attnsearch.search.search import follow_items, search
from attnsearch.search.setting import Setting


def follow_requests(
    index: Index, texts: Sequence[str], setting: Setting, *, k: int, values: Sequence[str] = ()
) -> list[Result]:
    """The result of each request, traced, whose hits are the `k` best items of any request.

    If something was learned, or a judged request is like one of these, `untrained` has the same hits without it. Raises
    as `search` does.
    """
    results = search(index, texts, setting, k=k, values=values if len(texts) == 1 else (), trace=True)
    is_taught = any(result.trained or result.recalled for result in results)
    if len(texts) == 1 and not is_taught:
        return results
    keys = dict.fromkeys(key for result in results for key in trace_of(result).hit_keys)
    items = list(dict.fromkeys(tuple(keys_beside(index.store, key)) for key in keys))
    if len(texts) > 1:
        emptied_by = results[0].emptied_by
        results = follow_items(index, texts, setting, items, values=values)
        results = [result._replace(emptied_by=emptied_by) for result in results]
    if is_taught:
        plain = follow_items(index, texts, setting._replace(untrained=True, learned=None), items)
        results = [result._replace(untrained=other) for result, other in zip(results, plain, strict=True)]
    if len(texts) == 1:
        return results
    orders = [sorted(range(len(result.hits)), key=lambda i: result.hits[i].rank) for result in results]
    return [_arrange(result, order) for result, order in zip(results, orders, strict=True)]


def align_hits(results: Sequence[Result]) -> list[Result]:
    """The results with their hits in the order of the first one's. Raises InputError unless all have the same hits."""
    order = [(hit.catalog, hit.id) for hit in results[0].hits]
    aligned = []
    for result in results:
        place = {(hit.catalog, hit.id): number for number, hit in enumerate(result.hits)}
        if place.keys() != {*order}:
            raise InputError("these results have different hits", hint="follow the same items")
        aligned.append(_arrange(result, [place[name] for name in order]))
    return aligned


def _arrange(result: Result, order: Sequence[int]) -> Result:
    """The result with its hits, and all that belongs to them, in this order."""
    trace, untrained = trace_of(result), result.untrained
    if untrained:
        untrained = untrained._replace(hits=[untrained.hits[i] for i in order])
    arranged = trace._replace(
        hit_keys=[trace.hit_keys[i] for i in order],
        biases=[trace.biases[i] for i in order],
        keys=trace.keys[[*order]],
        values=trace.values[[*order]],
        readings=[[readings[i] for i in order] for readings in trace.readings],
    )
    return result._replace(hits=[result.hits[i] for i in order], trace=arranged, untrained=untrained)
