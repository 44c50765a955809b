"""A heatmap → JSON, or CSV with a line for each request and a column for each item."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from attnsearch.explanation.heatmap import NONE
from attnsearch.explanation.phrases import OTHERS
from attnsearch.output.formats import SCHEMA, separated_line
from attnsearch.output.safe_text import PIPE, Screen, inert, to_json

if TYPE_CHECKING:
    from attnsearch.explanation.heatmap import By, Column, Heatmap

_FIELDS = {OTHERS: "others", NONE: "none_of_these"}  # of JSON and CSV


def as_dict(heatmap: Heatmap) -> dict[str, Any]:
    """The JSON object of a heatmap, as docs/reference.md describes it."""
    return {name: [*value] if isinstance(value, Iterator) else value for name, value in _fields(heatmap).items()}


def as_json(heatmap: Heatmap, screen: Screen = PIPE) -> Iterator[str]:
    """The text of `as_dict`, with a row of a matrix on each line."""
    lead = "{\n"
    for name, value in _fields(heatmap).items():
        yield f'{lead}  "{name}": '
        if isinstance(value, (str, float, int, type(None))):
            yield to_json(value, screen).rstrip("\n")
        else:
            yield from _list(value, screen)
        lead = ",\n"
    yield "\n}\n"


def _fields(heatmap: Heatmap) -> dict[str, Any]:
    """The fields of JSON; what has many rows is an iterator."""
    matrices = {"weights": heatmap.weights, "logits": heatmap.logits, "scores": heatmap.scores}
    return {
        "schema": SCHEMA,
        "catalog": heatmap.catalog,
        **({"catalogs": heatmap.catalogs} if len(heatmap.catalogs) > 1 else {}),
        "model": heatmap.model,
        **({"heads": list(heatmap.heads)} if heatmap.heads else {}),
        "temperature": heatmap.temperature,
        **({"lexical": heatmap.lexical} if heatmap.lexical else {}),
        **({"trained": True} if heatmap.trained else {}),
        "items": heatmap.items,
        "masked": heatmap.masked,
        **({"emptied_by": heatmap.emptied_by} if heatmap.emptied_by else {}),
        "queries": heatmap.queries,
        **({"asked": [heatmap.asked.get(query, query) for query in heatmap.queries]} if heatmap.asked else {}),
        **({"recalled": [heatmap.recalled.get(query, {}) for query in heatmap.queries]} if heatmap.recalled else {}),
        "columns": (column._asdict() for column in heatmap.columns),
        **{name: (_finite(row) for row in matrix.tolist()) for name, matrix in matrices.items()},
        _FIELDS[OTHERS]: heatmap.others.tolist(),
        _FIELDS[NONE]: None if heatmap.none_of_these is None else heatmap.none_of_these.tolist(),
        **({} if heatmap.right is None else {"right": heatmap.right.tolist()}),
    }


def as_csv(heatmap: Heatmap, by: By = "weight") -> Iterator[str]:
    """A line for each request: its text, a number for each item by its id, and what others and *none of these* have.

    Only weights have others. The cell of a hidden item is empty, unless it is a weight, which is 0. An id that is not
    unique, or is the name of another column, has its catalog before it.
    """
    margins = heatmap.margins(by)
    headers = _headers(heatmap.columns, ["query", *_FIELDS.values()])
    yield separated_line(["query", *headers, *(_FIELDS[name] for name in margins)], ",")
    of_margins = (shares.tolist() for shares in margins.values())
    rows = zip(heatmap.queries, heatmap.values(by).tolist(), *of_margins, strict=True)
    for query, cells, *shares in rows:
        yield separated_line([query, *("" if cell is None else cell for cell in _finite(cells)), *shares], ",")


def _headers(columns: Iterable[Column], taken: Iterable[str]) -> list[str]:
    """A header for each column, no two of them equal, and none that is taken."""
    columns, used = list(columns), {*taken}
    ids = [inert(column.id) for column in columns]
    counts = Counter(ids)
    headers = []
    for column, ident in zip(columns, ids, strict=True):
        header = ident if counts[ident] == 1 else f"{inert(column.catalog)}:{ident}"
        while header in used:
            header = f"{inert(column.catalog)}:{header}"
        used.add(header)
        headers.append(header)
    return headers


def _finite(numbers: list[float]) -> list[float | None]:
    """The numbers; None for infinities and NaN, which JSON lacks."""
    return [number if math.isfinite(number) else None for number in numbers]


def _list(elements: Iterable[Any], screen: Screen) -> Iterator[str]:
    """A list of JSON, each element on a line."""
    lead = "["
    for element in elements:
        yield lead + "\n    " + to_json(element, screen).rstrip("\n")
        lead = ","
    yield "[]" if lead == "[" else "\n  ]"
