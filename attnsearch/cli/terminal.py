"""What the commands share: where output goes, what is said on stderr, and progress while something takes long."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attnsearch.errors import InputError
from attnsearch.output.safe_text import Screen, inert, short

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status

QUERY = 128 << 10  # bytes of a query on standard input; Linux lets an argument have as many
SOON = 0.5  # seconds of silence before progress is shown

log = logging.getLogger("attnsearch")


class PipeClosedError(Exception):
    """Whoever read our output has seen enough; by another name, since typer would exit with 1 for Python's own."""


def screen(*, color: bool = True, quiet: bool = False) -> Screen:
    """What stdout is."""
    is_terminal = sys.stdout.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Screen(
        width=shutil.get_terminal_size().columns if is_terminal else None,
        color=is_terminal and color and not plain,
        unicode=(sys.stdout.encoding or "").lower().startswith("utf"),
        quiet=quiet,
    )


def emit(parts: Iterable[str]) -> None:
    """Write to stdout, all of it or until the reader has gone."""
    for part in parts:
        _write(part)
    _write("", flush=True)


def _write(text: str, *, flush: bool = False) -> None:
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosedError from None
    except UnicodeEncodeError:
        hint = "set PYTHONIOENCODING=utf-8, or use --json"
        raise InputError(f"the output has characters that {sys.stdout.encoding} lacks", hint=hint) from None


def queries(texts: list[str]) -> Iterator[str]:
    """The queries of the command line; `-`, or nothing with a pipe on stdin, stands for its lines."""
    if not texts and sys.stdin.isatty():
        raise InputError("nothing to look for", hint='say what: attnsearch query "science fiction"')
    for text in texts or ["-"]:
        if text == "-":
            yield from _lines()
        else:
            yield text


def _lines() -> Iterator[str]:
    """The lines of stdin that say something."""
    number = 0
    while raw := sys.stdin.buffer.readline(QUERY + 1):
        number += 1
        where = f"standard input:{number}"
        if len(raw) > QUERY:
            raise InputError(f"a query of more than {QUERY >> 10} KiB", where=where, hint="write one on each line")
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError:
            raise InputError("not UTF-8", where=where) from None
        if line:
            yield line


class Working:
    """Shows, on a terminal's stderr, what takes long; on anything else only warnings, a line each."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.live = not quiet and sys.stderr.isatty()
        self.began = time.monotonic()
        self.shown: Status | Progress | None = None

    def say(self, words: str) -> None:
        """What begins now and may take a while."""
        if self.live:
            from rich.console import Console
            from rich.text import Text  # words alone would be read as markup

            self._show(Console(stderr=True).status(Text(inert(short(words)))))

    def progress(self, done: int, total: int | None) -> None:
        """Texts embedded so far, of `total`; or, without a total, items read."""
        self._advance(done, total, "reading" if total is None else "embedding", "items/s")

    def learning(self, done: int, total: int, curve: Sequence[float]) -> None:
        """Fits done so far, of `total`, and what each strength gained on held-out requests, from the strongest on."""
        so_far = " ".join(f"{gain:+.3f}".replace("0.", ".") for gain in curve)
        self._advance(done, total, f"learning; held-out nDCG {so_far or '…'}", "fits/s")

    def _advance(self, done: int, total: int | None, what: str, unit: str) -> None:
        if not self.live or time.monotonic() - self.began < SOON:
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

        bar = self.shown
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
        (task,) = bar.tasks
        if task.total is None and total is not None:
            bar.reset(task.id)
        rate = f"{task.speed:,.0f} {unit}" if task.speed else ""
        bar.update(task.id, completed=done, total=total, description=what, rate=rate)

    def warn(self, words: str) -> None:
        """A line that stays."""
        if not self.quiet:
            self.stop()
            sys.stderr.write(f"attnsearch: {inert(short(words))}\n")

    def _show(self, shown: Status | Progress) -> None:
        self.stop()
        self.shown = shown
        shown.start()

    def stop(self) -> None:
        """Take away what is shown."""
        if self.shown:
            self.shown.stop()
            self.shown = None


class _Handler(logging.Handler):
    def __init__(self, working: Working) -> None:
        super().__init__()
        self.working = working

    def emit(self, record: logging.LogRecord) -> None:
        tell = self.working.warn if record.levelno >= logging.WARNING else self.working.say
        tell(record.getMessage())


@contextmanager
def working(*, quiet: bool = False) -> Iterator[Working]:
    """Let the rooms' messages reach stderr while the body runs."""
    shown = Working(quiet=quiet)
    handler = _Handler(shown)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield shown
    finally:
        shown.stop()
        log.removeHandler(handler)
