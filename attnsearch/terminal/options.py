"""Options that several commands share."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.errors import InputError
from attnsearch.output.safe_text import FORMATS
from attnsearch.terminal import browser, streams
from attnsearch.terminal.completion import complete_catalog, complete_field, complete_word

# Panels of the help, in the order in which all commands have them. Each option names one; without it, it is in OUTPUT.
PANELS = (
    WHICH := "Which items",
    FIELDS := "Which fields",
    MANY := "How many",
    SHARP := "How sharp",
    SHOWN := "What is shown",
    DONE := "What is done",
    ASKERS := "Who may ask",
    OUTPUT := "Output",
)

ANSWERS = (*FORMATS, "html")  # formats of results
FIGURES = ("svg", "png")  # formats that matplotlib draws
REPORTS = ("table", "json", "html")  # formats of all else that has a page
DRAWN = (*REPORTS, *FIGURES)  # formats of what has a figure too


def _print_version(is_set: bool) -> None:
    if is_set:
        from attnsearch import __version__

        typer.echo(f"attnsearch {__version__}")
        raise typer.Exit


def version_option(*, hidden: bool = False) -> Any:
    """The option --version, in the help or not."""
    text = "Print the version and exit."
    return typer.Option("-V", "--version", callback=_print_version, is_eager=True, hidden=hidden, help=text)


def top_k_option(text: str) -> Any:
    """The option -k, with this help."""
    return typer.Option("-k", "--top-k", "-n", "--limit", metavar="N", min=1, rich_help_panel=MANY, help=text)


def null_option(noun: str) -> Any:
    """The option -0, for what a pipe has so many of."""
    text = f"{noun} from a pipe end with NUL: find -print0."
    return typer.Option("-0", "--null", rich_help_panel=WHICH, help=text)


def value_option(text: str) -> Any:
    """The option --value, with this help."""
    return typer.Option(metavar="FIELD", rich_help_panel=SHOWN, autocompletion=complete_field, help=text)


def arrays_option(of: str = "") -> Any:
    """The option --save for arrays: those `of` something."""
    text = f"Also write q, K, V, W, logits and weights {of}to FILE, for NumPy."
    return typer.Option(metavar="FILE.npz", rich_help_panel=DONE, allow_from_autoenv=False, help=text)


def format_option(formats: Sequence[str], *, verb: str = "Print", default: str = "table") -> Any:
    """The option --format, which takes one of these; the help says the default without FILE."""
    text = f"{verb} {', '.join(formats[:-1])} or {formats[-1]}. (default: by the name of FILE, else {default})"
    return typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        rich_help_panel=OUTPUT,
        autocompletion=complete_word(formats),
        help=text,
    )


def catalog_option(text: str) -> Any:
    """The option -c, with this help."""
    default = "(default: $ATTNSEARCH_CATALOG, else that of 'use', else your only one, else library)"
    return typer.Option(
        "-c",
        "--catalog",
        metavar="NAME|FILE",
        rich_help_panel=WHICH,
        autocompletion=complete_catalog,
        help=f"{text} {default}",
    )


def on_option(verb: str) -> Any:
    """The option --on, whose help begins with a verb and its object."""
    return typer.Option("--on", metavar="ADDRESS", rich_help_panel=OUTPUT, help=f"{verb}: tcp://HOST:PORT, or local:N.")


def query_prompt_option(default: str) -> Any:
    """The option --query-prompt, with its default in words."""
    text = f"What the model reads before a request; '' for nothing. (default: {default})"
    return typer.Option(metavar="TEXT", rich_help_panel=SHARP, help=text)


def key_prompt_option(default: str) -> Any:
    """The option --key-prompt, with its default in words."""
    text = f"What the model reads before an item's text. (default: {default})"
    return typer.Option(metavar="TEXT", rich_help_panel=SHARP, help=text)


def dims_option(default: str) -> Any:
    """The option --dims, with its default in words."""
    text = f"How many numbers of the model's vectors count, from the first. (default: {default})"
    return typer.Option(metavar="N", min=1, rich_help_panel=SHARP, help=text)


Version = Annotated[bool, version_option()]
HiddenVersion = Annotated[bool, version_option(hidden=True)]
Catalog = Annotated[str | None, catalog_option("Catalog to ask; a file is indexed first.")]
Catalogs = Annotated[list[str] | None, catalog_option("Catalog to ask; a file is indexed first. Repeatable.")]
Qrels = Annotated[str | None, typer.Argument(metavar="QRELS", help="TREC's grades for the queries in JUDGMENTS.")]
Format = Annotated[str | None, format_option(ANSWERS)]
ReportFormat = Annotated[str | None, format_option(REPORTS)]
DrawnFormat = Annotated[str | None, format_option(DRAWN)]
Json = Annotated[bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print JSON.")]
JsonLines = Annotated[
    bool, typer.Option("--jsonl", rich_help_panel=OUTPUT, help="Print JSON Lines: one object per query.")
]
Out = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        allow_from_autoenv=False,
        callback=streams.check_destination,
        help="Write to FILE, whole or not at all.",
    ),
]
Open = Annotated[
    bool,
    typer.Option(
        "--open",
        rich_help_panel=OUTPUT,
        allow_from_autoenv=False,
        help="Open the page of -f html -o FILE in the browser.",
    ),
]
On = Annotated[str | None, on_option("Ask a Dask cluster")]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        rich_help_panel=OUTPUT,
        help=f"How long other machines may take. (default: {DEADLINE:g})",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", rich_help_panel=OUTPUT, help="Never download a model.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print only data and errors.")]
Color = Annotated[
    streams.When,
    typer.Option(
        "--color",
        metavar="WHEN",
        rich_help_panel=OUTPUT,
        help="Use colors auto, always or never. (default: auto)",
    ),
]


# Options that all commands take, for scripts that give them to any; the help has them where they change something.
_EVERYWHERE: Mapping[str, Any] = {
    "quiet": (Annotated[bool, typer.Option("-q", "--quiet", hidden=True)], False),
    "offline": (Annotated[bool, typer.Option("--offline", hidden=True)], False),
    "color": (Annotated[streams.When, typer.Option("--color", hidden=True)], "auto"),
}
_BINARY = ("npz", "parquet", "png")  # formats
_NOT_TEXT = (  # endings of files in which nobody looks for a table as the terminal has it
    "json", "jsonl", "csv", "tsv", "html", "htm", *FIGURES, "pdf", "jpg", "jpeg", "gif", "webp",
    "npz", "npy", "parquet", "xlsx", "xls", "ods",
)  # fmt: skip
_TABLE_OR_JSON = ("table", "json")
_HIDDEN_FORMAT = (Annotated[str | None, typer.Option("-f", "--format", hidden=True)], None)


def with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer should see it: with the options that all commands take.

    A command that prints a table or JSON takes --format beside --json.
    """
    code: Any = getattr(command, "__code__", None)
    names = code.co_varnames[: code.co_argcount]
    added = {name: option for name, option in _EVERYWHERE.items() if name not in names}
    has_form = "json" not in names or "format_" in names
    if not added and has_form:
        return command
    shown = added if has_form else {**added, "format_": _HIDDEN_FORMAT}

    def call(**values: Any) -> None:
        if not has_form:
            form, json, out = values.pop("format_"), values["json"], values.get("out")
            values["json"] = choose_format(form, json=json, allowed=_TABLE_OR_JSON, out=out) == "json"
        command(**{name: value for name, value in values.items() if name not in added})

    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    more = [inspect.Parameter(name, either, default=value, annotation=kind) for name, (kind, value) in shown.items()]
    signature = inspect.signature(command, eval_str=True)
    call.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *more])  # type: ignore[attr-defined]
    call.__doc__ = command.__doc__
    return call


