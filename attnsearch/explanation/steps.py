"""Result → the steps of equation (1), with the real numbers that the road computed.

softmax(Q Kᵀ / √d_k) V, from the words of the query to what attention carries home.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.search.result import Hit, Result

FIRST = 4  # components of a vector that are shown

Cell = str | int | float


class Step(NamedTuple):
    """One step of the formula: what it is called, what it says, and a small table of its numbers."""

    name: str
    formula: str
    says: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


def explain_steps(result: Result) -> list[Step]:
    """The steps from the query's words to the output; InputError for a result without a trace."""
    trace = result.trace
    if trace is None:
        raise InputError("this result was computed without a trace", hint="search with trace=True")
    n, d = trace.keys
    d_k = trace.q.shape[-1]
    root = math.sqrt(d_k)
    hits = result.hits
    w_q = _matrix("W_Q", trace.projections.w_q)
    added = [bias.total for bias in trace.biases]
    biased = any(bias.lexical or bias.prior for bias in trace.biases)
    return [
        Step(
            "tokens",
            "text → tokens",
            f"the encoder reads {len(trace.tokens)} tokens of the query, {trace.window} at most",
            ("position", "token"),
            list(enumerate(trace.tokens)),
        ),
        Step(
            "query",
            "q = x W_Q",
            f"{result.model} turns them into x, a unit vector; {w_q} makes it the query",
            _vector_columns(),
            [_vector("x", trace.x), _vector("q", trace.q)],
        ),
        Step(
            "keys",
            "K = X W_K",
            f"each of {n:,} keys is the embedding of a description; {_matrix('W_K', trace.projections.w_k)}",
            ("matrix", "shape"),
            [("X", _shape(n, d)), ("K", _shape(n, d_k))],
        ),
        Step(
            "products",
            "Q Kᵀ",
            f"the query against every key: {_shape(1, n)}; the highest {len(hits)}",
            ("rank", "item", "q·k"),
            [(hit.rank, _name(hit), (hit.logit - more) * root) for hit, more in zip(hits, added, strict=True)],
        ),
        Step(
            "logits",
            _logits(biased),
            f"√{d_k} = {root:.4f}, so a logit is {_logit_in_words(result, added)}",
            ("rank", "item", "cosine", *(["bias"] if biased else []), "logit"),
            [
                (hit.rank, _name(hit), hit.score, *([more] if biased else []), hit.logit)
                for hit, more in zip(hits, added, strict=True)
            ],
        ),
        Step(
            "weights",
            f"softmax({_logits(biased)})",
            f"exp(logit) over the sum of it for {_all_keys(result, n)}, log of the sum {trace.log_normalizer:.4f};"
            f" the attention is spread as over {result.effective_items:.1f} items",
            ("rank", "item", "exp(logit - max)", "weight"),
            [(hit.rank, _name(hit), math.exp(hit.logit - trace.maximum), hit.weight) for hit in hits],
        ),
        Step(
            "output",
            f"softmax({_logits(biased)}) V",
            f"what is carried home: the values in the shares of their weights; {_matrix('W_V', trace.projections.w_v)}",
            _vector_columns(),
            [_vector("output", trace.output)],
        ),
    ]


def _logits(biased: bool) -> str:
    return "Q Kᵀ / √d_k + bias" if biased else "Q Kᵀ / √d_k"


def _all_keys(result: Result, n: int) -> str:
    """An item with a long text has several keys, of which the best counts; a hidden one has none that does."""
    if result.masked:
        return f"the best key of each of the {result.items - result.masked:,} items that a filter lets through"
    return f"all {n:,} keys" if n == result.items else f"the best key of each of {result.items:,} items"


def _logit_in_words(result: Result, added: list[float]) -> str:
    hits = result.hits
    more = " plus what terms and priors add" if any(added) else ""
    if hits and result.trace and _is_plain(result.trace.projections.w_q):
        cosine = (hits[0].logit - added[0]) * result.temperature
        if math.isclose(cosine, hits[0].score, abs_tol=1e-4):
            return f"the cosine divided by the temperature {result.temperature:g}{more}"
    return f"the product divided by it{more}"


def _matrix(name: str, w: NDArray[np.floating[Any]]) -> str:
    """A projection in words: a multiple of the identity is said to be one."""
    if not _is_plain(w):
        return f"the learned {name} {_shape(*w.shape)}"
    factor = float(w[0, 0])
    return f"{name} = {'' if factor == 1 else f'{factor:.6g} '}I"


def _is_plain(w: NDArray[np.floating[Any]]) -> bool:
    """Whether it is a multiple of the identity."""
    return np.array_equal(w, np.eye(len(w), dtype=w.dtype) * w[0, 0])


def _vector_columns() -> tuple[str, ...]:
    return ("vector", "shape", "norm", *(f"[{i}]" for i in range(FIRST)))


def _vector(name: str, v: NDArray[np.floating[Any]]) -> tuple[Cell, ...]:
    return (name, _shape(1, v.shape[-1]), float(np.linalg.norm(v)), *(float(part) for part in v[:FIRST]))


def _shape(*axes: int) -> str:
    return f"({', '.join(f'{axis:,}' for axis in axes)})"


def _name(hit: Hit) -> str:
    return hit.title or hit.id
