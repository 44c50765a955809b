"""Map a function over arguments in threads; they run in parallel because numpy releases the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def count() -> int:
    """How many threads this process may run at once."""
    affinity = getattr(os, "sched_getaffinity", None)  # a container may have fewer processors than its machine
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def each(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Iterator[Result]:
    """Yield `function(argument)` for each argument, in order; an error is raised in its place.

    Where the system starts no more threads, this one does it all.
    """
    queue = list(arguments)
    if len(queue) < 2 or count() < 2:  # not worth the import
        yield from map(function, queue)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count()) as pool:
        try:
            results = pool.map(function, queue)
        except RuntimeError:  # a limit of processes; what some threads may have begun is done anew
            pool.shutdown(cancel_futures=True)
            results = map(function, queue)
        yield from results
