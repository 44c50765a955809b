"""Words and values → text that can't act on a terminal: one line of a message, JSON, a cell."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from attnsearch.errors import AttnsearchError

FORMATS = ("table", "json", "jsonl", "csv", "tsv", "md")  # of results

WIDTH = 100  # cells of a line that no terminal shows
STRIP = 1 << 20  # characters escaped at a time: each escape takes the memory of fifty characters
_LINE = 1000  # characters of a message or a hint, at most
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# Patterns that few answers need are compiled when they do.
_WEB = r"(?i)https?://[^\s/?#]\S*"
_NOT_IN_URL = r"(?a)%(?![0-9A-Fa-f]{2})|[^\w\-.~:/?#\[\]@!$&'()*+,;=%]"
_LONGEST_URL = 2_000  # characters; terminals ignore longer ones
# Where an address has a password: before its host, or as a parameter.
_IN_ADDRESS = r"(?i)(postgres(?:ql)?://[^\s:/@]*):\S*@"
_IN_PARAMETERS = r"(?i)([?&]password=)[^\s&]*"
_SYMBOLS = {"τ": "tau", "λ": "lambda", "Σ": "sum"}
_PRODUCT = r"(?<=\S)·(?=\S)"
_SYMBOL = r"(?<!\w)[τλΣ](?!\w)"  # not in a Greek word

# Marks over or under one letter, at most; no script has more. In a picture or on a page, hundreds would cross out what
# is above and below. The pattern finds where there could be more.
_MARKS = 6
_STACK = rf"[^\w\s\x00-\u02ff]{{{_MARKS + 1},}}"

# What we print ourselves, and the marks of typography, in ASCII.
_SIMPLE = {
    "…": "...", "·": "-", "–": "-", "—": "-", "−": "-", "×": "x", "÷": "/", "±": "+/-", "√": "sqrt ", "∞": "inf",
    "°": " degrees", "→": "->", "≤": "<=", "≥": ">=", "≠": "!=", "‘": "'", "’": "'", "“": '"', "”": '"', "«": '"',
    "»": '"', "•": "*", "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|", "ₖ": "k", "ᵀ": "^T", "ˣ": "^x", "ł": "l",
    "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE",
}  # fmt: skip


class Screen(NamedTuple):
    """Where output goes.

    `width` is in cells; None when nothing is cut. `colors` counts those that it shows: none, 16, 256 or 2²⁴; `is_light`
    says that its background is. `links` says that it shows hyperlinks.
    """

    width: int | None = None
    colors: int = 0
    unicode: bool = True
    quiet: bool = False
    is_terminal: bool = False
    links: bool = False
    is_light: bool = False


PIPE = Screen()


def to_json(value: Any, screen: Screen = PIPE, *, indent: int | None = None) -> str:
    """JSON and a line end. Whatever could act on a terminal is escaped: the data is complete, and harmless."""
    text = json.dumps(value, ensure_ascii=not screen.unicode, allow_nan=False, indent=indent)
    strips = (text[start : start + STRIP] for start in range(0, len(text), STRIP))
    return "".join(_UNSAFE.sub(_escape_match, strip) for strip in strips) + "\n"


def _escape_match(match: re.Match[str]) -> str:
    return match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}"


def error(problem: AttnsearchError, *, as_json: bool = False) -> str:
    """One line on what went wrong and what to do, and the details; as JSON: {"error": {"code", "message", "hint"}}."""
    message, hint, details = (short(hide_passwords(text)) for text in (problem.message, problem.hint, problem.details))
    if as_json:
        fields = {"code": int(problem.code), "message": message, "hint": hint}
        return to_json({"error": fields | ({"details": details} if details else {})})
    line = inert(f"{message}; {hint}" if hint else message)
    return "\n".join([f"attnsearch: {line}", *inert_lines(details).splitlines(), ""])


def hide_passwords(text: str) -> str:
    """The text without the passwords in addresses of databases.

    >>> hide_passwords("no such option: postgresql://me:secret@host/shop/books?password=secret&port=5433")
    'no such option: postgresql://me@host/shop/books?password=…&port=5433'
    """
    if "://" not in text:
        return text
    return re.sub(_IN_ADDRESS, r"\1@", re.sub(_IN_PARAMETERS, r"\1…", text))


def short(text: str) -> str:
    """The text, cut to the length of a message: a key or a tag that it quotes may have a million characters."""
    return text if len(text) <= _LINE else f"{text[:_LINE]}…"


def inert(text: str) -> str:
    r"""The text as one line that can't act on a terminal: controls and bidi overrides are spelled out.

    >>> print(inert("a\tb \x1b[31mred"))
    a b \x1b[31mred
    """
    return _UNSAFE.sub(lambda match: _spell_out(match[0]), " ".join(text.split()))


def safe_url(text: str) -> str:
    """A web address as a terminal takes it, in ASCII; empty if it is another kind of link, or not one at all.

    >>> safe_url(" https://example.org/café?a=50%"), safe_url("javascript:alert(1)"), safe_url("https://a.org/ b")
    ('https://example.org/caf%C3%A9?a=50%25', '', '')
    """
    text = text.strip()
    if not re.fullmatch(_WEB, text) or inert(text) != text:
        return ""
    url = re.sub(_NOT_IN_URL, lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)
    return url if len(url) <= _LONGEST_URL else ""


def simplified(text: str, before: str = "", after: str = "") -> str:
    """The text in ASCII, for a stream whose encoding lacks it; a letter that has no other form is `?`, once a cell.

    The characters `before` and `after` it tell a product from a separator: one must not look like a difference.

    >>> simplified("λ·BM25 … café × 月 λόγος · q·k")
    'lambda.BM25 ... cafe x ?? ????? - q.k'
    >>> simplified("·", before="q", after="k")
    '.'
    """
    whole = before + text + after
    text = re.sub(_PRODUCT, ".", whole)[len(before) : len(whole) - len(after)]
    text = re.sub(_SYMBOL, lambda match: _SYMBOLS[match[0]], text)
    return "".join(char if char.isascii() else _SIMPLE.get(char) or _decompose(char) for char in text)


def _decompose(char: str) -> str:
    """The letter without its marks, `²` as `2`; else as many `?` as a terminal has cells for it."""
    import unicodedata  # which streams of UTF-8 do without

    letters = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    has_none = unicodedata.category(char) in ("Mn", "Me", "Cf")  # a mark, a joiner
    cells = 0 if has_none else 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return letters or ("*" if "\u2800" <= char <= "\u28ff" else "?") * cells  # what turns while one waits is Braille


def inert_lines(text: str) -> str:
    r"""The text with its line breaks and indents, otherwise as `inert` shows it.

    >>> print(inert_lines("a:\r\n\tb \x1b[31mred"))
    a:
        b \x1b[31mred
    """
    lines = (line.expandtabs(4).rstrip() for line in text.splitlines())
    return "\n".join(_UNSAFE.sub(lambda match: _spell_out(match[0]), line) for line in lines)


def unstacked(text: str) -> str:
    r"""The text with six marks over or under a letter at most, and an ellipsis for the others.

    >>> unstacked("a\u0301 b" + "\u0301" * 500) == "a\u0301 b" + "\u0301" * 6 + "…"
    True
    """
    return re.sub(_STACK, lambda match: _unstack(match[0]), text)


def _unstack(text: str) -> str:
    import unicodedata

    parts, marks = [], 0
    for char in text:
        category = unicodedata.category(char)
        if category != "Cf":  # such as a joiner, which ends no stack
            marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MARKS:
            parts.append(char)
        elif marks == _MARKS + 1 and category != "Cf":
            parts.append("…")
    return "".join(parts)


def _spell_out(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
