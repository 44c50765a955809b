"""The same steps with the encoder's numbers, in the built-in library."""

from __future__ import annotations

import math

import numpy as np

from attnsearch.attention.projections import TEMPERATURE
from attnsearch.errors import AttnsearchError, CatalogError
from attnsearch.explanation.phrases import other_weight, trace_of
from attnsearch.lesson.slide import Group, Slide, Table, column
from attnsearch.lesson.story import tell
from attnsearch.opening.index import Index
from attnsearch.search.search import search
from attnsearch.search.setting import Setting

CATALOG = "library"
REQUEST = "love among the stars"
HITS = 4
ORDINALS = ("1st", "2nd", "3rd")  # the numbers shown of a vector


def built_in(index: Index) -> Slide:
    """The slide of the request asked of a catalog, as nothing learned would answer it."""
    (result,) = search(
        index, [REQUEST], Setting(untrained=True, lexical=0.0, temperature=TEMPERATURE), k=HITS, trace=True
    )
    trace = trace_of(result)
    if not result.hits:
        raise CatalogError("has no items", where=CATALOG, hint=f"attnsearch remove {CATALOG}")
    d = len(trace.x)
    root = math.sqrt(trace.q.shape[-1])
    hits = result.hits
    logits = np.array([hit.logit for hit in hits])
    weights = [hit.weight for hit in hits]
    powers, total = np.exp(logits), math.exp(trace.log_normalizer)
    others = max(float(total - powers.sum()), 0.0)  # -1e-16 is none
    vectors = {"x": (trace.x, 5), "q": (trace.q, 2), "k": (trace.keys[0], 5), "output": (trace.output, 5)}
    first_numbers = Table(
        (*(f"{ordinal} number" for ordinal in ORDINALS), "length"),
        (
            Group(
                "",
                tuple(
                    column(name, [*vector[: len(ORDINALS)], float(np.linalg.norm(vector))], decimals)
                    for name, (vector, decimals) in vectors.items()
                ),
            ),
        ),
    )
    books = Table(
        (*(hit.name for hit in hits), f"{result.items - len(hits):,} others", "sum"),
        (
            Group(
                "",
                (
                    column("q·k", [*logits * root, None, None], 3),
                    column(f"÷ {root:.4f}", [*logits, None, None], 4),
                    column("exp", [*powers, others, total], 0),
                    column("weight", [*weights, other_weight(result), 1.0], share=True),
                ),
            ),
        ),
        total=True,
    )
    return tell(
        "built-in",
        first_numbers,
        books,
        request=REQUEST,
        tokens=" ".join(trace.tokens),
        d=d,
        n=result.items,
        factor=trace.projections.w_q[0, 0],
        temperature=result.temperature,
    )


def missing(problem: AttnsearchError, d: int = 384) -> Slide:
    """The slide that says why that one can't be shown."""
    return tell("missing", problem=problem.message, hint=problem.hint, d=d)
