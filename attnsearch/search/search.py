"""The road: query → result. Everything else in the house stands beside it.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import State
from attnsearch.encoding.encoder import is_cut
from attnsearch.errors import InputError
from attnsearch.search.index import Index
from attnsearch.search.result import Hit, Result, Trace
from attnsearch.search.scoring import Scores, score, score_all
from attnsearch.search.setting import DEFAULT, Asked, Setting
from attnsearch.sources.items import describe
from attnsearch.sources.values import check_text

if TYPE_CHECKING:
    from attnsearch.search.readout import Readout

_LOGITS = 1 << 25  # held at once where every one is needed: 128 MB
_ROUNDING = 1e-9  # of a sum of weights

log = logging.getLogger("attnsearch")


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
    what the catalog has learned; see `filters` and `setting.Setting`. Raises InputError as `search` does.
    """
    from attnsearch.postings.filters import parse_filter

    filters = tuple(parse_filter(condition) for condition in where)
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

    Raises InputError for an empty text, for a field that no item has, and for projections of another encoder.
    """
    for text in texts:
        check_request(text)
        _warn_if_cut(index, text)

    def answer(texts: Sequence[str]) -> list[Result]:
        asked = setting.resolve(index, texts)  # W_Q, τ, λ, null key, mask and bias: worked out once
        x = index.encoder.encode(texts, "query")
        z = None
        if values or k is None:
            scores, z = score_all(index.engine, asked, x, output=output or trace)
            scores = _with_top(scores, z, k, top_p)
        else:
            scores = score(index.engine, asked, x, k=k, output=output or trace)
        results = []
        for i, text in enumerate(texts):
            ranked = [
                (key, hit)
                for key, hit in rank(index, scores, x[i], i, top_p)
                if hit.weight >= min_weight and hit.score >= min_score
            ]
            result = _result(index, asked, scores, i, text)._replace(
                hits=[hit for _, hit in ranked],
                values=[] if z is None else _readouts(index, scores, z, i, values),
                output=_output(asked, scores, i) if output else None,
                trace=_trace(index, asked, scores, x[i], i, text, [key for key, _ in ranked]) if trace else None,
            )
            results.append(result)
        return results

    batch = max(_LOGITS // max(index.store.size, 1), 1) if values or k is None else max(len(texts), 1)
    results = []
    for start in range(0, len(texts), batch):
        began = time.perf_counter()
        answers = answer(texts[start : start + batch])
        elapsed_ms = (time.perf_counter() - began) * 1000 / len(answers)
        results += [result._replace(elapsed_ms=elapsed_ms) for result in answers]
    return results


def rank_items(index: Index, text: str, setting: Setting, idents: Sequence[str]) -> Result:
    """The result of a request with, instead of the best, the items of these ids as hits, each with its rank.

    Raises InputError for an item that is not there, or that the request does not see; else as `search` does.
    """
    began = time.perf_counter()
    check_request(text)
    _warn_if_cut(index, text)
    asked = setting.resolve(index, [text])
    x = index.encoder.encode([text], "query")
    scores, logits = score_all(index.engine, asked, x, output=True)
    z = logits[0]
    keys_of = index.store.keys_of(idents)
    keys = [max(keys_of.get(ident, [-1]), key=lambda key: z[key]) for ident in idents]
    for ident, key in zip(idents, keys, strict=True):
        if key < 0 or z[key] == -np.inf:
            raise InputError(f"the query sees no item '{ident}'", where=index.info.name)
    ranks = [1 + int((z > z[key]).sum() + (z[:key] == z[key]).sum()) for key in keys]
    top = scores.state._replace(top_keys=np.array([keys]), top_logits=z[None, keys].astype(np.float64))
    hits = [
        hit._replace(rank=place) for place, (_, hit) in zip(ranks, rank(index, Scores(top, None), x[0], 0), strict=True)
    ]
    result = _result(index, asked, scores, 0, text)
    trace = _trace(index, asked, scores, x[0], 0, text, keys)
    return result._replace(hits=hits, trace=trace, elapsed_ms=(time.perf_counter() - began) * 1000)


def check_request(text: str) -> None:
    """InputError for a request that says nothing, or that is not text."""
    if not text.strip():
        raise InputError("the query is empty", hint='say what you look for: attnsearch query "science fiction"')
    check_text(text, "the query")


def _warn_if_cut(index: Index, text: str) -> None:
    if is_cut(index.encoder, text):
        log.warning("the query is longer than the %d tokens that the model reads; the rest is left out",
                    index.encoder.window)  # fmt: skip


def rank(index: Index, scores: Scores, x: NDArray[np.float32], i: int, top_p: float = 1.0) -> list[tuple[int, Hit]]:
    """The top of the i-th query, x (d,), as keys and hits, best first; the fewest that hold the share `top_p`."""
    state = scores.state
    weights = state.weights()[i]
    shown = np.isfinite(state.top_logits[i])
    if top_p < 1:
        shown &= np.cumsum(weights) - weights < top_p - _ROUNDING
    keys = state.top_keys[i][shown].tolist()
    cosines = index.store.embeddings(keys) @ x
    rows = zip(keys, index.store.items_at(keys), weights[shown], cosines, state.top_logits[i][shown], strict=True)
    return [
        (
            key,
            Hit(
                rank=place,
                id=item.id,
                title=item.title,
                weight=float(weight),
                score=float(cosine),
                logit=float(logit),
                description=describe(item, index.info.fields),
                fields=item.fields,
                passage=passage,
            ),
        )
        for place, (key, (item, passage), weight, cosine, logit) in enumerate(rows, 1)
    ]


def _result(index: Index, asked: Asked, scores: Scores, i: int, text: str) -> Result:
    """The result of the i-th query, without its hits."""
    seen = int(scores.state.visible[i])
    return Result(
        query=text,
        catalog=index.info.name,
        model=index.info.model,
        temperature=asked.projections.temperature,
        items=index.info.items,
        masked=index.info.items - seen,
        none_of_these=None if scores.none_of_these is None else float(scores.none_of_these[i]),
        effective_items=math.exp(scores.state.entropy()[i]) if seen else 0.0,
        elapsed_ms=0.0,
        hits=[],
        lexical=asked.lexical,
        trained=asked.learned is not None,
    )


def _with_top(scores: Scores, z: NDArray[np.float32], k: int | None, top_p: float) -> Scores:
    """The scores with the k best keys on top; without k, with as many as hold the share `top_p`; z (m, N)."""
    state = scores.state
    if k is None:
        shares = np.exp(z - state.log_normalizer()[:, None], where=np.isfinite(z), out=np.zeros(z.shape))
        shares[:, ::-1].sort(axis=1)
        needed = (np.cumsum(shares, axis=1) < top_p - _ROUNDING).sum(axis=1) + 1
        k = int(np.minimum(needed, state.visible).max(initial=0))
    top = State.of(z, k=k)
    return scores._replace(state=state._replace(k=k, top_logits=top.top_logits, top_keys=top.top_keys))


def _readouts(index: Index, scores: Scores, z: NDArray[np.float32], i: int, fields: Sequence[str]) -> list[Readout]:
    """What the i-th query reads out of the fields; z (m, N)."""
    if not fields:
        return []
    from attnsearch.search import readout

    index.postings.ensure(fields)
    weights = np.zeros(index.store.size)
    if scores.state.visible[i]:
        weights = readout.item_weights(z[i], float(scores.state.log_normalizer()[i]), index.store.heads)
    return [readout.read_out(index.postings, field, weights) for field in fields]


def _output(asked: Asked, scores: Scores, i: int) -> NDArray[np.float64]:
    """softmax(z) V (d,) of the i-th query."""
    output: NDArray[np.float64] = scores.state.mean_value()[i] @ asked.projections.w_v
    return output


def _trace(
    index: Index, asked: Asked, scores: Scores, x: NDArray[np.float32], i: int, text: str, keys: list[int]
) -> Trace:
    from attnsearch.engines.bias import Added

    return Trace(
        tokens=index.encoder.tokens(text),
        window=index.encoder.window,
        projections=asked.projections,
        hit_keys=keys,
        biases=[asked.bias.part(i, key) if asked.bias else Added({}, {}) for key in keys],
        keys=(index.info.keys, index.info.d),
        x=x,
        q=asked.projections.project(x),
        maximum=float(scores.state.maximum[i]),
        log_normalizer=float(scores.state.log_normalizer()[i]),
        output=_output(asked, scores, i),
    )
