"""The signals that ask a process to end, and who answers them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from types import FrameType

Handler = Union["Callable[[int, FrameType | None], object]", signal.Handlers]


def replace_handler(handler: Handler, new_handler: Handler) -> None:
    """Replace the handler of the signals that end a process, where it is this one; only the main thread may."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) is handler:
                signal.signal(number, new_handler)
