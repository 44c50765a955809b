"""Results → JSON, JSONL, CSV, TSV or Markdown, or their table. Everything is returned; nothing is printed here."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnsearch.output.columns import NOTHING, Shown
from attnsearch.output.notes import footer, notes, percent, readout_as_json
from attnsearch.output.safe_text import PIPE, Screen, inert, to_json

if TYPE_CHECKING:
    from attnsearch.explanation.matrix import Matrix
    from attnsearch.explanation.reasons import Lead
    from attnsearch.explanation.steps import Step
    from attnsearch.search.result import Result, Why
    from attnsearch.search.spelling import Correction

SCHEMA = 1  # of all JSON; raised when a field changes its meaning

_COLUMNS = ("query", "rank", "id", "title", "weight", "score", "logit", "description", "passage")
_FIELDS = ("query", "catalog", "model", "temperature", "items", "masked", "none_of_these", "effective_items")
_IF_TRUE = ("heads", "lexical", "trained", "recalled", "unreadable", "emptied_by")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~])")


def render(
    results: Iterable[Result],
    form: str,
    screen: Screen = PIPE,
    *,
    several: bool = False,
    below: Callable[[Result, Screen], Iterable[str]] | None = None,
    shown: Shown = NOTHING,
) -> Iterator[str]:
    """The results in one of `safe_text.FORMATS`, piece by piece, each as soon as its result is there.

    With `several`, JSON is a list and each table has its query as a heading. The parts that `below` returns for a
    result are shown under its table. `shown` are columns of fields; JSON has all fields in any case.
    """
    match form:
        case "json":
            objects = (to_json(as_json(result), screen, indent=2) for result in results)
            yield from _as_list(objects) if several else objects
        case "jsonl":
            for result in results:
                yield to_json(as_json(result), screen)
        case "csv" | "tsv":
            yield from _render_separated(results, "," if form == "csv" else "\t", shown)
        case "md":
            for number, result in enumerate(results):
                yield ("\n" if number else "") + _render_markdown(result, shown)
        case _:
            from attnsearch.output.ranking import ranked  # which other formats do without

            yield from ranked(results, screen, several=several, below=below, shown=shown)


def as_json(result: Result) -> dict[str, Any]:
    """The JSON object of a result, as docs/reference.md describes it."""
    fields: dict[str, Any] = {"schema": SCHEMA, **{name: getattr(result, name) for name in _FIELDS}}
    fields |= {"elapsed_ms": round(result.elapsed_ms, 3), "hits": [hit._asdict() for hit in result.hits]}
    if result.asked is not None:
        fields |= {"asked": result.asked, "corrections": corrections_as_json(result.corrections)}
    if result.parts is not None:
        fields["parts"] = result.parts._asdict()
    if len(result.catalogs) > 1:
        fields["catalogs"] = list(result.catalogs)
    if result.like or result.unlike:
        fields |= {"like": list(result.like), "unlike": list(result.unlike)}
    fields |= {name: value for name in _IF_TRUE if (value := getattr(result, name))}
    if result.values:
        fields["values"] = [readout_as_json(readout) for readout in result.values]
    if result.output is not None:
        fields["output"] = result.output.tolist()
    for hit, why in zip(fields["hits"], result.whys or (), strict=False):
        hit["why"] = _why_as_json(why)
    if result.trace:
        from attnsearch.explanation.steps import explain_steps

        fields["steps"] = [_step_as_json(step) for step in explain_steps(result)]
    return fields


def explanation_as_json(result: Result, lead: Lead | None = None, matrix: Matrix | None = None) -> dict[str, Any]:
    """The JSON object of an item's logit: why it ranks above or below another, or the logit as a double sum."""
    fields = as_json(result)
    if lead:
        parts = [part._asdict() for part in lead.parts]
        fields["over"] = {"difference": lead.difference, "ratio": lead.ratio, "parts": parts}
    if matrix:
        fields["matrix"] = matrix_as_json(matrix)
    return fields


