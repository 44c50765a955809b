"""`attnsearch feedback` and `reset`: say which answers were right, and forget what was learned from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnsearch.cli import options, terminal
from attnsearch.cli.catalogs import Names
from attnsearch.errors import AttnsearchError, InputError
from attnsearch.output.safe_text import inert, to_json

if TYPE_CHECKING:
    from pathlib import Path

_NAMED = 80  # characters of a request that an answer repeats
_ROOMY = 60  # cells of a window that has room for the time


def feedback(
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", show_default=False, help="What you had looked for.")
    ] = None,
    good: Annotated[
        list[str] | None,
        typer.Option(
            "--good",
            metavar="ITEM...",
            show_default=False,
            help="What is right for it, by id or title: one, or several where QUERY stands before. Repeatable.",
        ),
    ] = None,
    bad: Annotated[
        list[str] | None,
        typer.Option("--bad", metavar="ITEM...", show_default=False, help="What is wrong for it. Repeatable."),
    ] = None,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Take back all that was said for QUERY, or, with items, what was said of these."),
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List all that was said.")] = False,
    catalog: options.Catalog = None,
    json: Annotated[bool, typer.Option("--json", help="The answer, or the list, as JSON.")] = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Say which items are right for QUERY, and which are wrong. It is kept with the catalog, for `train` and `eval`.

    attnsearch feedback "sour soup" --good shchi tom-yum --bad gazpacho -c kitchen

    A later word on the same item for the same QUERY takes the earlier one's place.

    attnsearch feedback --list -c kitchen

    attnsearch feedback "sour soup" --remove -c kitchen
    """
    names = [*(good or ()), *(bad or ())]
    if list_:
        if query is not None or names or remove:
            raise InputError("--list takes no query and no items", hint="leave them out, or --list")
        _list(catalog, json=json, quiet=quiet, no_color=no_color)
        return
    if query is None:
        raise InputError("no query", hint='say which: attnsearch feedback "sour soup" --good ITEM')

    from attnsearch.sources import judgments

    query = judgments.normalize_request(query)
    if not names and not remove:
        hint = f'say what is right or wrong: attnsearch feedback "{query[:_NAMED]}" --good ITEM --bad ITEM'
        raise InputError("nothing is said of any item", hint=hint)

    from attnsearch.output import formats
    from attnsearch.storage import feedback as room
    from attnsearch.storage import home

    with terminal.working(quiet=quiet) as working:
        ref = catalog or home.default_catalog()
        if remove:
            folder, _ = home.find_catalog(ref)
            done = room.remove_judgment(folder, query, _noted(folder, query, names)).grades
            kept = room.read_feedback(folder)
            told: dict[str, Any] = {"taken_back": done}
        else:
            folder, done = _grades(ref, good or [], bad or [], offline=offline, working=working)
            grades = room.add_judgment(folder, query, done).grades
            kept = room.read_feedback(folder)
            told = {"noted": done, "grades": grades}
    if json:
        row = {"schema": formats.SCHEMA, "catalog": ref, "query": query, **told, "requests": len(kept)}
        terminal.emit([to_json(row, terminal.screen(), indent=2)])
    elif not quiet:
        what = f"{_counted(done)} for '{query[:_NAMED]}'; {_requests(len(kept))}"
        learns = f"'attnsearch train -c {ref}' learns from {'it' if len(kept) == 1 else 'them'}"
        line = f"took back: {what} left" if remove else f"noted: {what} so far; {learns}"
        terminal.emit([f"{inert(line)}\n"])


def reset(name: Names, quiet: options.Quiet = False) -> None:
    """Forget what catalogs have learned, so that they answer as before. Their feedback is kept.

    attnsearch reset kitchen
    """
    from attnsearch.storage import home, learned
    from attnsearch.storage.feedback import read_feedback as feedback_of

    for one, folder in [(one, home.find_catalog(one)[0]) for one in name]:
        with terminal.working(quiet=quiet):
            try:
                found = learned.forget_learned(folder)
            except FileNotFoundError:
                line = "nothing was learned"
            else:
                count = f" from {found.story.get('from', 'elsewhere')}" if found else ", which was damaged"
                line = f"forgot what was learned{count}"
            said = []
            with suppress(AttnsearchError):  # that can be mended later
                said = feedback_of(folder)
        kept = f"; the feedback on {_requests(len(said))} is kept" if said else ""
        if not quiet:
            terminal.emit([f"{inert(f'{one}: {line}{kept}')}\n"])


