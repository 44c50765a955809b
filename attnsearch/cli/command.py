"""A command and their group, as typer is to run them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from attnsearch.cli.defaults import Defaults, long_name, may_have_default
from attnsearch.errors import AttnsearchError, CatalogError, InputError
from attnsearch.terminal import streams
from attnsearch.terminal.catalogs import refuse_catalog_file
from attnsearch.terminal.options import OUTPUT


class Command(TyperCommand):
    """A command: its help, and the defaults of its options."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for option in self.params:
            if isinstance(option, TyperOption) and option.is_bool_flag and may_have_default(option):
                option.secondary_opts += [f"--no-{long_name(option)}"]  # the command line wins over a default

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The option --help."""
        return _adapt_help_option(super().get_help_option(ctx), panel=OUTPUT)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help into typer's formatter."""
        _write_help(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words, and look up what they leave out."""
        defaults = ctx.default_map = Defaults(self, ctx)
        rest = super().parse_args(ctx, args)
        defaults.drop_rivals()
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Its errors name the default that they are about."""
        try:
            files = [str(file) for name in streams.WRITTEN if (file := ctx.params.get(name)) is not None]
            for file in files:
                streams.refuse_input(file, ctx.params)
                refuse_catalog_file(file, ctx.params)
            if len(files) > len({os.path.realpath(file) for file in files}):
                raise InputError("--out and --save name the same file", where=files[0], hint="name two files")
            streams.used.clear()
            try:
                return super().invoke(ctx)
            except CatalogError as problem:
                if not _can_start_over(problem, ctx.params):
                    raise
            return super().invoke(ctx)
        except AttnsearchError as problem:
            raise ctx.default_map.blame(problem) from None

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """What the last word can go on to: the options of the help."""
        hidden = {name for option in self.params for name in option.secondary_opts}
        return [item for item in super().shell_complete(ctx, incomplete) if item.value not in hidden]


def _can_start_over(problem: CatalogError, parameters: Mapping[str, object]) -> bool:
    """Whether a commit came between, and the command has neither written to stdout nor read stdin.

    Then it opens the catalog again, in the new state: nothing of the old one is in its answer.
    """
    from attnsearch.storage.failures import ChangedError  # loaded by all that raises it

    values = [
        part for value in parameters.values() for part in (value if isinstance(value, (list, tuple)) else [value])
    ]
    return isinstance(problem, ChangedError) and "-" not in values and not streams.used.is_set()


class Group(TyperGroup):
    """All commands with their help."""

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The option --help."""
        return _adapt_help_option(super().get_help_option(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help into typer's formatter."""
        _write_help(self, ctx, formatter)


def _write_help(command: TyperCommand | TyperGroup, context: Any, formatter: Any) -> None:
    from attnsearch.cli.help import render, window_width  # a query does without

    formatter.write(render(command, context, width=window_width(), bold=streams.screen().colors > 0))


def _adapt_help_option(option: TyperOption | None, panel: str | None = None) -> TyperOption | None:
    """The option --help, listed in a panel, which prints through `streams` as all commands do."""
    if option is not None:
        option.callback = _print_help
        option.rich_help_panel = panel
        option.help = "Print this help and exit."
    return option


def _print_help(context: Any, _option: Any, is_set: bool) -> None:
    if is_set and not context.resilient_parsing:
        streams.emit([f"{context.get_help()}\n"])
        raise typer.Exit
