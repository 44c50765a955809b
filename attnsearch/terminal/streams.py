"""stdout: what it can show, and writing to it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable

from attnsearch.errors import InputError
from attnsearch.output.safe_text import Screen


class PipeClosedError(Exception):
    """The reader of our output has gone. Not BrokenPipeError, for which typer would exit with 1."""


def screen(*, color: bool = True, quiet: bool = False) -> Screen:
    """Describe stdout: its width, colors and encoding."""
    is_terminal = sys.stdout.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Screen(
        width=shutil.get_terminal_size().columns if is_terminal else None,
        color=is_terminal and color and not plain,
        unicode=(sys.stdout.encoding or "").lower().startswith("utf"),
        quiet=quiet,
    )


def emit(parts: Iterable[str]) -> None:
    """Write to stdout, everything or until the reader has gone."""
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
        message = f"the output has characters that the encoding {sys.stdout.encoding} lacks"
        raise InputError(message, hint=hint) from None
