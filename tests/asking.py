"""One question with the options of a setting, as most tests ask it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.result import Result
from attnsearch.search.search import search
from attnsearch.search.setting import Setting


def query(index: Index, text: str, *, k: int = 10, where: str | Sequence[str] = (), **options: Any) -> Result:
    """The `k` items that fit `text` best, of those that pass the filter or filters `where`; `options` as `Setting`."""
    filters = tuple(map(parse_filter, [where] if isinstance(where, str) else where))
    return search(index, [text], Setting(where=filters, **options), k=k)[0]
