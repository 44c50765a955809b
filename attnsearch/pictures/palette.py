"""Strengths → the colors of cells, words and points, in any terminal and on a page.

A strength is from -1, all against, over 0, nothing, to 1, all for. Faint is near the background, strong far from it, on
a dark one and on a light one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnsearch.output.safe_text import Screen

Color = tuple[int, int, int]  # red, green and blue, from 0 to 255

# The background, and what is strongest for and against: blue and orange differ for the color-blind too.
_DARK: tuple[Color, Color, Color] = ((24, 28, 34), (102, 204, 255), (255, 160, 72))
_LIGHT: tuple[Color, Color, Color] = ((255, 255, 255), (0, 90, 181), (190, 75, 0))
_SIXTEEN = {True: ("", "cyan", "bright_cyan"), False: ("", "yellow", "bright_yellow")}
# Queries, keys and values, wherever they are shown: on a dark background, on a light one, and among sixteen colors.
_LETTERS: dict[str, tuple[Color, Color, str]] = {
    "q": ((215, 170, 255), (112, 48, 160), "magenta"),
    "k": ((110, 220, 160), (0, 110, 80), "green"),
    "v": ((255, 215, 110), (135, 90, 0), "yellow"),
}
_VISIBLE = 1 / 16
_MARKS = " ░▒▓█"
_SIMPLE_MARKS = " .:*#"


def color(strength: float, *, is_light: bool) -> Color:
    """The color of a strength from -1 to 1 on a light background or a dark one."""
    background, strong, against = _LIGHT if is_light else _DARK
    share = min(abs(strength), 1.0)
    end = strong if strength >= 0 else against
    red, green, blue = (round(low + share * (high - low)) for low, high in zip(background, end, strict=True))
    return red, green, blue


def ink(background: Color) -> Color:
    """Black or white, whichever is easier to read on a background: the one with the higher contrast, as WCAG has it.

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
    if screen.colors == 16:
        name = _SIXTEEN[strength >= 0][round(min(abs(strength), 1.0) * 2)]
        return f"black on {name}" if name else ""
    background = color(strength, is_light=screen.is_light)
    return f"{_hex(ink(background))} on {_hex(background)}"


def letter_color(letter: str, *, is_light: bool) -> Color:
    """The color of what belongs to "q", "k" or "v", the queries, keys or values."""
    dark, light, _ = _LETTERS[letter]
    return light if is_light else dark


def letter_style(letter: str, screen: Screen) -> str:
    """The rich style of what belongs to "q", "k" or "v"; none without colors."""
    if not screen.colors:
        return ""
    return _LETTERS[letter][2] if screen.colors == 16 else _hex(letter_color(letter, is_light=screen.is_light))


def mark(strength: float, screen: Screen) -> str:
    """A character that is the darker the stronger, for a screen without colors."""
    marks = _MARKS if screen.unicode else _SIMPLE_MARKS
    return marks[round(min(abs(strength), 1.0) * (len(marks) - 1))]


def _hex(parts: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*parts)
