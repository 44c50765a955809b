"""The plain values that files hold, and what every reader of them refuses."""

from __future__ import annotations

from typing import Any

from attnsearch.errors import InputError

Value = Any  # str | int | float | bool | None | list[Value] | dict[str, Value]

DEPTH = 64  # containers inside one another
LONGEST_NUMBER = 1000  # digits
PARTS = 1_000_000  # keys, values and ends of containers in one document, or on one line of JSONL


class Mapping(dict[str, Value]):
    """A mapping that knows the line on which it begins, where its reader told it."""

    __slots__ = ("line",)  # a file can have a million of them
    line: int


def check_text(text: str, what: str) -> None:
    """InputError for half of a surrogate pair: no file, no terminal and no JSON could hold it."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{what} is not valid UTF-8")
