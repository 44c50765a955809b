"""Options that several commands share."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from attnsearch.errors import InputError
from attnsearch.output.safe_text import FORMATS
from attnsearch.terminal.argv import normalized
from attnsearch.terminal.completion import complete_catalog, complete_filter, complete_prior

if TYPE_CHECKING:
    from attnsearch.postings.conditions import Where as Tree
    from attnsearch.search.setting import Setting
    from attnsearch.storage.database import Info
    from attnsearch.storage.learned import Learned

RANKING = "Ranking"  # panel of the help

_MAX_LEXICAL = 1000


def _print_version(is_set: bool) -> None:
    if is_set:
        from attnsearch import __version__

        typer.echo(f"attnsearch {__version__}")
        raise typer.Exit


def top_k_option(text: str) -> Any:
    """The option -k, with this help."""
    return typer.Option("-k", "--top-k", "-n", "--limit", metavar="N", min=1, show_default=False, help=text)


def format_option(formats: Sequence[str]) -> Any:
    """The option --format, which takes one of these."""
    text = f"Output format: {', '.join(formats[:-1])} or {formats[-1]}. (default: table)"
    return typer.Option("-f", "--format", metavar="FORMAT", show_default=False, help=text)


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
Catalog = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--catalog",
        metavar="NAME|FILE",
        show_default=False,
        autocompletion=complete_catalog,
        help="Catalog to use. A file is indexed first if it is new or changed. "
        "(default: $ATTNSEARCH_CATALOG, else the only catalog you indexed, else library)",
    ),
]
Qrels = Annotated[
    str | None, typer.Argument(metavar="QRELS", show_default=False, help="TREC's grades for the queries in JUDGMENTS.")
]
Temperature = Annotated[
    float | None,
    typer.Option(
        metavar="τ",
        show_default=False,
        rich_help_panel=RANKING,
        help="The logit is cosine / τ, so lower is sharper. (default: the learned one, else 0.05)",
    ),
]
Textbook = Annotated[
    bool,
    typer.Option(
        "--textbook",
        rich_help_panel=RANKING,
        help="Set W_Q = I and use nothing learned. The scale is 1/√d_k alone, and the weights are almost equal.",
    ),
]
Untrained = Annotated[
    bool, typer.Option("--untrained", rich_help_panel=RANKING, help="Ignore what the catalog has learned.")
]
Projections = Annotated[
    Path | None,
    typer.Option(
        "--projections",
        metavar="FILE",
        show_default=False,
        rich_help_panel=RANKING,
        help="Use the projections in FILE instead: another catalog's learned.safetensors, or a file that "
        "'train --save' wrote, for the same model.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "-w",
        "--where",
        metavar="'FIELD OP VALUE'",
        show_default=False,
        rich_help_panel=RANKING,
        autocompletion=complete_filter,
        help="Rank only matching items. OP is =, !=, <, <=, >, >= or ~ (contains). Also: in (a, b), between 1 and 9, "
        "has FIELD; join with and, or, not, ( ). Repeatable; all must match.",
    ),
]
Lexical = Annotated[
    str | None,
    typer.Option(
        metavar="[λ]",
        show_default=False,
        rich_help_panel=RANKING,
        help="Add λ·BM25 to each logit, so that shared words count. Without λ: the learned one, else 0.3. "
        "(default: the catalog's, else 0)",
    ),
]
Prior = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD[=WEIGHT]",
        show_default=False,
        rich_help_panel=RANKING,
        autocompletion=complete_prior,
        help="Prefer items with a high number or late date in FIELD or, if WEIGHT is below 0, a low or early one. "
        "WEIGHT is the gap in logits between the highest and the lowest value; without it: 1. Repeatable.",
    ),
]
Format = Annotated[str | None, format_option(FORMATS)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print JSON Lines: one object per query, a line each.")]
Offline = Annotated[bool, typer.Option("--offline", help="Never download a model.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only data and errors.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Use no colors, like NO_COLOR.")]


def choose_format(
    form: str | None, *, json: bool = False, jsonl: bool = False, allowed: tuple[str, ...] = FORMATS
) -> str:
    """The format that the options name, else "table". Raises InputError for two formats, or one not in `allowed`."""
    named = {name for name in (form, json and "json", jsonl and "jsonl") if name}
    if len(named) > 1:
        raise InputError(f"two formats at once: {' and '.join(sorted(named))}", hint="choose one")
    choice = named.pop() if named else "table"
    if choice not in allowed:
        raise InputError(f"invalid --format '{choice}'", hint=f"use one of {', '.join(allowed)}")
    return choice


def parse_lexical(text: str | None) -> float | Literal["auto"] | None:
    """λ; "auto" for --lexical without a number, None without --lexical. Raises InputError for an invalid number."""
    if text is None or text == "auto":
        return "auto" if text else None
    hint = "give --lexical a number, such as 0.3"
    try:
        number = float(text)
    except ValueError:
        raise InputError(f"invalid value for '--lexical': '{text}' is not a number", hint=hint) from None
    if not 0 <= number <= _MAX_LEXICAL:  # NaN included
        message = f"invalid value for '--lexical': {text} is not in the range 0<=x<={_MAX_LEXICAL}"
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
        )


def parse_setting(
    where: Where = None,
    lexical: Lexical = None,
    prior: Prior = None,
    temperature: Temperature = None,
    textbook: Textbook = False,
    untrained: Untrained = False,
    projections: Projections = None,
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
    learned = _read_projections(projections) if projections else None
    priors = dict(_parse_prior(text) for text in prior or ())
    return SettingOptions(filters, parse_lexical(lexical), priors, temperature, textbook, untrained, learned)


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
        message = problem.format_message().strip().rstrip(".")
        raise InputError(f"{option}: {message[:1].lower()}{message[1:]}", hint=hint) from None
    except ValueError as problem:
        raise InputError(f"{option}: {str(problem).lower()}", hint=hint) from None
    return parsed


def _conflict(option: str, other_option: str) -> InputError:
    return InputError(f"{option} and {other_option} exclude each other", hint="leave one of them out")


def _read_projections(file: Path) -> Learned:
    """What the file of --projections holds. Raises InputError if it can't be read, or is not such a file."""
    from attnsearch.storage import learned

    try:
        return learned.read_learned(file)
    except OSError as error:
        raise InputError(f"--projections: {error.strerror or error}", where=str(file)) from None
    except ValueError as error:
        hint = "name a file that 'attnsearch train' made"
        raise InputError(f"--projections: {error}", where=str(file), hint=hint) from None


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
