"""`attnsearch feedback`: record which answers were right."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.output.safe_text import inert, to_json
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import taught_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from attnsearch.storage.feedback import Entry

_SHOWN = 80  # characters of a query or an id that a message shows
_ROOMY = 60  # cells of a window that has room for the time


class _Change(NamedTuple):
    """What a command changed: one line for people, fields for JSON, and how many requests have judgments now."""

    line: str
    fields: dict[str, Any]
    requests: int


def feedback(
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="The query that you asked.")] = None,
    good: Annotated[
        list[str] | None,
        typer.Option(
            "--good",
            metavar="ITEM...",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Item that is right for QUERY, by id or title; several if QUERY stands before the option. Repeatable.",
        ),
    ] = None,
    bad: Annotated[
        list[str] | None,
        typer.Option(
            "--bad",
            metavar="ITEM...",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Item that is wrong for QUERY, given like --good. Repeatable.",
        ),
    ] = None,
    remove: Annotated[
        bool,
        typer.Option(
            "--remove",
            rich_help_panel=options.DONE,
            help="Remove the judgments of QUERY; with --good or --bad, only those of their items.",
        ),
    ] = False,
    list_: Annotated[bool, typer.Option("--list", rich_help_panel=options.DONE, help="List all judgments.")] = False,
    catalog: options.Catalog = None,
    json: options.Json = False,
    out: options.Out = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Record which items are right or wrong for QUERY, so that it and queries like it find the right ones.

    attnsearch feedback "sour soup" --good borscht tom-yum-goong -c kitchen

    `train` learns from it, too; from wrong items, only `train` does. A later judgment of the same item for the same
    QUERY replaces the earlier one.

    attnsearch feedback --list -c kitchen

    attnsearch feedback "sour soup" --remove -c kitchen
    """
    good, bad = good or [], bad or []
    if list_:
        if query is not None or good or bad or remove:
            raise InputError("--list takes no query and no items", hint="leave them out, or --list")
        _list_judgments(catalog, json=json, quiet=quiet, color=color, out=out)
        return
    if query is None:
        raise InputError("no query", hint='give one: attnsearch feedback "sour soup" --good ITEM')

    from attnsearch.output import formats
    from attnsearch.sources.judgments import normalize_request

    query = normalize_request(query)
    if not (good or bad or remove):
        words = shlex.quote(query) if len(query) <= _SHOWN else "QUERY"
        hint = f"name some: attnsearch feedback {words} --good ITEM --bad ITEM"
        raise InputError("no items that are right or wrong", hint=hint)
    with progress.working(quiet=quiet) as working:
        ref = taught_catalog(catalog)
        if remove:
            change = _remove_judgments(ref, query, [*good, *bad])
        else:
            change = _add_judgments(ref, query, good, bad, offline=offline, working=working)
    if json:
        fields = {
            "schema": formats.SCHEMA,
            "catalog": ref,
            "query": query,
            **change.fields,
            "requests": change.requests,
        }
        streams.emit([to_json(fields, streams.screen(out=out), indent=2)], out)
    elif not quiet:
        streams.emit([f"{inert(change.line)}\n"], out)


def _add_judgments(
    ref: str, query: str, good: Sequence[str], bad: Sequence[str], *, offline: bool, working: progress.Working
) -> _Change:
    from attnsearch.opening.index import Index
    from attnsearch.opening.items import find_id
    from attnsearch.output.notes import counted
    from attnsearch.search.memory import embedding_of
    from attnsearch.storage import feedback as storage

    grades: dict[str, float] = {}
    with Index.open(ref, offline=offline, progress=working.progress) as index:
        folder = index.store.folder
        for names, grade in ((good, storage.GOOD), (bad, storage.BAD)):
            for name in names:
                ident = find_id(index.store, name)
                if grades.setdefault(ident, grade) != grade:
                    raise InputError(f"'{ident[:_SHOWN]}' is both good and bad", hint="name it once")
        embedding = embedding_of(index)
        all_grades = storage.add_judgment(folder, query, grades, embedding=embedding).grades
    requests = len(storage.read_feedback(folder))
    is_remembered = _is_remembered(folder, query)
    line = (
        f"noted{' and remembered' if is_remembered else ''}: {_count_grades(grades)} for '{query[:_SHOWN]}';"
        f" {counted(requests, 'request')} so far; 'attnsearch train -c {shlex.quote(ref)}' learns from"
        f" {'it' if requests == 1 else 'them'}"
    )
    return _Change(line, {"noted": grades, "grades": all_grades, "remembered": is_remembered}, requests)


