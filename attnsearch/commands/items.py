"""`attnsearch show`, `duplicates`, `export` and `publish`: the items of a catalog as they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.errors import Exit, InputError
from attnsearch.output import duplicates as groups
from attnsearch.terminal import options, progress, requests, streams
from attnsearch.terminal.catalogs import CatalogRef, asked_catalog, catalog_argument, indexed_folder, open_index
from attnsearch.terminal.setting_options import Where, parse_setting

if TYPE_CHECKING:
    from attnsearch.storage.store import Store

SHOW_FORMATS = ("table", "json", "jsonl")
EXPORT_FORMATS = ("jsonl", "csv", "npz", "parquet")

_HEAD = "id"  # of the column of ids in CSV and TSV


def show(
    items: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ITEM...",
            help="Ids or titles. '-', or no ITEM with a pipe: one a line.",
        ),
    ] = None,
    catalog: options.Catalog = None,
    format_: Annotated[str | None, options.format_option(SHOW_FORMATS)] = None,
    json: options.Json = False,
    out: options.Out = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Show whole items: the description, every field, and the passages of a long text.

    attnsearch show solaris

    attnsearch show "The Martian" -c library --json

    attnsearch query "science fiction" -f tsv | cut -f3 | attnsearch show
    """
    form = options.choose_format(format_, json=json, allowed=SHOW_FORMATS, out=out)

    from attnsearch.opening.items import open_items
    from attnsearch.output.items import render

    with progress.working(quiet=quiet) as working:
        names = list(itertools.chain.from_iterable(requests.read_batches(items or [], noun="item")))
        with open_items(asked_catalog(catalog), offline=offline, progress=working.progress) as store:
            working.stop()
            idents = _find_ids(store, names, has_head=not items or items == ["-"])
            if not idents:
                raise InputError("no item on standard input", hint="write one on each line")
            keys = store.keys_of(idents)
            spans = (store.spans_at(keys[ident]) for ident in idents)
            screen = streams.screen(color=color, quiet=quiet, out=out)
            several = requests.are_several(items or [])
            streams.emit(render(spans, store.info, form, screen, several=several), out)


def _find_ids(store: Store, names: list[str], *, has_head: bool) -> list[str]:
    """The ids of the items of these names. The head of a column of ids is left out unless it is an item itself."""
    from attnsearch.opening.items import find_id, find_ids

    if has_head and names[:1] == [_HEAD]:
        try:
            find_id(store, _HEAD)
        except InputError:
            names = names[1:]
    return find_ids(store, names)


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
        int | None, options.top_k_option(f"List N groups. (default: {groups.GROUPS} in a table, else all)")
    ] = None,
    format_: Annotated[str | None, options.format_option(groups.FORMATS)] = None,
    json: options.Json = False,
    fail_empty: Annotated[
        bool,
        typer.Option("--fail-empty", rich_help_panel=options.OUTPUT, help="Exit with 1 if there are no duplicates."),
    ] = False,
    out: options.Out = None,
    on: options.On = None,
    timeout: options.Timeout = DEADLINE,
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
    form = options.choose_format(format_, json=json, allowed=groups.FORMATS, out=out)
    filters = parse_setting(where=where).where

    from attnsearch.search.duplicates import find_duplicates

    with (
        progress.working(quiet=quiet) as working,
        open_index(
            [asked_catalog(ref, option="attnsearch duplicates NAME")],
            on=on,
            timeout=timeout,
            offline=offline,
            progress=working.progress,
        ) as index,
    ):
        result = find_duplicates(index, min_score=min_score, where=filters, progress=working.comparing)
        working.stop()
        screen = streams.screen(color=color, quiet=quiet, out=out)
        pieces = groups.render(result, form, screen, catalog=index.info.name, min_score=min_score, groups=top_k)
        streams.emit(pieces, out, exact=form in ("csv", "tsv"))
    if fail_empty and not len(result):
        raise typer.Exit(Exit.EMPTY)


