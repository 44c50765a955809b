"""Defaults of options, from the environment and from a file of the user's; never from the working directory."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperOption
from typer.models import TyperPath

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.syntax.nearest import find_nearest
from attnsearch.terminal.argv import in_plain_words
from attnsearch.terminal.options import DONE, FIELDS

_LONGEST = 1 << 20  # bytes of the file
_LINE = r" \(at (?:line (\d+), column \d+|end of document)\)$"  # compiled when a file is wrong

# TOML's types for the types of options, and what they are called. A text may be a number, as in `lexical = 0.5`.
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "flag": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str, int, float), "a text"),
}

# Options of which one on the command line takes the place of a default of another.
_RIVALS = (
    {"format", "json", "jsonl"},
    {"temperature", "textbook"},
    {"projections", "textbook"},
    {"projections", "untrained"},
    {"items", "top-k"},
    {"requests", "null"},
)


class Default(NamedTuple):
    """A default, and where it comes from: a variable, or a file and its key."""

    value: Any
    origin: str
    is_from_file: bool


class Defaults:
    """The defaults of one command's options, for typer to look up.

    The command line wins over the environment, and that over the file. Nothing is read before the first lookup, so
    that `--help` works whatever the file holds.
    """

    def __init__(self, command: TyperCommand, context: Any) -> None:
        self._command = command.name or ""
        self._context = context
        options: list[Any] = list(command.params)
        self._options: dict[str, TyperOption] = {name: option for option in options if (name := long_name(option))}
        self._names = {option.name: name for name, option in self._options.items() if may_have_default(option)}
        self._defaults: dict[str, Default] | None = None
        self._used: dict[str, Default] = {}

    def get(self, parameter: str) -> Any:
        """The default of a parameter, or None. Raises InputError if any default of the command is wrong."""
        name = self._names.get(parameter, "")
        if not name:
            return None
        if self._defaults is None:
            try:
                self._defaults = {**self._from_file(), **self._from_environment()}
            except InputError:
                if not self._context.resilient_parsing:
                    raise
                self._defaults = {}  # a completion is silent
        if name not in self._defaults:
            return None
        self._used[name] = self._defaults[name]
        return self._used[name].value

    def blame(self, problem: AttnsearchError) -> AttnsearchError:
        """The error, with where the default that it names comes from."""
        quotes = set(re.findall(r"'([^']+)'", problem.message))
        for name, default in self._used.items():
            values = default.value if isinstance(default.value, (list, tuple)) else [default.value]
            words = {part for value in values for part in (str(value), *re.findall(r"[\w.-]+", str(value)))}
            if re.search(rf"(--|invalid ){name}\b", problem.message) or quotes & words:
                origin = f"the default is from {default.origin}"
                problem.hint = f"{problem.hint}; {origin}" if problem.hint else origin
                break
        return problem

    def drop_rivals(self) -> None:
        """Let an option of the command line take the place of defaults that exclude it, and the environment's too."""
        for rivals in _RIVALS:
            ranks = {name: self._rank(name) for name in rivals & self._options.keys()}
            for name, rank in ranks.items():
                if 0 < rank < max(ranks.values()):
                    option = self._options[name]
                    self._context.params[option.name] = option.default

    def _rank(self, name: str) -> int:
        """3 for an option of the command line, 2 for one of the environment, 1 for one of the file, else 0."""
        if default := self._used.get(name):
            return 1 if default.is_from_file else 2
        source = self._context.get_parameter_source(self._options[name].name)
        return 3 if source and source.name == "COMMANDLINE" else 0

    def _from_environment(self) -> dict[str, Default]:
        """The defaults in variables, by option. Raises InputError for one that is wrong, or that has no option."""
        defaults = {}
        prefix = variable_name(self._command, "")
        for variable, text in os.environ.items():
            if variable.startswith(prefix) and text:  # an empty one is as good as none
                name = variable.removeprefix(prefix).lower().replace("_", "-")
                option = self._checked_option(name, variable, lambda near: variable_name(self._command, near))
                value: Any = text.splitlines() if option.multiple else text
                defaults[name] = Default(self._convert(option, value, variable), variable, is_from_file=False)
        return defaults

    def _from_file(self) -> dict[str, Default]:
        """The defaults in the user's file, by option. Raises InputError if it is wrong for this command."""
        path = config_file()
        if path is None:
            return {}
        tables = read_config(path)
        for name, table in tables.items():
            if not isinstance(table, dict):
                hint = "write the command above it, such as [query]"
                raise InputError(f"'{name}' stands outside of a command", where=str(path), hint=hint)
            if name not in self._context.obj:
                hint = _did_you_mean(name, self._context.obj)
                raise InputError(f"there is no command '{name}'", where=str(path), hint=hint)
        defaults = {}
        for name, value in tables.get(self._command, {}).items():
            if name == "catalog" and os.environ.get("ATTNSEARCH_CATALOG"):  # the environment wins
                continue
            origin = f"{path}: {self._command}.{name}"
            option = self._checked_option(name, origin, str)
            value = self._convert(option, _typed(option, value, origin), origin)
            defaults[name] = Default(value, origin, is_from_file=True)
        return defaults

    def _checked_option(self, name: str, origin: str, spell: Callable[[str], str]) -> TyperOption:
        """The option of this name. Raises InputError if the command has none, or none that may have a default."""
        option = self._options.get(name)
        if option is None:
            options = {alias.lstrip("-"): long for long, option in self._options.items() for alias in option.opts}
            hint = _did_you_mean(name, options, lambda near: spell(options[near]))
            raise InputError(f"'{self._command}' has no option '{name}'", where=origin, hint=hint)
        if name in ("json", "jsonl") and "format" in self._options and not self._options["format"].hidden:
            raise InputError(f"--{name} has no default", where=origin, hint=f"set '{spell('format')}' to \"{name}\"")
        if not may_have_default(option):
            raise InputError(f"--{name} has no default", where=origin, hint="give it on the command line")
        return option

    def _convert(self, option: TyperOption, value: Any, origin: str) -> Any:
        """The value as on the command line. Raises InputError if it is not one."""
        try:
            return option.type_cast_value(self._context, value)
        except typer.TyperException as problem:
            raise InputError(in_plain_words(getattr(problem, "message", "")), where=origin) from None


