"""Results → the words and the numbers that steps are made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.models.model import ENDLESS
from attnsearch.search.readout import Readout
from attnsearch.search.result import HeadTrace, Hit, Result, Trace
from attnsearch.sources.judgments import name_judged

SHOWN = 4  # components of a vector, values of a field
COMPONENTS = tuple(f"[{i}]" for i in range(SHOWN))  # the names of their columns
OTHERS = "all others"  # items that no filter hides

Cell = str | int | float | None
Row = tuple[Cell, ...]


def trace_of(result: Result) -> Trace:
    """The trace of a result. Raises InputError if it has none."""
    if result.trace is None:
        raise InputError("this result was computed without a trace", hint="search with trace=True")
    return result.trace


def angle(trace: Trace) -> float:
    """The angle between x and q = x W_Q, in degrees."""
    x, q = trace.x.astype(np.float64), trace.q.astype(np.float64)
    cosine = x @ q / max(float(np.linalg.norm(x) * np.linalg.norm(q)), np.finfo(float).tiny)
    return math.degrees(math.acos(min(max(float(cosine), -1.0), 1.0)))


def products(result: Result, trace: Trace) -> NDArray[np.float64]:
    """q·k of each hit (h,): its logit without the bias, times √d_k."""
    logits = [hit.logit - bias.total for hit, bias in zip(result.hits, trace.biases, strict=True)]
    return np.array(logits, np.float64) * math.sqrt(len(trace.q))


def split_by_head(heads: Sequence[HeadTrace], q: NDArray[Any], k: NDArray[Any]) -> NDArray[np.float64]:
    """What each head adds to the products of q (d,) with each k (n, d), by its columns (n, h); they add up to q·k."""
    bounds = itertools.accumulate((head.d for head in heads), initial=0)
    return np.stack([k[:, a:b].astype(np.float64) @ q[a:b] for a, b in itertools.pairwise(bounds)], axis=1)


def is_biased(result: Result) -> bool:
    """Whether terms, priors or memory may add to logits, even if they add nothing to those of the hits."""
    return bool(result.lexical or result.recalled) or any(bias.prior for bias in trace_of(result).biases)


def scaled_formula(results: Sequence[Result]) -> str:
    """The formula of the logits."""
    return "Q Kᵀ / √d_k + bias" if any(map(is_biased, results)) else "Q Kᵀ / √d_k"


def has_others(result: Result) -> bool:
    """Whether there are visible items that are not hits."""
    return result.items - result.masked > len(result.hits)


def other_weight(result: Result) -> float:
    """The weight of all items that are not hits."""
    return max(1.0 - sum(hit.weight for hit in result.hits), 0.0)


def describe_query(result: Result) -> str:
    """Where x comes from."""
    if not (result.like or result.unlike):
        return f"{describe_models(result)} them into x, a unit vector"
    added = ["the text"] * bool(result.trace and result.trace.tokens) + list(result.like)
    parts = [*(f"+ {name}" for name in added), *(f"- {name}" for name in result.unlike)]
    return f"x is {' '.join(parts).removeprefix('+ ')} as unit vectors, scaled to length 1"


def describe_models(result: Result) -> str:
    """The models of all heads, and what they do with requests: "a and b turn"."""
    return f"{' and '.join([result.model, *result.heads])} turn{'' if result.heads else 's'}"


def describe_reading(model: str, tokens: Sequence[str], window: int, prompt: str = "") -> str:
    """How many tokens of the request an encoder reads, which is called `model` in a sentence, and after which prompt.

    >>> describe_reading("The encoder", ["[CLS]", "moon", "[SEP]"], 256)
    'The encoder reads 3 tokens of the request, 256 at most.'
    >>> describe_reading("The encoder", ["[CLS]", "moon", "[SEP]"], 253, "query: ")
    "The encoder reads 3 tokens of the request, 253 at most, after the prompt 'query: '."
    """
    after = f", after the prompt {prompt!r}" if prompt else ""
    if window >= ENDLESS:
        count = f"all {len(tokens)} tokens" if len(tokens) > 1 else "the only token"
        return f"{model} reads {count} of the request{after}."
    return f"{model} reads {len(tokens)} tokens of the request, {window:,} at most{after}."


def describe_embeddings(n: int, w_k: NDArray[np.floating[Any]]) -> str:
    """What the n keys are."""
    keys = f"Each of {n:,} keys is" if n > 1 else "The only key is"
    return f"{keys} the embedding of a description; {describe_matrix('W_K', w_k)}."


def describe_keys(result: Result, trace: Trace) -> str:
    """The keys that the softmax is over: the best of each item that is not hidden."""
    n, visible = trace.keys_shape[0], result.items - result.masked
    if result.masked:
        items = f"each of the {visible:,} items" if visible > 1 else "the only item"
        hidden = f"{'are' if visible > 1 else 'is'} not hidden"
        return f"the best key of {items} that {hidden if result.like or result.unlike else 'a filter lets through'}"
    if n > visible:
        return f"the best key of {f'each of {visible:,} items' if visible > 1 else 'the only item'}"
    return f"all {n:,} keys" if n > 1 else "the only key"


def describe_logit(result: Result) -> str:
    """What a logit is made of."""
    hits, trace = result.hits, trace_of(result)
    bias = " plus what terms and priors add" if any(added.lexical or added.prior for added in trace.biases) else ""
    bias += describe_recalled(result)
    if hits and is_scaled_identity(trace.projections.w_q):
        scaled = (hits[0].logit - trace.biases[0].total) * result.temperature
        if math.isclose(scaled, hits[0].score, abs_tol=1e-4):
            cosine = "weighted cosine" if result.heads else "cosine"
            return f"the {cosine} divided by the temperature {result.temperature:g}{bias}"
    return f"the product divided by it{bias}"


def describe_recalled(result: Result) -> str:
    """What memory adds to a logit, if a judged request is like this one."""
    if not result.recalled:
        return ""
    judged, share = name_judged(list(result.recalled)), sum(result.recalled.values())
    return f", and what memory adds because {judged}: {share:.1%} of the attention is memory's"


def describe_matrix(name: str, w: NDArray[np.floating[Any]]) -> str:
    """A projection in words, such as "W_Q = 391.918 I"; of a learned one, its shape."""
    if not is_scaled_identity(w):
        return f"the learned {name} ({w.shape[0]:,}, {w.shape[1]:,})"
    factor = float(w[0, 0])
    return f"{name} = {'' if factor == 1 else f'{factor:.6g} '}I"


def describe_learned(result: Result, turns: str) -> str:
    """What was learned does to requests, which `turns` says of W_Q."""
    memory = "Judged requests raise what was right for them." if result.recalled else ""
    return " ".join([f"The learned W_Q {turns}."] * result.trained + [memory] * bool(memory))


def describe_untrained(result: Result) -> str:
    """How the same items rank without what was learned."""
    temperature = result.untrained.temperature if result.untrained else result.temperature
    return f"The old ranks and weights are those without anything learned, at the temperature {temperature:g}."


def describe_known(readout: Readout) -> str:
    """How much of the attention is on items that have the field."""
    return f"{readout.known:.1%} of the attention is on items that have one."


def spell_readout(readout: Readout) -> str:
    """The mean of a field, or the largest shares."""
    if readout.mean is not None:
        return f"{readout.field} about {' ± '.join(readout.spelled)}"
    largest = [f"{share:.0%} {value}" for value, share in readout.shares.items()][:SHOWN]
    return ", ".join(largest) or f"nothing with a {readout.field}"


def spell(component: float, norm: float = 1.0) -> str:
    """A component of a vector of this norm, with as many digits as float32 is sure of.

    >>> spell(0.0514027), spell(-0.0000831712), spell(-20.14439, 391.9184), spell(0.0326, 391.9184)
    ('0.051403', '-0.000083', '-20.1444', '0.0326')
    """
    decimals = max(6 - max(math.floor(math.log10(norm)), 0), 0) if 0 < norm < math.inf else 6
    return f"{round(component, decimals) + 0.0:.{decimals}f}"  # never -0


def measure(v: NDArray[np.floating[Any]]) -> list[Cell]:
    """The norm of a vector and its first components; None in place of those that it lacks."""
    components = [float(component) for component in v[:SHOWN]]
    return [float(np.linalg.norm(v)), *components, *[None] * (SHOWN - len(components))]


def rank_and_name(hit: Hit) -> tuple[int, str]:
    """The rank and the name of a hit."""
    return hit.rank, hit.name


def is_scaled_identity(w: NDArray[np.floating[Any]]) -> bool:
    """Whether a projection only scales, as it does unless it was learned or given."""
    return np.array_equal(w, np.eye(len(w), dtype=w.dtype) * w[0, 0])
