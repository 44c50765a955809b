"""Semantic search over a catalog of described things, as attention: softmax(Q Kᵀ / √d_k) V.

>>> from attnsearch import Index
>>> with Index.open("library") as library:  # doctest: +SKIP
...     print(library.query("science fiction")[0].title)
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it; the first moments of a process go without that import

__version__ = "0.1.0"

# The public names and their modules, imported on first use: `import attnsearch` stays fast, without numpy.
_MODULES = {
    "Attention": "attention.softmax",
    "AttnsearchError": "errors",
    "CatalogError": "errors",
    "Field": "api.items",
    "Hit": "search.result",
    "Index": "api.index",
    "InputError": "errors",
    "Item": "api.items",
    "ModelError": "errors",
    "Report": "indexing.update",
    "Result": "api.result",
    "ShapeError": "errors",
    "State": "attention.softmax",
    "attend": "attention.softmax",
    "query": "api.index",
    "update": "api.update",
}
__all__ = list(_MODULES)

if TYPE_CHECKING:  # type checkers and editors need each name spelled out; tests/test_package.py compares the lists
    from attnsearch.api.index import Index as Index
    from attnsearch.api.index import query as query
    from attnsearch.api.items import Field as Field
    from attnsearch.api.items import Item as Item
    from attnsearch.api.result import Result as Result
    from attnsearch.api.update import update as update
    from attnsearch.attention.softmax import Attention as Attention
    from attnsearch.attention.softmax import State as State
    from attnsearch.attention.softmax import attend as attend
    from attnsearch.errors import AttnsearchError as AttnsearchError
    from attnsearch.errors import CatalogError as CatalogError
    from attnsearch.errors import InputError as InputError
    from attnsearch.errors import ModelError as ModelError
    from attnsearch.errors import ShapeError as ShapeError
    from attnsearch.indexing.update import Report as Report
    from attnsearch.search.result import Hit as Hit
else:  # hidden from type checkers, for which a module with `__getattr__` has every name

    def __getattr__(name: str) -> object:
        """Import a public name on first use."""
        from importlib import import_module

        if name not in _MODULES:
            raise AttributeError(f"module 'attnsearch' has no attribute '{name}'")
        return getattr(import_module(f"attnsearch.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
