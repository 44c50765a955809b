"""`attnsearch use` and `remove`: which catalog is the default, and which are not needed any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.errors import InputError
from attnsearch.output.safe_text import inert, to_json
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import CatalogRefs, indexed_folder
from attnsearch.terminal.completion import complete_catalog

if TYPE_CHECKING:
    from attnsearch.upkeep.default import Choice

_LISTED = 20  # catalogs, at most, in a line


def use(
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE",
            show_default=False,
            autocompletion=complete_catalog,
            help="The catalog to ask from now on when there is no -c.",
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", rich_help_panel=options.DONE, help="Forget the choice.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Choose the catalog that is asked without -c. Without NAME, show which that is.

    attnsearch use kitchen

    attnsearch use --none
    """
    if none and ref is not None:
        raise InputError("--none takes no catalog", hint="leave one of them out")

    from attnsearch.output.formats import SCHEMA
    from attnsearch.upkeep import default

    with progress.working(quiet=quiet):
        if none:
            default.forget_default()
        elif ref is not None:
            default.store_default(ref)
        choice = default.choose_default()
    if json:
        row = {"schema": SCHEMA, "default": default.read_default(), "asks": choice.ref, "why": choice.why}
        streams.emit([to_json(row, streams.screen(), indent=2)])
    elif not (quiet and (none or ref is not None)):
        streams.emit([f"{inert(_in_words(choice))}\n"])


def _in_words(choice: Choice) -> str:
    """What is asked without -c, and why.

    >>> from attnsearch.upkeep.default import Choice
    >>> _in_words(Choice("shop", "by 'attnsearch use'"))
    "shop is asked without -c (by 'attnsearch use')"
    """
    if choice.ref is not None:
        return f"{choice.ref} is asked without -c ({choice.why})"
    names = ", ".join([*choice.own[:_LISTED], *["…"] * (len(choice.own) > _LISTED)])
    return f"no default: {choice.why} ({names}); choose one: attnsearch use NAME"


def remove(refs: CatalogRefs, quiet: options.Quiet = False) -> None:
    """Remove catalogs, with their feedback and what they learned. Their source files stay."""
    from attnsearch.upkeep.removal import remove_catalog

    folders = [indexed_folder(ref) for ref in refs]
    for ref, folder in zip(refs, folders, strict=True):
        with progress.working(quiet=quiet):
            remove_catalog(folder)
        if not quiet:
            streams.emit([f"removed {inert(ref)}\n"])
