"""argv → a command → an exit code. Only here errors become exit codes.

help      the help of commands
defaults  defaults of options, from the environment and a file
command   a command and their group, as typer is to run them
app       the commands together
mistakes  what a wrong command line was meant to be
"""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from attnsearch.errors import AttnsearchError, Exit, InputError, InternalError


def run() -> NoReturn:
    """The process `attnsearch`: `main`, without what Python does for longer-lived programs at start and end."""
    gc.set_threshold(100_000)  # imports make many objects and little garbage
    _open_closed_streams()
    try:
        code = main()
    except KeyboardInterrupt:  # again, while the first was reported
        code = Exit.INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # `main` has reported it, if anyone reads
            stream.flush()
    os._exit(code)  # everything is closed and flushed; taking the interpreter apart costs a tenth of a query


def _open_closed_streams() -> None:
    """Put the null device in the place of each standard stream that is closed, before another file gets its number.

    Data must not vanish in silence: on stdout the device only reads, so that writing fails.
    """
    for name, mode, flags in (("stdin", "r", os.O_RDWR), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_RDWR)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, else that of the process, and return the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    # Starting a pool of BLAS threads takes longer than a single query takes without one.
    if "numpy" not in sys.modules:  # else there is one, and `threads` must know
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see `__main__`
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return _run_command(argv)
    except KeyboardInterrupt:
        _write_to_stderr("attnsearch: interrupted; all catalogs are intact\n")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough. Point stdout elsewhere, or Python complains when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except SystemExit as end:
        if end.code == 1:  # typer, for a completion that it can't do; the code means that nothing was found
            return Exit.USAGE
        raise
    except BaseException as problem:  # noqa: BLE001 (the one net; a library's panic is not even an Exception)
        return _fail(_error_of_ours(problem), argv)


# CPython keeps the frames of calls in chunks of 16 KiB. A loop whose calls cross the end of one maps and unmaps a chunk
# each time: nearly 2,000 times while numpy is imported at an unlucky depth, a tenth of a query. A frame that asks for
# 256 KiB gets a chunk with as much left over for the calls inside it; memory that nobody touches costs nothing.
main.__code__ = main.__code__.replace(co_stacksize=1 << 15)


def _run_command(argv: list[str]) -> int:
    """Run the command that `argv` names, or means without naming it, and return the exit code."""
    import typer

    from attnsearch.cli.app import COMMANDS, app_for
    from attnsearch.terminal import streams
    from attnsearch.terminal.argv import dashed_text, normalized, remember

    streams.prepare()
    if argv and argv[0] not in COMMANDS:
        from attnsearch.cli.mistakes import intended

        argv = intended(argv)
    if text := dashed_text(argv):
        from attnsearch.cli.mistakes import ambiguous_text

        return _fail(ambiguous_text(text, argv), argv)
    _keep_temporary_files_in_home()
    remember(argv)
    try:
        code = app_for(argv)(args=normalized(argv), prog_name="attnsearch", standalone_mode=False)
        sys.stdout.flush()
        if code == Exit.INTERRUPTED:
            raise KeyboardInterrupt
        return int(code or Exit.DONE)
    except typer.TyperException as problem:
        from attnsearch.cli.mistakes import usage_error

        return _fail(usage_error(problem, argv), argv)
    except streams.PipeClosedError:
        raise BrokenPipeError from None


def _keep_temporary_files_in_home() -> None:
    """Have SQLite create its temporary files in the home: they hold texts of items, and may be as large as these.

    SQLite reads the variable once, when it is imported. It chooses another folder if this one cannot be written to.
    """
    from attnsearch.storage.files import home_folder

    with suppress(AttnsearchError, OSError):  # each command that needs the home reports it
        os.environ.setdefault("SQLITE_TMPDIR", str(home_folder().absolute()))


def _fail(problem: AttnsearchError, argv: Sequence[str]) -> int:
    """Write the error to stderr and return its exit code."""
    from attnsearch.output.safe_text import error

    _write_to_stderr(error(problem, as_json=_wants_json(argv)))
    return problem.code


def _error_of_ours(problem: BaseException) -> AttnsearchError:
    """The error as users see it. For what nobody expected, the traceback is shown only to those who ask."""
    if isinstance(problem, AttnsearchError):
        return problem
    if isinstance(problem, OSError):
        nameless = "the working folder" if isinstance(problem, FileNotFoundError) else "the output"
        where = str(problem.filename) if problem.filename else nameless
        return InputError(problem.strerror or str(problem), where=where)
    if os.environ.get("ATTNSEARCH_DEBUG") == "1":
        import traceback

        _write_to_stderr("".join(traceback.format_exception(problem)))
    if isinstance(problem, MemoryError):
        return InternalError("there is not enough memory", hint="free some, or raise the limit of this process")
    message = f"internal error: {type(problem).__name__}: {problem}".removesuffix(": ")
    return InternalError(message, hint="please report it with the traceback that ATTNSEARCH_DEBUG=1 shows")


def _write_to_stderr(text: str) -> None:
    """Write to stderr; the exit code stays what it is even if that can't be written to."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _wants_json(argv: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, even one that can't be parsed."""
    if not {"--json", "--jsonl", "--format=json", "--format=jsonl"}.isdisjoint(argv):
        return True
    pairs = itertools.pairwise(argv)
    return any(option in ("-f", "--format") and value in ("json", "jsonl") for option, value in pairs)
