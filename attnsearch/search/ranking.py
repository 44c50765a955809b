"""Scores → the hits of a query, best first, and its result.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import reads
from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.search.result import Hit, Result, Trace, is_likely
from attnsearch.search.scoring import Scores, is_within_share
from attnsearch.search.setting import Asked
from attnsearch.sources.items import describe

if TYPE_CHECKING:
    from attnsearch.engines.bias import Added
    from attnsearch.search.readout import Readout
    from attnsearch.search.result import HeadTrace

Floats = NDArray[np.float32]


class Ranked(NamedTuple):
    """A hit, and the number of the key that gives it its logit."""

    key: int
    hit: Hit


def rank(
    index: Index,
    scores: Scores,
    i: int,
    top_p: float = 1.0,
    min_weight: float = 0.0,
    min_score: float = -math.inf,
    *,
    k: int | None = None,
) -> list[Ranked]:
    """The top of the i-th query, at most `k` of it, best first, within the limits that `search` explains."""
    state = scores.state
    weights = state.weights()[i]
    shown = np.isfinite(state.top_logits[i])
    if k is not None:
        shown[k:] = False
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


def best_keys(index: Index, z: Floats, items: Sequence[Sequence[int]]) -> list[int]:
    """The best of the keys of each item, by its logit in z (N,)."""
    best = []
    for keys in items:
        key = max(keys, key=lambda key: z[key])
        if z[key] == -np.inf:
            ((item, _),) = index.store.items_at([key])
            raise InputError(f"a filter hides the item '{item.id}'", where=index.info.name, hint="ask without --where")
        best.append(key)
    return best


def ranks_of(z: Floats, keys: NDArray[np.int64]) -> list[int]:
    """The rank of each of the keys (k,) among all, by logits z (N,), ties by key number."""
    return [1 + int((z > z[key]).sum() + (z[:key] == z[key]).sum()) for key in keys]


def read_out_fields(index: Index, scores: Scores, z: Floats, fields: Sequence[str]) -> list[list[Readout]]:
    """For each query, its readout of each field; z (m, N)."""
    if not fields:
        return [[] for _ in z]
    from attnsearch.search.readout import item_weights, read_out

    readouts = []
    for logits, log_normalizer, visible in zip(z, scores.state.log_normalizer(), scores.state.visible, strict=True):
        weights = np.zeros(len(logits))
        if visible:
            weights = item_weights(logits, float(log_normalizer), index.store.first_keys)
        readouts.append([read_out(index.postings, field, weights) for field in fields])
    return readouts


def make_result(
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
    """The result of the i-th query, `text`, with these hits; `elapsed_ms` is left at 0."""
    reading = asked.readings[i]
    visible = int(scores.state.visible[i])
    none_of_these = None if scores.none_of_these is None else float(scores.none_of_these[i])
    return Result(
        query=text,
        catalog=index.info.name,
        model=index.info.model,
        temperature=asked.projections.temperature,
        items=index.info.items,
        masked=index.info.items - visible,
        none_of_these=none_of_these,
        effective_items=math.exp(scores.state.entropy()[i]) if visible else 0.0,
        elapsed_ms=0.0,
        hits=[entry.hit for entry in ranked],
        lexical=asked.lexical,
        values=values,
        output=_output(asked, scores, i) if output else None,
        trace=_trace(index, asked, scores, i, ranked, [readout.field for readout in values]) if trace else None,
        trained=asked.learned is not None and asked.learned.trained,
        recalled={} if scores.recalled is None else scores.recalled.requests(i),
        catalogs=[store.info.name for store in index.stores],
        unreadable=bool(visible) and is_likely(none_of_these) and not reads(index.encoder, reading.text),
        heads=[head.model for head in index.info.heads],
        asked=reading.text if reading.corrections else None,
        corrections=reading.corrections,
        parts=scores.parts,
    )


def _output(asked: Asked, scores: Scores, i: int) -> NDArray[np.float64]:
    """softmax(z) V (d,) of the i-th query. Raises InputError if W_V makes it anything but numbers."""
    output: NDArray[np.float64] = scores.state.mean_value()[i] @ asked.projections.w_v
    if not np.isfinite(output).all():
        raise InputError("the projections make an output that is not finite", hint="ask without them")
    return output


def _trace(
    index: Index, asked: Asked, scores: Scores, i: int, ranked: Sequence[Ranked], fields: Sequence[str]
) -> Trace:
    text = asked.readings[i].text
    keys = [entry.key for entry in ranked]
    x, embeddings = scores.x[i], index.store.embeddings(keys)
    readings = []
    if fields:
        from attnsearch.search.readout import read_values

        first_keys = index.store.first_keys
        numbers = keys if first_keys is None else first_keys[keys].tolist()
        readings = [read_values(index.postings, field, numbers) for field in fields]
    return Trace(
        tokens=index.encoder.tokens(text) if text else [],
        window=index.encoder.query_window if text else 0,
        projections=asked.projections,
        hit_keys=keys,
        biases=[_added(asked, scores, i, key) for key in keys],
        keys_shape=(index.info.keys, index.info.d),
        x=x,
        q=asked.projections.project(x),
        maximum=float(scores.state.maximum[i]),
        log_normalizer=float(scores.state.log_normalizer()[i]),
        output=_output(asked, scores, i),
        keys=asked.projections.keys(embeddings),
        values=asked.projections.values(embeddings),
        readings=readings,
        heads=_trace_heads(index, text) if index.info.heads else (),
        prompt=index.encoder.use.query_prompt if text else "",
    )


def _trace_heads(index: Index, text: str) -> list[HeadTrace]:
    from attnsearch.encoding.encoder import parts_of
    from attnsearch.search.result import HeadTrace
    from attnsearch.storage.segment import all_heads

    return [
        HeadTrace(
            head.model,
            head.d,
            head.weight,
            part.tokens(text) if text else [],
            part.query_window if text else 0,
            part.use.query_prompt,
        )
        for head, part in zip(all_heads(index.info), parts_of(index.encoder), strict=True)
    ]


def _added(asked: Asked, scores: Scores, i: int, key: int) -> Added:
    """What was added to the logit of the i-th query and a key."""
    from attnsearch.engines.bias import Added

    added = Added({}, {}) if asked.bias is None else asked.bias.added(i, key)
    return added if scores.recalled is None else added._replace(memory=scores.recalled.added(i, key))
