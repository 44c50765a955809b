"""An index whose keys other machines compare."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.packing import Record
from attnsearch.cluster.publication import find_files
from attnsearch.cluster.remote import Ask, RemoteEngine
from attnsearch.errors import AttnsearchError
from attnsearch.opening.index import Index

PAUSE = 5.0  # seconds between two tries to connect again

LATE = "start more workers"  # the hint of a server, which has no --timeout

log = logging.getLogger("attnsearch")


def use_cluster(index: Index, address: str, deadline: float) -> None:
    """Let a Dask cluster compare the keys from now on, until the index is closed; it has `deadline` seconds to answer.

    Its workers read the segments where the catalogs are published, else in the catalogs' folders, which they must see
    under the same names as here; the processes of local:N always do. Raises as `Cluster` and `find_files` do.
    """
    files = _find_files(index, address)
    cluster = Cluster(address, deadline=deadline)
    log.info("asking the workers of %s", address)  # what a terminal shows until they answer
    _use(index, files, cluster.ask, cluster.close)


def _find_files(index: Index, address: str) -> list[str]:
    """The names under which the workers open the segments."""
    stores = [] if address.startswith("local:") else index.stores
    return [file for store in stores for file in find_files(store)]


def _use(index: Index, files: Sequence[str], ask: Ask, close: Callable[[], None]) -> None:
    index.engine.close()
    index.engine = RemoteEngine(index.store, ask, close, files=files)


class SharedCluster:
    """A Dask cluster that all indexes of a server share, from start to end. So may threads.

    A lost connection is made again by a later request: one request tries, at most every `PAUSE` seconds, while the
    others get the error at once. The arguments are those of `Cluster`, which is opened now: raises as that does.
    """

    def __init__(self, address: str, *, deadline: float) -> None:
        self._address, self._deadline = address, deadline
        self._cluster = Cluster(address, deadline=deadline, late=LATE)
        self._failure: AttnsearchError | None = None
        self._next = 0.0  # when to try again
        self._connecting = threading.Lock()

    def use(self, index: Index) -> None:
        """Let the cluster compare the keys of an index, which may be closed without it. Raises as `find_files` does."""
        _use(index, _find_files(index, self._address), self.ask, lambda: None)

    def ask(self, tasks: Sequence[Record]) -> Sequence[Record]:
        """As `Cluster.ask`. Raises also as `Cluster` does."""
        if self._cluster.is_lost:
            self._connect_again()
        return self._cluster.ask(tasks)

    def close(self) -> None:
        """Let go of the cluster; end the processes of local:N."""
        self._cluster.close()

    def _connect_again(self) -> None:
        """Connect again, unless another thread does, or just did. Raises AttnsearchError if there is no connection."""
        if not self._connecting.acquire(blocking=False):
            return  # the lost one says so
        try:
            if not self._cluster.is_lost:
                return
            if self._failure and time.monotonic() < self._next:
                raise self._failure.with_traceback(None)
            self._cluster.close()
            try:
                self._cluster = Cluster(self._address, deadline=self._deadline, late=LATE)
            except AttnsearchError as error:
                self._failure = error.with_traceback(None)
                self._next = time.monotonic() + PAUSE
                raise
            self._failure = None
        finally:
            self._connecting.release()
