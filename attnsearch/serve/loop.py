"""What the server's event loop needs: enough files, and a log of its faults."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

FILES = 1_024  # open at once: connections, ten of each open catalog, and some hundred more

_LONGEST = 200  # characters of a fault in the log


def allow_files() -> None:
    """Let the process open FILES files, if the system allows it: asyncio spins when a connection gets none."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Faults:
    """Faults of the loop → lines of the log; the same fault at most once a second."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._times: dict[str, float] = {}

    def note(self, _: Any, context: dict[str, Any]) -> None:
        """Log a fault; asyncio calls this."""
        message, now = context["message"][:_LONGEST], time.monotonic()
        if now - self._times.get(message, -math.inf) >= 1:
            self._times = {message: now}
            self._log(f"internal error: {message}")
