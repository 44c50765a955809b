"""The catalogs of the road."""

from tests.search.conftest import books, fitted

__all__ = ["books", "fitted"]