def judgment_as_json(catalog: str, query: str, change: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of feedback: what was noted or removed of a query."""
    return {"schema": SCHEMA, "catalog": catalog, "query": query, **change}


def corrections_as_json(corrections: Iterable[Correction]) -> list[dict[str, str]]:
    """The words of a request that were read as others."""
    return [{"from": correction.typed, "to": correction.read} for correction in corrections]


def matrix_as_json(matrix: Matrix) -> dict[str, Any]:
    """The JSON object of a double sum, as docs/reference.md describes it."""
    return {
        "by": matrix.by,
        "query": matrix.query,
        "text": matrix.text,
        "rows": [line._asdict() for line in matrix.rows],
        "columns": [line._asdict() for line in matrix.columns],
        "cells": matrix.cells.tolist(),
        "strongest": matrix.strongest,
        "sum": matrix.sum,
        "rounding": matrix.rounding,
        "semantic": matrix.semantic,
        "lexical": dict(matrix.lexical),
        "prior": dict(matrix.prior),
        "memory": dict(matrix.memory),
        "logit": matrix.logit,
    }


def _as_list(objects: Iterable[str]) -> Iterator[str]:
    """JSON objects, indented → one list, an element at a time; it stays open if there is an error on the way."""
    lead = "[\n  "
    for text in objects:
        yield lead + text.rstrip("\n").replace("\n", "\n  ")
        lead = ",\n  "
    yield "\n]\n"


def _render_separated(results: Iterable[Result], delimiter: str, shown: Shown) -> Iterator[str]:
    results = iter(results)
    first = list(itertools.islice(results, 1))  # an error before it leaves no header alone
    yield separated_line([*_COLUMNS, *(column.header for column in shown.columns)], delimiter)
    for result in itertools.chain(first, results):
        for hit in result.hits:
            cells = {**hit._asdict(), "query": result.query}
            fields = shown.cells(hit)
            yield separated_line([*(cells[name] for name in _COLUMNS), *fields], delimiter)


def separated_line(cells: Sequence[Any], delimiter: str) -> str:
    """A line of CSV or TSV; texts can't act on a terminal."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(
        [inert(cell) if isinstance(cell, str) else cell for cell in cells]
    )
    return out.getvalue()


def _render_markdown(result: Result, shown: Shown) -> str:
    from attnsearch.output.ranking import describe

    headers = [_escape(column.header) for column in shown.columns]
    rules = ["--:" if column.is_number else ":--" for column in shown.columns]
    lines = [
        f"**{_escape(result.query)}**",
        "",
        _markdown_row(["#", "title", "weight", "score", *headers, "description"]),
        f"|{'|'.join(['--:', ':--', '--:', '--:', *rules, ':--'])}|",
    ]
    for hit in result.hits:
        fields = map(_escape, shown.cells(hit))
        numbers = percent(hit.weight), f"{hit.score:.3f}"
        lines.append(_markdown_row([str(hit.rank), _escape(hit.name), *numbers, *fields, _escape(describe(hit))]))
    return "\n".join([*lines, "", *(f"{_escape(line)}  " for line in notes(result)[:-1]), _escape(footer(result)), ""])


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", inert(text))


def _step_as_json(step: Step) -> dict[str, Any]:
    rows, totals = ([dict(zip(step.columns, row, strict=True)) for row in part] for part in (step.rows, step.totals))
    shapes = {name: list(shape) for name, shape in step.shapes.items()}
    parts = {"name": step.name, "formula": step.formula, "story": step.story, "says": step.says, "shapes": shapes}
    return {**parts, "rows": rows, "totals": totals}


def _why_as_json(why: Why) -> dict[str, Any]:
    query, item = why.query, why.item
    return {
        "semantic": why.semantic,
        **({"heads": dict(why.heads)} if why.heads else {}),
        "lexical": dict(why.lexical),
        "prior": dict(why.prior),
        "memory": dict(why.memory),
        "query_words": query and [word._asdict() for word in query.words],
        "item_words": item and [word._asdict() for word in item.words],
        "item_text": item and item.text,
        "marks": {"query": query and query.marks, "item": item and item.marks},
        "rounding": {"query": query and query.rounding, "item": item and item.rounding},
    }
