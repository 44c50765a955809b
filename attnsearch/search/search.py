"""The road: query → result. Everything else in the house stands beside it.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import is_cut
from attnsearch.errors import InputError
from attnsearch.search.index import Index
from attnsearch.search.items import keys_of_item
from attnsearch.search.result import Hit, Result, Trace
from attnsearch.search.scoring import Scores, is_within_share, score, score_all
from attnsearch.search.self_attention import embed_queries
from attnsearch.search.setting import DEFAULT, Asked, Setting, explain_empty
from attnsearch.sources.items import describe
from attnsearch.syntax.values import check_text

if TYPE_CHECKING:
    from attnsearch.search.readout import Readout

Floats = NDArray[np.float32]

BUDGET = 1 << 25  # logits held at once, if every one is needed: 128 MB

log = logging.getLogger("attnsearch")


def search(
    index: Index,
    texts: Sequence[str],
    setting: Setting = DEFAULT,
    *,
    k: int | None = 10,
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
    the order in which items were indexed. `values` are fields to read out, `output` asks for softmax(z) V, and `trace`
    for what `explain` shows. With items to be like or unlike in the setting, a text may be "", for these alone.

    Raises InputError for a text that is empty or not text, and as `Setting.resolve` does.
    """
    check_texts(index, texts, setting)
    if values:
        index.postings.ensure(values)  # an unknown field is refused before anything is embedded
    results: list[Result] = []
    size = max(len(texts), 1)
    if values or k is None or top_p < 1:  # every logit of a batch is held at once
        size = max(BUDGET // max(index.store.size, 1), 1)
    for start in range(0, len(texts), size):
        began = time.perf_counter()
        batch = texts[start : start + size]
        asked = setting.resolve(index, batch)  # W_Q, τ, λ, null key, mask and bias: worked out once
        x = embed_queries(index, batch, asked.likeness)
        readouts: list[list[Readout]] = [[] for _ in batch]
        if values or k is None or top_p < 1:
            scores, z = score_all(index.engine, asked, x, output=output or trace)
            scores = scores.with_best(z, k, top_p)
            readouts = _read_out(index, scores, z, values)
        else:
            scores = score(index.engine, asked, x, k=k, output=output or trace)
        answers = []
        for i, text in enumerate(batch):
            ranked = rank(index, scores, i, top_p, min_weight, min_score)
            answer = _result(index, asked, scores, i, text, ranked, readouts[i], output=output, trace=trace)
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
    x = embed_queries(index, texts, asked.likeness)
    scores, z = score_all(index.engine, asked, x, output=True)
    keys = np.array([_best_keys(index, logits, items) for logits in z], np.int64).reshape(len(texts), len(items))
    scores = scores.with_top(keys, np.take_along_axis(z, keys, axis=1).astype(np.float64))
    readouts = _read_out(index, scores, z, values)
    results = []
    for i, text in enumerate(texts):
        ranked = [
            entry._replace(hit=entry.hit._replace(rank=rank_number))
            for rank_number, entry in zip(_ranks(z[i], keys[i]), rank(index, scores, i), strict=True)
        ]
        results.append(_name_items(_result(index, asked, scores, i, text, ranked, readouts[i], trace=True), setting))
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
    if is_cut(index.encoder, text):
        log.warning("the query is longer than the %d tokens that the model reads; the rest is ignored",
                    index.encoder.window)  # fmt: skip


class Ranked(NamedTuple):
    """A hit, and the number of the key that gives it its logit."""

    key: int
    hit: Hit


def rank(
    index: Index, scores: Scores, i: int, top_p: float = 1.0, min_weight: float = 0.0, min_score: float = -math.inf
) -> list[Ranked]:
    """The top of the i-th query, best first, within the limits that `search` explains."""
    state = scores.state
    weights = state.weights()[i]
    shown = np.isfinite(state.top_logits[i])
    if top_p < 1:
        shown &= is_within_share(weights, top_p)
    keys = state.top_keys[i][shown].tolist()
    cosines = np.vecdot(index.store.embeddings(keys), scores.x[i])  # equal items have equal ones
    infos, items = [index.info_of(key) for key in keys], index.store.items_at(keys)
    rows = zip(keys, infos, items, weights[shown], cosines, state.top_logits[i][shown], strict=True)
    ranked = [
        Ranked(
            key,
            Hit(
                rank=rank_number,
                id=item.id,
                title=item.title,
                weight=float(weight),
                score=float(cosine),
                logit=float(logit),
                description=describe(item, info.fields),
                fields=item.fields,
                passage=passage,
                catalog=info.name,
            ),
        )
        for rank_number, (key, info, (item, passage), weight, cosine, logit) in enumerate(rows, 1)
    ]
    return [entry for entry in ranked if entry.hit.weight >= min_weight and entry.hit.score >= min_score]


def _best_keys(index: Index, z: Floats, items: Sequence[Sequence[int]]) -> list[int]:
    """The best of the keys of each item, by its logit in z (N,)."""
    best = []
    for keys in items:
        key = max(keys, key=lambda key: z[key])
        if z[key] == -np.inf:
            ((item, _),) = index.store.items_at([key])
            raise InputError(f"a filter hides the item '{item.id}'", where=index.info.name, hint="ask without --where")
        best.append(key)
    return best


def _ranks(z: Floats, keys: NDArray[np.int64]) -> list[int]:
    """The rank of each of the keys (k,) among all, by logits z (N,), ties by key number."""
    return [1 + int((z > z[key]).sum() + (z[:key] == z[key]).sum()) for key in keys]


def _read_out(index: Index, scores: Scores, z: Floats, fields: Sequence[str]) -> list[list[Readout]]:
    """For each query, its readout of each field; z (m, N)."""
    if not fields:
        return [[] for _ in z]
    from attnsearch.search.readout import item_weights, read_out

    readouts = []
    for logits, log_normalizer, visible in zip(z, scores.state.log_normalizer(), scores.state.visible, strict=True):
        weights = np.zeros(len(logits))
        if visible:
            weights = item_weights(logits, float(log_normalizer), index.store.heads)
        readouts.append([read_out(index.postings, field, weights) for field in fields])
    return readouts


def _result(
    index: Index,
    asked: Asked,
    scores: Scores,
    i: int,
    text: str,
    ranked: Sequence[Ranked],
    values: Sequence[Readout] = (),
    *,
    output: bool = False,
    trace: bool = False,
) -> Result:
    """The result of the i-th query with these hits; `elapsed_ms` is left at 0."""
    visible = int(scores.state.visible[i])
    return Result(
        query=text,
        catalog=index.info.name,
        model=index.info.model,
        temperature=asked.projections.temperature,
        items=index.info.items,
        masked=index.info.items - visible,
        none_of_these=None if scores.none_of_these is None else float(scores.none_of_these[i]),
        effective_items=math.exp(scores.state.entropy()[i]) if visible else 0.0,
        elapsed_ms=0.0,
        hits=[entry.hit for entry in ranked],
        lexical=asked.lexical,
        values=values,
        output=_output(asked, scores, i) if output else None,
        trace=_trace(index, asked, scores, i, text, ranked, [readout.field for readout in values]) if trace else None,
        trained=asked.learned is not None,
        catalogs=[store.info.name for store in index.stores],
    )


def _output(asked: Asked, scores: Scores, i: int) -> NDArray[np.float64]:
    """softmax(z) V (d,) of the i-th query. Raises InputError if W_V makes it anything but numbers."""
    output: NDArray[np.float64] = scores.state.mean_value()[i] @ asked.projections.w_v
    if not np.isfinite(output).all():
        raise InputError("the projections make an output that is not finite", hint="ask without them")
    return output


def _trace(
    index: Index, asked: Asked, scores: Scores, i: int, text: str, ranked: Sequence[Ranked], fields: Sequence[str]
) -> Trace:
    from attnsearch.engines.bias import Added

    keys = [entry.key for entry in ranked]
    x, embeddings, heads = scores.x[i], index.store.embeddings(keys), index.store.heads
    readings = []
    if fields:
        from attnsearch.search.readout import read_values

        first_keys = keys if heads is None else heads[keys].tolist()
        readings = [read_values(index.postings, field, first_keys) for field in fields]
    return Trace(
        tokens=index.encoder.tokens(text) if text else [],
        window=index.encoder.window if text else 0,
        projections=asked.projections,
        hit_keys=keys,
        biases=[asked.bias.added(i, key) if asked.bias else Added({}, {}) for key in keys],
        keys_shape=(index.info.keys, index.info.d),
        x=x,
        q=asked.projections.project(x),
        maximum=float(scores.state.maximum[i]),
        log_normalizer=float(scores.state.log_normalizer()[i]),
        output=_output(asked, scores, i),
        keys=asked.projections.keys(embeddings),
        values=asked.projections.values(embeddings),
        readings=readings,
    )
