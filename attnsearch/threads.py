"""A function and its arguments → its results, several at a time: numpy lets go of the interpreter while it computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def count() -> int:
    """How many threads this process may run at once."""
    allowed = getattr(os, "sched_getaffinity", None)  # a container may have fewer processors than its machine
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def each(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Iterator[Result]:
    """function(a) for each of the arguments, in their order."""
    listed = list(arguments)
    if len(listed) < 2 or count() < 2:  # not worth the import
        yield from map(function, listed)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count()) as pool:
        yield from pool.map(function, listed)
