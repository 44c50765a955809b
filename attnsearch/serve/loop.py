"""What the event loop of a server needs: files, and someone who hears of its faults."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

FILES = 1_024  # open at once: connections, ten of each open catalog, and some hundred more

_LONGEST = 200  # characters of a fault in the log


def allow_files() -> None:
    """Let the process have FILES open, if the system may: asyncio that has none left for a connection spins."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Faults:
    """What goes wrong in the loop → lines of the log; what is noted already, not again within a second."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._times: dict[str, float] = {}

    def note(self, _: Any, context: dict[str, Any]) -> None:
        """Log what a loop says of a fault."""
        message, now = context["message"][:_LONGEST], time.monotonic()
        if now - self._times.get(message, -math.inf) >= 1:
            self._times = {message: now}
            self._log(f"internal error: {message}")