def _is_remembered(folder: Path, query: str) -> bool:
    """Whether the catalog remembers what is right for a query: not if nothing is known to be, or if it could not."""
    from attnsearch.storage.learned import load_learned

    try:
        learned = load_learned(folder)
    except AttnsearchError:  # of which it warned
        return False
    return bool(learned and learned.memory and query in learned.memory.queries)


def _remove_judgments(ref: str, query: str, names: Sequence[str]) -> _Change:
    """Remove the judgments of the items with these ids or titles; without names, all judgments of the query."""
    from attnsearch.output.notes import counted
    from attnsearch.storage import feedback as storage
    from attnsearch.storage import home

    folder, _ = home.find_catalog(ref)
    idents = _judged_ids(folder, query, names) if names else []
    grades = storage.remove_judgment(folder, query, idents).grades
    requests = len(storage.read_feedback(folder))
    line = f"removed: {_count_grades(grades)} for '{query[:_SHOWN]}'; {counted(requests, 'request')} left"
    return _Change(line, {"removed": grades}, requests)


def _judged_ids(folder: Path, query: str, names: Sequence[str]) -> list[str]:
    """Turn ids and titles of items that were judged for a query into ids.

    A name that fits none of these items, or several, stays as it is. The items need not be in the catalog any more.
    """
    from attnsearch.sources.judgments import normalize_request
    from attnsearch.storage.feedback import read_feedback

    requests = [request for request in read_feedback(folder) if normalize_request(request.query) == query]
    judged_ids = [ident for request in requests for ident in request.grades]
    titles = _read_titles(folder, judged_ids)
    idents = []
    for name in names:
        matches = [
            ident for ident in judged_ids if name.casefold() in (ident.casefold(), titles.get(ident, "").casefold())
        ]
        idents.append(matches[0] if len(matches) == 1 else name)
    return idents


def _read_titles(folder: Path, idents: Iterable[str]) -> dict[str, str]:
    """The titles of the items with these ids, without those that the catalog lacks."""
    from attnsearch.storage import home
    from attnsearch.storage.store import Store

    with home.open_migrated(folder, Store) as store:
        first_keys = [keys[0] for keys in store.keys_of(idents).values()]
        return {place.item.id: place.item.title for place in store.places_at(first_keys)}


def _list_judgments(catalog: str | None, *, json: bool, quiet: bool, color: streams.When, out: str | None) -> None:
    from attnsearch.output import table
    from attnsearch.storage import home
    from attnsearch.storage.feedback import read_history

    with progress.working(quiet=quiet):
        folder, _ = home.find_catalog(taught_catalog(catalog))
        entries = read_history(folder)
        titles = _read_titles(folder, {ident for entry in entries for ident in entry.judged.grades}) if entries else {}
    screen = streams.screen(color=color, out=out)
    if json:
        streams.emit([to_json([_entry_as_json(entry, titles) for entry in entries], screen, indent=2)], out)
        return
    columns: tuple[str, ...] = ("query", "item", "is", "when")
    rows: list[tuple[str, ...]] = [row for entry in entries for row in _entry_rows(entry, titles)]
    if screen.width is not None and screen.width < _ROOMY:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    streams.emit([table.listing(columns, rows, screen, elastic=("query", "item"))], out)


def _entry_as_json(entry: Entry, titles: Mapping[str, str]) -> dict[str, Any]:
    items = [
        {"id": ident, "title": titles.get(ident), "grade": grade, "gone": ident not in titles}
        for ident, grade in entry.judged.grades.items()
    ]
    return {"query": entry.judged.query, "when": entry.when, "items": items}


def _entry_rows(entry: Entry, titles: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """The query, the item, whether it is good or bad, and when it was judged."""
    query, when = entry.judged.query, entry.when[:16].replace("T", " ")
    for ident, grade in entry.judged.grades.items():
        item = titles[ident] or ident if ident in titles else f"{ident} (gone)"
        yield query, item, "good" if grade > 0 else "bad", when
    if not entry.judged.grades:
        yield query, "(nothing is right)", "", when


def _count_grades(grades: Mapping[str, float]) -> str:
    """The judgments in words: "2 good, 1 bad"."""
    good = sum(grade > 0 for grade in grades.values())
    counts = ((good, "good"), (len(grades) - good, "bad"))
    return ", ".join(f"{count:,} {word}" for count, word in counts if count) or "the judgment that nothing is right"
