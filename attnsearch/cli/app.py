"""The commands together, in the order in which `--help` lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import typer

from attnsearch.cli.command import Command, Group
from attnsearch.terminal import streams
from attnsearch.terminal.options import Version, with_common_options
from attnsearch.terminal.setting_options import with_setting_options

# Each command's file and function: only those that are asked for are imported.
COMMANDS = {
    "query": ("query", "query"),
    "index": ("index", "index"),
    "show": ("items", "show"),
    "list": ("catalogs", "list_"),
    "info": ("catalogs", "info"),
    "use": ("catalogs", "use"),
    "check": ("upkeep", "check"),
    "remove": ("upkeep", "remove"),
    "duplicates": ("items", "duplicates"),
    "export": ("items", "export"),
    "publish": ("items", "publish"),
    "explain": ("explain", "explain"),
    "heatmap": ("heatmap", "heatmap"),
    "eval": ("eval", "eval_"),
    "train": ("train", "train"),
    "feedback": ("feedback", "feedback"),
    "reset": ("feedback", "reset"),
    "calibrate": ("train", "calibrate"),
    "serve": ("serve", "serve"),
    "mcp": ("serve", "mcp"),
    "lesson": ("guide", "lesson"),
    "docs": ("guide", "docs"),
}


def load_command(name: str) -> Callable[..., None]:
    """The function of a command, as typer is to see it."""
    file, function = COMMANDS[name]
    command: Callable[..., None] = getattr(import_module(f"attnsearch.commands.{file}"), function)
    return with_setting_options(with_common_options(command))


def app_for(argv: Sequence[str]) -> typer.Typer:
    """The command line with only the command that `argv` names, else with all: typer needs milliseconds for each."""
    app = typer.Typer(
        cls=Group,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "obj": COMMANDS},
    )
    app.callback(invoke_without_command=True)(attnsearch)
    for name in argv[:1] if argv and argv[0] in COMMANDS else COMMANDS:
        app.command(name, cls=Command)(load_command(name))
    return app


def attnsearch(context: typer.Context, version: Version = False) -> None:  # noqa: ARG001 (its callback acts)
    """Semantic search over a catalog of described things, as attention.

    Describe what you want: every item of the catalog gets its share of attention, and the list is sorted by it.

    attnsearch query "science fiction"
    """
    if context.invoked_subcommand is None:
        streams.emit([f"{context.get_help()}\n"])
