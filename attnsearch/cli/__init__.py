"""argv → one call → stdout and an exit code. The only room that prints, and the one boundary for errors."""

from __future__ import annotations

import gc
import itertools
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from attnsearch.errors import AttnsearchError, Exit, InputError


def run() -> NoReturn:
    """The process `attnsearch`: `main`, without what Python does for longer-lived programs at start and end."""
    gc.set_threshold(100_000)  # imports make many objects and little garbage
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is closed and flushed; taking the interpreter apart costs a tenth of a query


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`; the process's exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    # One query is too small for a pool of BLAS threads, which takes longer to start than to do without.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        import typer

        from attnsearch.cli import terminal
        from attnsearch.cli.app import app_for, explained
        from attnsearch.cli.argv import normalized

        try:
            code = app_for(argv)(args=normalized(argv), prog_name="attnsearch", standalone_mode=False)
            sys.stdout.flush()
            if code == Exit.INTERRUPTED:
                raise KeyboardInterrupt
            return int(code or Exit.DONE)
        except typer.TyperException as problem:
            return _fail(explained(problem, argv), argv)
        except terminal.PipeClosedError:
            raise BrokenPipeError from None
    except AttnsearchError as problem:
        return _fail(problem, argv)
    except KeyboardInterrupt:
        sys.stderr.write("attnsearch: interrupted; what was committed before is whole\n")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Point stdout elsewhere, or Python complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except OSError as problem:
        where = str(problem.filename) if problem.filename else "the output"
        return _fail(InputError(problem.strerror or str(problem), where=where), argv)


def _fail(problem: AttnsearchError, argv: Sequence[str]) -> int:
    from attnsearch.output.safe_text import error

    sys.stderr.write(error(problem, as_json=_wants_json(argv)))
    return problem.code


def _wants_json(argv: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, even one that can't be parsed."""
    told = {"--json", "--jsonl", "--format=json", "--format=jsonl"}
    if not told.isdisjoint(argv):
        return True
    return any(a in ("-f", "--format") and b in ("json", "jsonl") for a, b in itertools.pairwise(argv))
