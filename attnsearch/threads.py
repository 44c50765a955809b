"""Map a function over arguments in threads; they run in parallel because numpy releases the interpreter lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Shared:
    """A context that several threads may be in at once: the first enters `make()`, and the last leaves it."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._depth = 0
        self._stack = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._depth:
                self._stack.enter_context(self._make())
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._stack.close()


@contextmanager
def _limit_blas() -> Iterator[None]:
    """One thread of BLAS; then as many as before.

    Its own threads beside ours would wait for one another, spinning: ten times the work of the products themselves.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":  # as on our command line
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


ONE_THREAD_OF_BLAS = Shared(_limit_blas)

_most: int | None = None


def limit(most: int) -> None:
    """Let this process run at most so many threads at once from now on, since it shares its machine."""
    global _most
    _most = most


def count() -> int:
    """How many threads this process may run at once."""
    affinity = getattr(os, "sched_getaffinity", None)  # a container may have fewer processors than its machine
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(processors, _most or processors)


def each(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Generator[Result, None, None]:
    """Yield `function(argument)` for each argument, in order; an error is raised in its place.

    Where the system starts no more threads, this one does it all. Meanwhile BLAS starts none beside ours; a
    caller that may stop before the last result closes the generator.
    """
    queue = list(arguments)
    if len(queue) < 2 or count() < 2:  # not worth the import
        yield from map(function, queue)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ONE_THREAD_OF_BLAS, ThreadPoolExecutor(count()) as pool:
        try:
            results = pool.map(function, queue)
        except RuntimeError:  # a limit of processes; what some threads may have begun is done anew
            pool.shutdown(cancel_futures=True)
            results = map(function, queue)
        yield from results
