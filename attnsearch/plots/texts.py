"""Texts of a figure: clean, and as wide as there is room for.

Measure them in `figure.style`, which has the fonts.
"""

from __future__ import annotations

import unicodedata

from attnsearch.output.safe_text import inert, unstacked

TITLE, TEXT, SMALL = 12.0, 9.0, 7.5  # points

_POINT = 1 / 72  # inches
_LONGEST = 300  # characters of a text, however much room there is
_LEFT_TO_RIGHT = "\u200e"


def clean(text: str) -> str:
    r"""A text from a catalog or a request, as one line that neither XML nor a reader of it can take for more.

    >>> clean("a\tb \x1b[31m $x_1$")
    'a b \\x1b[31m $x_1$'
    """
    text = unstacked(inert(text[: _LONGEST + 1]))
    text = "".join("\ufffd" if ord(char) & 0xFFFE == 0xFFFE else char for char in text)  # which XML forbids
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def isolate(text: str) -> str:
    """A cleaned text that stands beside others: letters from right to left do not draw a figure after them along."""
    text = clean(text)
    has_any = any(unicodedata.bidirectional(char) in ("R", "AL") for char in text)
    return f"{_LEFT_TO_RIGHT}{text}{_LEFT_TO_RIGHT}" if has_any else text


def text_width(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """The width of a text in inches, whose `size` is in points. Call it while a figure is painted."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    narrow = "".join(char for char in text if unicodedata.east_asian_width(char) not in "WF")
    wide = (len(text) - len(narrow)) * size  # each a square, in whatever font
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    measured = text_to_path.get_text_width_height_descent(narrow, font, ismath=False)[0] if narrow else 0.0
    return float(wide + measured) * _POINT


def fit(text: str, width: float, size: float = TEXT, *, bold: bool = False) -> str:
    """The cleaned text, cut to a width in inches."""
    return cut(clean(text), width, size, bold=bold)


def cut(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """A clean text, cut to a width in inches."""
    if text_width(text, size, bold=bold) <= width:
        return text
    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(text[:middle] + "…", size, bold=bold) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return f"{text[:low].rstrip()}…"


def wrap(text: str, width: float) -> list[str]:
    """A small text as lines that are so many inches wide at most."""
    lines = [""]
    for word in clean(text).split():
        longer = f"{lines[-1]} {word}".lstrip()
        if text_width(longer, SMALL) <= width:
            lines[-1] = longer
        else:
            lines.append(fit(word, width, SMALL))
    return lines
