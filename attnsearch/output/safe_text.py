"""Words and values → text that can't act on a terminal: one line of a message, JSON, a cell."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from attnsearch.errors import AttnsearchError

FORMATS = ("table", "json", "jsonl", "csv", "tsv", "md")  # of results

_STRIP = 1 << 20  # characters escaped at once: each that must be takes the memory of fifty
_LINE = 1000  # characters at most of a message, or of a hint
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Screen(NamedTuple):
    """What the output goes to. `width` in cells, None where it is no terminal and nothing is to be cut."""

    width: int | None = None
    color: bool = False
    unicode: bool = True
    quiet: bool = False


PIPE = Screen()


def to_json(value: Any, screen: Screen = PIPE, *, indent: int | None = None) -> str:
    """One JSON text and a line end; what could act on a terminal is escaped, so the data is whole and inert."""
    text = json.dumps(value, ensure_ascii=not screen.unicode, allow_nan=False, indent=indent)
    strips = (text[at : at + _STRIP] for at in range(0, len(text), _STRIP))
    return "".join(_UNSAFE.sub(_coded, strip) for strip in strips) + "\n"


def _coded(found: re.Match[str]) -> str:
    return found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}"


def error(problem: AttnsearchError, *, as_json: bool = False) -> str:
    """One line on what went wrong and what to do; as JSON: {"error": {"code", "message", "hint"}}."""
    message, hint = short(problem.message), short(problem.hint)
    if as_json:
        return to_json({"error": {"code": int(problem.code), "message": message, "hint": hint}})
    return f"attnsearch: {inert(f'{message}; {hint}' if hint else message)}\n"


def short(text: str) -> str:
    """The text as far as it can be a message: a key or a tag that is told of may have a million characters."""
    return text if len(text) <= _LINE else f"{text[:_LINE]}…"


def inert(text: str) -> str:
    r"""Text that can't act on a terminal: white space as one space, controls and bidi overrides spelled out.

    >>> print(inert("a\tb \x1b[31mred"))
    a b \x1b[31mred
    """
    return _UNSAFE.sub(lambda found: _spelled(found[0]), " ".join(text.split()))


def _spelled(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
