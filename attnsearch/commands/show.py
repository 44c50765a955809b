"""`attnsearch show`: whole items."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.errors import InputError
from attnsearch.terminal import options, progress, requests, streams
from attnsearch.terminal.catalogs import asked_catalog

if TYPE_CHECKING:
    from attnsearch.storage.store import Store

FORMATS = ("table", "json", "jsonl")

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
    format_: Annotated[str | None, options.format_option(FORMATS)] = None,
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
    form = options.choose_format(format_, json=json, allowed=FORMATS)

    from attnsearch.output.items import render
    from attnsearch.search.index import open_items

    with progress.working(quiet=quiet) as working:
        names = list(itertools.chain.from_iterable(requests.read_batches(items or [], noun="item")))
        with open_items(asked_catalog(catalog), offline=offline, progress=working.progress) as store:
            working.stop()
            idents = list(_find_ids(store, names, has_head=not items or items == ["-"]))
            if not idents:
                raise InputError("no item on standard input", hint="write one on each line")
            keys = store.keys_of(idents)
            places = (store.places_at(keys[ident]) for ident in idents)
            screen = streams.screen(color=color, quiet=quiet, out=out)
            several = requests.are_several(items or [])
            streams.emit(render(places, store.info, form, screen, several=several), out)


def _find_ids(store: Store, names: list[str], *, has_head: bool) -> Iterator[str]:
    """The ids of the items of these names. The head of a column of ids is left out unless it is an item itself."""
    from attnsearch.search.items import find_id

    for number, name in enumerate(names):
        try:
            yield find_id(store, name)
        except InputError:
            if number or name != _HEAD or not has_head:
                raise
