"""`attnsearch feedback` and `reset`: record which answers were right, and forget what was learned."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.output.safe_text import hide_passwords, inert, to_json
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import CatalogRefs, taught_catalog

if TYPE_CHECKING:
    from attnsearch.teaching.feedback import Entry
    from attnsearch.teaching.notebook import Notebook

_SHOWN = 80  # characters of a query or an id that a message shows
_ROOMY = 60  # cells of a window that has room for the time


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

    from attnsearch.api.feedback import find_notebook, note_judgments, remove_judgments
    from attnsearch.opening.index import Index
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
            change = remove_judgments(find_notebook(ref), query, [*good, *bad])
        else:
            with Index.open(ref, offline=offline, progress=working.progress) as index:
                change = note_judgments(index, query, good, bad)
    ref = hide_passwords(ref)
    if json:
        fields = formats.judgment_as_json(ref, query, change)
        streams.emit([to_json(fields, streams.screen(out=out), indent=2)], out)
    elif not quiet:
        streams.emit([f"{inert(_in_words(ref, query, change))}\n"], out)


def _in_words(ref: str, query: str, change: Mapping[str, Any]) -> str:
    """What was noted, or removed."""
    from attnsearch.output.notes import counted

    requests = change["requests"]
    if "removed" in change:
        grades = _count_grades(change["removed"])
        return f"removed: {grades} for '{query[:_SHOWN]}'; {counted(requests, 'request')} left"
    return (
        f"noted{' and remembered' if change['remembered'] else ''}: {_count_grades(change['noted'])} for"
        f" '{query[:_SHOWN]}'; {counted(requests, 'request')} so far; 'attnsearch train -c {shlex.quote(ref)}' learns"
        f" from {'it' if requests == 1 else 'them'}"
    )


def _list_judgments(catalog: str | None, *, json: bool, quiet: bool, color: streams.When, out: str | None) -> None:
    from attnsearch.api.feedback import find_notebook, read_titles
    from attnsearch.output import table
    from attnsearch.teaching.feedback import read_history

    with progress.working(quiet=quiet):
        notebook = find_notebook(taught_catalog(catalog))
        entries = read_history(notebook)
        titles = read_titles(notebook, {ident for entry in entries for ident in entry.judged.grades}) if entries else {}
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


def reset(refs: CatalogRefs, quiet: options.Quiet = False) -> None:
    """Forget what catalogs have learned, so that they answer as before. Their feedback stays.

    attnsearch reset kitchen
    """
    from attnsearch.api.feedback import find_notebook

    notebooks = [find_notebook(ref) for ref in refs]
    for ref, notebook in zip(refs, notebooks, strict=True):
        with progress.working(quiet=quiet):
            note = _forget(notebook)
        if not quiet:
            streams.emit([f"{inert(f'{hide_passwords(ref)}: {note}')}\n"])


def _forget(notebook: Notebook) -> str:
    """Forget what a catalog has learned, and describe what was forgotten and what stays."""
    from attnsearch.output.notes import counted
    from attnsearch.teaching.feedback import read_feedback

    learned = memory = None
    try:
        learned = notebook.forget_learned()
    except FileNotFoundError:
        note = "nothing was learned"
    else:
        origin = f" from {learned.story.get('from', 'elsewhere')}" if learned else ", which was damaged"
        note = f"forgot what was learned{origin}"
        memory = learned and learned.memory
    if learned and memory:
        requests = counted(len(memory.queries), "judged request")
        note = f"{note}, and {requests}" if learned.trained else f"forgot {requests}"
    with suppress(AttnsearchError):  # feedback that can't be read can still be repaired
        if judged := read_feedback(notebook):
            again = ", and the next feedback or training remembers it again" if memory else ""
            note += f"; the feedback on {counted(len(judged), 'request')} is kept{again}"
    return note
