"""Strengths → classes of cells and words, and the stylesheet that colors them on a light page and on a dark one."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from attnsearch.pictures.palette import color, ink, letter_color, to_hex

STEPS = 16  # of a strength, for and against
TEMPLATES = Path(__file__).with_name("templates")

# The grays of a light page and of a dark one: text, quieter text, lines, boxes and their edges.
_GRAYS = {
    "ink": ("#1b1f24", "#e8ebef"),
    "muted": ("#57606a", "#9da7b3"),
    "line": ("#d8dee4", "#363d47"),
    "panel": ("#f6f8fa", "#20262e"),
    "edge": ("#8c959f", "#6e7681"),
}


def shade(strength: float) -> str:
    """The class of a cell or a word of a strength from -1 to 1; none if it is next to nothing.

    >>> shade(1.0), shade(-0.5), shade(0.01)
    ('p16', 'n8', '')
    """
    step = round(min(abs(strength), 1.0) * STEPS)
    return f"{'p' if strength > 0 else 'n'}{step}" if step else ""


@functools.cache
def stylesheet() -> str:
    """The rules of all pages that are one file."""
    return (TEMPLATES / "style.css").read_text(encoding="utf-8") + colors()


@functools.cache
def colors() -> str:
    """The rules for the colors of every page; a dark page is for a screen, since paper is white."""
    light = "".join(_rules(is_light=True))
    dark = "".join(_rules(is_light=False))
    return f"{light}@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _rules(*, is_light: bool) -> Iterator[str]:
    """The colors of the page, and of each class."""
    names = {"paper": 0.0, "for": 1.0, "against": -1.0}
    yield ":root {"
    yield from (f" --{name}: {to_hex(color(strength, is_light=is_light))};" for name, strength in names.items())
    yield from (f" --{name}: {pair[not is_light]};" for name, pair in _GRAYS.items())
    yield from (f" --{letter}: {to_hex(letter_color(letter, is_light=is_light))};" for letter in "qkv")
    yield " }\n"
    for step in range(1, STEPS + 1):
        for sign in (1, -1):
            background = color(sign * step / STEPS, is_light=is_light)
            name = shade(sign * step / STEPS)
            yield f".{name} {{ background: {to_hex(background)}; color: {to_hex(ink(background))}; }}\n"
