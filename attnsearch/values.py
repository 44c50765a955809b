"""The plain values that files hold, and what every reader of them refuses."""

from __future__ import annotations

from typing import Any

Value = Any  # str | int | float | bool | None | list[Value] | dict[str, Value]

DEPTH = 64  # containers inside one another
LONGEST_NUMBER = 1000  # digits


class Mapping(dict[str, Value]):
    """A mapping that knows the line on which it begins."""

    line: int = 0
