"""The road: query → result. Everything else in the house stands beside it."""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.attention import State, best_of_each, logits
from attnsearch.encoder import is_cut
from attnsearch.errors import InputError
from attnsearch.index import Index
from attnsearch.projections import Projections, identity
from attnsearch.store import BLOCK
from attnsearch.values import Value

if TYPE_CHECKING:
    from attnsearch.shares import Why

_LOGITS = 1 << 22  # logits that a thread holds at once: 16 MB
_PARTS = 4  # of the keys, for each thread: whoever is done early takes another

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


class Setting(NamedTuple):
    """How a catalog is asked; what is None is as the catalog has it."""

    projections: Projections | None = None


DEFAULT = Setting()


class Bias(NamedTuple):
    """What was added to the logit of a hit: by each term of the query, and by each field that is a prior."""

    lexical: Mapping[str, float]
    prior: Mapping[str, float]


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
    biases: list[Bias]
    x: NDArray[np.float32]
    q: NDArray[np.float32]
    keys: tuple[int, int]
    maximum: float
    log_normalizer: float
    output: NDArray[np.float64]


class Result(NamedTuple):
    """The answer to one query. `items` counts the catalog, `masked` those of them that were hidden.

    `effective_items` is exp(entropy) of the weights: how many items share the attention. `none_of_these` is
    the null key's weight, None for an encoder that it was not fitted to. `whys`, one for each hit, are what
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
    trace: Trace | None = None
    whys: Sequence[Why] | None = None


def query(index: Index, text: str, *, k: int = 10, temperature: float | None = None) -> Result:
    """The `k` items of an index that fit `text` best, with their shares of attention. Errors: see `search`."""
    projections = None if temperature is None else identity(index.info.d, temperature)
    return search(index, [text], Setting(projections), k=k)[0]


def search(
    index: Index,
    texts: Sequence[str],
    setting: Setting = DEFAULT,
    *,
    k: int = 10,
    min_weight: float = 0.0,
    min_score: float = -1.0,
    trace: bool = False,
) -> list[Result]:
    """One result for each of `texts`, asked of every key of the index at once.

    Without projections they are the identity at the index's temperature. Hits are the `k` best that have at least
    `min_weight` and `min_score`; ranks go by logit, ties by the order in which items were indexed. `trace`
    keeps what `explain` shows.

    Raises InputError for an empty text.
    """
    began = time.perf_counter()
    for text in texts:
        check(text)
        if is_cut(index.encoder, text):
            log.warning("the query is longer than the %d tokens that the model reads; the rest is left out",
                        index.encoder.window)  # fmt: skip
    projections = setting.projections or identity(index.info.d, index.info.temperature)

    x = index.encoder.encode(texts, "query")
    state = scan(index, projections, x, k=k, output=trace)
    found = [
        [
            (key, hit)
            for key, hit in zip(state.top_keys[i].tolist(), _hits(index, state, x[i], i), strict=False)
            if hit.weight >= min_weight and hit.score >= min_score
        ]
        for i in range(len(texts))
    ]
    traces = [
        _trace(index, projections, state, x, i, text, found[i]) if trace else None for i, text in enumerate(texts)
    ]

    elapsed_ms = (time.perf_counter() - began) * 1000 / max(len(texts), 1)
    return [
        Result(
            query=text,
            catalog=index.info.name,
            model=index.info.model,
            temperature=projections.temperature,
            items=index.info.items,
            masked=0,
            none_of_these=None,
            effective_items=math.exp(state.entropy()[i]),
            elapsed_ms=elapsed_ms,
            hits=[hit for _, hit in hits],
            trace=traces[i],
        )
        for i, (text, hits) in enumerate(zip(texts, found, strict=True))
    ]


def check(text: str) -> None:
    """InputError for a query that says nothing, or that is no text."""
    if not text.strip():
        raise InputError("the query is empty", hint='say what you look for: attnsearch query "science fiction"')
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InputError("the query is not valid UTF-8")


def scan(index: Index, projections: Projections, x: NDArray[np.float32], *, k: int, output: bool) -> State:
    """The state of the queries x (m, d) after all keys of the index; with `output`, of its values too."""
    q = projections.fold(x)
    rows = max(min(BLOCK, _LOGITS // max(len(x), 1)), 1)

    least = np.full(len(x), -np.inf)  # shared: k good keys found by one thread spare the others lesser ones
    nothing = State.empty(len(x), k, index.info.d if output else None)

    def over(part: tuple[int, int]) -> State:
        state = nothing
        for first, keys, alive, joined in index.store.blocks(*part, rows=rows):
            z = logits(q, keys, scale=projections.scale, mask=alive)
            z = z if joined is None else best_of_each(z, joined)
            state = state.merge(State.of(z, keys if output else None, k=k, first=first, least=least))
            np.maximum(least, state.least(), out=least)
        return state

    parts = index.store.parts(_PARTS * threads.count(), least=max(BLOCK // max(len(x), 1), 1))
    return functools.reduce(State.merge, threads.each(over, parts), nothing)


def weigh(index: Index, texts: Sequence[str], setting: Setting = DEFAULT) -> NDArray[np.float32]:
    """The logits (m, n) of all keys by number, -inf for those that no query sees: what the softmax is taken of.

    For who needs every weight, as `evaluation` does: of an item with several passages only the best has a logit.
    """
    projections = setting.projections or identity(index.info.d, index.info.temperature)
    q = projections.fold(index.encoder.encode(texts, "query"))
    parts = index.store.parts(1)
    found = np.full((len(texts), parts[0][1] if parts else 0), -np.inf, np.float32)
    for first, keys, alive, joined in index.store.blocks():
        z = logits(q, keys, scale=projections.scale, mask=alive)
        found[:, first : first + len(keys)] = z if joined is None else best_of_each(z, joined)
    return found


def _hits(index: Index, state: State, x: NDArray[np.float32], i: int) -> list[Hit]:
    """The top of the i-th query, x (d,), as items."""
    seen = np.isfinite(state.top_logits[i])
    keys = state.top_keys[i][seen].tolist()
    scores = index.store.embeddings(keys) @ x
    told = zip(index.store.find(keys), state.weights()[i], scores, state.top_logits[i], strict=False)
    return [
        Hit(
            rank,
            item.id,
            item.title,
            float(weight),
            float(score),
            float(logit),
            item.description,
            item.fields,
            passage,
        )
        for rank, ((item, passage), weight, score, logit) in enumerate(told, 1)
    ]


def _trace(
    index: Index,
    projections: Projections,
    state: State,
    x: NDArray[np.float32],
    i: int,
    text: str,
    hits: list[tuple[int, Hit]],
) -> Trace:
    return Trace(
        tokens=index.encoder.tokens(text),
        window=index.encoder.window,
        projections=projections,
        hit_keys=[key for key, _ in hits],
        biases=[Bias({}, {}) for _ in hits],
        keys=(index.info.keys, index.info.d),
        x=x[i],
        q=projections.project(x[i]),
        maximum=float(state.maximum[i]),
        log_normalizer=float(state.log_normalizer()[i]),
        output=state.mean_value()[i] @ projections.w_v,
    )


def hits_of(index: Index, texts: Sequence[str], setting: Setting, idents: Sequence[str]) -> list[Result]:
    """The results of `texts` with, instead of the best, the items of these ids as hits, each with its rank.

    Raises InputError for an item that is not there, or that a query does not see.
    """
    found = []
    for result, z in zip(search(index, texts, setting, k=1, trace=True), weigh(index, texts, setting), strict=True):
        trace, best = result.trace, [_best_key(index, z, ident) for ident in idents]
        assert trace is not None  # noqa: S101 (it was asked for)
        state = State.of(z[None], k=0)._replace(top_keys=np.array([best]), top_logits=z[None, best].astype(np.float64))
        hits = [
            hit._replace(rank=1 + int((z > z[key]).sum() + (z[:key] == z[key]).sum()))
            for key, hit in zip(best, _hits(index, state, trace.x, 0), strict=True)
        ]
        trace = trace._replace(hit_keys=best, biases=[Bias({}, {}) for _ in hits])
        found.append(result._replace(hits=hits, trace=trace))
    return found


def _best_key(index: Index, z: NDArray[np.float32], ident: str) -> int:
    """The key by which an item is judged, z (n,) being the logits of all keys."""
    keys = [key for key in index.store.keys_of(ident) if z[key] > -np.inf]
    if not keys:
        raise InputError(f"the query sees no item '{ident}'", where=index.info.name)
    return max(keys, key=lambda key: float(z[key]))
