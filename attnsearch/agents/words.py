"""Texts of a catalog → text for a model: short, on one line, and with nothing that a person would not see.

What a catalog holds may come from anyone. Controls and marks of direction are spelled out, as on a terminal; characters
that no screen shows, in which a text for models only could hide, are left out.
"""

from __future__ import annotations

import re

from attnsearch.output.safe_text import inert, inert_lines

MOST = 200  # characters of a description

# Tags and the other plane of selectors, invisible operators; joiners and selectors only where one follows another.
_HIDDEN = re.compile(
    "[\u00ad\u115f\u1160\u180b-\u180f\u200b\u2060-\u2064\u206a-\u206f\u3164\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
    "|(?<=[\u200c\u200d])[\u200c\u200d]+|(?<=[\ufe00-\ufe0f])[\ufe00-\ufe0f]+"
)
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
_ODD = re.compile(f"{_UNSAFE}|{_HIDDEN.pattern}")
_SPELLED = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


def line(text: str) -> str:
    r"""The text on one line, without what could act or hide.

    >>> print(line("Dune\U000e0041\U000e0042 \u202e \x1b[31m\n red"))
    Dune \u202e \x1b[31m red
    """
    return inert(_HIDDEN.sub("", text))


def lines(text: str) -> str:
    """The text with its line breaks, otherwise as `line` writes it."""
    return inert_lines(_HIDDEN.sub("", text))


def short(text: str, most: int = MOST) -> str:
    """The text on one line of so many characters at most, cut after a word.

    >>> short("A desert planet", 10), short("Übermensch", 5), short("A desert", 8)
    ('A desert…', 'Über…', 'A desert')
    """
    text = line(text[: 4 * most + 1_000])  # what is spelled out gets longer, never shorter by more than blanks
    if len(text) <= most:
        return text
    cut = text[:most]
    return f"{cut[: max(cut.rfind(' '), most // 2)].rstrip(' ,;:.–—-') if ' ' in cut[most // 2 :] else cut[:-1]}…"


def name(ident: str) -> str:
    r"""An id as a model can give it back: nothing is left out, all that is odd is spelled out.

    >>> print(name("a\u202eb\n"), read_name(name("a\u202eb\n")) == "a\u202eb\n")
    a\u202eb\x0a True
    """
    return _ODD.sub(lambda match: "".join(map(_spell, match[0])), ident)


def read_name(text: str) -> str:
    """The id that `name` spelled."""
    return _SPELLED.sub(lambda match: chr(min(int(next(filter(None, match.groups())), 16), 0x10FFFF)), text)


def _spell(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
