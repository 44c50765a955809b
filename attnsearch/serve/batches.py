"""Requests that wait at the same time → one call that answers all of them: eight take as long as three alone.

A request that finds nobody before it is answered at once, alone. Those that come meanwhile wait for it, and then the
first of them answers all that wait by then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

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
    """Joins calls of threads. Those with the same key must be free to be one; of these, one runs at a time."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[_Asker[Argument, Answer]]] = {}  # by the keys of which a call runs
        self._lock = threading.Lock()

    def ask(self, key: Hashable, argument: Argument, call: Callable[[list[Argument]], list[Answer]]) -> Answer:
        """The answer to an argument, of which `call` answers several, in their order.

        Where it raises an error, each is answered alone: so the error of one is nobody else's.
        """
        asker: _Asker[Argument, Answer] = _Asker(argument)
        with self._lock:
            if key in self._waiting:
                self._waiting[key].append(asker)
            else:
                self._waiting[key] = []
                asker.batch = [asker]
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
        """Let the first of those that wait answer them all."""
        with self._lock:
            waiting = self._waiting.pop(key)
            if waiting:
                self._waiting[key] = waiting[MOST:]
        if waiting:
            waiting[0].batch = waiting[:MOST]
            waiting[0].turn.set()


def _answer(batch: Sequence[_Asker[Argument, Answer]], call: Callable[[list[Argument]], list[Answer]]) -> None:
    """Give each its answer, or its own error."""
    try:
        for asker, answer in zip(batch, call([asker.argument for asker in batch]), strict=True):
            asker.answer = answer
    except BaseException as error:  # noqa: BLE001 (whose it is gets it)
        if len(batch) == 1:
            batch[0].error = error
        else:
            for asker in batch:
                _answer([asker], call)
