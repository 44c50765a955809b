"""The environment's variables → what the terminal shows: colors, on light or on dark, and hyperlinks."""

from __future__ import annotations

import os
import re

# Terminals that show hyperlinks (OSC 8), by $TERM and $TERM_PROGRAM; tmux and the library VTE since these versions.
# Those named by $TERM show 2²⁴ colors as well.
_MODERN_TERMS = frozenset({"alacritty", "contour", "foot", "foot-extra", "wezterm", "xterm-ghostty", "xterm-kitty"})
_LINKING_PROGRAMS = frozenset({"Hyper", "WezTerm", "ghostty", "iTerm.app", "mintty", "rio", "vscode"})
_TMUX, _VTE = (3, 4), (5001,)

_PLAIN_TERMS = ("", "dumb", "unknown")  # by $TERM

# Colors by $FORCE_COLOR, as for Node.js, and the numbers of light backgrounds in $COLORFGBG, which some terminals set.
_LEVELS = {"1": 16, "2": 256, "3": 1 << 24}
_OFF = ("0", "false")
_LIGHT = ("7", "15")


def wants_color(*, is_terminal: bool) -> bool:
    """What the environment says of colors; NO_COLOR comes first, then FORCE_COLOR."""
    force = os.environ.get("FORCE_COLOR", "")
    if os.environ.get("NO_COLOR") or force.lower() in _OFF:
        return False
    if force or os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return is_terminal and os.environ.get("TERM", "") not in _PLAIN_TERMS


def count_colors() -> int:
    """How many colors are shown: as $FORCE_COLOR or $COLORTERM says, else by the name of the terminal."""
    forced = _LEVELS.get(os.environ.get("FORCE_COLOR", ""))
    if forced:
        return forced
    term = os.environ.get("TERM", "")
    if term.endswith("-direct") or term in _MODERN_TERMS:
        return 1 << 24
    is_screen = term.startswith("screen") and "TMUX" not in os.environ  # GNU screen, which garbles them before 5.0
    if (os.environ.get("COLORTERM") in ("truecolor", "24bit") or "WT_SESSION" in os.environ) and not is_screen:
        return 1 << 24
    return 256 if "256" in term else 16


def is_light() -> bool:
    """Whether the background is light, as far as $COLORFGBG says: "0;15", or "0;default;15"."""
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT


def shows_links(*, is_terminal: bool) -> bool:
    """Whether FORCE_HYPERLINK says that hyperlinks are shown, else whether it is a terminal known to show them."""
    if forced := os.environ.get("FORCE_HYPERLINK"):
        return forced != "0"
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    if not is_terminal or term in ("", "dumb", "linux"):
        return False
    if term.startswith(("screen", "tmux")):  # which hide the terminal around them
        return program == "tmux" and _version("TERM_PROGRAM_VERSION") >= _TMUX
    return (
        term in _MODERN_TERMS
        or program in _LINKING_PROGRAMS
        or "WT_SESSION" in os.environ
        or _version("VTE_VERSION") >= _VTE
    )


def _version(variable: str) -> tuple[int, ...]:
    """The first two numbers of a version in the environment."""
    return tuple(int(number) for number in re.findall(r"\d{1,9}", os.environ.get(variable, ""))[:2])
