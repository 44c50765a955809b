"""Options that several commands share."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from attnsearch.cli.argv import normalized
from attnsearch.errors import InputError
from attnsearch.output.safe_text import FORMATS, inert

if TYPE_CHECKING:
    from attnsearch.postings.filters import Filter
    from attnsearch.search.setting import Setting
    from attnsearch.storage.database import Info
    from attnsearch.storage.learned import Learned

_MOST = 1000  # that λ may be


def _version(asked: bool) -> None:
    if asked:
        from attnsearch import __version__

        typer.echo(f"attnsearch {__version__}")
        raise typer.Exit


def names(incomplete: str) -> list[str]:
    """The catalogs whose name begins so, for the shell's completion."""
    from attnsearch.storage import home

    known = {folder.name for folder in home.catalog_folders() if not folder.name.startswith("@")}
    harmless = (name for name in known.union(home.BUILT_IN) if name == inert(name))  # the shell prints them
    return sorted(name for name in harmless if name.startswith(incomplete))


Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
]
Catalog = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--catalog",
        metavar="NAME|FILE",
        show_default=False,
        autocompletion=names,
        help="The catalog to ask. A file is indexed first if it is new or changed. Without this: "
        "$ATTNSEARCH_CATALOG, else the only catalog you indexed, else the built-in library.",
    ),
]
Qrels = Annotated[
    str | None, typer.Argument(metavar="[QRELS]", show_default=False, help="TREC's grades for these queries.")
]
Temperature = Annotated[
    float | None,
    typer.Option(metavar="τ", show_default=False, help="Sharpness: the logit is cosine / τ. Lower is sharper. (0.05)"),
]
Textbook = Annotated[
    bool, typer.Option("--textbook", help="W_Q = I, nothing learned: 1/√d_k alone, and how flat that is.")
]
Untrained = Annotated[bool, typer.Option("--untrained", help="Without what the catalog has learned from requests.")]
Projections = Annotated[
    Path | None,
    typer.Option(
        "--projections",
        metavar="FILE",
        show_default=False,
        help="With what is in this file instead: another catalog's, of the same model.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "-w",
        "--where",
        metavar="'FIELD OP VALUE'",
        show_default=False,
        help="Only items with this: = != < <= > >=, ~ (contains), FIELD? (has one). FIELD=a,b is any of them. "
        "Repeatable; all must hold.",
    ),
]
Lexical = Annotated[
    str | None,
    typer.Option(
        metavar="[λ]",
        show_default=False,
        help="Count shared words too: λ·BM25 is added to the logit. Without a number as it was learned, else 0.3. "
        "(as the catalog has it, else 0)",
    ),
]
Prior = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD[=WEIGHT]",
        show_default=False,
        help="Prefer items with a high number or a late date there, or, below 0, a low one: WEIGHT logits "
        "lie between the last and the first. (1) Repeatable.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option("-f", "--format", metavar="|".join(FORMATS), show_default=False, help="What to print. (table)"),
]
Json = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
JsonLines = Annotated[
    bool, typer.Option("--jsonl", help="The same as --format jsonl: one object a query, a line each.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Never fetch a model, whatever is missing.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Nothing but data and errors.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colors, as with NO_COLOR.")]


def chosen_format(
    form: str | None, *, json: bool = False, jsonl: bool = False, allowed: tuple[str, ...] = FORMATS
) -> str:
    """The one format that the options name; InputError when they name two, or none that there is."""
    named = {name for name, is_set in ((form, form), ("json", json), ("jsonl", jsonl)) if is_set and name}
    if len(named) > 1:
        raise InputError(f"two formats at once: {' and '.join(sorted(named))}", hint="name one")
    found = named.pop() if named else "table"
    if found not in allowed:
        raise InputError(f"there is no format '{found}'", hint=f"use one of {', '.join(allowed)}")
    return found


def check_sharpness(temperature: float | None, *, textbook: bool) -> None:
    """InputError for a temperature that can't be, before anything is loaded for it."""
    from attnsearch.attention.projections import check_temperature

    if temperature is not None:
        check_temperature(temperature)
        if textbook:
            raise InputError("--textbook has no temperature of its own", hint="leave out --temperature or --textbook")


