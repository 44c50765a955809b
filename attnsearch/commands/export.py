"""`attnsearch export`: a catalog → one file with its items and vectors."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

from attnsearch.errors import InputError
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import CatalogRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnsearch.storage.store import Store

FORMATS = ("jsonl", "csv", "npz", "parquet")
_BINARY = ("npz", "parquet")


def export(
    ref: CatalogRef,
    format_: Annotated[
        str | None,
        options.format_option(FORMATS, verb="Write", default="by the name of FILE, else jsonl"),
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

    from attnsearch.search.index import open_items
    from attnsearch.storage.home import displayed_name

    has_vectors = form != "csv"
    with (
        progress.working(quiet=quiet) as working,
        open_items(ref, vectors=has_vectors, offline=offline, progress=working.progress) as store,
    ):
        name = displayed_name(store.folder, store.info)
        working.stop()
        if form in _BINARY:
            streams.emit_bytes(_binary(store, name, form), out)
        else:
            streams.emit(_text(store, name, form), out, exact=not has_vectors)


def _choose_format(form: str | None, out: str | None) -> str:
    """The format that is named, else that of the file's ending. Raises InputError if the two differ."""
    ending = PurePath(out or "").suffix.lower().removeprefix(".")
    if form is None:
        return ending if ending in FORMATS else FORMATS[0]
    form = options.choose_format(form, allowed=FORMATS)
    if ending in FORMATS and ending != form:
        raise InputError(f"--format {form} and the name {out} say two things", hint=f"name it FILE.{form}")
    return form


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
