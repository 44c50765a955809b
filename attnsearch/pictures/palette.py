"""Strengths → the colors of cells, words and points, in any terminal and on a page.

A strength is from -1, all against, over 0, nothing, to 1, all for. Faint is near the background, strong far from it, on
a dark one and on a light one. Blue and orange, and the colors of Q, K and V, differ for the color-blind too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnsearch.output.safe_text import Screen

Color = tuple[int, int, int]  # red, green and blue, from 0 to 255

# The background, and what is strongest for and against. A straight line between them has even steps of lightness.
_DARK: tuple[Color, Color, Color] = ((24, 28, 34), (102, 204, 255), (255, 160, 72))
_LIGHT: tuple[Color, Color, Color] = ((255, 255, 255), (0, 90, 181), (190, 75, 0))
# The levels among 256 colors, and among 16. Each theme has 16 of its own; in most of them, black can be read on these.
_LEVELS: dict[tuple[int, bool, bool], tuple[str, ...]] = {  # by colors, light or not, for or against
    (256, False, True): ("color(17)", "color(24)", "color(31)", "color(38)", "color(81)"),
    (256, False, False): ("color(52)", "color(94)", "color(130)", "color(172)", "color(215)"),
    (256, True, True): ("color(195)", "color(153)", "color(75)", "color(32)", "color(25)"),
    (256, True, False): ("color(223)", "color(215)", "color(208)", "color(166)", "color(130)"),
    (16, False, True): ("cyan", "bright_cyan"),
    (16, False, False): ("yellow", "bright_yellow"),
    (16, True, True): ("bright_cyan", "cyan"),
    (16, True, False): ("bright_yellow", "yellow"),
}
# Queries, keys and values, wherever they are shown: colors that are among the 256 as well, and names among 16. Those
# for dark backgrounds can be read on white too, for most terminals do not say that they are light.
_LETTERS: dict[tuple[str, bool], tuple[Color, str]] = {
    ("q", False): ((175, 135, 255), "magenta"),
    ("k", False): ((0, 175, 175), "cyan"),
    ("v", False): ((215, 135, 0), "yellow"),
    ("q", True): ((135, 0, 175), "magenta"),
    ("k", True): ((0, 95, 95), "blue"),
    ("v", True): ((135, 95, 0), "red"),
}
_VISIBLE = 1 / 16
_MARKS = " ░▒▓█"
_SIMPLE_MARKS = " :*#@"  # no point, which would seem to be part of the figure beside it


def strength_of(weight: float) -> float:
    """The strength of a share of attention: its square root.

    Most weights are small, and in proportion they would all look like nothing: 1% is a tenth of the way from the
    background here, and 20% and 40% differ by a fifth of it.

    >>> strength_of(0.0), strength_of(0.01), strength_of(0.25), strength_of(1.0)
    (0.0, 0.1, 0.5, 1.0)
    """
    return math.sqrt(max(weight, 0.0))


def color(strength: float, *, is_light: bool) -> Color:
    """The color of a strength from -1 to 1 on a light background or a dark one."""
    background, strong, against = _LIGHT if is_light else _DARK
    share = min(abs(strength), 1.0)
    end = strong if strength >= 0 else against
    red, green, blue = (round(low + share * (high - low)) for low, high in zip(background, end, strict=True))
    return red, green, blue


def ink(background: Color) -> Color:
    """Black or white, whichever is easier to read on a background: the contrast, as WCAG has it, is 4.58 at least.

    >>> ink((255, 255, 255)), ink((0, 90, 181))
    ((0, 0, 0), (255, 255, 255))
    """
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def style(strength: float, screen: Screen) -> str:
    """The rich style of a cell or a word of this strength; none where that is next to nothing, or without colors."""
    if not screen.colors or abs(strength) < _VISIBLE:
        return ""
    if screen.colors > 256:
        background = color(strength, is_light=screen.is_light)
        return f"{to_hex(ink(background))} on {to_hex(background)}"
    levels = _LEVELS[screen.colors, screen.is_light, strength > 0]
    level = levels[_level(strength, len(levels)) - 1]
    if screen.colors == 16:
        return f"black on {level}"
    from rich.color import Color as Named

    is_black = ink(Named.parse(level).get_truecolor()) == (0, 0, 0)
    return f"color({16 if is_black else 231}) on {level}"  # 0 and 15 are other colors in many themes


def mark(strength: float, screen: Screen) -> str:
    """A character that is the darker the stronger, for a screen without colors."""
    marks = _MARKS if screen.unicode else _SIMPLE_MARKS
    return marks[_level(strength, len(marks) - 1)]


def _level(strength: float, levels: int) -> int:
    """0 for next to nothing, else from 1 to `levels`, each for an equal part of all strengths."""
    return 0 if abs(strength) < _VISIBLE else math.ceil(min(abs(strength), 1.0) * levels)


def letter_color(letter: str, *, is_light: bool) -> Color:
    """The color of what belongs to "q", "k" or "v", the queries, keys or values."""
    return _LETTERS[letter, is_light][0]


def letter_style(letter: str, screen: Screen) -> str:
    """The rich style of what belongs to "q", "k" or "v"; none without colors."""
    if not screen.colors:
        return ""
    rgb, name = _LETTERS[letter, screen.is_light]
    return name if screen.colors == 16 else to_hex(rgb)


def to_hex(parts: Color) -> str:
    """A color as HTML, SVG and rich write it.

    >>> to_hex((255, 160, 72))
    '#ffa048'
    """
    return "#{:02x}{:02x}{:02x}".format(*parts)