def learned_in(file: Path) -> Learned:
    """What the file of --projections has; InputError where it has nothing."""
    from attnsearch.storage import learned

    try:
        return learned.read_learned(file)
    except OSError as error:
        raise InputError(f"--projections: {error.strerror or error}", where=str(file)) from None
    except ValueError as error:
        hint = "name a file that 'attnsearch train' made"
        raise InputError(f"--projections: {error}", where=str(file), hint=hint) from None


def weight(text: str | None) -> float | Literal["auto"] | None:
    """λ, "auto" for one that is not named; InputError for what it can't be."""
    if text is None or text == "auto":
        return "auto" if text else None
    hint = "give --lexical a number, such as 0.3"
    try:
        number = float(text)
    except ValueError:
        raise InputError(f"invalid value for '--lexical': '{text}' is not a number", hint=hint) from None
    if math.isnan(number):
        raise InputError("NaN is no weight", hint=hint)
    if not 0 <= number <= _MOST:
        raise InputError(f"invalid value for '--lexical': {text} is not in the range 0<=x<={_MOST}", hint=hint)
    return number


class SettingOptions(NamedTuple):
    """How the options say that a catalog is to be asked, before it is known which catalog."""

    where: tuple[Filter, ...] = ()
    lexical: float | Literal["auto"] | None = None
    priors: Mapping[str, float] = {}
    temperature: float | None = None
    textbook: bool = False
    untrained: bool = False
    learned: Learned | None = None

    def setting(self, info: Info) -> Setting:
        """The setting for a catalog, whose width the textbook's matrices have."""
        from attnsearch.attention.projections import textbook
        from attnsearch.search.setting import Setting

        w = textbook(info.d) if self.textbook else None
        return Setting(w, self.where, self.lexical, self.priors, self.temperature, self.learned, self.untrained)


def setting_options(
    where: Where = None,
    lexical: Lexical = None,
    prior: Prior = None,
    temperature: Temperature = None,
    textbook: Textbook = False,
    untrained: Untrained = False,
    projections: Projections = None,
) -> SettingOptions:
    """The options of a setting, declared here once; InputError for values that are invalid or contradict each other."""
    check_sharpness(temperature, textbook=textbook)
    if projections and (untrained or textbook):
        other = "--untrained" if untrained else "--textbook"
        raise InputError(f"{other} takes no projections", hint=f"leave out {other} or --projections")
    filters: tuple[Filter, ...] = ()
    if where:
        from attnsearch.postings.filters import parse_filter

        filters = tuple(parse_filter(condition) for condition in where)
    learned = learned_in(projections) if projections else None
    priors = dict(_prior(text) for text in prior or ())
    return SettingOptions(filters, weight(lexical), priors, temperature, textbook, untrained, learned)


def with_setting(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: with the options of a setting in place of its parameter `asked_with`."""
    parameters = inspect.signature(command, eval_str=True).parameters
    if "asked_with" not in parameters:
        return command
    options = inspect.signature(setting_options, eval_str=True).parameters

    def call(**values: Any) -> None:
        asked_with = setting_options(**{name: values.pop(name) for name in options})
        command(asked_with=asked_with, **values)

    replaced = ((options.values() if name == "asked_with" else [value]) for name, value in parameters.items())
    call.__signature__ = inspect.Signature(list(itertools.chain.from_iterable(replaced)))  # type: ignore[attr-defined]
    call.__doc__ = command.__doc__
    return call


def setting_in(text: str, option: str) -> SettingOptions:
    """The options of a setting in one text, the value of `option`. InputError where it is none."""
    import shlex

    parser = typer.Typer(add_completion=False, context_settings={"help_option_names": []})
    parser.command()(setting_options)
    hint = f"write the options of a setting into one text: {option} '--temperature 0.1'"
    try:
        words = normalized(shlex.split(text))
        parsed: SettingOptions = parser(args=words, prog_name=option, standalone_mode=False)
    except typer.TyperException as problem:
        message = problem.format_message().strip().rstrip(".")
        raise InputError(f"{option}: {message[:1].lower()}{message[1:]}", hint=hint) from None
    except ValueError as problem:
        raise InputError(f"{option}: {str(problem).lower()}", hint=hint) from None
    return parsed


def _prior(text: str) -> tuple[str, float]:
    field, said, weight = text.rpartition("=")
    if not said:
        return text.strip(), 1.0
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not field.strip():
        raise InputError(f"--prior can't be '{text}'", hint="write FIELD or FIELD=WEIGHT, such as year=0.5")
    return field.strip(), number
