"""Semantic search over a catalog of described things, as attention: softmax(Q Kᵀ / √d_k) V.

>>> from attnsearch import Index, query
>>> with Index.open("library") as library:  # doctest: +SKIP
...     print(query(library, "science fiction").hits[0].title)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnsearch.attention.softmax import Attention, State, attend
    from attnsearch.errors import AttnsearchError, CatalogError, InputError, ModelError, ShapeError
    from attnsearch.indexing.update import Report, update
    from attnsearch.search.index import Index
    from attnsearch.search.result import Hit, Result
    from attnsearch.search.search import query

__version__ = "0.1.0"

_ROOMS = {
    "attention.softmax": ("Attention", "State", "attend"),
    "errors": ("AttnsearchError", "CatalogError", "InputError", "ModelError", "ShapeError"),
    "indexing.update": ("Report", "update"),
    "search.index": ("Index",),
    "search.search": ("Hit", "Result", "query"),
}
__all__ = [
    "Attention",
    "AttnsearchError",
    "CatalogError",
    "Hit",
    "Index",
    "InputError",
    "ModelError",
    "Report",
    "Result",
    "ShapeError",
    "State",
    "attend",
    "query",
    "update",
]


def __getattr__(name: str) -> Any:
    """Fetch a public name when it is first asked for: the command line starts without what it does not need."""
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"attnsearch.{room}"), name)
    raise AttributeError(f"module 'attnsearch' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
