"""`attnsearch duplicates`: items that say almost the same."""

from __future__ import annotations

from typing import Annotated

import typer

from attnsearch.errors import Exit
from attnsearch.output.duplicates import FORMATS, GROUPS
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import asked_catalog, catalog_argument
from attnsearch.terminal.setting_options import Where, parse_setting


def duplicates(
    ref: Annotated[str | None, catalog_argument("A catalog. (default: as for 'query')")] = None,
    min_score: Annotated[
        float,
        typer.Option(
            metavar="COSINE",
            min=-1,
            max=1,
            rich_help_panel=options.MANY,
            help="Leave out items less like the one to keep. (default: 0.95)",
        ),
    ] = 0.95,
    where: Where = None,
    top_k: Annotated[
        int | None, options.top_k_option(f"List N groups. (default: {GROUPS} in a table, else all)")
    ] = None,
    format_: Annotated[str | None, options.format_option(FORMATS)] = None,
    json: options.Json = False,
    fail_empty: Annotated[
        bool,
        typer.Option("--fail-empty", rich_help_panel=options.OUTPUT, help="Exit with 1 if there are no duplicates."),
    ] = False,
    out: options.Out = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """List the items of a catalog that say almost the same, in groups, the one to keep first.

    That one has the longest text; of equals, the most fields. Nothing is removed.

    attnsearch duplicates shop

    attnsearch duplicates shop.csv --min-score 0.9 -f csv > look.csv
    """
    options.check_limits({"--min-score": min_score})
    form = options.choose_format(format_, json=json, allowed=FORMATS)
    filters = parse_setting(where=where).where

    from attnsearch.output.duplicates import render
    from attnsearch.search.duplicates import find_duplicates
    from attnsearch.search.index import Index

    with (
        progress.working(quiet=quiet) as working,
        Index.open(
            asked_catalog(ref, option="attnsearch duplicates NAME"), offline=offline, progress=working.progress
        ) as index,
    ):
        result = find_duplicates(index, min_score=min_score, where=filters, progress=working.comparing)
        working.stop()
        screen = streams.screen(color=color, quiet=quiet, out=out)
        pieces = render(result, form, screen, catalog=index.info.name, min_score=min_score, groups=top_k)
        streams.emit(pieces, out, exact=form in ("csv", "tsv"))
    if fail_empty and not len(result):
        raise typer.Exit(Exit.EMPTY)
