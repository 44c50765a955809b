"""Options that several commands share."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from attnsearch.errors import InputError
from attnsearch.plain import inert
from attnsearch.render import FORMATS

if TYPE_CHECKING:
    from attnsearch.ledger import Info
    from attnsearch.projections import Projections
    from attnsearch.scan import Setting


def _version(asked: bool) -> None:
    if asked:
        from attnsearch import __version__

        typer.echo(f"attnsearch {__version__}")
        raise typer.Exit


def names(incomplete: str) -> list[str]:
    """The catalogs whose name begins so, for the shell's completion."""
    from attnsearch import catalog, shelf

    known = {folder.name for folder in shelf.folders() if not folder.name.startswith("@")}
    harmless = (name for name in known.union(catalog.BUILT_IN) if name == inert(name))  # the shell prints them
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
Temperature = Annotated[
    float | None,
    typer.Option(metavar="τ", show_default=False, help="Sharpness: the logit is cosine / τ. Lower is sharper. [0.05]"),
]
Textbook = Annotated[
    bool, typer.Option("--textbook", help="W_Q = I, nothing learned: 1/√d_k alone, and how flat that is.")
]
Format = Annotated[
    str | None,
    typer.Option("-f", "--format", metavar="|".join(FORMATS), show_default=False, help="What to print. [table]"),
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
    from attnsearch.projections import check_temperature

    if temperature is not None:
        check_temperature(temperature)
        if textbook:
            raise InputError("--textbook has no temperature of its own", hint="leave out --temperature or --textbook")


def projections(info: Info, temperature: float | None, *, textbook: bool) -> Projections:
    """W_Q, W_K and W_V as the options say."""
    from attnsearch.projections import identity
    from attnsearch.projections import textbook as w_q_is_identity

    return w_q_is_identity(info.d) if textbook else identity(info.d, temperature or info.temperature)


class Asked(NamedTuple):
    """What the options say of how a catalog is asked; what a catalog makes of it."""

    temperature: float | None
    textbook: bool

    def setting(self, info: Info) -> Setting:
        """The same for a catalog."""
        from attnsearch.scan import Setting

        return Setting(projections(info, self.temperature, textbook=self.textbook))


def asked(temperature: Temperature = None, textbook: Textbook = False) -> Asked:
    """The options of this kind, each declared once more for `asked_in`; InputError for those that can't be."""
    check_sharpness(temperature, textbook=textbook)
    return Asked(temperature, textbook)


def asked_in(text: str, option: str) -> Asked:
    """The same options as one text, the value of `option`. InputError for what they are not."""
    parser = typer.Typer(add_completion=False, context_settings={"help_option_names": []})
    parser.command()(asked)
    hint = f"write the options of a setting into one text: {option} '--temperature 0.1'"
    try:
        found: Asked = parser(args=shlex.split(text), prog_name=option, standalone_mode=False)
    except typer.TyperException as problem:
        said = problem.format_message().strip().rstrip(".")
        raise InputError(f"{option}: {said[:1].lower()}{said[1:]}", hint=hint) from None
    except ValueError as problem:
        raise InputError(f"{option}: {str(problem).lower()}", hint=hint) from None
    return found
