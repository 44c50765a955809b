"""stdout, or the file in its place: what it can show, and writing to it. What an encoding lacks is replaced."""

from __future__ import annotations

import codecs
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NoReturn

from attnsearch.errors import InputError
from attnsearch.output.safe_text import PIPE, WIDTH, Screen, inert, simplified
from attnsearch.terminal.environment import count_colors, is_light, shows_links, wants_color
from attnsearch.terminal.signals import replace_handler

if TYPE_CHECKING:
    from types import FrameType

WIDEST = 10_000  # cells of a table, whatever COLUMNS says

_SIMPLIFIED = "attnsearch.simplified"  # the name of an error handler of codecs
_UNCHOSEN = ("strict", "surrogateescape", "backslashreplace")  # error handlers that Python itself sets
_WIDTHS = ("COLUMNS", "LINES", "TERMINAL_WIDTH")
_DESCRIPTOR = r"(/dev|/proc/self)/fd/\d{1,4}"
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}

When = Literal["auto", "always", "never"]

WRITTEN = ("out", "save")  # parameters of commands that name a file to be written

used = threading.Event()
"""Set as soon as a command has written to stdout or read stdin, which it can do only once."""


class PipeClosedError(Exception):
    """The reader of our output has gone. Not BrokenPipeError, for which typer would exit with 1."""


def prepare() -> None:
    """Let stdout and stderr replace what their encodings lack, unless PYTHONIOENCODING names a way to.

    Variables that libraries would read as a width, and fail, are dropped.
    """
    codecs.register_error(_SIMPLIFIED, _simplify)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors in _UNCHOSEN:
            try:
                "…\n".encode(stream.encoding, _SIMPLIFIED)
            except UnicodeError:  # idna and the like are for names, not for text
                stream.reconfigure(encoding="utf-8")
            stream.reconfigure(errors=_SIMPLIFIED)
    for name in _WIDTHS:
        width = os.environ.get(name, "1")
        if not (width.isascii() and width.isdecimal() and len(width) < 10 and int(width)):
            del os.environ[name]


