"""The words for failure: one class per exit code. Every room raises them; `cli` alone catches them."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """What the process returns, and what each number promises."""

    DONE = 0
    EMPTY = 1  # nothing found, only where --fail-empty asks for it
    USAGE = 2  # a wrong word on the command line, or input that can't be read
    CATALOG = 3  # no such catalog, or it is stale, damaged, busy or can't be written
    MODEL = 4  # the encoder is not to be had
    INTERRUPTED = 130


class AttnsearchError(Exception):
    """A failure that a person can act on.

    `where` is a file, or file:line; `hint` says what to do. Together they make one line.

    >>> str(InputError("id 'dune' was already used on line 4", where="x.yaml:12", hint="give it its own id"))
    "x.yaml:12: id 'dune' was already used on line 4; give it its own id"
    """

    code: ClassVar[Exit] = Exit.USAGE

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = f"{where}: {message}" if where else message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class InputError(AttnsearchError):
    """Something that came in can't be used: a file, an option, a query."""


class ShapeError(InputError, ValueError):
    """Arrays whose axes disagree, or a query with no key to attend to."""


class CatalogError(AttnsearchError):
    """The catalog is not there, or not in a state to be answered from or written to."""

    code = Exit.CATALOG


class ModelError(AttnsearchError):
    """The encoder can't be found, fetched or trusted."""

    code = Exit.MODEL
