"""Requests that wait at the same time → one call that answers all of them: eight take as long as three alone.

A request that finds a free core is answered at once, alone. Others wait for a core; then the first of them answers a
share of all that wait.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from attnsearch import threads

MOST = 16  # arguments of one call

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")


class _Asker(Generic[Argument, Answer]):
    """A thread that waits for its answer, or for its turn to answer a `batch`."""

    def __init__(self, argument: Argument) -> None:
        self.argument = argument
        self.turn = threading.Event()
        self.batch: Sequence[_Asker[Argument, Answer]] = ()
        self.answer: Answer | None = None
        self.error: BaseException | None = None


class Batches(Generic[Argument, Answer]):
    """Joins the calls of threads that have the same key. For each key, `at_once` joined calls run at a time.

    By default half as many as there are processors: two that share a core take half as long again.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = at_once or max(threads.count() // 2, 1)
        self._running: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, list[_Asker[Argument, Answer]]] = {}  # of keys with so many calls
        self._lock = threading.Lock()

    def ask(self, key: Hashable, argument: Argument, call: Callable[[list[Argument]], list[Answer]]) -> Answer:
        """The answer to an argument. `call` answers several arguments, in their order.

        When it raises an error, each argument is answered alone, so that only the one at fault gets the error.
        """
        asker: _Asker[Argument, Answer] = _Asker(argument)
        with self._lock:
            if self._running[key] < self._at_once:
                self._running[key] += 1
                asker.batch = [asker]
            else:
                self._waiting.setdefault(key, []).append(asker)
        if not asker.batch:
            asker.turn.wait()
        if asker.batch:
            try:
                _answer(asker.batch, call)
            finally:
                self._pass_on(key)
                for other in asker.batch[1:]:
                    other.turn.set()
        if asker.error:
            raise asker.error
        return asker.answer  # type: ignore[return-value]

    def _pass_on(self, key: Hashable) -> None:
        """Let the first that waits answer its share of all that wait; the other calls get as much."""
        with self._lock:
            waiting = self._waiting.pop(key, [])
            count = min(-(-len(waiting) // self._at_once), MOST)
            if waiting[count:]:
                self._waiting[key] = waiting[count:]
            if not waiting:
                self._running[key] -= 1
                self._running += Counter()  # without those of which none runs
        if waiting:
            waiting[0].batch = waiting[:count]
            waiting[0].turn.set()


def _answer(batch: Sequence[_Asker[Argument, Answer]], call: Callable[[list[Argument]], list[Answer]]) -> None:
    """Give each its answer or its error."""
    try:
        for asker, answer in zip(batch, call([asker.argument for asker in batch]), strict=True):
            asker.answer = answer
    except BaseException as error:  # noqa: BLE001 (whose it is gets it)
        if len(batch) == 1:
            batch[0].error = error
        else:
            for asker in batch:
                _answer([asker], call)
