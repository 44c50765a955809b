"""The catalogs of the road's tests, for what explains their results."""

from tests.search.conftest import books, fitted

__all__ = ["books", "fitted"]
