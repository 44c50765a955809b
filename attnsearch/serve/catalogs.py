"""The catalogs that are served, each open at its latest commit."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from attnsearch.encoding.encoder import Encoder, parts_of
from attnsearch.errors import AttnsearchError, InputError
from attnsearch.opening.index import Index
from attnsearch.opening.latest import Latest
from attnsearch.search.search import search
from attnsearch.serve.batches import Batches
from attnsearch.sources.fields import first_names
from attnsearch.sources.letters import normalize_text
from attnsearch.storage import home
from attnsearch.storage.failures import MissingError
from attnsearch.storage.files import is_name
from attnsearch.storage.segment import Mapped
from attnsearch.syntax.nearest import find_nearest
from attnsearch.upkeep.default import choose_default
from attnsearch.wire.requests import QueryRequest

if TYPE_CHECKING:
    from attnsearch.opening.remote import SharedCluster

MOST_OPEN = 32  # catalogs: each has some ten files open

_LOOK = 10.0  # seconds between checks of catalogs that nobody asks: a log grows while an older state is open
_ENDING = 1.0  # seconds that the last check has at the end
_DEFAULT_LASTS = 1.0  # seconds: to find the default, the record of every catalog is read
_LISTED = 5  # catalogs, at most, in a message
_LONGEST = 100  # characters of a name in a message

log = logging.getLogger("attnsearch")


class Catalogs:
    """Catalogs by name, open for threads: those that are named, or else all that there are at any time.

    An index is opened when it is first asked for. Of more than `MOST_OPEN`, the least recently used are closed.
    `batches` joins queries that are asked at the same time. With a `cluster`, its workers compare the keys.
    """

    def __init__(
        self, names: Sequence[str] = (), *, offline: bool = False, cluster: SharedCluster | None = None
    ) -> None:
        self._names = tuple(dict.fromkeys(map(normalize_text, names)))
        self._offline = offline
        self._cluster = cluster
        self.batches: Batches[QueryRequest, dict[str, Any]] = Batches()
        self._open: dict[tuple[str, ...], Latest] = {}  # the least recently used first
        self._lock = threading.Lock()  # guards `_open` and `_keeper`
        self._encoders: weakref.WeakValueDictionary[object, Encoder] = weakref.WeakValueDictionary()
        self._loading = threading.Lock()  # guards `_encoders`
        self._default: tuple[str, float] | None = None
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None

    def names(self) -> list[str]:
        """The names of the catalogs that may be asked: the default first, if that is clear.

        A home without catalogs has the built-in ones. Raises CatalogError if the home can't be read.
        """
        names = self._list_names()
        with suppress(AttnsearchError):
            names.sort(key=self.default().__ne__)
        return names

    def default(self) -> str:
        """The catalog that is asked if a request names none: the first that is served, or as `upkeep.default` says.

        Raises InputError if that is not clear, CatalogError if the chosen one is gone.
        """
        if self._names:
            return self._names[0]
        if self._default and time.monotonic() < self._default[1]:
            return self._default[0]
        ref, names = choose_default().ref, self._list_names()
        if ref is None or ref not in names:  # a file may be chosen, which is not served
            if len(names) != 1:
                hint = "name one of them"  # an agent's tools ask one at a time
                raise InputError(f"which catalog? there are {first_names(names, _LISTED)}", hint=hint)
            ref = names[0]
        self._default = ref, time.monotonic() + _DEFAULT_LASTS
        return ref

    @contextmanager
    def lease(self, names: Sequence[str] = ()) -> Iterator[Index]:
        """An index of these catalogs, or of the default one, at their latest state; it stays open within the context.

        Raises MissingError for a catalog that is not there or not served, InputError for one that is named twice, and
        as `Index.open_named` and `Union` do.
        """
        key = tuple(names) or (self.default(),)
        if key not in self._open:
            key = self._find_names(key)
        latest = self._use(key)
        try:
            with latest.lease() as index:
                yield index
        finally:
            if self._open.get(key) is not latest:  # it was closed meanwhile to make room
                latest.close()

    def warm(self) -> None:
        """Open the catalogs that were named, or else the default one, and ask each: then no request waits for that.

        A catalog that can't be opened is only logged: it may come back. Without a clear default, nothing is opened.
        """
        for names in [[name] for name in self._names[:MOST_OPEN]] or [[]]:
            try:
                with self.lease(names) as index:
                    search(index, ["a"], k=1)
            except InputError:
                pass
            except AttnsearchError as error:
                log.warning("%s", error)

    def refresh(self) -> None:
        """Open the latest state of all catalogs of which an older one is open."""
        for latest in [*self._open.values()]:
            latest.refresh()

    def close(self) -> None:
        """Close all that is open, as soon as nobody asks it."""
        self._closed.set()
        with self._lock:
            closing = [*self._open.values()]
            self._open.clear()
        for latest in closing:
            latest.close()
        if self._keeper:
            self._keeper.join(_ENDING)

    def _use(self, key: tuple[str, ...]) -> Latest:
        """The `Latest` of these catalogs, now the most recently used."""
        closing = []
        with self._lock:
            latest = self._open.pop(key, None) or Latest(key, self._open_part, self._prepare)
            self._open[key] = latest
            while len(self._open) > 1 and sum(other.size for other in self._open.values()) > MOST_OPEN:
                closing.append(self._open.pop(next(iter(self._open))))
            if self._keeper is None and not self._closed.is_set():
                self._keeper = threading.Thread(target=self._keep_fresh, name="attnsearch-catalogs", daemon=True)
                self._keeper.start()
        for other in closing:
            other.close()
        return latest

    def _keep_fresh(self) -> None:
        while not self._closed.wait(_LOOK):
            self.refresh()

    def _open_part(self, name: str, mapped: Mapped) -> Index:
        vectors = self._cluster is None
        return Index.open_named(name, offline=self._offline, vectors=vectors, mapped=mapped, share=self._share)

    def _prepare(self, index: Index) -> None:
        if self._cluster:
            self._cluster.use(index)

    def _share(self, encoder: Encoder) -> Encoder:
        """An equal encoder that another open catalog has; if there is none, this one, loaded."""
        parts = parts_of(encoder)
        weights = tuple(getattr(encoder, "weights", ()))
        key = (weights, *((part.model.stamp, part.use, part.quick, part.precision) for part in parts))
        with self._loading:
            shared = self._encoders.get(key)
            if shared is None:
                encoder.encode(["a"], "query")  # before several threads ask it at once
                shared = self._encoders[key] = encoder
            return shared

    def _list_names(self) -> list[str]:
        """The names of the catalogs that are served, by the alphabet unless they were given."""
        if self._names:
            return [*self._names]
        names = [folder.name for folder in home.catalog_folders() if is_name(folder.name)]
        return names if home.own_catalogs() else [*home.BUILT_IN]

    def _find_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """These catalogs, each by the name that it is served by. Raises as `lease` does."""
        key = tuple(map(self._find_name, names))
        if len(set(key)) < len(key):
            twice = next(name for name in key if key.count(name) > 1)
            raise InputError(f"the catalog '{twice}' is named twice", hint="name each catalog once")
        return key

    def _find_name(self, name: str) -> str:
        served = self._names or tuple(folder.name for folder in home.named_folders() if is_name(folder.name))
        for spelling in (name, normalize_text(name)):
            if spelling in self._names:
                return spelling
            if not self._names and is_name(spelling):
                has_catalog = spelling in served and home.catalog_exists(home.catalog_folder(spelling))
                if has_catalog or (spelling in home.BUILT_IN and spelling in self._list_names()):
                    return spelling
        nearest = find_nearest(name.casefold(), {other.casefold(): other for other in served})
        near = next((other for other in served if other.casefold() in nearest), None)
        hint = f"did you mean '{near}'?" if near else f"there are {first_names(self._list_names(), _LISTED)}"
        raise MissingError(f"there is no catalog '{name[:_LONGEST]}'", hint=hint)
