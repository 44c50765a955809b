"""The options of a setting: how a catalog is asked. They are declared and parsed once, for all commands."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from attnsearch.errors import InputError
from attnsearch.terminal.argv import in_plain_words, normalized
from attnsearch.terminal.completion import complete_filter, complete_prior
from attnsearch.terminal.options import SHARP, WHICH

if TYPE_CHECKING:
    from attnsearch.postings.conditions import Where as Tree
    from attnsearch.search.setting import Setting
    from attnsearch.storage.database import Info
    from attnsearch.storage.learned import Learned

Temperature = Annotated[
    float | None,
    typer.Option(
        metavar="τ",
        rich_help_panel=SHARP,
        help="Lower is sharper. (default: learned, else fitted)",
    ),
]
Textbook = Annotated[
    bool,
    typer.Option(
        "--textbook",
        rich_help_panel=SHARP,
        help="Set W_Q = I: the scale is 1/√d_k alone.",
    ),
]
Untrained = Annotated[
    bool, typer.Option("--untrained", rich_help_panel=SHARP, help="Ignore what the catalog has learned and remembers.")
]
Projections = Annotated[
    Path | None,
    typer.Option(
        "--projections",
        metavar="FILE",
        rich_help_panel=SHARP,
        help="Use what is in FILE, as 'train --save' wrote it.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "-w",
        "--where",
        metavar="FILTER",
        rich_help_panel=WHICH,
        autocompletion=complete_filter,
        help="Rank only items with 'year > 1990'. Operators: and or = != < <= > >= ~ in between has. Repeatable.",
    ),
]
Lexical = Annotated[
    str | None,
    typer.Option(
        metavar="[λ]",
        rich_help_panel=SHARP,
        help="Let shared words count: add λ·BM25, 0.3 if not given. (default: the catalog's, else 0)",
    ),
]
Prior = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD[=WEIGHT]",
        rich_help_panel=SHARP,
        autocompletion=complete_prior,
        help="Prefer high numbers or late dates; with a WEIGHT below 0, low or early ones. Repeatable.",
    ),
]
Exact = Annotated[
    bool | None,
    typer.Option(
        "--exact/--spell",
        rich_help_panel=WHICH,
        help="Don't correct misspelled words. (default: --spell)",
    ),
]


def parse_lexical(text: str | None) -> float | Literal["auto"] | None:
    """λ; "auto" for --lexical without a number, None without --lexical. Raises InputError for an invalid number."""
    if text is None or text == "auto":
        return "auto" if text else None
    from attnsearch.search.setting import MAX_LEXICAL

    hint = "give --lexical a number, such as 0.3"
    try:
        number = float(text)
    except ValueError:
        raise InputError(f"invalid value for '--lexical': '{text}' is not a number", hint=hint) from None
    if not 0 <= number <= MAX_LEXICAL:  # NaN included
        message = f"invalid value for '--lexical': {text} is not from 0 to {MAX_LEXICAL}"
        raise InputError(message, hint=hint)
    return number


class SettingOptions(NamedTuple):
    """The parsed options of a setting, before the catalog is open. The fields are those of `Setting`."""

    where: tuple[Tree, ...] = ()
    lexical: float | Literal["auto"] | None = None
    priors: Mapping[str, float] = {}
    temperature: float | None = None
    textbook: bool = False
    untrained: bool = False
    learned: Learned | None = None
    spell: bool | None = None

    def setting(self, info: Info) -> Setting:
        """The setting for a catalog; the textbook's matrices are as wide as its embeddings."""
        from attnsearch.attention.projections import textbook
        from attnsearch.search.setting import Setting

        return Setting(
            projections=textbook(info.d) if self.textbook else None,
            where=self.where,
            lexical=self.lexical,
            priors=self.priors,
            temperature=self.temperature,
            learned=self.learned,
            untrained=self.untrained,
            spell=self.spell,
        )


def parse_setting(
    where: Where = None,
    lexical: Lexical = None,
    prior: Prior = None,
    temperature: Temperature = None,
    textbook: Textbook = False,
    untrained: Untrained = False,
    projections: Projections = None,
    exact: Exact = None,
) -> SettingOptions:
    """Parse the options of a setting, which are declared here, once for all commands.

    Raises InputError for values that are invalid or contradict each other, before a model or catalog is loaded.
    """
    if temperature is not None:
        from attnsearch.attention.projections import check_temperature

        check_temperature(temperature)
    if textbook and temperature is not None:
        raise _conflict("--textbook", "--temperature")
    if projections and textbook:
        raise _conflict("--textbook", "--projections")
    if projections and untrained:
        raise _conflict("--untrained", "--projections")
    filters: tuple[Tree, ...] = ()
    if where:
        from attnsearch.postings.filters import parse_filter

        filters = tuple(parse_filter(filter_text) for filter_text in where)
    learned: Learned | None = None
    if projections:
        from attnsearch.storage.learned import read_projections

        learned = read_projections(projections, "--projections")
    priors = dict(_parse_prior(text) for text in prior or ())
    spell = None if exact is None else not exact
    return SettingOptions(filters, parse_lexical(lexical), priors, temperature, textbook, untrained, learned, spell)


def with_setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer should see it: with the options of a setting in place of its parameter `setting_options`."""
    parameters = inspect.signature(command, eval_str=True).parameters
    if "setting_options" not in parameters:
        return command
    declared = inspect.signature(parse_setting, eval_str=True).parameters

    def call(**values: Any) -> None:
        setting_options = parse_setting(**{name: values.pop(name) for name in declared})
        command(setting_options=setting_options, **values)

    shown = ((declared.values() if name == "setting_options" else [value]) for name, value in parameters.items())
    call.__signature__ = inspect.Signature(list(itertools.chain.from_iterable(shown)))  # type: ignore[attr-defined]
    call.__doc__ = command.__doc__
    return call


def parse_setting_text(text: str, option: str) -> SettingOptions:
    """Parse the options of a setting from `text`, the value of `option`. Raises InputError if it is invalid."""
    import shlex

    parser = typer.Typer(add_completion=False, context_settings={"help_option_names": []})
    parser.command()(parse_setting)
    hint = f"quote the options of the setting together: {option} '--temperature 0.1'"
    try:
        words = normalized(shlex.split(text))
        parsed: SettingOptions = parser(args=words, prog_name=option, standalone_mode=False)
    except typer.TyperException as problem:
        raise InputError(f"{option}: {in_plain_words(problem.format_message())}", hint=hint) from None
    except ValueError as problem:
        raise InputError(f"{option}: {str(problem).lower()}", hint=hint) from None
    return parsed


def _conflict(option: str, other_option: str) -> InputError:
    return InputError(f"{option} and {other_option} exclude each other", hint="leave one of them out")


def _parse_prior(text: str) -> tuple[str, float]:
    """The field and the weight of a --prior."""
    field, equals, weight = text.rpartition("=")
    if not equals:
        return text.strip(), 1.0
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not field.strip():
        raise InputError(f"invalid --prior '{text}'", hint="write FIELD or FIELD=WEIGHT, such as year=0.5")
    return field.strip(), number
