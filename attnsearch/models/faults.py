"""Whatever a library does with a model's files → a ModelError, and nothing on stderr beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attnsearch.errors import ModelError, first_line

_STDERR = 2


@contextmanager
def model_errors(what: str, where: str) -> Iterator[None]:
    """Turn whatever a library raises into a ModelError: a model's files may hold anything, and cause any error.

    A panic in Rust is a BaseException.
    """
    try:
        yield
    except (ModelError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise ModelError(f"{what}: {first_line(error)}", where=where) from error


class _Silence:
    """Stderr points to nowhere from the first thread that enters to the last that leaves.

    Rust writes a panic's text there itself, before Python knows of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._stderr: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                with suppress(OSError):  # stderr may be closed
                    self._stderr = os.dup(_STDERR)
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, _STDERR)
                    os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._stderr is not None:
                os.dup2(self._stderr, _STDERR)
                os.close(self._stderr)
                self._stderr = None


SILENCE = _Silence()
