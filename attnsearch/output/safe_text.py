"""Words and values → text that can't act on a terminal: one line of a message, JSON, a cell."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from attnsearch.errors import AttnsearchError

FORMATS = ("table", "json", "jsonl", "csv", "tsv", "md")  # of results

STRIP = 1 << 20  # characters escaped at a time: each escape takes the memory of fifty characters
_LINE = 1000  # characters of a message or a hint, at most
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Screen(NamedTuple):
    """Where output goes. `width` is in cells; None when that is not a terminal, and nothing is cut."""

    width: int | None = None
    color: bool = False
    unicode: bool = True
    quiet: bool = False


PIPE = Screen()


def to_json(value: Any, screen: Screen = PIPE, *, indent: int | None = None) -> str:
    """JSON and a line end. Whatever could act on a terminal is escaped: the data is complete, and harmless."""
    text = json.dumps(value, ensure_ascii=not screen.unicode, allow_nan=False, indent=indent)
    strips = (text[start : start + STRIP] for start in range(0, len(text), STRIP))
    return "".join(_UNSAFE.sub(_escape_match, strip) for strip in strips) + "\n"


def _escape_match(match: re.Match[str]) -> str:
    return match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}"


def error(problem: AttnsearchError, *, as_json: bool = False) -> str:
    """One line on what went wrong and what to do; as JSON: {"error": {"code", "message", "hint"}}."""
    message, hint = short(problem.message), short(problem.hint)
    if as_json:
        return to_json({"error": {"code": int(problem.code), "message": message, "hint": hint}})
    return f"attnsearch: {inert(f'{message}; {hint}' if hint else message)}\n"


def short(text: str) -> str:
    """The text, cut to the length of a message: a key or a tag that it quotes may have a million characters."""
    return text if len(text) <= _LINE else f"{text[:_LINE]}…"


def inert(text: str) -> str:
    r"""The text as one line that can't act on a terminal: controls and bidi overrides are spelled out.

    >>> print(inert("a\tb \x1b[31mred"))
    a b \x1b[31mred
    """
    return _UNSAFE.sub(lambda match: _spell_out(match[0]), " ".join(text.split()))


def _spell_out(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
