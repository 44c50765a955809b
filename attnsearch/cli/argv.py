"""The words of a command line → words that typer can parse."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|inf", re.ASCII)


def normalized(argv: Sequence[str]) -> list[str]:
    """The command line with what typer can't parse rewritten: options with an optional value, or with several.

    >>> normalized(["moon", "--lexical", "-k", "3"]), normalized(["--lexical", "0.5", "moon"])
    (['moon', '--lexical=auto', '-k', '3'], ['--lexical', '0.5', 'moon'])
    >>> normalized(["feedback", "moon", "--good", "a", "b"])
    ['feedback', 'moon', '--good', 'a', '--good', 'b']
    """
    words = list(argv)
    if words[:1] == ["feedback"]:
        words = _with_repeated_options(words)
    end = words.index("--") if "--" in words else len(words)
    for place, word in enumerate(words[:end]):
        if word == "--lexical" and not (place + 1 < end and _NUMBER.fullmatch(words[place + 1])):
            words[place] = "--lexical=auto"
    return words


def _with_repeated_options(words: Sequence[str]) -> list[str]:
    """The words of `feedback` with --good or --bad repeated before each of several items.

    That can only be told where the request stands before the options.
    """
    end = words.index("--") if "--" in words else len(words)
    repeated, option, is_value, has_request = ["feedback"], "", False, False
    for word in words[1:end]:
        if is_value:
            is_value = False
        elif word.startswith("-"):
            option = word if word in ("--good", "--bad") else ""
            is_value = word in ("--good", "--bad", "-c", "--catalog")
        elif option and has_request:
            repeated.append(option)
        else:
            option, has_request = "", True
        repeated.append(word)
    return [*repeated, *words[end:]]
