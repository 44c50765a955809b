"""Slides on a terminal: one, then a wait for Enter, then the next."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from attnsearch.terminal.streams import emit


def is_read_by_a_person() -> bool:
    """Whether a person sees the slides and can press Enter."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def turn(slides: Iterable[str], last: int) -> None:
    """Show slides until the last one, or until the person ends it: with q, Ctrl-D or Ctrl-C."""
    for number, slide in enumerate(slides, 1):
        emit([slide])
        if number < last and not _wants_next(number, last):
            return


def _wants_next(number: int, last: int) -> bool:
    """Wait for a line; none at all, or one that begins with q, is the end."""
    sys.stderr.write(f"\n{number} of {last}. Enter: go on, q: quit ")
    sys.stderr.flush()
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        line = ""
    if not line:
        sys.stderr.write("\n")
    return bool(line) and not line.strip().lower().startswith("q")
