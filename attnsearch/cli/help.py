"""The help of commands: plain text, in sections of one order, as wide as the window."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from typer.core import TyperCommand, TyperGroup, TyperOption

from attnsearch.terminal.options import OUTPUT, PANELS

_WIDEST = 100  # columns: longer lines are hard to read
_NARROW = 60  # columns, below which an option has a line of its own, and its text the next ones
_TERM = 26  # columns for an option, else it has a line of its own
ARGUMENTS, OPTIONS, COMMANDS = "Arguments", "Options", "Commands"  # headings beside those of the panels
_ANSI_BOLD, _ANSI_OFF = "\x1b[1m", "\x1b[0m"


class Section(NamedTuple):
    """A heading and its rows: an argument, an option or a command, and the text about it."""

    title: str
    rows: list[tuple[str, str]]


def window_width() -> int:
    """The columns for the help: those of the window, but no more than are easy to read."""
    return max(20, min(shutil.get_terminal_size().columns, _WIDEST))


def render(command: TyperCommand | TyperGroup, context: Any, *, width: int, bold: bool = False) -> str:
    """The help of a command, no line wider than `width` columns."""
    lines = _wrap(f"Usage: {usage(command, context)}", width, "", "  ")
    for paragraph in paragraphs(command.help or ""):
        lines.append("")
        if isinstance(paragraph, str):
            lines += _wrap(paragraph, width)
        else:
            for example in paragraph:
                lines += _wrap(example, width, "  ", "      ")
    all_sections = list(sections(command, context))
    widest = max(len(term) for section in all_sections for term, _ in section.rows)
    for title, rows in all_sections:
        # Names of commands are shorter than options.
        longest = max(len(term) for term, _ in rows) if title == COMMANDS else widest
        column = 0 if width < _NARROW else min(longest, _TERM) + 4
        lines += ["", f"{_ANSI_BOLD}{title}:{_ANSI_OFF}" if bold else f"{title}:"]
        for term, text in rows:
            lines += _row(term, text, column, width)
    return "\n".join(lines) + "\n"


def _row(term: str, text: str, column: int, width: int) -> list[str]:
    """An option and its text, which begins in `column`; 0 puts it below the option."""
    indent = " " * (column or 6)
    head = f"  {term}"
    if column and len(head) + 2 <= column:
        return _wrap(text, width, head.ljust(column), indent)
    return [*_wrap(head.strip(), width, "  ", "      "), *_wrap(text, width, indent, indent)]


def _wrap(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """The text in lines, with an indent for the first and one for later ones; --options stay whole."""
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def usage(command: TyperCommand | TyperGroup, context: Any) -> str:
    """The line after "Usage:", such as "attnsearch query [OPTIONS] [TEXT...]"."""
    return " ".join([context.command_path, *command.collect_usage_pieces(context)]).replace("{", "").replace("}", "")


def paragraphs(docstring: str) -> Iterator[str | list[str]]:
    """The paragraphs about a command. One that is not a sentence is an example; examples in a row are one list."""
    examples: list[str] = []
    for text in inspect.cleandoc(docstring).split("\n\n"):
        if text.endswith((".", ":")):
            if examples:
                yield examples
                examples = []
            yield " ".join(text.split())
        else:
            examples.append(" ".join(text.split()))
    if examples:
        yield examples


def sections(command: TyperCommand | TyperGroup, context: Any) -> Iterator[Section]:
    """The arguments, the options by panel, and the commands."""
    by_title: dict[str, list[tuple[str, str]]] = {ARGUMENTS: [], OPTIONS: [], **{title: [] for title in PANELS}}
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        if isinstance(parameter, TyperOption):
            title = parameter.rich_help_panel or (OPTIONS if isinstance(command, TyperGroup) else OUTPUT)
            by_title[title].append((_option_term(parameter), parameter.help or ""))
        else:
            by_title[ARGUMENTS].append((parameter.make_metavar(context), getattr(parameter, "help", None) or ""))
    if isinstance(command, TyperGroup):
        rows = [(name, str(next(paragraphs(part.help or "")))) for name, part in command.commands.items()]
        yield Section(COMMANDS, rows)
    yield from (Section(title, rows) for title, rows in by_title.items() if rows)


def _option_term(option: TyperOption) -> str:
    """An option with all its names and its metavar: "-c, --catalog NAME|FILE"."""
    names = _option_names(option.opts)
    term = names if names.startswith("-") and not names.startswith("--") else f"    {names}"
    return f"{term} {option.metavar}" if option.metavar and not option.is_flag else term


def _option_names(names: Sequence[str]) -> str:
    """Short names first."""
    return ", ".join(sorted(names, key=lambda name: name.startswith("--")))
