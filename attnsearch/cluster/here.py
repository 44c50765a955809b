"""local:N: a cluster of N processes on this machine, which end with this one."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from attnsearch.errors import CatalogError, first_line

log = logging.getLogger("attnsearch")

if TYPE_CHECKING:
    from distributed import LocalCluster

_POLL = 1.0  # how often Ctrl-C is looked for


def start_here(count: int) -> LocalCluster:
    """A cluster of so many processes on this machine.

    They are started by a thread that blocks Ctrl-C, as they do then: the terminal sends it to all of them, but to end
    them is on this process, which stops to wait for that thread at once.
    """
    import distributed

    log.info("starting %d processes", count)
    started: list[LocalCluster] = []
    failed: list[Exception] = []

    def start() -> None:
        sys.warnoptions.append("ignore:resource_tracker")  # it would tell of a process that was ended by Ctrl-C
        resource_tracker.ensure_running()  # which unblocks Ctrl-C, the first time
        sys.warnoptions.remove("ignore:resource_tracker")
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            cluster = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        except (OSError, RuntimeError, TimeoutError) as error:
            failed.append(error)
        else:
            started.append(cluster)

    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_POLL)
    except KeyboardInterrupt:
        _kill_children()  # one that has just been started would complain that this process is gone
        raise
    if not started:
        reason = first_line(failed[0]) if failed else "their thread ended"
        raise CatalogError(f"the processes did not start: {reason}", where=f"local:{count}", hint="ask again")
    return started[0]


def _kill_children() -> None:
    """Kill the processes that this one has started, but for the one that cleans up after it."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        if child.pid != getattr(resource_tracker._resource_tracker, "_pid", None):
            with suppress(psutil.Error):
                child.kill()
