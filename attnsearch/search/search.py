"""The road: query → result. Everything else in the house stands beside it.

Axis letters: m = queries, N = all keys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import is_cut
from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.opening.items import keys_of_item
from attnsearch.search.emptied import explain_empty
from attnsearch.search.ranking import best_keys, make_result, rank, ranks_of, read_out_fields
from attnsearch.search.result import Result
from attnsearch.search.scoring import score, score_all
from attnsearch.search.self_attention import embed_queries
from attnsearch.search.setting import DEFAULT, Setting
from attnsearch.syntax.values import check_text

if TYPE_CHECKING:
    from attnsearch.search.readout import Readout

Floats = NDArray[np.float32]

BUDGET = 1 << 25  # logits held at once, if every one is needed: 128 MB

_ITEMS = 16  # numbers for each query and judged request, held at once

log = logging.getLogger("attnsearch")


def search(
    index: Index,
    texts: Sequence[str],
    setting: Setting = DEFAULT,
    *,
    k: int | Sequence[int] | None = 10,
    top_p: float = 1.0,
    min_weight: float = 0.0,
    min_score: float = -1.0,
    values: Sequence[str] = (),
    output: bool = False,
    trace: bool = False,
) -> list[Result]:
    """One result for each of `texts`, asked of every key of the index at once.

    Hits are the `k` best items, or all if that is None; of these, the fewest that hold the share `top_p` of the
    attention; and of these, the ones that have at least `min_weight` and `min_score`. They rank by logit; ties go by
    the order in which items were indexed. Several `k` are one for each text. `values` are fields to read out, `output`
    asks for softmax(z) V, and `trace` for what `explain` shows. With items to be like or unlike in the setting, a text
    may be "", for these alone.

    Raises InputError for a text that is empty or not text, and as `Setting.resolve` does.
    """
    check_texts(index, texts, setting)
    if values:
        index.postings.ensure(values)  # an unknown field is refused before anything is embedded
    results: list[Result] = []
    size = max(len(texts), 1)
    most = max(k, default=0) if isinstance(k, Sequence) else k
    if values or most is None or top_p < 1:  # every logit of a batch is held at once
        size = max(BUDGET // max(index.store.size, 1), 1)
    if remembered := sum(len(memory.queries) for memory in setting.memories(index) if memory):
        size = min(size, max(BUDGET // (_ITEMS * remembered), 1))  # so is what each of these may add
    for start in range(0, len(texts), size):
        began = time.perf_counter()
        batch = texts[start : start + size]
        own_k = k[start : start + size] if isinstance(k, Sequence) else [k] * len(batch)
        asked = setting.resolve(index, batch)  # W_Q, τ, λ, null key, mask and bias: worked out once
        x = embed_queries(index, asked.texts, asked.likeness)
        readouts: list[list[Readout]] = [[] for _ in batch]
        if values or most is None or top_p < 1:
            scores, z = score_all(index.engine, asked, x, output=output or trace)
            scores = scores.with_best(z, most, top_p)
            readouts = read_out_fields(index, scores, z, values)
        else:
            scores = score(index.engine, asked, x, k=most, output=output or trace)
        answers = []
        for i, text in enumerate(batch):
            ranked = rank(index, scores, i, top_p, min_weight, min_score, k=own_k[i])
            answer = make_result(index, asked, scores, i, text, ranked, readouts[i], output=output, trace=trace)
            answers.append(_name_items(answer, setting))
        if (setting.where or asked.likeness) and answers[0].masked == index.info.items:
            emptied_by = explain_empty(index, setting.where)
            answers = [answer._replace(emptied_by=emptied_by) for answer in answers]
        elapsed_ms = (time.perf_counter() - began) * 1000 / len(batch)
        results += [answer._replace(elapsed_ms=elapsed_ms) for answer in answers]
    return results


def _name_items(result: Result, setting: Setting) -> Result:
    """The result with the ids of the items in its query, whose name they are if it has no text."""
    named = {"like": setting.like, "unlike": setting.unlike}
    text = "; ".join(f"{word}: {', '.join(idents)}" for word, idents in named.items() if idents)
    return result._replace(query=result.query or text, like=setting.like, unlike=setting.unlike)


def rank_items(index: Index, text: str, setting: Setting, idents: Sequence[str]) -> Result:
    """The result of a request with the items of these ids as its hits, in this order, each with its rank; traced.

    Raises InputError for an item that is not in the index, or that a filter hides; else as `search` does.
    """
    return follow_items(index, [text], setting, [keys_of_item(index.store, ident) for ident in idents])[0]


def follow_items(
    index: Index, texts: Sequence[str], setting: Setting, items: Sequence[Sequence[int]], *, values: Sequence[str] = ()
) -> list[Result]:
    """For each request, the result with the items that have these keys as its hits, in this order; traced.

    Each hit has its rank among all. Raises InputError for an item that a filter hides; else as `search` does.
    """
    check_texts(index, texts, setting)
    began = time.perf_counter()
    asked = setting.resolve(index, texts)
    x = embed_queries(index, asked.texts, asked.likeness)
    scores, z = score_all(index.engine, asked, x, output=True)
    keys = np.array([best_keys(index, logits, items) for logits in z], np.int64).reshape(len(texts), len(items))
    scores = scores.with_top(keys, np.take_along_axis(z, keys, axis=1).astype(np.float64))
    readouts = read_out_fields(index, scores, z, values)
    results = []
    for i, text in enumerate(texts):
        ranked = [
            entry._replace(hit=entry.hit._replace(rank=rank_number))
            for rank_number, entry in zip(ranks_of(z[i], keys[i]), rank(index, scores, i), strict=True)
        ]
        result = make_result(index, asked, scores, i, text, ranked, readouts[i], trace=True)
        results.append(_name_items(result, setting))
    elapsed_ms = (time.perf_counter() - began) * 1000 / max(len(texts), 1)
    return [result._replace(elapsed_ms=elapsed_ms) for result in results]


def check_request(text: str) -> None:
    """InputError for a request that is empty, or not valid text."""
    if not text.strip():
        raise InputError("the query is empty", hint='say what you look for, such as "science fiction"')
    check_text(text, "the query")


def check_texts(index: Index, texts: Sequence[str], setting: Setting) -> None:
    """Check the requests, of which those of items alone have no text, and warn of those that the encoder cuts."""
    for text in texts:
        if text or not (setting.like or setting.unlike):
            check_request(text)
            _warn_if_cut(index, text)


def _warn_if_cut(index: Index, text: str) -> None:
    if is_cut(index.encoder, text, "query"):
        log.warning("the query is longer than the %d tokens that the model reads; the rest is ignored",
                    index.encoder.query_window)  # fmt: skip
