"""Result → the steps of equation (1), softmax(Q Kᵀ / √d_k) V, with the numbers that the search computed.

Vaswani et al. 2017: https://arxiv.org/abs/1706.03762
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attnsearch.explanation.phrases import (
    COMPONENTS,
    OTHERS,
    SHOWN,
    Cell,
    Row,
    angle,
    describe_embeddings,
    describe_keys,
    describe_known,
    describe_learned,
    describe_logit,
    describe_matrix,
    describe_query,
    describe_reading,
    describe_untrained,
    has_others,
    is_biased,
    is_scaled_identity,
    measure,
    other_weight,
    products,
    rank_and_name,
    scaled_formula,
    spell,
    spell_readout,
    split_by_head,
    trace_of,
)
from attnsearch.search.result import Result, Trace

_UNIT = 0.999  # length of a mean of equal unit vectors, at least: rounding may make it shorter than 1
_LEAST = 1e-6  # of a weight, below which the mean of what has it is nothing but rounding


class Step(NamedTuple):
    """One step of the formula: its `name`, the `formula` so far, a sentence, and a small table of its numbers.

    `says` is that sentence, and `story` what the librarian does meanwhile. Each of the `rows` has a cell for each of
    the `columns`, and so has each of the `totals`: what all other items add, and the sum. `shapes` has those of its
    matrices, by letter.
    """

    name: str
    formula: str
    says: str
    columns: tuple[str, ...]
    rows: list[Row]
    totals: Sequence[Row] = ()
    shapes: Mapping[str, tuple[int, ...]] = {}
    story: str = ""


STORIES = {
    "tokens": "You hand in a request.",
    "query": "The librarian notes what you are after.",
    "keys": "For every item there is a card that describes it.",
    "products": "She compares your request with every card.",
    "heads": "Each head takes its own look at the card, and their ratings add up.",
    "logits": "She rates the agreement on her own scale.",
    "weights": "The better a card agrees, the larger its share of her attention.",
    "output": "She hands over not the cards but the items, in those shares.",
    "training": "Experience with other readers has changed what she listens for.",
}
EVERYTHING_HIDDEN = "Every item is hidden, so there is nothing to share."


def explain_steps(result: Result) -> list[Step]:
    """The steps from the words of the query to the output, and what attention reads out of fields.

    If it has the result without what was learned beside it, the last step compares the two. Raises InputError for a
    result without a trace.
    """
    trace = trace_of(result)
    steps = [
        *([_explain_tokens(result, trace)] if trace.tokens else []),
        _explain_query(result, trace),
        _explain_keys(result, trace),
        _explain_products(result, trace),
        *([_explain_heads(result, trace)] if trace.heads and is_scaled_identity(trace.projections.w_k) else []),
        _explain_logits(result, trace),
        _explain_weights(result, trace),
        _explain_output(result, trace),
        *(_explain_readout(result, trace, number) for number in range(len(result.values))),
        *([_explain_training(result, trace, result.untrained)] if result.untrained else []),
    ]
    return [step._replace(story=step.story or STORIES.get(step.name, "")) for step in steps]


def _explain_tokens(result: Result, trace: Trace) -> Step:
    asked = "" if result.asked is None else f'The request is asked as "{result.asked}". '
    if trace.heads:
        parts = (describe_reading(head.model, head.tokens, head.window, head.prompt) for head in trace.heads)
        says = asked + " ".join(parts)
        rows: list[Row] = [(head.model, *row) for head in trace.heads for row in enumerate(head.tokens)]
        return Step("tokens", "text → tokens", says, ("head", "position", "token"), rows)
    says = asked + describe_reading("The encoder", trace.tokens, trace.window, trace.prompt)
    return Step("tokens", "text → tokens", says, ("position", "token"), list(enumerate(trace.tokens)))


def _explain_query(result: Result, trace: Trace) -> Step:
    says = f"{describe_query(result)}; {describe_matrix('W_Q', trace.projections.w_q)} makes it the query."
    rows = [("x", *measure(trace.x)), ("q", *measure(trace.q))]
    shapes = {"x": (1, len(trace.x)), "W_Q": trace.projections.w_q.shape, "Q": (1, len(trace.q))}
    return Step("query", "q = x W_Q", says, ("vector", "norm", *COMPONENTS), rows, shapes=shapes)


def _explain_keys(result: Result, trace: Trace) -> Step:
    (n, d), d_k = trace.keys_shape, len(trace.q)
    says = describe_embeddings(n, trace.projections.w_k)
    if len(result.hits) > 1:
        says += f" These are the {len(result.hits)} that agree best."
    rows = [(*rank_and_name(hit), *measure(key)) for hit, key in zip(result.hits, trace.keys, strict=True)]
    shapes = {"X": (n, d), "W_K": trace.projections.w_k.shape, "K": (n, d_k)}
    return Step("keys", "K = X W_K", says, ("rank", "item", "norm", *COMPONENTS), rows, shapes=shapes)


def _explain_products(result: Result, trace: Trace) -> Step:
    n, d_k = trace.keys_shape[0], len(trace.q)
    numbers = products(result, trace).tolist()
    says = f"q·k is a sum of {d_k:,} products."
    if numbers:
        norm = float(np.linalg.norm(trace.q))
        shown = [f"{spell(q, norm)} × {spell(k)}" for q, k in zip(trace.q[:SHOWN], trace.keys[0], strict=False)]
        rest = numbers[0] - float(trace.q[:SHOWN].astype(np.float64) @ trace.keys[0, :SHOWN])
        others = f" + {rest:.4f} from the other {d_k - SHOWN:,}" if d_k > SHOWN else ""
        says += f" For rank {result.hits[0].rank}: {' + '.join(shown)}{others} = {numbers[0]:.4f}."
    rows: list[Row] = [(*rank_and_name(hit), product) for hit, product in zip(result.hits, numbers, strict=True)]
    shapes = {"Q": (1, d_k), "Kᵀ": (d_k, n), "Q Kᵀ": (1, n)}
    return Step("products", "Q Kᵀ", says, ("rank", "item", "q·k"), rows, shapes=shapes)


def _explain_heads(result: Result, trace: Trace) -> Step:
    """Each hit's logit without the bias as a sum over the heads, by their columns of Q and K."""
    tau, numbers = result.temperature, range(1, len(trace.heads) + 1)
    is_cosine = is_scaled_identity(trace.projections.w_q) and not (result.like or result.unlike)
    says = " ".join(
        f"Head {number} is {head.model}, {head.d:,} columns with the weight {head.weight:.3g}"
        + (f", so its temperature is {tau:.3g} / {head.weight:.3g} = {tau / head.weight:.3g}." if is_cosine else ".")
        for number, head in zip(numbers, trace.heads, strict=True)
    )
    folded = trace.projections.fold(trace.x.astype(np.float64)) * trace.projections.scale
    logits = split_by_head(trace.heads, folded, trace.keys)
    columns, cells = [f"logit {number}" for number in numbers], logits
    if is_cosine:
        cosines = logits * tau / np.array([head.weight for head in trace.heads])
        columns = [f"{name} {number}" for number in numbers for name in ("cosine", "logit")]
        cells = np.stack([cosines, logits], axis=2).reshape(len(logits), len(columns))
    sums = logits.sum(axis=1).tolist()
    rows: list[Row] = [
        (*rank_and_name(hit), *row, total) for hit, row, total in zip(result.hits, cells.tolist(), sums, strict=True)
    ]
    formula = "Q Kᵀ / √d_k = " + ("Σ_h cosine_h / τ_h" if is_cosine else "Σ_h Q_h K_hᵀ / √d_k")
    return Step("heads", formula, says, ("rank", "item", *columns, "sum"), rows)


