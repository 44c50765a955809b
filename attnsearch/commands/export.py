"""`attnsearch export`: a catalog → one file with its items and vectors."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.errors import InputError
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.completion import complete_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnsearch.indexing.embedding import Progress
    from attnsearch.storage.store import Store

FORMATS = ("jsonl", "csv", "npz", "parquet")
_BINARY = ("npz", "parquet")


def export(
    ref: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", show_default=False, autocompletion=complete_catalog, help="A catalog."),
    ],
    format_: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            metavar="FORMAT",
            show_default=False,
            rich_help_panel=options.OUTPUT,
            help=f"Write {', '.join(FORMATS[:-1])} or {FORMATS[-1]}. (default: by the name of FILE, else jsonl)",
        ),
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
    form = _choose_format(format_, out)
    if form in _BINARY and out is None and streams.screen().is_terminal:
        raise InputError(f"{form} is not for a terminal", hint=f"name a file: -o FILE.{form}")
    with progress.working(quiet=quiet) as working:
        store, name = _open_store(ref, offline=offline, report=working.progress)
        with store:
            working.stop()
            if form in _BINARY:
                streams.emit_bytes(_binary(store, name, form), out)
            else:
                streams.emit(_text(store, name, form), out, exact=form == "csv")


def _choose_format(form: str | None, out: str | None) -> str:
    """The format that is named, else that of the file's ending. Raises InputError if the two differ."""
    ending = PurePath(out or "").suffix.lower().removeprefix(".")
    if form is None:
        return ending if ending in FORMATS else FORMATS[0]
    form = options.choose_format(form, allowed=FORMATS)
    if ending in FORMATS and ending != form:
        raise InputError(f"--format {form} and the name {out} say two things", hint=f"name it FILE.{form}")
    return form


def _open_store(ref: str, *, offline: bool, report: Progress) -> tuple[Store, str]:
    """A catalog open for reading, without its encoder, and its name; a new or changed file is indexed first."""
    from attnsearch.storage import home
    from attnsearch.storage.store import Store

    folder, file = home.find_catalog(ref)
    if file:
        from attnsearch.search.index import Index

        store = Index.open(ref, offline=offline, progress=report).store
    else:
        store = home.open_migrated(folder, Store)
    return store, home.displayed_name(store.folder, store.info)


def _binary(store: Store, name: str, form: str) -> Iterator[bytes]:
    from attnsearch.exports import arrays, parquet
    from attnsearch.exports.contents import read_entries, read_header

    header = read_header(store, name)
    if form == "npz":
        return arrays.write_arrays(header, lambda: read_entries(store))
    return parquet.write_parquet(header, read_entries(store))


def _text(store: Store, name: str, form: str) -> Iterator[str]:
    if form == "csv":
        from attnsearch.output.spreadsheet import write_csv

        return write_csv(lambda: (item for _, item in store.items()))
    from attnsearch.exports.contents import read_entries, read_header
    from attnsearch.exports.json_lines import write_lines
    from attnsearch.output.safe_text import to_json

    return write_lines(read_header(store, name), read_entries(store), to_json)
