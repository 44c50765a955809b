"""`attnsearch index`: make a catalog, or bring it up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnsearch.errors import InputError
from attnsearch.models.use import Wanted, use_as_json
from attnsearch.storage.files import is_address
from attnsearch.syntax.formats import FORMS, Reading, check_form
from attnsearch.syntax.languages import check_language
from attnsearch.terminal import catalogs, options, progress, streams
from attnsearch.terminal.completion import complete_source_field
from attnsearch.terminal.setting_options import parse_lexical

if TYPE_CHECKING:
    from attnsearch.cluster.dask import Cluster


def index(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A file, a folder, or '-' for standard input: YAML, JSON, JSONL, CSV, TSV, Markdown, text, workbooks, "
            "Parquet, SQLite. Each SOURCE becomes its own catalog; with --name, all become one.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Name of the catalog. (default: the 'name' in the file, else the file's own)",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            rich_help_panel=options.SHARP,
            help="A sentence-transformers model. (default: the catalog's, else all-MiniLM-L6-v2)",
        ),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL[=WEIGHT]",
            rich_help_panel=options.SHARP,
            help="Let another model's cosines count too, such as wordllama's; WEIGHT is its share. 'none' takes it "
            "away. Repeatable. (default: the catalog's, else none)",
        ),
    ] = None,
    query_prompt: Annotated[str | None, options.query_prompt_option("the catalog's, else the model's")] = None,
    key_prompt: Annotated[str | None, options.key_prompt_option("the catalog's, else the model's")] = None,
    dims: Annotated[int | None, options.dims_option("the catalog's, else all")] = None,
    text_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            autocompletion=complete_source_field,
            rich_help_panel=options.FIELDS,
            help="Field to embed. Repeatable. (default: recognized; the last line says which)",
        ),
    ] = None,
    id_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            autocompletion=complete_source_field,
            rich_help_panel=options.FIELDS,
            help="Field that is the id; several make one id. Repeatable. (default: recognized, else from the title)",
        ),
    ] = None,
    title_field: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            autocompletion=complete_source_field,
            rich_help_panel=options.FIELDS,
            help="Field that is the title. (default: recognized)",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            rich_help_panel=options.WHICH,
            help=f"{', '.join(FORMS[:-1])} or {FORMS[-1]}. (default: by SOURCE's extension, else its content)",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHAR",
            rich_help_panel=options.WHICH,
            help="What parts the cells of CSV, or 'tab'. (default: by its rows)",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=options.WHICH,
            help="Encoding of SOURCE, such as cp1252. (default: UTF-8, or by its mark)",
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Table of a database, or sheet of a workbook. (default: the only one)",
        ),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql",
            metavar="QUERY",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="A SELECT whose rows are read from a database.",
        ),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Where the items lie in YAML or JSON, such as response.docs. (default: the one list of them)",
        ),
    ] = None,
    glob: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            rich_help_panel=options.WHICH,
            help="Files of a folder to read, such as '*.md'. (default: all known kinds)",
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(
            metavar="PRECISION",
            rich_help_panel=options.SHARP,
            help="float32 or bfloat16. (default: bfloat16 for much text where it is fast, else float32)",
        ),
    ] = None,
    lexical: Annotated[
        str | None,
        typer.Option(
            metavar="[λ]",
            rich_help_panel=options.SHARP,
            help="Let shared words count in queries: add λ·BM25, 0.3 if not given. (default: the catalog's, else 0)",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            rich_help_panel=options.SHARP,
            help="Language of the texts, such as german or de, whose word endings --lexical leaves out, or none. "
            "(default: the catalog's, else english)",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", rich_help_panel=options.DONE, help="Keep items that SOURCE no longer has.")
    ] = False,
    json: options.Json = False,
    out: options.Out = None,
    on: Annotated[str | None, options.on_option("Let a Dask cluster embed")] = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Create a catalog from SOURCE, or bring it up to date: only new and changed items are embedded.

    attnsearch index books.yaml

    attnsearch index shop.csv --id-field sku --text-field product --text-field blurb
    """
    check_form(from_)
    reading = Reading(from_, items, encoding, delimiter, glob, table, sql)
    weight = parse_lexical(lexical)
    language = language and check_language(language)
    wanted = Wanted(query_prompt, key_prompt, dims)

    from attnsearch.cluster.encoder import RemoteEncoder
    from attnsearch.indexing.update import update
    from attnsearch.output import formats, notes, safe_text
    from attnsearch.search.setting import LEXICAL
    from attnsearch.sources.fields import Fields

    if any(map(is_address, source)):
        raise InputError("a catalog in a database is not a source", hint="it goes with --name; name the file to read")
    place = None
    if name and is_address(name):
        from attnsearch.postgres.place import DatabasePlace

        place = DatabasePlace(name)
    screen = streams.screen(out=out)
    fields = Fields(tuple(id_field or ()), title_field or "", tuple(text_field or ()))
    reports = []

    def lines(opened: ExitStack) -> Iterator[str]:
        cluster: Cluster | None = None
        for files in [source] if name else [[file] for file in source]:
            with progress.working(quiet=quiet) as working:
                cluster = cluster or _open_cluster(on, opened)
                remote = RemoteEncoder(cluster.stream, offline=offline) if cluster else None
                report = update(
                    files,
                    name=None if place else name,
                    place=place,
                    model=model,
                    heads=head or None,
                    wanted=wanted,
                    fields=fields,
                    reading=reading,
                    keep=keep,
                    precision=precision,
                    lexical=LEXICAL if weight == "auto" else weight,
                    language=language,
                    offline=offline,
                    progress=working.progress,
                    encode_batches=remote.encode_batches if remote else None,
                )
            info = {
                **report.info._asdict(),
                "heads": [{**part._asdict(), "use": use_as_json(part.use)} for part in report.info.heads],
                "use": use_as_json(report.info.use),
            }
            parts = {"info": info, "read": report.read._asdict(), "schema": formats.SCHEMA}
            if remote:
                parts["parts"] = remote.shares._asdict()
            reports.append({**report._asdict(), **parts})
            if not json and not quiet:
                note = notes.indexing_note(report, remote.shares.workers if remote else 0)
                yield from (streams.as_line(line, out) for line in note.splitlines())
        if json:
            yield safe_text.to_json(reports if len(reports) > 1 else reports[0], screen, indent=2)

    with ExitStack() as opened:
        streams.emit(lines(opened), out)


def _open_cluster(on: str | None, opened: ExitStack) -> Cluster | None:
    """The cluster that is asked for, if one is, until `opened` is closed. Raises as `Cluster` does."""
    address = catalogs.asked_cluster(on)
    if not address:
        return None
    from attnsearch.cluster.dask import Cluster

    return opened.enter_context(closing(Cluster(address, again="index again")))