def _explain_logits(result: Result, trace: Trace) -> Step:
    root, biases = math.sqrt(len(trace.q)), [float(bias.total) for bias in trace.biases]
    has_bias = is_biased(result)
    rows: list[Row] = [
        (*rank_and_name(hit), hit.score, *([bias] if has_bias else []), hit.logit)
        for hit, bias in zip(result.hits, biases, strict=True)
    ]
    says = f"√{len(trace.q)} = {root:.4f}, so a logit is {describe_logit(result)}."
    columns = ("rank", "item", "cosine", *(["bias"] if has_bias else []), "logit")
    return Step("logits", scaled_formula([result]), says, columns, rows)


def _explain_weights(result: Result, trace: Trace) -> Step:
    """The softmax, normalized once: exp(logit - max), its sum, and one over the other."""
    hits, columns = result.hits, ("rank", "item", "exp(logit - max)", "weight")
    rows: list[Row] = [(*rank_and_name(hit), math.exp(hit.logit - trace.maximum), hit.weight) for hit in hits]
    formula = f"softmax({scaled_formula([result])})"
    if result.masked == result.items:
        return Step("weights", formula, EVERYTHING_HIDDEN, columns, rows)
    total = math.exp(trace.log_normalizer - trace.maximum)
    says = (
        f"weight = exp(logit - max) / Σ. The highest logit is max = {trace.maximum:.4f}, and Σ = {total:.4f} is the sum"
        f" of exp(logit - max) over {describe_keys(result, trace)}. So log Σ exp(logit) = max + log {total:.4f} ="
        f" {trace.log_normalizer:.4f}. The attention is spread over {result.effective_items:.1f} effective items."
    )
    totals: list[Row] = [(None, "Σ", total, 1.0)]
    if has_others(result):
        rest = max(total - sum(math.exp(hit.logit - trace.maximum) for hit in hits), 0.0)
        totals.insert(0, (None, OTHERS, rest, other_weight(result)))
    return Step("weights", formula, says, columns, rows, totals)