def _grades(
    ref: str, good: list[str], bad: list[str], *, offline: bool, working: terminal.Working
) -> tuple[Path, dict[str, float]]:
    """The folder of a catalog, and the grades of the items that these names mean there."""
    from attnsearch.search.index import Index, item_id
    from attnsearch.storage import feedback as room

    grades: dict[str, float] = {}
    with Index.open(ref, offline=offline, progress=working.progress) as index:
        for names, grade in ((good, room.GOOD), (bad, room.BAD)):
            for name in names:
                ident = item_id(index, name)
                if grades.setdefault(ident, grade) != grade:
                    raise InputError(f"'{ident[:_NAMED]}' is said to be both good and bad", hint="leave one out")
        return index.store.folder, grades


def _noted(folder: Path, query: str, names: list[str]) -> list[str]:
    """The ids of the items that these names mean, of those noted for a request; else the names as they are."""
    from attnsearch.sources import judgments
    from attnsearch.storage import feedback as room

    if not names:
        return []
    ids = [
        ident
        for one in room.read_feedback(folder)
        if judgments.normalize_request(one.query) == query
        for ident in one.grades
    ]
    titles = _titles(folder, ids)
    found = []
    for name in names:
        known = [ident for ident in ids if name.casefold() in (ident.casefold(), titles.get(ident, "").casefold())]
        found.append(known[0] if len(known) == 1 and name not in ids else name)
    return found


def _titles(folder: Path, ids: Iterable[str]) -> dict[str, str]:
    """The titles of the items with these ids, of those that the catalog has."""
    from attnsearch.storage import home
    from attnsearch.storage.store import Store

    with home.open_migrated(folder, Store) as store:
        firsts = [keys[0] for keys in store.keys_of(ids).values()]
        return {place.item.id: place.item.title for place in store.places_at(firsts)}


def _list(catalog: str | None, *, json: bool, quiet: bool, no_color: bool) -> None:
    from attnsearch.output import table
    from attnsearch.storage import feedback as room
    from attnsearch.storage import home

    with terminal.working(quiet=quiet):
        folder, _ = home.find_catalog(catalog or home.default_catalog())
        said = room.read_history(folder)
        titles = _titles(folder, {ident for one in said for ident in one.judged.grades}) if said else {}
    screen = terminal.screen(color=not no_color)
    if json:
        told = [
            {
                "query": one.judged.query,
                "when": one.when,
                "items": [
                    {"id": ident, "title": titles.get(ident), "grade": grade, "gone": ident not in titles}
                    for ident, grade in one.judged.grades.items()
                ],
            }
            for one in said
        ]
        terminal.emit([to_json(told, screen, indent=2)])
        return
    rows: list[tuple[str, ...]] = []
    for one in said:
        for ident, grade in one.judged.grades.items() or [("", None)]:
            word = "" if grade is None else "good" if grade > 0 else "bad"
            item = titles[ident] or ident if ident in titles else f"{ident} (gone)" if ident else "(nothing is right)"
            rows.append((one.judged.query, word, item, one.when[:16].replace("T", " ")))
    columns: tuple[str, ...] = ("query", "said", "item", "when")
    if screen.width is not None and screen.width < _ROOMY:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    terminal.emit([table.listing(columns, rows, screen, elastic=("query", "item"))])


def _counted(grades: Mapping[str, float]) -> str:
    good = sum(grade > 0 for grade in grades.values())
    counts = ((good, "good"), (len(grades) - good, "bad"))
    return ", ".join(f"{count:,} {word}" for count, word in counts if count) or "that nothing is right"


def _requests(count: int) -> str:
    return f"{count:,} request{'' if count == 1 else 's'}"
