"""Result → the steps of equation (1), softmax(Q Kᵀ / √d_k) V, with the numbers that the search computed.

Vaswani et al. 2017: https://arxiv.org/abs/1706.03762
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.search.result import Hit, Result

SHOWN = 4  # components of a vector

Cell = str | int | float | None


class Step(NamedTuple):
    """One step of the formula: its `name`, the `formula` so far, a sentence, and a small table of its numbers.

    `says` is that sentence, and `story` what the librarian does meanwhile. Each of the `rows` has a cell for each of
    the `columns`, and so has each of the `totals`: what all other items add, and the sum. `shapes` has those of the
    step's matrices, by letter.
    """

    name: str
    formula: str
    says: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    totals: Sequence[tuple[Cell, ...]] = ()
    shapes: Mapping[str, tuple[int, ...]] = {}
    story: str = ""


def explain_steps(result: Result) -> list[Step]:
    """The steps from the words of the query to the output. Raises InputError for a result without a trace."""
    trace = result.trace
    if trace is None:
        raise InputError("this result was computed without a trace", hint="search with trace=True")
    n, d = trace.keys_shape
    d_k = trace.q.shape[-1]
    root = math.sqrt(d_k)
    hits = result.hits
    w_q = _describe_matrix("W_Q", trace.projections.w_q)
    biases = [bias.total for bias in trace.biases]
    is_biased = any(bias.lexical or bias.prior for bias in trace.biases)
    logits = "Q Kᵀ / √d_k + bias" if is_biased else "Q Kᵀ / √d_k"
    tokens = Step(
        "tokens",
        "text → tokens",
        f"the encoder reads {len(trace.tokens)} tokens of the query, {trace.window} at most",
        ("position", "token"),
        list(enumerate(trace.tokens)),
    )
    return [
        *([tokens] if trace.tokens else []),
        Step(
            "query",
            "q = x W_Q",
            f"{_describe_query(result)}; {w_q} makes it the query",
            _vector_columns(),
            [_vector_row("x", trace.x), _vector_row("q", trace.q)],
        ),
        Step(
            "keys",
            "K = X W_K",
            f"each of {n:,} keys is the embedding of a description; {_describe_matrix('W_K', trace.projections.w_k)}",
            ("matrix", "shape"),
            [("X", _format_shape(n, d)), ("K", _format_shape(n, d_k))],
        ),
        Step(
            "products",
            "Q Kᵀ",
            f"the query against every key: {_format_shape(1, n)}; the highest {len(hits)}",
            ("rank", "item", "q·k"),
            [(hit.rank, _title(hit), (hit.logit - bias) * root) for hit, bias in zip(hits, biases, strict=True)],
        ),
        Step(
            "logits",
            logits,
            f"√{d_k} = {root:.4f}, so a logit is {_describe_logit(result, biases)}",
            ("rank", "item", "cosine", *(["bias"] if is_biased else []), "logit"),
            [
                (hit.rank, _title(hit), hit.score, *([bias] if is_biased else []), hit.logit)
                for hit, bias in zip(hits, biases, strict=True)
            ],
        ),
        Step(
            "weights",
            f"softmax({logits})",
            f"exp(logit) divided by its sum over {_describe_keys(result, n)}, whose log is"
            f" {trace.log_normalizer:.4f}; the attention is spread over {result.effective_items:.1f} effective items",
            ("rank", "item", "exp(logit - max)", "weight"),
            [(hit.rank, _title(hit), math.exp(hit.logit - trace.maximum), hit.weight) for hit in hits],
        ),
        Step(
            "output",
            f"softmax({logits}) V",
            f"the mean of the values, weighted by attention; {_describe_matrix('W_V', trace.projections.w_v)}",
            _vector_columns(),
            [_vector_row("output", trace.output)],
        ),
    ]


def _describe_query(result: Result) -> str:
    """Where x comes from."""
    if not (result.like or result.unlike):
        return f"{result.model} turns them into x, a unit vector"
    added = ["the text"] * bool(result.trace and result.trace.tokens) + list(result.like)
    parts = [*(f"+ {name}" for name in added), *(f"- {name}" for name in result.unlike)]
    return f"x is {' '.join(parts).removeprefix('+ ')} as unit vectors, scaled to length 1"


def _describe_keys(result: Result, n: int) -> str:
    """The keys that count: of an item with several, only the best; of a hidden item, none."""
    if result.masked:
        seen = "are not hidden" if result.like or result.unlike else "a filter lets through"
        return f"the best key of each of the {result.items - result.masked:,} items that {seen}"
    return f"all {n:,} keys" if n == result.items else f"the best key of each of {result.items:,} items"


def _describe_logit(result: Result, biases: list[float]) -> str:
    hits = result.hits
    bias = " plus what terms and priors add" if any(biases) else ""
    if hits and result.trace and _is_scaled_identity(result.trace.projections.w_q):
        cosine = (hits[0].logit - biases[0]) * result.temperature
        if math.isclose(cosine, hits[0].score, abs_tol=1e-4):
            return f"the cosine divided by the temperature {result.temperature:g}{bias}"
    return f"the product divided by it{bias}"


def _describe_matrix(name: str, w: NDArray[np.floating[Any]]) -> str:
    """A projection in words, such as "W_Q = 391.918 I"; of a learned one, its shape."""
    if not _is_scaled_identity(w):
        return f"the learned {name} {_format_shape(*w.shape)}"
    factor = float(w[0, 0])
    return f"{name} = {'' if factor == 1 else f'{factor:.6g} '}I"


def _is_scaled_identity(w: NDArray[np.floating[Any]]) -> bool:
    return np.array_equal(w, np.eye(len(w), dtype=w.dtype) * w[0, 0])


def _vector_columns() -> tuple[str, ...]:
    return ("vector", "shape", "norm", *(f"[{i}]" for i in range(SHOWN)))


def _vector_row(name: str, v: NDArray[np.floating[Any]]) -> tuple[Cell, ...]:
    return (
        name,
        _format_shape(1, v.shape[-1]),
        float(np.linalg.norm(v)),
        *(float(component) for component in v[:SHOWN]),
    )


def _format_shape(*axes: int) -> str:
    return f"({', '.join(f'{axis:,}' for axis in axes)})"


def _title(hit: Hit) -> str:
    return hit.title or hit.id