def _explain_output(result: Result, trace: Trace) -> Step:
    (n, d), weights = trace.keys_shape, [hit.weight for hit in result.hits]
    says = f"The mean of the values, weighted by attention; {describe_matrix('W_V', trace.projections.w_v)}."
    if any(weights) and np.linalg.norm(trace.output) < _UNIT:
        says += " It is shorter than 1, since the values do not all point the same way."
    rows: list[Row] = [
        (*rank_and_name(hit), hit.weight, *measure(value)) for hit, value in zip(result.hits, trace.values, strict=True)
    ]
    totals: list[Row] = [(None, "output", 1.0 if result.masked < result.items else 0.0, *measure(trace.output))]
    if has_others(result):
        weight = other_weight(result)
        rest = trace.output - np.array(weights) @ trace.values
        mean = measure(rest / weight) if weight > _LEAST else [None] * (1 + SHOWN)
        totals.insert(0, (None, OTHERS, weight, *mean))
    shapes = {"weights": (1, n), "V": (n, d), "W_V": trace.projections.w_v.shape, "output": (1, d)}
    columns = ("rank", "item", "weight", "norm", *COMPONENTS)
    return Step("output", f"softmax({scaled_formula([result])}) V", says, columns, rows, totals, shapes)


def _explain_readout(result: Result, trace: Trace, number: int) -> Step:
    """The output with a field as V: the weighted mean of its values, or the share of attention of each."""
    readout, readings = result.values[number], trace.readings[number]
    formula = f"softmax({scaled_formula([result])}) V, where V is {readout.field}"
    story = f"What you carry home: {spell_readout(readout)}."
    if readout.mean is None:
        names_of: dict[Cell, list[str]] = {value: [] for value in readout.shares}
        for hit, values in zip(result.hits, readings, strict=True):
            for value in values:
                names_of.get(value, []).append(hit.name)
        says = f"Each value of {readout.field} gets the attention of its items. {describe_known(readout)}"
        rows: list[Row] = [(value, share, ", ".join(names_of[value])) for value, share in readout.shares.items()]
        return Step("value", formula, says, ("value", "share", "items"), rows, story=story)
    says = f"The mean of {readout.field}, weighted by attention. {describe_known(readout)}"
    rows = [(*rank_and_name(hit), hit.weight, _join(values)) for hit, values in zip(result.hits, readings, strict=True)]
    totals: list[Row] = [(None, "mean", readout.total, readout.mean)]
    weights = [(hit.weight, value) for hit, values in zip(result.hits, readings, strict=True) for value in values]
    weight = readout.total - sum(weight for weight, _ in weights)
    if has_others(result) and weight > _LEAST:
        mean: float | None = None  # a day has no place among numbers
        if isinstance(readout.mean, float):
            shown = sum(weight * value for weight, value in weights if not isinstance(value, str))
            mean = (readout.mean * readout.total - shown) / weight
        totals.insert(0, (None, OTHERS, weight, mean))
    return Step("value", formula, says, ("rank", "item", "weight", "value"), rows, totals, story=story)


def _explain_training(result: Result, trace: Trace, untrained: Result) -> Step:
    """What the learned W_Q changed: the direction of the query, ranks and weights."""
    says = f"{describe_learned(result, f'turns x by {angle(trace):.1f}°')} {describe_untrained(result)}"
    rows: list[Row] = [
        (hit.rank, hit.name, before.rank, hit.weight, before.weight)
        for hit, before in zip(result.hits, untrained.hits, strict=True)
    ]
    columns = ("rank", "item", "old rank", "weight", "old weight")
    return Step("training", "x W_Q beside x", says, columns, rows)


def _join(values: Sequence[float | str]) -> Cell:
    """The only value of an item; of several, all as a text."""
    if len(values) < 2:
        return values[0] if values else None
    return "; ".join(value if isinstance(value, str) else f"{value:g}" for value in values)
