"""A heatmap → its page: requests × items, what all others have, and *none of these*."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnsearch.errors import InputError
from attnsearch.output.columns import short_names
from attnsearch.output.notes import asked_as_each, name_catalogs, recalled_by_each
from attnsearch.pages.grid import Cell, Grid, Head, Row
from attnsearch.pages.page import render
from attnsearch.pages.shades import shade
from attnsearch.pictures.heatmap import format_number

if TYPE_CHECKING:
    from attnsearch.explanation.heatmap import By, Heatmap
    from attnsearch.search.setting import Setting


MOST_CELLS = 100_000  # of a page: 7 MB, which a browser needs seconds for

_CAPTIONS: dict[By, str] = {
    "weight": "What each item (column) has of each request’s attention (row), in percent; with all others, 100",
    "logit": "The logit of each request (row) and each item (column)",
    "score": "The score, a cosine, of each request (row) and each item (column)",
}


def heatmap_page(heatmap: Heatmap, command: Sequence[str], *, setting: Setting, by: By = "weight") -> str:
    """The page of a heatmap, with the weights, the logits or the scores in its cells.

    Raises InputError for more than `MOST_CELLS` cells.
    """
    if (count := heatmap.weights.size) > MOST_CELLS:
        hint = "take fewer items of each request, such as -k 1, or add -f csv"
        raise InputError(f"{count:,} cells are too many for a page, which has {MOST_CELLS:,} at most", hint=hint)
    return render(
        "heatmap",
        command,
        heatmap=heatmap,
        grid=_to_grid(heatmap, by),
        by=by,
        catalogs=name_catalogs(heatmap),
        scale=[(_number(value, by), shade(strength)) for strength, value in heatmap.scale(by).items()],
        setting=setting,
        remarks=[*asked_as_each(heatmap.asked), *recalled_by_each(heatmap.recalled)],
    )


def _number(value: float, by: By) -> str:
    """A number as it is shown elsewhere, but for the sign of percent, which the caption has."""
    return format_number(value, by).removesuffix("%")


def _to_grid(heatmap: Heatmap, by: By) -> Grid:
    names = short_names(heatmap.catalogs)
    several = len(heatmap.catalogs) > 1
    heads = [Head(column.name, catalog=names[column.catalog] if several else "") for column in heatmap.columns]
    margins = heatmap.margins(by)
    cells = zip(
        heatmap.values(by).tolist(),
        heatmap.strengths(by).tolist(),
        (heatmap.logits > float("-inf")).tolist(),
        [[False] * len(heads)] * len(heatmap.queries) if heatmap.right is None else heatmap.right.tolist(),
        strict=True,
    )
    rows = [
        Row(
            query,
            [
                Cell(number, _number(number, by), shade(strength), "✓" if is_right else "") if is_there else None
                for number, strength, is_there, is_right in zip(*of_row, strict=True)
            ],
            [Cell(share, _number(share, "weight")) for share in (float(column[number]) for column in margins.values())],
        )
        for number, (query, of_row) in enumerate(zip(heatmap.queries, cells, strict=True))
    ]
    return Grid(_CAPTIONS[by], heads, [*margins], rows, [])
