"""Results of several requests → the steps of equation (1) as matrices, with a row for each request.

Axis letters: m = requests, n = keys, h = items that are followed, d = width, d_k = width of queries and keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attnsearch.explanation.following import align_hits
from attnsearch.explanation.phrases import (
    COMPONENTS,
    OTHERS,
    SHOWN,
    Cell,
    Row,
    angle,
    describe_embeddings,
    describe_keys,
    describe_learned,
    describe_logit,
    describe_matrix,
    describe_models,
    describe_untrained,
    has_others,
    measure,
    other_weight,
    products,
    scaled_formula,
    spell_readout,
    trace_of,
)
from attnsearch.explanation.steps import EVERYTHING_HIDDEN, STORIES, Step
from attnsearch.models.model import ENDLESS
from attnsearch.search.result import Result, Trace

_LABELS = ("row", "request")
_VECTORS = (*_LABELS, "norm", *COMPONENTS)


def explain_together(results: Sequence[Result]) -> list[Step]:
    """The steps of several requests, whose results have the same items as hits.

    Raises InputError for results without a trace, or of different items.
    """
    results = align_hits(results)
    traces = [trace_of(result) for result in results]
    names = [f"k{number} {hit.name}" for number, hit in enumerate(results[0].hits, 1)]
    scaled = scaled_formula(results)
    steps = [
        _explain_tokens(results, traces),
        _explain_queries(results, traces),
        _explain_keys(traces, names),
        _explain_products(results, traces, names),
        Step(
            "logits",
            scaled,
            f"√{len(traces[0].q)} = {math.sqrt(len(traces[0].q)):.4f}, so a logit is {describe_logit(results[0])}.",
            (*_LABELS, *names),
            _rows(results, ([hit.logit for hit in result.hits] for result in results)),
        ),
        _explain_weights(results, traces, scaled, names),
        _explain_outputs(results, traces, scaled),
        *(_explain_readouts(results, scaled, number) for number in range(len(results[0].values))),
        *([_explain_training(results, traces)] if all(result.untrained for result in results) else []),
    ]
    return [step._replace(story=step.story or STORIES.get(step.name, "")) for step in steps]


def _explain_tokens(results: Sequence[Result], traces: Sequence[Trace]) -> Step:
    window, prompt = traces[0].window, traces[0].prompt
    after = f", after the prompt {prompt!r}" if prompt else ""
    asked = "".join(f'{result.query} is asked as "{result.asked}". ' for result in results if result.asked is not None)
    says = asked + (
        f"The encoder reads all tokens{after}."
        if window >= ENDLESS
        else f"The encoder reads {window:,} tokens of each request, at most{after}."
    )
    cells: list[list[Cell]] = [[len(trace.tokens), " ".join(trace.tokens)] for trace in traces]
    return Step("tokens", "text → tokens", says, (*_LABELS, "count", "tokens"), _rows(results, cells))


def _explain_queries(results: Sequence[Result], traces: Sequence[Trace]) -> Step:
    w_q = traces[0].projections.w_q
    says = (
        f"{describe_models(results[0])} each request into a unit vector, a row of X;"
        f" {describe_matrix('W_Q', w_q)} makes it a row of Q."
    )
    shapes = {"X": (len(traces), len(traces[0].x)), "W_Q": w_q.shape, "Q": (len(traces), len(traces[0].q))}
    cells = (measure(trace.q) for trace in traces)
    return Step("query", "Q = X W_Q", says, _VECTORS, _rows(results, cells), shapes=shapes)


def _explain_keys(traces: Sequence[Trace], names: Sequence[str]) -> Step:
    """The keys of the items: of each, every passage that is its best for some request."""
    (n, d), w_k = traces[0].keys_shape, traces[0].projections.w_k
    rows: dict[int, Row] = {}
    for trace in traces:
        for key, name, vector in zip(trace.hit_keys, names, trace.keys, strict=True):
            rows[key] = (name, *measure(vector))
    shapes = {"X": (n, d), "W_K": w_k.shape, "K": (n, w_k.shape[1])}
    return Step(
        "keys",
        "K = X W_K",
        describe_embeddings(n, w_k),
        ("item", "norm", *COMPONENTS),
        [rows[key] for key in sorted(rows, key=lambda key: names.index(str(rows[key][0])))],
        shapes=shapes,
    )


def _explain_products(results: Sequence[Result], traces: Sequence[Trace], names: Sequence[str]) -> Step:
    m, n, d_k = len(traces), traces[0].keys_shape[0], len(traces[0].q)
    says = "A row for each request, a column for each key. These are the columns of the items that agree best."
    cells = (products(*pair).tolist() for pair in zip(results, traces, strict=True))
    shapes = {"Q": (m, d_k), "Kᵀ": (d_k, n), "Q Kᵀ": (m, n)}
    return Step("products", "Q Kᵀ", says, (*_LABELS, *names), _rows(results, cells), shapes=shapes)


def _explain_weights(results: Sequence[Result], traces: Sequence[Trace], scaled: str, names: Sequence[str]) -> Step:
    formula = f"softmax({scaled})"
    if results[0].masked == results[0].items:
        return Step("weights", formula, EVERYTHING_HIDDEN, (*_LABELS, *names), _rows(results, [[]] * len(results)))
    others = has_others(results[0])
    says = (
        "Each row by itself: weight = exp(logit - max) / Σ, where max is the highest logit of the row, and Σ the sum"
        f" of exp(logit - max) over {describe_keys(results[0], traces[0])}. So the weights of a row add up to 1."
    )
    cells: list[list[Cell]] = []
    for result, trace in zip(results, traces, strict=True):
        rest = [other_weight(result)] if others else []
        total = math.exp(trace.log_normalizer - trace.maximum)
        cells.append([*(hit.weight for hit in result.hits), *rest, trace.maximum, total])
    columns = (*_LABELS, *names, *([OTHERS] if others else []), "max", "Σ")
    return Step("weights", formula, says, columns, _rows(results, cells))


def _explain_outputs(results: Sequence[Result], traces: Sequence[Trace], scaled: str) -> Step:
    m, (n, d), w_v = len(traces), traces[0].keys_shape, traces[0].projections.w_v
    says = f"For each request, the mean of the values, weighted by its row; {describe_matrix('W_V', w_v)}."
    shapes = {"weights": (m, n), "V": (n, d), "W_V": w_v.shape, "output": (m, d)}
    cells = (measure(trace.output) for trace in traces)
    return Step("output", f"softmax({scaled}) V", says, _VECTORS, _rows(results, cells), shapes=shapes)


def _explain_readouts(results: Sequence[Result], scaled: str, number: int) -> Step:
    """What attention reads out of a field for each request."""
    readouts = [result.values[number] for result in results]
    field, story = readouts[0].field, f"What you carry home: {'; '.join(map(spell_readout, readouts))}."
    formula = f"softmax({scaled}) V, where V is {field}"
    if any(readout.mean is not None for readout in readouts):
        says = f"The mean of {field} and its standard deviation, weighted by each row."
        columns = (*_LABELS, "weight", "mean", "spread")
        cells = ([readout.total, readout.mean, readout.spread] for readout in readouts)
        return Step("value", formula, says, columns, _rows(results, cells), story=story)
    rows: list[Row] = [
        (row, result.query, value, share)
        for row, (result, readout) in enumerate(zip(results, readouts, strict=True), 1)
        for value, share in list(readout.shares.items())[:SHOWN]
    ]
    says = f"Each value of {field} gets the attention of its items."
    return Step("value", formula, says, (*_LABELS, "value", "share"), rows, story=story)


def _explain_training(results: Sequence[Result], traces: Sequence[Trace]) -> Step:
    turns = f"turns the requests by {', '.join(f'{angle(trace):.1f}°' for trace in traces)}"
    remembered = next((result for result in results if result.recalled), results[0])
    says = f"{describe_learned(remembered, turns)} {describe_untrained(results[0])}"
    rows: list[Row] = [
        (row, result.query, hit.name, hit.rank, before.rank, hit.weight, before.weight)
        for row, result in enumerate(results, 1)
        for hit, before in zip(result.hits, result.untrained.hits if result.untrained else (), strict=True)
    ]
    columns = (*_LABELS, "item", "rank", "old rank", "weight", "old weight")
    return Step("training", "X W_Q beside X", says, columns, rows)


def _rows(results: Sequence[Result], cells: Iterable[Sequence[Cell]]) -> list[Row]:
    """The rows of a matrix, each with the number and the text of its request."""
    return [(row, result.query, *of_row) for row, (result, of_row) in enumerate(zip(results, cells, strict=True), 1)]
