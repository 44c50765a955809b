"""A template and its data → one HTML file, in which every text is inert."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnsearch import __version__
from attnsearch.output.columns import find_link
from attnsearch.output.notes import counted, percent
from attnsearch.output.safe_text import unstacked
from attnsearch.output.table import cut, decimals, format_cell, signed
from attnsearch.pages.shades import TEMPLATES, shade, stylesheet
from attnsearch.pictures.letters import split_letters
from attnsearch.pictures.reasons import gap
from attnsearch.pictures.walkthrough import find_color, format_row, format_shape
from attnsearch.postings.conditions import spell

if TYPE_CHECKING:
    from jinja2 import Environment

    from attnsearch.explanation.steps import Step

# Code points that no text has, which HTML forbids too.
_NO_CHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)) + "]"
)


def render(template: str, command: Sequence[str], **data: Any) -> str:
    """The page of a template; `command` are the words of the command line that made it."""
    style = stylesheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _environment().get_template(f"{template}.html")
    made_by = shlex.join(command)
    return page.render(style=style, style_digest=digest, version=__version__, command=made_by, **data)


def plain(text: str) -> str:
    r"""The text with what could act on a page or a terminal spelled out; it is escaped when it is written.

    Spaces at its ends become one: it may be a part of a sentence.

    >>> plain("a\ufdd0\u202eb  ")
    'a\\ufdd0\\u202eb '
    """
    return _NO_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", unstacked(gap(text)))


@functools.cache
def _environment() -> Environment:
    """Templates that escape what they are given, and refuse what they are not."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "decimals": decimals,
        "exact": exact,
        "cell": format_cell,
        "shown": format_row,
        "tone": tone,
        "link": find_link,
        "cut": cut,
        "counted": counted,
        "signed": signed,
        "shape": format_shape,
        "letters": split_letters,
        "condition": spell,
    }
    return environment


def exact(number: float) -> str:
    """A number with all of its digits, as JSON has it."""
    return repr(number)


def tone(step: Step, row: int, column: int) -> str:
    """The class that colors a cell of a step; none if nothing does."""
    letter, strength = find_color(step, row, column)
    return letter or shade(strength)


def _finalize(value: object) -> object:
    """What is written for a value, before it is escaped; Markup, which is escaped already, is not a plain string."""
    return plain(value) if type(value) is str else value
