"""The errors that users see, one class per exit code. Every folder raises them; `cli` turns them into one line."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

_LONGEST = 300  # characters of another program's message


class Exit(IntEnum):
    """The exit codes of the process."""

    DONE = 0
    EMPTY = 1  # nothing was found, or nothing that matches well, with --fail-empty
    USAGE = 2  # invalid command line or invalid input
    CATALOG = 3  # no such catalog, or it is stale, damaged, busy, or cannot be written
    MODEL = 4  # the model cannot be found, downloaded or trusted
    INTERNAL = 70  # an error that attnsearch does not know: a bug
    INTERRUPTED = 130


class AttnsearchError(Exception):
    """An error that the user can act on.

    `where` is a file, or file:line; `hint` says what to do. Together they make one line. `details` are lines below it.

    >>> str(InputError("id 'dune' was already used on line 4", where="x.yaml:12", hint="give it its own id"))
    "x.yaml:12: id 'dune' was already used on line 4; give it its own id"
    """

    code: ClassVar[Exit] = Exit.USAGE

    def __init__(self, message: str, *, where: str = "", hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = f"{where}: {message}" if where else message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


def first_line(error: object) -> str:
    """The first line of what another program says of an error, shortened; the name of its type if it says nothing."""
    return str(error).strip().partition("\n")[0][:_LONGEST] or type(error).__name__


class InputError(AttnsearchError):
    """Invalid input: a file, an option, a query."""


class ShapeError(InputError, ValueError):
    """Array axes disagree, or a query has no key to attend to."""


class CatalogError(AttnsearchError):
    """The catalog does not exist, or cannot be read or written in its present state."""

    code = Exit.CATALOG


class ModelError(AttnsearchError):
    """The model cannot be found, downloaded or trusted."""

    code = Exit.MODEL


class InternalError(AttnsearchError):
    """An error that is not ours: a bug. Only the boundary of the process makes it."""

    code = Exit.INTERNAL
