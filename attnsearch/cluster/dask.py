"""An address → a Dask cluster that does tasks, under a deadline.

Dask waits without end for a scheduler's workers, warns of other versions and goes on, and loses what was scattered. So
each wait here has an end, versions are compared before the first task, and tasks name what is read again from files:
a task whose worker dies is done by another one. https://distributed.dask.org
"""

from __future__ import annotations

import itertools
import logging
import platform
import re
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

from attnsearch.cluster import part
from attnsearch.cluster.address import DEADLINE, check_address, find_scheduler, open_client
from attnsearch.cluster.here import start_here
from attnsearch.cluster.packing import Record
from attnsearch.cluster.placement import choose_workers
from attnsearch.errors import AttnsearchError, CatalogError, InputError, first_line

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT = 10.0  # seconds until a scheduler answers
WORKERS = 30.0  # until it has a worker; and while tasks wait, how long it may have none
STALLED = 600.0  # between two answers of a stream
LATE = "start more workers, or raise --timeout"

_LONGEST = 1e8  # of a wait: Python refuses much longer ones
_POLL = 1.0  # how often a wait looks whether there are workers still
_MAPPED = 3  # of a worker's memory limit, one in so many bytes may be mapped
_AHEAD = 2  # tasks of a stream that a worker has: while it does one, the next is on its way
_SHOWN = 3  # workers that a message names
_LOST = "the connection to the scheduler is lost"
_START = "start one: 'dask scheduler', then 'dask worker ADDRESS' on each machine"
_JOIN = "start them: 'dask worker ADDRESS' on each machine"
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")

log = logging.getLogger("attnsearch")


