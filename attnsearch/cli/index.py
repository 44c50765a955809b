"""`attnsearch index`: make a catalog, or bring it up to date."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from attnsearch.cli import options, terminal
from attnsearch.errors import InputError
from attnsearch.sources.records import FORMATS


def index(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            show_default=False,
            help="YAML, JSON, JSONL, CSV or TSV; '-' is standard input. Several make one each, or all one with --name.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="The catalog's name. (as in the file, or the file's)"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            show_default=False,
            help="A sentence-transformers model. (all-MiniLM-L6-v2)",
        ),
    ] = None,
    text_field: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", show_default=False, help="What to embed, repeatable. (title, description, tags)"),
    ] = None,
    id_field: Annotated[str | None, typer.Option(metavar="FIELD", show_default=False, help="The id. (id)")] = None,
    title_field: Annotated[
        str | None, typer.Option(metavar="FIELD", show_default=False, help="The title. (title)")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="|".join(FORMATS),
            show_default=False,
            help="What SOURCE is, if its name is silent.",
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(
            metavar="float32|bfloat16",
            show_default=False,
            help="The encoder's. (bfloat16 for much text where the machine is fast in it, else float32)",
        ),
    ] = None,
    lexical: Annotated[
        str | None,
        typer.Option(
            metavar="[λ]",
            show_default=False,
            help="Let queries of this catalog count shared words too: λ·BM25. 0.3 without a number, 0 for not at all. "
            "(as before, else 0)",
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep items that SOURCE no longer has.")] = False,
    json: options.Json = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Index the items of SOURCE. Only what is new or changed is embedded; what is gone is removed.

    attnsearch index books.yaml

    attnsearch index shop.csv --id-field sku --title-field product --text-field product --text-field blurb
    """
    if from_ and from_ not in FORMATS:
        raise InputError(f"--from can't be '{from_}'", hint=f"use one of {', '.join(FORMATS)}")
    weight = options.weight(lexical)

    from attnsearch.indexing.update import update
    from attnsearch.output import formats, notes, safe_text
    from attnsearch.search.setting import LEXICAL
    from attnsearch.sources.items import Fields

    fields = None
    if text_field or id_field or title_field:
        fields = Fields(id_field or "id", title_field or "title", tuple(text_field or ()))
    told = []
    for sources in [source] if name else [[one] for one in source]:
        with terminal.working(quiet=quiet) as working:
            report = update(
                sources,
                name=name,
                model=model,
                fields=fields,
                form=from_,
                keep=keep,
                precision=precision,
                lexical=LEXICAL if weight == "auto" else weight,
                offline=offline,
                progress=working.progress,
            )
        if json:
            told.append({**report._asdict(), "info": report.info._asdict(), "schema": formats.SCHEMA})
        elif not quiet:
            terminal.emit([notes.report(report)])
    if json:
        terminal.emit([safe_text.to_json(told if len(told) > 1 else told[0], terminal.screen(), indent=2)])
