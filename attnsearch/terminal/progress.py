"""stderr while a command works: the present task and its progress on a terminal, else only warnings."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from attnsearch.output.safe_text import hide_passwords, inert, short
from attnsearch.terminal.signals import replace_handler

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress
    from rich.status import Status

SOON = 0.5  # seconds of silence before progress is shown
MOST_LINES = 10_000  # of a log that wait for stderr

log = logging.getLogger("attnsearch")


class Working:
    """What stderr shows: on a terminal, the present task and its progress; elsewhere only warnings, a line each."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.is_live = not quiet and sys.stderr.isatty()
        self.start = time.monotonic()
        self.display: Status | Progress | None = None

    def announce(self, task: str) -> None:
        """Show what begins now and may take a while."""
        if self.is_live:
            from rich.console import Console
            from rich.text import Text  # a plain string would be read as markup

            self._show(Console(stderr=True).status(Text(inert(short(task)))))

    def progress(self, done: int, total: int | None) -> None:
        """Show how many texts of `total` are embedded; without a total, how many items are read."""
        self._advance(done, total, "reading" if total is None else "embedding", "items/s")

    def comparing(self, done: int, total: int) -> None:
        """Show how many pairs of items of `total` are compared."""
        self._advance(done, total, "comparing", "pairs/s")

    def publishing(self, done: int, total: int) -> None:
        """Show how many segments of `total` are written."""
        self._advance(done, total, "publishing", "segments/s")

    def learning(self, done: int, total: int, curve: Sequence[float]) -> None:
        """Show how many fits of `total` are done, and the gain on held-out requests by strength, strongest first."""
        gains = " ".join(f"{gain:+.3f}".replace("0.", ".") for gain in curve)
        self._advance(done, total, f"learning; held-out nDCG {gains or '…'}", "fits/s")

    def _advance(self, done: int, total: int | None, task: str, unit: str) -> None:
        if not self.is_live or time.monotonic() - self.start < SOON:
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = self.display
        if not isinstance(bar, Progress):
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
            )
            bar = Progress(*columns, console=Console(stderr=True), transient=True)
            bar.add_task("", total=total, rate="")
            self._show(bar)
        (row,) = bar.tasks
        if row.total is None and total is not None:
            bar.reset(row.id)
        rate = f"{row.speed:,.0f} {unit}" if row.speed else ""
        bar.update(row.id, completed=done, total=total, description=task, rate=rate)

    def warn(self, message: str) -> None:
        """Write a line that stays."""
        if not self.quiet:
            self.stop()
            with suppress(OSError):  # a warning that nobody can read must not end the command
                sys.stderr.write(f"attnsearch: {inert(short(hide_passwords(message)))}\n")

    def _show(self, display: Status | Progress) -> None:
        self.stop()
        replace_handler(signal.SIG_DFL, _show_cursor_and_die)
        self.display = display
        try:
            display.start()
        except RuntimeError:  # the system starts no more threads, and one draws it
            self.is_live = False
            self.stop()

    def stop(self) -> None:
        """Remove what is shown."""
        if self.display:
            self.display.stop()
            self.display = None
            replace_handler(_show_cursor_and_die, signal.SIG_DFL)


def _show_cursor_and_die(number: int, _frame: FrameType | None) -> None:
    """Leave the terminal as it was: a live display hides the cursor. Then the signal ends us, as it would have."""
    with suppress(OSError):  # SIGHUP: the terminal may be gone
        os.write(2, b"\r\x1b[K\x1b[?25h")
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


class Lines:
    """A log on stderr, a line at a time. Whoever writes never waits: what nobody reads for long is dropped."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES)
        self._stream: TextIO = sys.stderr
        self._shared = self._stream
        with suppress(OSError, ValueError, AttributeError):  # a stream without a descriptor
            own = os.dup(sys.stderr.fileno())  # the descriptor itself is silenced while a model is loaded
            self._stream = os.fdopen(own, "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors)
        self._writer = threading.Thread(target=self._write_all, name="attnsearch-log", daemon=True)
        self._writer.start()

    def write(self, line: str) -> None:
        """Write a line, soon."""
        if not self._quiet:
            with suppress(queue.Full):
                self._lines.put_nowait(line)

    def close(self) -> None:
        """Write what is left, if that is possible at once."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
            self._writer.join(SOON)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(OSError, ValueError):  # a full disk, a reader that has gone, a stream that is closed
                self._stream.write(f"{inert(line)}\n")
                self._stream.flush()
        if self._stream is not self._shared:
            with suppress(OSError):
                self._stream.close()


class _Handler(logging.Handler):
    def __init__(self, working: Working) -> None:
        super().__init__()
        self.working = working

    def emit(self, record: logging.LogRecord) -> None:
        show = self.working.warn if record.levelno >= logging.WARNING else self.working.announce
        show(record.getMessage())


@contextmanager
def working(*, quiet: bool = False) -> Iterator[Working]:
    """Show on stderr what the package logs while the body runs."""
    display = Working(quiet=quiet)
    handler = _Handler(display)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield display
    finally:
        display.stop()
        log.removeHandler(handler)