class Cluster:
    """A Dask cluster: its scheduler, and whatever workers that has.

    `address` is tcp://HOST:PORT or tls://HOST:PORT of a scheduler; `dask:`, the one of Dask's own configuration; or
    local:N, N processes on this machine, as long as the cluster is open. TLS is as Dask's configuration has it. `again`
    is the hint after what may have been a chance fault, `late` the one after a deadline.

    Raises InputError for another address, without Dask, and for workers with other versions; CatalogError if no
    scheduler answers, or if it has no workers.
    """

    def __init__(self, address: str, *, deadline: float = DEADLINE, again: str = "ask again", late: str = LATE) -> None:
        self._address, self._deadline, self._again, self._late = address, deadline, again, late
        check_address(address)
        log.info("connecting to the workers of %s", address)
        with ExitStack() as opened:
            self._client = self._connect(opened)
            self._compare_versions(self._wait_for_workers(WORKERS))
            self._opened = opened.pop_all()

    @property
    def is_lost(self) -> bool:
        """Whether the connection to the scheduler has ended."""
        return bool(self._client.status != "running")

    def ask(self, tasks: Sequence[Record]) -> list[Record]:
        """The answer to each of the tasks, for any thread. Raises CatalogError if it doesn't come, or not in time."""
        try:
            return self._ask(tasks) if tasks else []
        except Exception as error:  # whatever Dask's client raises that was closed meanwhile
            if isinstance(error, AttnsearchError) or not self.is_lost:
                raise
            raise self._refuse(_LOST) from None

    def _ask(self, tasks: Sequence[Record]) -> list[Record]:
        end = time.monotonic() + self._deadline
        threads = self._wait_for_workers(min(WORKERS, self._deadline))
        homes = choose_workers(tasks, threads)
        mapped = self._choose_mapped()
        futures: dict[int, Future[Record]] = {}
        try:
            for worker in dict.fromkeys(homes):
                numbers = [number for number, home in enumerate(homes) if home == worker]
                sent = self._client.map(
                    part.answer,
                    [{**tasks[number], "mapped": mapped} for number in numbers],
                    workers=[worker],
                    allow_other_workers=True,
                    pure=False,
                    retries=2,
                )
                futures |= zip(numbers, sent, strict=True)
            in_order = [futures[number] for number in range(len(tasks))]
            self._wait(in_order, tasks, end)
            answers = list(self._call(self._client._gather, in_order, seconds=end - time.monotonic()))
        finally:
            self._cancel(futures.values())
        with suppress(CatalogError):  # the answer is complete
            self._warn_of_losses(homes, len(threads))
        return answers

    def stream(
        self, function: Callable[[Record], Record], tasks: Iterator[Record], describe: Callable[[Record], str]
    ) -> Generator[tuple[int, Record], None, None]:
        """The number of each of the tasks, as they get done by a function, and its answer.

        `_AHEAD` tasks a worker are drawn ahead; `describe` says what a task's worker did. Raises CatalogError if there
        is no answer for `STALLED` seconds, or no worker.
        """
        import distributed

        numbered = enumerate(tasks)
        futures: dict[Future[Record], tuple[int, Record]] = {}
        since = time.monotonic()
        try:
            while True:
                free = _AHEAD * len(self._wait_for_workers(WORKERS)) - len(futures)
                for number, task in itertools.islice(numbered, max(free, 0)):
                    future = self._client.submit(function, task, pure=False, retries=2)
                    futures[future] = number, task
                if not futures:
                    return
                with suppress(TimeoutError), self._client.as_current():
                    distributed.wait([*futures], timeout=_POLL, return_when="FIRST_COMPLETED")
                done = [future for future in futures if future.status != "pending"]
                if not done and time.monotonic() - since > STALLED:
                    raise self._refuse(f"no worker finished anything within {STALLED:.0f} s")
                for future in done:
                    if future.status == "error":
                        raise self._explain([future], describe(futures[future][1]))
                answers = self._call(self._client._gather, done, seconds=STALLED) if done else []
                for future, answered in zip(done, answers, strict=True):
                    yield futures.pop(future)[0], answered
                    since = time.monotonic()
        except distributed.CancelledError:
            raise self._refuse(_LOST) from None
        finally:
            self._cancel(futures)

    def close(self) -> None:
        """Let go of the cluster; end the processes of local:N."""
        self._opened.close()

    def _connect(self, opened: ExitStack) -> Client:
        import dask
        import distributed

        for name in _LOGGERS:  # what matters is in our errors
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        settings = {
            "distributed.admin.large-graph-warning-threshold": "1 TiB",  # masks and biases
            "distributed.nanny.pre-spawn-environ": {},  # which would stay in this process
            "distributed.worker.profile.enabled": False,  # of local:N; it and the next ones take 3% of a processor each
            "distributed.admin.tick.interval": "1s",
            "distributed.admin.system-monitor.interval": "5s",
        }
        opened.enter_context(dask.config.set(settings))
        target: Any = self._address
        if number := re.fullmatch(r"local:(\d+)", self._address):
            target = start_here(int(number[1]))
            opened.callback(target.close, timeout=CONNECT)
        elif self._address == "dask:":
            target = find_scheduler(*(dask.config.get(f"scheduler-{name}", None) for name in ("address", "file")))
        is_tls = isinstance(target, str) and target.startswith("tls://")
        if is_tls and distributed.Security().get_connection_args("client").get("ssl_context") is None:
            hint = "set distributed.comm.tls: https://distributed.dask.org/en/stable/tls.html"
            raise InputError("Dask's configuration names no certificates", where=self._address, hint=hint)
        try:
            client = open_client(target, CONNECT)
        except Exception as error:  # noqa: BLE001 (of any kind, if what answers is a web server, say)
            raise self._refuse(f"no Dask scheduler answers: {first_line(error)}", _START) from None
        opened.callback(client.close, timeout=_POLL)
        return client

    def _call(self, function: Callable[..., Awaitable[Any]], *arguments: Any, seconds: float, **options: Any) -> Any:
        """What a coroutine of Dask's returns. Raises CatalogError if the scheduler is gone, or late."""
        import distributed

        if self.is_lost:
            raise self._refuse(_LOST)
        try:
            return self._client.sync(
                function, *arguments, callback_timeout=min(max(seconds, 0.001), _LONGEST), **options
            )
        except TimeoutError:
            raise self._refuse(f"the scheduler did not answer within {seconds:g} s") from None
        except (OSError, RuntimeError, distributed.CancelledError):
            raise self._refuse(_LOST) from None
        except Exception as error:  # noqa: BLE001 (of any kind, if it can't be unpickled here)
            raise self._refuse(f"what a worker sent can't be read: {first_line(error)}") from None

    def _cancel(self, futures: Iterable[Future[Record]]) -> None:
        """Let go of those futures that are not done."""
        pending = [future for future in futures if future.status == "pending"]
        if pending and not self.is_lost:
            with suppress(CatalogError):
                self._call(self._client._cancel, pending, seconds=_POLL)

    def _threads(self) -> Mapping[str, int]:
        """The workers, by their addresses, and how many threads each has."""
        return dict(self._call(self._client.scheduler.ncores, seconds=min(CONNECT, self._deadline)))

    def _choose_mapped(self) -> int | None:
        """How many bytes a worker may keep mapped; None for any number.

        Mapped pages count as its memory, and a nanny ends a worker that has more of that than its limit.
        """
        seconds = min(CONNECT, self._deadline)
        workers = self._call(self._client.scheduler.identity, n_workers=-1, seconds=seconds)["workers"].values()
        limits = [int(limit) for worker in workers if (limit := worker.get("memory_limit"))]
        return min(limits) // _MAPPED if limits else None

    def _wait_for_workers(self, seconds: float) -> Mapping[str, int]:
        end = time.monotonic() + seconds
        while not (threads := self._threads()):
            if time.monotonic() > end:
                raise self._refuse("the scheduler has no workers", _JOIN)
            time.sleep(_POLL / 10)
        return threads

    def _wait(self, futures: Sequence[Future[Record]], tasks: Sequence[Record], end: float) -> None:
        """Wait until all are done. Raises CatalogError if they don't get done."""
        import distributed

        alone_since = None
        while True:
            left = end - time.monotonic()
            try:
                with self._client.as_current():
                    distributed.wait(futures, timeout=max(min(left, _POLL), 0.001))
                break
            except distributed.CancelledError:
                raise self._refuse(_LOST) from None
            except TimeoutError:
                if left <= 0:
                    done = sum(future.status == "finished" for future in futures)
                    message = f"{done} of {len(futures)} parts were answered within {self._deadline:g} s"
                    raise self._refuse(message, self._late) from None
                if any(future.status == "error" for future in futures):
                    time.sleep(_POLL / 10)  # several may fail together
                    break
            now = time.monotonic()
            alone_since = None if self._threads() else alone_since or now
            if alone_since is not None and now - alone_since > WORKERS:
                raise self._refuse("the scheduler has no workers any more", _JOIN)
        failed = {future: task for future, task in zip(futures, tasks, strict=True) if future.status == "error"}
        if failed:
            files = list(dict.fromkeys(piece["file"] for task in failed.values() for piece in task["pieces"]))
            rest = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
            raise self._explain([*failed], f"read {', '.join(files[:_SHOWN])}{rest}")

    def _explain(self, failed: Sequence[Future[Record]], work: str) -> CatalogError:
        """The error for tasks that failed, whose workers did this work."""
        import distributed

        errors = [self._call(future._exception, seconds=CONNECT) for future in failed]
        if any(isinstance(error, distributed.KilledWorker) for error in errors):
            hint = "start workers with more memory, or with --memory-limit 0: mapped files count as memory"
            return self._refuse(f"every worker that {work} was killed", hint)
        return self._refuse(f"a worker failed: {type(errors[0]).__name__}: {first_line(errors[0])}")

    def _warn_of_losses(self, homes: Sequence[str], workers: int) -> None:
        """Say how many of the workers are gone that were the tasks' `homes`; others have done their tasks."""
        if lost := {*homes} - {*self._threads()}:
            again = f"others read {sum(home in lost for home in homes)} of {len(homes)} parts again"
            log.warning("%s: %d of %d workers died; %s", self._address, len(lost), workers, again)

    def _compare_versions(self, threads: Mapping[str, int]) -> None:
        """Raise InputError if a worker's versions are others than those here, or if it has no attnsearch."""
        replies = self._call(self._client._run, part.describe, on_error="return", seconds=CONNECT)
        known = {worker: replies[worker] for worker in threads if isinstance(replies.get(worker), dict)}
        others = part.find_others(known | self._ask_versions([worker for worker in threads if worker not in known]))
        if others:
            message, hint = f"{len(others)} of {len(threads)} workers have other versions", "install there what is here"
            raise part.VersionsError(message, where=self._address, hint=hint, details=part.tabulate_versions(others))

    def _ask_versions(self, workers: Sequence[str]) -> dict[str, Record]:
        """What Python itself knows of the versions on workers whose attnsearch does not."""
        versions: dict[str, Record] = {worker: {} for worker in workers}
        known = [("attnsearch", metadata.version, ["attnsearch"]), ("Python", platform.python_version, []),
                 ("numpy", metadata.version, ["numpy"])]  # fmt: skip
        for name, function, arguments in known if workers else ():
            ask = partial(self._client._run, workers=[*workers], on_error="return")
            for worker, version in self._call(ask, function, *arguments, seconds=CONNECT).items():
                if isinstance(version, str):
                    versions[worker][name] = version if name == "attnsearch" else part.shorten_version(version)
        return versions

    def _refuse(self, message: str, hint: str = "") -> CatalogError:
        return CatalogError(message, where=self._address, hint=hint or self._again)
