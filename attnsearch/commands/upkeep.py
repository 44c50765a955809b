"""`attnsearch check` and `remove`: which catalog is intact, or is not needed any more."""

from __future__ import annotations

import shlex
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from attnsearch.errors import AttnsearchError, CatalogError, InputError
from attnsearch.output.safe_text import inert, to_json
from attnsearch.storage.files import is_address
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import CatalogRefs, indexed_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from attnsearch.indexing.embedding import Progress
    from attnsearch.indexing.repair import Repaired
    from attnsearch.teaching.notebook import Notebook


def check(
    refs: CatalogRefs,
    repair: Annotated[
        bool, typer.Option("--repair", rich_help_panel=options.DONE, help="Repair what is broken, from the sources.")
    ] = False,
    json: options.Json = False,
    out: options.Out = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Verify every checksum, count and reference of catalogs.

    A repair that could not restore every item lists the lost ones and exits with 3.

    attnsearch check library

    attnsearch check library --repair
    """
    from attnsearch.output.formats import SCHEMA

    if repair and any(map(is_address, refs)):
        hint = "restore a backup, or remove it and index it again"
        raise InputError("a catalog in a database can't be repaired", hint=hint)
    rows: list[dict[str, Any]] = []
    lost, stale = dict[str, int](), dict[str, Path]()
    elsewhere = list[str]()

    def lines() -> Iterator[str]:
        for ref, folder in [(ref, None if is_address(ref) else indexed_folder(ref)) for ref in refs]:
            with progress.working(quiet=quiet) as working:
                if folder is None:
                    name, checked = _check_database(ref)
                    elsewhere.append(name)
                else:
                    name = ref
                    checked = _check_folder(folder, repair=repair, offline=offline, progress=working.progress)
            if folder and checked.is_stale:
                stale[ref] = folder
            lost[ref] = checked.repaired.lost.items if checked.repaired else 0
            rows.append({"schema": SCHEMA, "catalog": name, **checked.as_json()})
            if not json and not quiet:
                yield from (f"{inert(f'{name}: {note}')}\n" for note in checked.notes())
        if json:
            yield to_json(rows if len(rows) > 1 else rows[0], streams.screen(out=out), indent=2)

    streams.emit(lines(), out)
    damaged = [row["catalog"] for row in rows if not row["whole"] and row["catalog"] not in stale]
    _report_problems(damaged, stale, elsewhere)
    _report_lost(lost)


class _Checked(NamedTuple):
    """What was wrong with a catalog, and what a repair did; it `is_stale` if only its model has changed."""

    problems: list[str]
    is_whole: bool
    repaired: Repaired | None = None
    is_stale: bool = False

    def as_json(self) -> dict[str, Any]:
        repaired = self.repaired
        done = {"embedded_again": repaired and repaired.embedded, "lost": repaired and repaired.lost._asdict()}
        return {"whole": self.is_whole, "problems": self.problems, **done}

    def notes(self) -> list[str]:
        notes, repaired = list(self.problems), self.repaired
        if self.is_whole:
            notes.append(f"repaired; {repaired.embedded:,} texts embedded again" if repaired else "ok")
        return notes + [f"lost: {ident}" for ident in (repaired.lost.ids if repaired else ())]


def _check_folder(folder: Path, *, repair: bool, offline: bool, progress: Progress | None) -> _Checked:
    from attnsearch.indexing.check import find_model_change, find_problems
    from attnsearch.indexing.repair import repair as repair_catalog

    problems = find_problems(folder)
    if problems and problems == find_model_change(folder):
        return _Checked(problems, is_whole=False, is_stale=True)
    if not (problems and repair):
        return _Checked(problems, not problems)
    repaired = repair_catalog(folder, offline=offline, progress=progress)
    return _Checked(problems, not find_problems(folder), repaired)


def _check_database(ref: str) -> tuple[str, _Checked]:
    """What to call the catalog at an address, and what is wrong with it."""
    from attnsearch.postgres.address import parse_address
    from attnsearch.postgres.check import find_problems

    problems = find_problems(ref)
    return parse_address(ref).shown, _Checked(problems, not problems)


def _report_problems(damaged: list[str], stale: Mapping[str, Path], elsewhere: list[str]) -> None:
    """Raise CatalogError if there are catalogs to repair, or others whose model has changed, to index again.

    Those that are `elsewhere`, in a database, can't be repaired.
    """
    from attnsearch.storage import home

    messages, hints = [], []
    if damaged:
        messages.append("the catalog is damaged" if len(damaged) == 1 else "these catalogs are damaged")
        if in_folders := [ref for ref in damaged if ref not in elsewhere]:
            hints.append(f"run 'attnsearch check {shlex.join(in_folders)} --repair'")
        if len(in_folders) < len(damaged):
            hints.append("restore a backup of the database, or remove its catalog and index it again")
    for ref, folder in stale.items():
        messages.append(f"the model of {ref} has changed" if damaged or len(stale) > 1 else "its model has changed")
        hints.append(f"index it again: {home.command_to_index(folder, home.read_catalog_info(folder))}")
    if messages:
        raise CatalogError(", and ".join(messages), where=", ".join(damaged or stale), hint="; ".join(hints))


def _report_lost(counts: dict[str, int]) -> None:
    """Raise CatalogError if a repair could not restore all items; `counts` has how many, by catalog."""
    if not any(counts.values()):
        return
    from attnsearch.output.notes import counted

    lost = ", ".join(f"{counted(count, 'item')} of {ref}" for ref, count in counts.items() if count)
    hint = "the rest is whole; add the lost ones to a source and index it"
    raise CatalogError(f"lost, since no source has them any more: {lost}", hint=hint)


def remove(
    refs: CatalogRefs,
    everything: Annotated[
        bool, typer.Option("--all", rich_help_panel=options.DONE, help="Remove feedback and what was learned, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=options.DONE, help="Show what would go, and remove nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", rich_help_panel=options.DONE, help="Do not ask on a terminal.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Remove catalogs. Their sources stay, and so do feedback and what they learned, unless with --all.

    attnsearch remove shop

    attnsearch remove shop --all --dry-run
    """
    from attnsearch.upkeep.default import stored_default

    removals: dict[Path | str, _Removal] = {}
    for ref in refs:  # one may be named twice
        key, removal = _plan_removal(ref, everything=everything)
        removals.setdefault(key, removal)
    if dry_run:
        streams.emit(streams.as_line(f"would remove {shown}{note}") for shown, note, *_ in removals.values())
        return
    question = "; ".join(f"remove {shown}{note}" for shown, note, *_ in removals.values())
    if not yes and not streams.confirm(question):
        streams.emit([streams.as_line("nothing removed")])
        return
    default = stored_default()
    for shown, note, name, remove_it in removals.values():
        with progress.working(quiet=quiet):
            remove_it()
        also = "; choose another default: attnsearch use NAME" if name == default else ""
        if not quiet:
            streams.emit([streams.as_line(f"removed {shown}{note}{also}")])


class _Removal(NamedTuple):
    """What a catalog is called, what else goes or stays with it, its name if it may be the default; and how it goes."""

    shown: str
    note: str
    name: str
    remove: Callable[[], object]


def _plan_removal(ref: str, *, everything: bool) -> tuple[Path | str, _Removal]:
    """The removal of a catalog, by its folder or its address. Raises CatalogError if there is none."""
    if is_address(ref):
        from attnsearch.postgres.place import DatabasePlace, TableNotebook

        place = DatabasePlace(ref)
        tables = place.read_taught(everything=everything)
        notes = [_describe_feedback(TableNotebook(place.address))] if "feedback" in tables else []
        notes += ["what it learned"] if "learned" in tables else []
        note = _taught_in_words(notes, everything=everything)
        return place.address.shown, _Removal(
            place.address.shown, note, "", partial(place.remove, everything=everything)
        )
    from attnsearch.upkeep.removal import remove_catalog

    folder = _removable_folder(ref, everything=everything)
    note = _describe_removal(folder, everything=everything)
    return folder, _Removal(ref, note, _shown_name(folder), partial(remove_catalog, folder, everything=everything))


def _removable_folder(ref: str, *, everything: bool) -> Path:
    """The folder of a catalog; with `everything`, also of what stayed of a removed one."""
    from attnsearch.upkeep.removal import find_kept

    folder = find_kept(ref)
    if folder and not everything:
        hint = f"'attnsearch remove {shlex.quote(ref)} --all' removes that too"
        raise CatalogError("was removed; what it was taught is kept", where=ref, hint=hint)
    return folder or indexed_folder(ref)


def _describe_removal(folder: Path, *, everything: bool) -> str:
    """What else goes or stays with a catalog."""
    from attnsearch.storage.files import FEEDBACK, LEARNED
    from attnsearch.storage.home import taught_files

    files = taught_files(folder)
    notes = [_describe_feedback(folder)] if FEEDBACK in files else []
    notes += ["what it learned"] if LEARNED in files else []
    return _taught_in_words(notes, everything=everything)


def _describe_feedback(place: Notebook | Path) -> str:
    """How much feedback there is, if it can be read: else it goes, or stays, as it is."""
    from attnsearch.output.notes import counted
    from attnsearch.teaching.feedback import read_feedback

    with suppress(AttnsearchError):
        return f"feedback on {counted(len(read_feedback(place)), 'request')}"
    return "feedback"


def _taught_in_words(notes: list[str], *, everything: bool) -> str:
    if not notes:
        return ""
    if everything:
        return f" with its {' and '.join(notes)}"
    these = "these" if len(notes) > 1 else "this"
    return f"; kept for when it is indexed again: its {' and '.join(notes)} (--all removes {these} too)"


def _shown_name(folder: Path) -> str:
    """What `list` calls the catalog."""
    from attnsearch.storage import home

    with suppress(CatalogError):
        return home.displayed_name(folder, home.read_catalog_info(folder))
    return folder.name
