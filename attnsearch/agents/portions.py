"""An answer → the same answer in at most 20 kB, counted as it is sent: as a structure, and again as text.

A client shows its model one of the two; some clients read only text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

MOST = 20_000  # bytes of an answer, in both forms together
_AROUND = 500  # of these, for what the protocol puts around an answer, and for `advice`

Answer = dict[str, Any]


def as_text(value: Any) -> str:
    """JSON in its shortest form; letters beyond ASCII stay what they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def cost(value: Any) -> int:
    """How many bytes a part of an answer takes in both forms together."""
    text = as_text(value)
    return len(text.encode()) + len(as_text(text).encode()) - 2


def fit(
    answer: Answer, parts: str, advise: Callable[[int, int], str], *, optional: Mapping[str, Any], most: int = MOST
) -> Answer:
    """The answer without the last of its `parts` if it is too large; `advise` gets how many of how many are left.

    The `optional` keys of a part go first, from the last part on: each gets the value beside it, or goes if that is
    None. `most` is in bytes, for both forms together.
    """
    entries: list[Answer] = [dict(entry) for entry in answer[parts]]
    room = most - _AROUND - cost({**answer, parts: []})
    costs = [cost(entry) + 2 for entry in entries]
    if sum(costs) <= room:
        return {**answer, "truncated": answer.get("truncated", False)}
    count = len(entries)
    for number in reversed(range(count)):
        if sum(costs) <= room:
            break
        entry = entries[number]
        entries[number] = {
            key: optional.get(key, value) for key, value in entry.items() if optional.get(key, value) is not None
        }
        costs[number] = cost(entries[number]) + 2
    while entries and sum(costs[: len(entries)]) > room:
        entries.pop()
    return {**answer, parts: entries, "truncated": True, "advice": advise(len(entries), count)}


def cut(text: str, room: int) -> str:
    """As much of a text, from its beginning, as takes at most so many bytes of an answer."""
    low, high = 0, min(len(text), max(room, 0))
    while low < high:
        middle = (low + high + 1) // 2
        if cost(text[:middle]) - cost("") <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low]