def export(
    ref: CatalogRef,
    format_: Annotated[
        str | None,
        options.format_option(EXPORT_FORMATS, verb="Write", default="jsonl"),
    ] = None,
    out: options.Out = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a catalog to a file: its items, their fields and vectors. 'index' reads it back and embeds nothing.

    CSV, for spreadsheets, has no vectors.

    attnsearch export shop -o shop.parquet

    attnsearch export shop | ssh host attnsearch index - --name shop
    """
    form = options.choose_format(format_, allowed=EXPORT_FORMATS, out=out)

    from attnsearch.opening.items import open_items
    from attnsearch.storage.home import displayed_name

    has_vectors = form != "csv"
    with (
        progress.working(quiet=quiet) as working,
        open_items(ref, vectors=has_vectors, offline=offline, progress=working.progress) as store,
    ):
        name = displayed_name(store.folder, store.info)
        working.stop()
        if form in ("npz", "parquet"):
            streams.emit_bytes(_binary(store, name, form), out)
        else:
            streams.emit(_text(store, name, form), out, exact=not has_vectors)


def _binary(store: Store, name: str, form: str) -> Iterator[bytes]:
    from attnsearch.exports import arrays, parquet
    from attnsearch.exports.contents import read_entries, read_header

    header = read_header(store, name)
    if form == "npz":
        return arrays.write_arrays(header, lambda: read_entries(store))
    return parquet.write_parquet(header, read_entries(store))


def _text(store: Store, name: str, form: str) -> Iterator[str]:
    if form == "csv":
        from attnsearch.output.items import write_csv

        return write_csv(lambda: (item for _, item in store.items()))
    from attnsearch.exports.contents import read_entries, read_header
    from attnsearch.exports.json_lines import write_lines
    from attnsearch.output.safe_text import to_json

    return write_lines(read_header(store, name), read_entries(store), to_json)


def publish(
    ref: CatalogRef,
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="A folder, or s3://BUCKET/FOLDER. (default: where it was published last)"),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", rich_help_panel=options.DONE, help="Write what is there already, too, and clean up."),
    ] = False,
    none: Annotated[
        bool, typer.Option("--none", rich_help_panel=options.DONE, help="Let workers read the catalog's own folder.")
    ] = False,
    json: options.Json = False,
    out: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a catalog's vectors to where the workers of --on can read them. Only new ones are written.

    attnsearch publish books s3://bucket/books

    attnsearch publish books
    """
    from attnsearch.cluster import publication
    from attnsearch.cluster.urls import check_url
    from attnsearch.output.formats import SCHEMA
    from attnsearch.output.notes import counted
    from attnsearch.output.safe_text import to_json

    folder = indexed_folder(ref)
    if none and (url is not None or again):
        raise InputError("--none takes no URL and no --again", hint="leave one of them out")
    if none:
        publication.forget_publication(folder)
        row: dict[str, object] = {"schema": SCHEMA, "catalog": ref, "url": None}
        note = f"{ref}: workers read its folder"
    else:
        if url is None:
            noted = publication.read_publication(folder)
            if noted is None:
                raise InputError(f"'{ref}' is not published yet", hint=f"say where: attnsearch publish {ref} URL")
            url = noted.url
        with progress.working(quiet=quiet) as working:
            report = publication.publish(folder, check_url(url), again=again, progress=working.publishing)
        row = {"schema": SCHEMA, "catalog": ref, **report._asdict()}
        removed = f"; {counted(report.removed, 'file')} removed" if report.removed else ""
        written = f"{report.written:,} of {counted(report.segments, 'segment')} written, {report.bytes:,} bytes"
        note = f"{ref}: published at {report.url}: {written}{removed}"
    if json:
        streams.emit([to_json(row, streams.screen(out=out), indent=2)], out)
    elif not quiet:
        streams.emit([streams.as_line(note, out)], out)
