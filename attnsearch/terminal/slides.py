"""Slides on a terminal: one, then a wait for Enter, then the next."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable

from attnsearch.terminal.streams import emit

_ERASE = "\x1b[A\x1b[2K\n"  # the line above, which becomes an empty one


def is_read_by_a_person() -> bool:
    """Whether a person sees the slides and can press Enter."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def turn(slides: Iterable[str], last: int) -> None:
    """Show slides until the last one, or until the person ends it: with q, Ctrl-D or Ctrl-C."""
    for number, slide in enumerate(slides, 1):
        emit([slide])
        if number < last and not _wants_next(f"{number} of {last}. Enter: go on, q: quit ", slide.count("\n")):
            return


def _wants_next(question: str, lines: int) -> bool:
    """Wait for a line below so many others; none at all, or one that begins with q, is the end."""
    has_room = lines + 2 <= shutil.get_terminal_size().lines
    sys.stderr.write("\n" * has_room + question)
    sys.stderr.flush()
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        line = ""
    if not line:
        sys.stderr.write("\n")
    wants_next = bool(line) and not line.strip().lower().startswith("q")
    if wants_next and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        sys.stderr.write(_ERASE if not has_room else _ERASE.removesuffix("\n"))
        sys.stderr.flush()
    return wants_next
