"""Filters that leave no item → which of them, and the value most like one that no item has.

Axis letters: N = all keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnsearch.opening.index import Index
from attnsearch.search.setting import passing_of

if TYPE_CHECKING:
    from attnsearch.postings.conditions import Where


def explain_empty(index: Index, where: Sequence[Where]) -> str:
    """Which of the filters left no item; if it asks for a value that no item has, the value most like that.

    If all filters left some item, the query is made of those that they left.
    """
    from attnsearch.postings.conditions import Combined, spell

    parts: list[Where] = []
    for tree in where:
        parts += tree.parts if isinstance(tree, Combined) and tree.op == "and" else [tree]
    remaining = np.zeros(index.store.size, bool)
    living = index.store.living()
    remaining[living if index.store.first_keys is None else index.store.first_keys[living]] = True
    items = remaining.copy()
    emptying = None
    for part in parts:
        passing = passing_of(index, part)
        if not (items & passing).any():
            return _explain_filter(index, part, items)
        if remaining.any():
            emptying = part
            remaining &= passing
    if emptying is None or remaining.any():
        return "no items are left but those that the query is made of"
    return f"no item that passes the filters before it passes '{spell(emptying)}'"


def _explain_filter(index: Index, tree: Where, items: NDArray[np.bool_]) -> str:
    """Why a filter leaves none of the items: the nearest value, or how many have what it asks for in a longer text."""
    from attnsearch.postings.conditions import Combined, Filter, fold_text, spell

    if isinstance(tree, Combined) or tree.op not in ("=", "~"):
        return f"no item passes '{spell(tree)}'"
    value = tree.values[0]
    near = index.postings.find_near_value(tree.field, value) if tree.op == "=" else None
    is_same = near is not None and fold_text(near) == fold_text(value.strip())
    part = value.strip("*% ") or value  # which are no wildcards here
    if not is_same and (count := int((items & passing_of(index, Filter(tree.field, "~", (part,)))).sum())):
        quoted = part.replace("'", "''")
        have = "1 item has" if count == 1 else f"{count:,} items have"
        return f"{tree.field}: no '{value}', but {have} '{part}' in a longer text; write: {tree.field} ~ '{quoted}'"
    hint = f"; did you mean '{near}'?" if near else ""
    return f"{tree.field}: no '{value}'{hint}" if tree.op == "=" else f"no item passes '{spell(tree)}'"
