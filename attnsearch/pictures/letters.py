"""Q, K and V in a text → their colors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attnsearch.pictures.palette import letter_style

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.output.safe_text import Screen

_LETTER = re.compile(r"(?<!\w)(?:W_)?([QKVqkv])ᵀ?(?!\w)")


def color_letters(text: Text, screen: Screen) -> Text:
    """The text with Q, K, V and their matrices in their colors."""
    for match in _LETTER.finditer(text.plain):
        text.stylize(letter_style(match[1].lower(), screen), *match.span())
    return text


def split_letters(text: str) -> list[tuple[str, str]]:
    """The parts of a text, each with the letter whose color it has, or none.

    >>> split_letters("q = x W_Q")
    [('q', 'q'), (' = x ', ''), ('W_Q', 'q')]
    """
    parts, end = [], 0
    for match in _LETTER.finditer(text):
        parts += [(text[end : match.start()], ""), (match[0], match[1].lower())]
        end = match.end()
    return [(part, letter) for part, letter in [*parts, (text[end:], "")] if part]


def find_letter(symbol: str) -> str:
    """The letter that a symbol is about; "" for none, or for several.

    >>> find_letter("W_K"), find_letter("q·k"), find_letter("logit")
    ('k', '', '')
    """
    letters = {letter for _, letter in split_letters(symbol) if letter}
    return letters.pop() if len(letters) == 1 else ""