def choose_format(
    form: str | None,
    *,
    json: bool = False,
    jsonl: bool = False,
    allowed: Sequence[str] = FORMATS,
    out: str | None = None,
) -> str:
    """The format that the options name, else that of the ending of `out`, else the first.

    Raises InputError for two formats, for one not in `allowed`, for one of bytes on a terminal, and for a file whose
    ending promises a format that is not in `allowed`, unless an option names one.
    """
    named = {name for name in (form, json and "json", jsonl and "jsonl") if name}
    if len(named) > 1:
        raise InputError(f"two formats at once: {' and '.join(sorted(named))}", hint="choose one")
    ending = PurePath(out or "").suffix.lower().removeprefix(".")
    if ending == "json" and ("json" not in allowed or "jsonl" in named):  # a name that JSON Lines have, too
        ending = "jsonl"
    if not named and ending in _NOT_TEXT and ending not in allowed:
        raise InputError(
            f"{ending} is not a format of this command", where=out or "", hint=f"use one of {', '.join(allowed)}"
        )
    ending = ending if ending in allowed else ""
    choice = named.pop() if named else ending or allowed[0]
    if choice not in allowed:
        raise InputError(f"invalid --format '{choice}'", hint=f"use one of {', '.join(allowed)}")
    if ending and ending != choice:
        better = "txt" if choice == "table" else choice
        raise InputError(f"--format {choice} and the name {out} say two things", hint=f"name it FILE.{better}")
    if choice in _BINARY and out is None and streams.screen().is_terminal:
        raise InputError(f"{choice} is not for a terminal", hint=f"name a file: -o FILE.{choice}")
    return choice


def choose_report(
    form: str | None,
    *,
    json: bool,
    jsonl: bool = False,
    allowed: Sequence[str] = REPORTS,
    out: str | None,
    is_opened: bool,
) -> str:
    """The format of a command that can write a page.

    Raises InputError as `choose_format` does, for --open without a page in a file, and for a figure without matplotlib.
    """
    choice = choose_format(form, json=json, jsonl=jsonl, allowed=allowed, out=out)
    if choice in FIGURES:
        from attnsearch.plots.figure import require_matplotlib

        require_matplotlib()  # before anything is computed
    if is_opened:
        browser.check_open(choice, out)
    return choice


def check_limits(limits: Mapping[str, float | None]) -> None:
    """Raise InputError for a NaN, which typer's ranges let through; `limits` has the values by option."""
    for option, limit in limits.items():
        if limit is not None and math.isnan(limit):
            raise InputError(f"invalid value for '{option}': nan", hint="give it a number, such as 0.5")
