"""Command lines without a command, or that typer refuses → what was meant, where that is clear, else a hint."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from attnsearch.cli.app import COMMANDS, app_for
from attnsearch.errors import InputError
from attnsearch.syntax.nearest import find_nearest
from attnsearch.terminal.argv import in_plain_words, normalized

if TYPE_CHECKING:
    from typer.core import TyperCommand

# What other programs call our commands. None of these is ever run: they are suggested.
_SYNONYMS = {
    "query": ("search", "find", "ask", "q", "grep", "rank"),
    "index": ("add", "build", "create", "embed", "import", "ingest", "init", "load", "make", "new", "update"),
    "show": ("cat", "get", "open", "print", "read", "view"),
    "list": ("ls", "dir", "catalogs"),
    "info": ("about", "describe", "fields", "inspect", "stat", "stats", "status"),
    "use": ("choose", "default", "select", "switch"),
    "check": ("doctor", "fsck", "repair", "validate", "verify"),
    "remove": ("del", "delete", "drop", "erase", "rm", "uninstall"),
    "explain": ("trace", "why"),
    "duplicates": ("dedup", "dedupe", "dups", "uniq"),
    "export": ("dump", "save"),
    "eval": ("evaluate", "measure", "score", "test"),
    "train": ("fit", "learn", "tune"),
    "feedback": ("judge", "rate"),
    "reset": ("forget", "unlearn"),
    "calibrate": ("adjust", "calibration"),
    "lesson": ("course", "demo", "intro", "teach", "tour", "tutorial"),
    "docs": ("doc", "man", "manual"),
}
_NUMBER = re.compile(r"-\.?\d")
_MOST_NAMED = 5  # commands with an option, in a hint


def intended(argv: Sequence[str]) -> list[str]:
    """Turn a command line without a command into one that has it: `help query`, `version`, "science fiction" -k 3.

    Anything else stays as it is, for typer to refuse.
    """
    match list(argv):
        case ["help", *names]:
            return [*names[:1], "--help"]
        case ["version"]:
            return ["--version"]
        case words if (
            any(len(word.split()) > 1 for word in words)
            and len(texts := _texts(words) or []) == 1
            and len(texts[0].split()) > 1
        ):
            return ["query", *words]
        case words:
            return words


def _texts(words: Sequence[str]) -> list[str] | None:
    """What these words would look for as those of `query`: all but its options. None if it does not have these options.

    >>> _texts(["moon", "-k", "3", "sea"]), _texts(["--version"]), _texts(["--install-completion"])
    (['moon', 'sea'], None, None)
    """
    group: Any = typer.main.get_command(app_for(["query"]))
    command: TyperCommand = group.commands["query"]
    try:
        options, _, _ = command.make_parser(typer.Context(command)).parse_args(normalized(words))
    except (typer.TyperException, InputError):
        return None
    return None if "version" in options else list(options.get("text") or ())


def usage_error(problem: typer.TyperException, argv: Sequence[str]) -> InputError:
    """Turn typer's error about the command line `argv` into one line with a hint."""
    message = in_plain_words(problem.format_message())
    if message.startswith("no such command"):
        return _unknown_command(argv)
    option = getattr(problem, "option_name", "")
    if message.startswith("no such option"):
        message = f"no such option: {option}"
        if text := _text_that_looks_like(option, argv):
            return InputError(message, hint=f"if it is what you look for: {_after_dashes(argv, text)}")
        if argv[0] in COMMANDS and (names := _commands_with(option)):
            listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
            return InputError(message, hint=f"{listed} {'have' if len(names) > 1 else 'has'} it")
        near = [
            name
            for name in getattr(problem, "possibilities", None) or ()
            if name[:5] != "--no-" or option[:4] == "--no"
        ]
        if near:
            return InputError(message, hint=f"did you mean {' or '.join(sorted(near))}?")
        if argv[0] not in COMMANDS:
            return InputError(message, hint=_options_follow(argv))
    command = argv[0] if argv and argv[0] in COMMANDS else ""
    return InputError(message, hint=f"see '{shlex.join(filter(None, ['attnsearch', command, '--help']))}'")


def _commands_with(option: str) -> list[str]:
    """The commands that have this option; none if they are too many to name."""
    group: Any = typer.main.get_command(app_for([]))
    names = [
        name
        for name, command in group.commands.items()
        if any(option in parameter.opts and not getattr(parameter, "hidden", False) for parameter in command.params)
    ]
    return names if len(names) <= _MOST_NAMED else []


def _unknown_command(argv: Sequence[str]) -> InputError:
    """Suggest the command of another name, or of a typo; else a query of all words."""
    word, *others = argv
    names = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms if name in COMMANDS}
    names |= {name: name for name in COMMANDS}
    near = find_nearest(word.casefold(), names, cutoff=0.7)
    if not near and (not word.strip() or others == ["--help"]):
        return InputError(f"no such command '{word}'", hint="see 'attnsearch --help'")
    if near:
        suggestion = [names[near[0]], *others]
    else:
        texts = _texts(argv) or [word]
        options = list(argv)
        for text in texts:
            options.remove(text)
        suggestion = ["query", " ".join(texts), *options]
    return InputError(f"no such command '{word}'", hint=f"did you mean: {_spell(suggestion)}")


def _options_follow(argv: Sequence[str]) -> str:
    """The hint for options in the place of the command."""
    names = [word for word in argv if word in COMMANDS]
    if not names:
        return "options come after the command: see 'attnsearch --help'"
    others = list(argv)
    others.remove(names[0])
    return f"options come after the command: {_spell([names[0], *others])}"


def ambiguous_text(text: str, argv: Sequence[str]) -> InputError:
    """The error for a text like "-c is a flag", with both readings."""
    option, value = text[:2], text[2:].strip()
    words = list(argv)
    position = words.index(text)
    words[position : position + 1] = filter(None, [option, value])
    hint = f"if it is an option: {_spell(words)}; if it is what you look for: {_after_dashes(argv, text)}"
    return InputError(f"'{text}' can mean two things", hint=hint)


def _text_that_looks_like(option: str, argv: Sequence[str]) -> str:
    """The word that typer took for this option, if it may be a text: a number, or several words."""
    end = argv.index("--") if "--" in argv else len(argv)
    for word in argv[:end]:
        if word.startswith(option) and (len(word.split()) > 1 or _NUMBER.match(word)):
            return word
    return ""


def _after_dashes(argv: Sequence[str], text: str) -> str:
    """The command line with this text after `--`, where nothing is an option."""
    words = list(argv) if argv[0] in COMMANDS else ["query", *argv]
    words.remove(text)
    end = words.index("--") if "--" in words else len(words)
    return _spell([*words[:end], "--", *words[end + 1 :], text])


def _spell(words: Sequence[str]) -> str:
    """The command line as a shell reads it."""
    return shlex.join(["attnsearch", *words])