def long_name(option: Any) -> str:
    """The name of an option in a file: its first long one, without dashes. "" for an argument."""
    if not isinstance(option, TyperOption):
        return ""
    return next((name[2:] for name in option.opts if name.startswith("--")), "")


def variable_name(command: str, option: str) -> str:
    """The variable of the environment with the default of an option.

    >>> variable_name("query", "top-k")
    'ATTNSEARCH_QUERY_TOP_K'
    """
    return f"ATTNSEARCH_{command}_{option}".upper().replace("-", "_")


def may_have_default(option: TyperOption) -> bool:
    """Whether an option is a preference: no action, no part of one request, nothing that guards against a loss.

    Those of one request are declared with `allow_from_autoenv=False`.
    """
    is_preference = option.allow_from_autoenv and not (option.is_eager or option.hidden)
    return is_preference and option.rich_help_panel not in (DONE, FIELDS)


def config_file() -> Path | None:
    """The user's file, if there is one: $XDG_CONFIG_HOME/attnsearch/config.toml, else that in ~/.config.

    A relative path in the variable counts as none, as the specification of base directories demands. A home that is not
    known or can't be looked into has no file.
    """
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if not Path(folder).is_absolute():
        folder = os.path.expanduser("~/.config")  # noqa: PTH111 (which leaves an unknown home as it is)
    path = Path(folder, "attnsearch", "config.toml")
    try:
        path.stat()
    except (OSError, ValueError):
        return None
    return path if path.is_absolute() else None


def read_config(path: Path) -> dict[str, Any]:
    """What the file holds. Raises InputError if it can't be read, or is not TOML."""
    import tomllib

    from attnsearch.storage.files import open_to_read

    try:
        with open_to_read(path, follow_links=True) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError("is not a regular file", where=str(path))
            raw = file.read(_LONGEST + 1)
    except OSError as error:
        raise InputError(error.strerror or str(error), where=str(path)) from None
    if len(raw) > _LONGEST:
        raise InputError(f"is larger than {_LONGEST >> 20} MiB", where=str(path))
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8", where=f"{path}:{line}", hint="save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(_LINE, str(error))
        where = f"{path}:{place[1]}" if place and place[1] else str(path)
        raise InputError(f"not TOML: {re.sub(_LINE, '', str(error)).lower()}", where=where) from None
    except ValueError:  # Python's own limit, of which tomllib knows nothing
        raise InputError("a whole number with thousands of digits", where=str(path)) from None
    except RecursionError:
        raise InputError("not TOML: nested too deep", where=str(path)) from None


def _typed(option: TyperOption, value: Any, origin: str) -> Any:
    """The value of a file, if it is of the option's type, else InputError: TOML has types, unlike a command line."""
    values = value if option.multiple and isinstance(value, list) else [value]
    if option.is_flag:
        kinds, wanted = _KINDS["flag"]
    else:
        kinds, wanted = _KINDS.get(option.type.name.split()[0], _KINDS["str"])
    if not all(isinstance(part, kinds) and isinstance(part, bool) == option.is_flag for part in values):
        raise InputError(f"is not {wanted}", where=origin)
    if kinds == _KINDS["str"][0]:
        values = [str(part) for part in values]
    if isinstance(option.type, TyperPath):
        values = [_absolute(part, origin) for part in values]
    return values if option.multiple else values[0]


def _absolute(value: str, origin: str) -> str:
    """A path that means the same in every working directory."""
    path = os.path.expanduser(value)  # noqa: PTH111 (which leaves an unknown home as it is)
    if not Path(path).is_absolute():
        raise InputError(f"'{value}' is a relative path", where=origin, hint="write one that begins with / or ~/")
    return path


def _did_you_mean(name: str, names: Collection[str], spell: Any = str) -> str:
    near = find_nearest(name.casefold().replace("_", "-"), names)
    return f"did you mean '{spell(near[0])}'?" if near else "see 'attnsearch docs reference'"
