"""The road: query → result. Everything else in the house stands beside it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.projections import Projections
from attnsearch.attention.softmax import State
from attnsearch.encoding.encoder import is_cut
from attnsearch.engines.local import DEFAULT, Seen, Setting, learned_of, look, weight_of
from attnsearch.errors import InputError
from attnsearch.search.index import Index
from attnsearch.sources.items import described
from attnsearch.sources.values import Value

if TYPE_CHECKING:
    from attnsearch.encoding.pieces import Why
    from attnsearch.engines.bias import Part
    from attnsearch.search.readout import Readout

_ALL = 1 << 25  # logits held at once where every one is wanted: 128 MB
_ROUNDING = 1e-9  # of a sum of weights

log = logging.getLogger("attnsearch")


class Hit(NamedTuple):
    """An item that attention turns to. `weight` is its share among all unmasked items, `score` the cosine.

    `passage` is the part of a long text that the request met, by which the item is judged; None where it is all of it.
    """

    rank: int
    id: str
    title: str
    weight: float
    score: float
    logit: float
    description: str
    fields: Mapping[str, Value]
    passage: str | None = None


class Trace(NamedTuple):
    """What the road computed on its way, kept for `explain`; d is the width.

    `hit_keys` are the numbers of the hits' keys, and `biases` the hits' own, in their order. x (d,) the embedded query,
    q (d_k,) = x W_Q, `keys` the shape (n, d) of X, `maximum` max z and `log_normalizer` log Σ exp z over all keys,
    output (d,) = softmax(z) V.
    """

    tokens: list[str]
    window: int
    projections: Projections
    hit_keys: list[int]
    biases: list[Part]
    x: NDArray[np.float32]
    q: NDArray[np.float32]
    keys: tuple[int, int]
    maximum: float
    log_normalizer: float
    output: NDArray[np.float64]


class Result(NamedTuple):
    """The answer to one query.

    `lexical` is λ, 0 where terms do not count; `trained` that the projections were learned. `items` counts the catalog,
    `masked` those of them that were hidden. `effective_items` is exp(entropy) of the weights: how many items share the
    attention. `none_of_these` is the null key's weight, None for an encoder that it was not fitted to. `values` are the
    fields that were to be read out, `output` (d,) is softmax(z) V, if asked for. `whys`, one for each hit, are what
    `reasons` adds.
    """

    query: str
    catalog: str
    model: str
    temperature: float
    items: int
    masked: int
    none_of_these: float | None
    effective_items: float
    elapsed_ms: float
    hits: list[Hit]
    lexical: float = 0.0
    values: Sequence[Readout] = ()
    output: NDArray[np.float64] | None = None
    trace: Trace | None = None
    whys: Sequence[Why] | None = None
    trained: bool = False


def query(
    index: Index,
    text: str,
    *,
    k: int = 10,
    temperature: float | None = None,
    where: Sequence[str] = (),
    lexical: float | Literal["auto"] | None = None,
    untrained: bool = False,
) -> Result:
    """The `k` items of an index that fit `text` best, with their shares of attention.

    `where` are filters such as "year >= 1990", `lexical` is the weight of shared words, and `untrained` asks without
    what the catalog has learned; see `filters` and `scan.Setting`.
    """
    from attnsearch.postings.filters import parse

    filters = tuple(parse(one) for one in where)
    setting = Setting(where=filters, lexical=lexical, temperature=temperature, untrained=untrained)
    return search(index, [text], setting, k=k)[0]


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

    Hits are the `k` best items, or all where that is None; of these the fewest that hold the share `top_p` of the
    attention; and of these the ones that have at least `min_weight` and `min_score`. Ranks go by logit, ties by the
    order in which items were indexed. `values` are fields to read out, `output` asks for softmax(z) V, and `trace`
    keeps what `explain` shows.

    Raises InputError for an empty text, and for a field that no item has.
    """
    _check_all(index, texts)
    all_logits = bool(values) or k is None
    at_once = max(_ALL // max(index.store.size, 1), 1) if all_logits else max(len(texts), 1)
    results = []
    for start in range(0, len(texts), at_once):
        began = time.perf_counter()
        batch = texts[start : start + at_once]
        seen = look(index, batch, setting, k=k or 0, output=output or trace, all_logits=all_logits)
        state = seen.state if k is not None or seen.logits is None else _with_top(seen.state, seen.logits, top_p)
        found = []
        for i, text in enumerate(batch):
            best = _hits(index, state, seen.x[i], i, top_p)
            kept = [(key, hit) for key, hit in best if hit.weight >= min_weight and hit.score >= min_score]
            result = _result(index, setting, seen, i, text)._replace(
                hits=[hit for _, hit in kept],
                values=_read(index, seen, i, values) if values else [],
                output=_output(seen, i) if output else None,
                trace=_trace(index, seen, i, text, [key for key, _ in kept]) if trace else None,
            )
            found.append(result)
        elapsed_ms = (time.perf_counter() - began) * 1000 / len(batch)
        results += [result._replace(elapsed_ms=elapsed_ms) for result in found]
    return results


def check(text: str) -> None:
    """InputError for a query that says nothing, or that is no text."""
    if not text.strip():
        raise InputError("the query is empty", hint='say what you look for: attnsearch query "science fiction"')
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InputError("the query is not valid UTF-8")


def _check_all(index: Index, texts: Sequence[str]) -> None:
    """What `check` says of each; and a warning for those of which the model reads only a part."""
    for text in texts:
        check(text)
        if is_cut(index.encoder, text):
            log.warning("the query is longer than the %d tokens that the model reads; the rest is left out",
                        index.encoder.window)  # fmt: skip


def _result(index: Index, setting: Setting, seen: Seen, i: int, text: str) -> Result:
    """What is to be said of the i-th query, but for its hits."""
    kept = int(seen.state.kept[i])
    return Result(
        query=text,
        catalog=index.info.name,
        model=index.info.model,
        temperature=seen.projections.temperature,
        items=index.info.items,
        masked=index.info.items - kept,
        none_of_these=None if seen.nothing is None else float(seen.nothing[i]),
        effective_items=math.exp(seen.state.entropy()[i]) if kept else 0.0,
        elapsed_ms=0.0,
        hits=[],
        lexical=weight_of(index, setting),
        trained=learned_of(index, setting) is not None,
    )


def _with_top(state: State, z: NDArray[np.float32], top_p: float) -> State:
    """The state with as many keys on top as hold the share `top_p` of the attention; z (m, N) are its logits."""
    shares = np.exp(z - state.log_normalizer()[:, None], where=np.isfinite(z), out=np.zeros(z.shape))
    shares[:, ::-1].sort(axis=1)
    needed = (np.cumsum(shares, axis=1) < top_p - _ROUNDING).sum(axis=1) + 1
    k = int(np.minimum(needed, state.kept).max(initial=0))
    top = State.of(z, k=k)
    return state._replace(k=k, top_logits=top.top_logits, top_keys=top.top_keys)


def _hits(index: Index, state: State, x: NDArray[np.float32], i: int, top_p: float = 1.0) -> list[tuple[int, Hit]]:
    """The top of the i-th query, x (d,), as items with their keys; the fewest that hold the share `top_p`."""
    weights = state.weights()[i]
    seen = np.isfinite(state.top_logits[i])
    if top_p < 1:
        seen &= np.cumsum(weights) - weights < top_p - _ROUNDING
    keys = state.top_keys[i][seen].tolist()
    scores = index.store.embeddings(keys) @ x
    told = zip(keys, index.store.find(keys), weights[seen], scores, state.top_logits[i][seen], strict=True)
    return [
        (
            key,
            Hit(
                rank,
                item.id,
                item.title,
                float(weight),
                float(score),
                float(logit),
                described(item, index.info.fields),
                item.fields,
                passage,
            ),
        )
        for rank, (key, (item, passage), weight, score, logit) in enumerate(told, 1)
    ]


def _read(index: Index, seen: Seen, i: int, fields: Sequence[str]) -> list[Readout]:
    """What the i-th query reads out of the fields."""
    from attnsearch.search import readout

    index.postings.need(fields)
    weights = np.zeros(index.store.size)
    if seen.logits is not None and seen.state.kept[i]:
        weights = readout.of_items(seen.logits[i], float(seen.state.log_normalizer()[i]), index.store.heads)
    return [readout.read(index.postings, field, weights) for field in fields]


def _output(seen: Seen, i: int) -> NDArray[np.float64]:
    output: NDArray[np.float64] = seen.state.mean_value()[i] @ seen.projections.w_v
    return output


def _trace(index: Index, seen: Seen, i: int, text: str, keys: list[int]) -> Trace:
    from attnsearch.engines.bias import Part

    return Trace(
        tokens=index.encoder.tokens(text),
        window=index.encoder.window,
        projections=seen.projections,
        hit_keys=keys,
        biases=[seen.bias.part(i, key) if seen.bias else Part({}, {}) for key in keys],
        keys=(index.info.keys, index.info.d),
        x=seen.x[i],
        q=seen.projections.project(seen.x[i]),
        maximum=float(seen.state.maximum[i]),
        log_normalizer=float(seen.state.log_normalizer()[i]),
        output=_output(seen, i),
    )


def hits_of(index: Index, texts: Sequence[str], setting: Setting, idents: Sequence[str]) -> list[Result]:
    """The results of `texts` with, instead of the best, the items of these ids as hits, each with its rank.

    Raises InputError for an item that is not there, or that a query does not see.
    """
    _check_all(index, texts)
    began = time.perf_counter()
    seen = look(index, texts, setting, output=True, all_logits=True)
    assert seen.logits is not None  # noqa: S101 (they were asked for)
    keys_of = index.store.keys_of(idents)
    found = []
    for i, (text, z) in enumerate(zip(texts, seen.logits, strict=True)):
        best = [max(keys_of.get(ident, [-1]), key=lambda key: z[key]) for ident in idents]
        for ident, key in zip(idents, best, strict=True):
            if key < 0 or z[key] == -np.inf:
                raise InputError(f"the query sees no item '{ident}'", where=index.info.name)
        tops = np.tile(best, (len(texts), 1))
        state = seen.state._replace(top_keys=tops, top_logits=seen.logits[:, best].astype(np.float64))
        hits = [
            hit._replace(rank=1 + int((z > z[key]).sum() + (z[:key] == z[key]).sum()))
            for key, hit in _hits(index, state, seen.x[i], i)
        ]
        result = _result(index, setting, seen, i, text)
        found.append(result._replace(hits=hits, trace=_trace(index, seen, i, text, best)))
    elapsed_ms = (time.perf_counter() - began) * 1000 / max(len(texts), 1)
    return [result._replace(elapsed_ms=elapsed_ms) for result in found]