def _simplify(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, start, end = error.object, error.start, error.end
    return simplified(text[start:end], before=text[max(start - 1, 0) : start], after=text[end : end + 1]), end


def screen(*, color: When = "auto", quiet: bool = False, out: str | None = None) -> Screen:
    """Describe where output goes, stdout or the file `out`: its width, colors and encoding."""
    is_terminal = out is None and sys.stdout.isatty()
    has_color = color == "always" or (color == "auto" and out is None and wants_color(is_terminal=is_terminal))
    colors = count_colors() if has_color else 0
    return Screen(
        width=_width(is_terminal=is_terminal),
        colors=colors,
        unicode=out is not None or (sys.stdout.encoding or "").lower().startswith("utf"),
        quiet=quiet,
        is_terminal=is_terminal,
        links=has_color and shows_links(is_terminal=is_terminal),
        is_light=is_light(),
    )


def _width(*, is_terminal: bool) -> int:
    """$COLUMNS, which `prepare` has checked, else the terminal's width, else `WIDTH`."""
    if is_terminal or "COLUMNS" in os.environ:
        return min(max(shutil.get_terminal_size((WIDTH, 24)).columns, 1), WIDEST)
    return WIDTH


def emit(parts: Iterable[str], out: str | None = None, *, exact: bool = False) -> None:
    """Write everything to stdout, or until the reader has gone; or to the file `out`, which changes only at the end.

    With `exact`, what the encoding of stdout lacks is an InputError: a program would take a replacement for the value.
    """
    if out is not None:
        _write_file((part.encode() for part in parts), out)
        return
    for part in parts:
        if exact and getattr(sys.stdout, "errors", None) == _SIMPLIFIED:
            _check_encoding(part)
        used.set()
        try:
            sys.stdout.write(part)
        except BrokenPipeError:
            raise PipeClosedError from None
    flush()


def emit_bytes(parts: Iterable[bytes], out: str | None = None) -> None:
    """Write bytes, as `emit` writes text."""
    if out is not None:
        _write_file(parts, out)
        return
    for part in parts:
        used.set()
        try:
            sys.stdout.buffer.write(part)
        except BrokenPipeError:
            raise PipeClosedError from None
    flush()


def as_line(sentence: str, out: str | None = None) -> str:
    """A sentence as a line; on a terminal, in lines that fit the window."""
    from attnsearch.output.table import wrap

    window = screen(out=out)
    return wrap(inert(sentence), window if window.is_terminal else PIPE)


def confirm(question: str) -> bool:
    """Ask a person, on stderr; True if none is there, since a script means what it says."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    sys.stderr.write(f"{inert(question)}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def flush() -> None:
    """Hand over what was written to stdout."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosedError from None


def _check_encoding(text: str) -> None:
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError as error:
        message = f"the encoding {sys.stdout.encoding} lacks {error.object[error.start]!a}, which the output has"
        raise InputError(message, hint="write UTF-8 to a file: -o FILE; or set PYTHONIOENCODING=utf-8") from None


def check_destination(out: str | None) -> str | None:
    """The file of --out, before anything is done for it; None for `-`, which is stdout.

    Raises InputError if it is a folder, or can't be written.
    """
    if out is None or out == "-":
        return None
    target = _resolve(out)
    if target is not None:
        if target.is_dir():
            raise InputError("is a folder", where=out or "''", hint="name a file in it")
        if out.endswith(os.sep):
            raise InputError("there is no such folder", where=out, hint="create it, and name a file in it")
        if not target.parent.is_dir():
            folder = target.parent if Path(out).is_symlink() else Path(out).parent
            raise InputError("there is no such folder", where=str(folder), hint="create it first")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InputError("can't be written: Permission denied", where=out)
    return out


def refuse_input(out: str | None, parameters: Mapping[str, object]) -> None:
    """Raise InputError if a file to be written is stdin, or one that the command's other parameters name."""
    if out is None or not Path(out).is_file():
        return
    with suppress(OSError, ValueError):  # stdin has no descriptor
        if os.path.samestat(os.fstat(sys.stdin.fileno()), Path(out).stat()):
            raise InputError("is read by this command", where=out, hint="write to another file")
    for name, value in parameters.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            with suppress(OSError, ValueError):  # no such file, or a text that can't be the name of one
                if name not in WRITTEN and isinstance(part, (str, Path)) and Path(part).samefile(out):
                    raise InputError("is read by this command", where=out, hint="write to another file")


def _write_file(parts: Iterable[bytes], out: str) -> None:
    """Write a file, which replaces the old one at the end; anything but a regular file is written in place."""
    with ExitStack() as stack:
        stack.enter_context(_unwinding())
        with _naming(out):
            file = stack.enter_context(_open(out))
        for part in parts:
            with _naming(out):
                file.write(part)
        with _naming(out):
            stack.close()


def _open(out: str) -> AbstractContextManager[BinaryIO]:
    target = _resolve(out)
    if target is None:
        return os.fdopen(os.dup(_STANDARD.get(out) or int(Path(out).name)), "wb")
    if target.exists() and not target.is_file():
        return target.open("wb")
    from attnsearch.storage.files import replacing

    return replacing(target)


def _resolve(out: str) -> Path | None:
    """The file that links lead to; None for one of our own descriptors, which a path can't stand for."""
    if re.fullmatch(_DESCRIPTOR, out) or out in _STANDARD:
        return None
    try:
        return Path(os.path.realpath(out))
    except ValueError:  # a NUL, or half a character
        raise InputError("is no file's name", where=out) from None


def claim_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """stdin and stdout for a protocol: from now on nothing else in this process reads or writes them.

    What a library prints goes to stderr.
    """
    sys.stdout.flush()
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return source, sink


@contextmanager
def _unwinding() -> Iterator[None]:
    """End by SystemExit on a signal that asks to end, so that nothing half-written stays in a folder of the user's."""
    replace_handler(signal.SIG_DFL, _unwind)
    try:
        yield
    finally:
        replace_handler(_unwind, signal.SIG_DFL)


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _naming(out: str) -> Iterator[None]:
    """Turn the system's refusal to write into an InputError that names the file."""
    try:
        yield
    except BrokenPipeError:
        raise PipeClosedError from None
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror or error}", where=out) from None
