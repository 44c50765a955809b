"""The catalogs that are served, each open at its latest commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attnsearch.opening.index import Index
from attnsearch.storage import home


class Catalogs:
    """Catalogs by name, open for threads: those that are named, or else all that there are."""

    def __init__(self, names: Sequence[str] = (), *, offline: bool = False) -> None:
        self._names = tuple(names)
        self._offline = offline
        self._open: dict[str, Index] = {}

    def names(self) -> list[str]:
        """The names of the catalogs that may be asked, the default first."""
        return [*self._names] or [folder.name for folder in home.catalog_folders() if not folder.name.startswith("@")]

    @contextmanager
    def lease(self, names: Sequence[str] = ()) -> Iterator[Index]:
        """An index of these catalogs at their latest commit, which stays open within the context.

        Raises InputError for a catalog that is not served, and as `Index.open` does.
        """
        name = (names or self.names())[0]
        if name not in self._open:
            self._open[name] = Index.open(name, offline=self._offline)
        yield self._open[name]

    def close(self) -> None:
        """Close all that is open."""
        for index in self._open.values():
            index.close()
