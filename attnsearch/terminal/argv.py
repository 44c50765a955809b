"""The words of a command line → words that typer can parse; what it says of them → plain words.

It keeps the words of this process's own, which a page names.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from attnsearch.output.safe_text import hide_passwords

_BEGINS_WITH_OPTION = re.compile(r"-[a-zA-Z]\s")
_command_line = ["attnsearch"]
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|nan|inf", re.ASCII)


def remember(argv: Sequence[str]) -> None:
    """Keep the command line of this process: what follows the program's name."""
    _command_line[1:] = argv


def command_line() -> list[str]:
    """The words of the command line, from the program's name on, without passwords: a page may be shown to anyone."""
    return [hide_passwords(word) for word in _command_line]


def program() -> list[str]:
    """The words that start this attnsearch from any folder, whatever the PATH is."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py" or not script.is_file():
        return [sys.executable, "-m", "attnsearch"]
    return [str(script.absolute())]


def normalized(argv: Sequence[str]) -> list[str]:
    """Rewrite what typer can't parse: options with an optional value, or with several values; other tools' --no-color.

    >>> normalized(["moon", "--lexical", "-k", "3"]), normalized(["--lexical", "0.5", "moon"])
    (['moon', '--lexical=auto', '-k', '3'], ['--lexical', '0.5', 'moon'])
    >>> normalized(["feedback", "moon", "--good", "a", "b"])
    ['feedback', 'moon', '--good', 'a', '--good', 'b']
    >>> normalized(["mcp", "--config", "-c", "shop"])
    ['mcp', '--config=', '-c', 'shop']
    """
    words = list(argv)
    if words[:1] == ["feedback"]:
        words = _repeat_options(words)
    end = words.index("--") if "--" in words else len(words)
    words[:end] = ["--color=never" if word == "--no-color" else word for word in words[:end]]
    for index, word in enumerate(words[:end]):
        if word == "--lexical" and not (index + 1 < end and _NUMBER.fullmatch(words[index + 1])):
            words[index] = "--lexical=auto"
        elif word == "--config" and words[0] == "mcp" and (index + 1 == end or words[index + 1].startswith("-")):
            words[index] = "--config="
    return words


def dashed_text(words: Sequence[str]) -> str:
    """The first text like "-c is a flag", which typer would take for the option -c and its value; "" if none.

    The value of an option may well begin so.

    >>> dashed_text(["query", "-c is a flag"]), dashed_text(["query", "-w", "-c is null", "--", "-x y"])
    ('-c is a flag', '')
    """
    end = words.index("--") if "--" in words else len(words)
    pairs = itertools.pairwise(["", *words[:end]])
    return next((word for before, word in pairs if _BEGINS_WITH_OPTION.match(word) and before[:1] != "-"), "")


def _repeat_options(words: Sequence[str]) -> list[str]:
    """Repeat --good and --bad of `feedback` before each of their items.

    Only if the query stands before them: otherwise the word after an item may be the query.
    """
    end = words.index("--") if "--" in words else len(words)
    repeated, option, is_value, has_query = ["feedback"], "", False, False
    for word in words[1:end]:
        if is_value:
            is_value = False
        elif word.startswith("-"):
            option = word if word in ("--good", "--bad") else ""
            is_value = word in ("--good", "--bad", "-c", "--catalog")
        elif option and has_query:
            repeated.append(option)
        else:
            option, has_query = "", True
        repeated.append(word)
    return [*repeated, *words[end:]]


def in_plain_words(message: str) -> str:
    """typer's message, without its names for types.

    >>> in_plain_words("'x' is not a valid int range."), in_plain_words("0 is not in the range x>=1.")
    ("'x' is not a whole number", '0 is not at least 1')
    """
    message = re.sub(r"a valid int(eger)?( range)?\b", "a whole number", message)
    message = re.sub(r"a valid float( range)?\b", "a number", message)
    message = re.sub(r"a valid boolean\b.*", "true or false", message)
    message = re.sub(r"in the range x>=(\S+)\.", r"at least \1.", message)
    message = re.sub(r"in the range (\S+)<=x<=(\S+)\.", r"from \1 to \2.", message)
    message = re.sub(r"Got unexpected extra argument(?:\(s\))? \((.*)\)", r"unexpected argument: \1", message)
    return f"{message[:1].lower()}{message[1:]}".strip().rstrip(".")
