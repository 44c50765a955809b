"""`attnsearch use`, `check` and `remove`: which catalog is the default, is intact, or is not needed any more."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.errors import AttnsearchError, CatalogError, InputError
from attnsearch.output.safe_text import inert, to_json
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import CatalogRefs, catalog_argument, indexed_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from attnsearch.upkeep.default import Choice

_LISTED = 20  # catalogs, at most, in a line


def use(
    ref: Annotated[str | None, catalog_argument("The catalog to ask from now on when there is no -c.")] = None,
    none: Annotated[bool, typer.Option("--none", rich_help_panel=options.DONE, help="Forget the choice.")] = False,
    json: options.Json = False,
    out: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Choose the catalog that is asked without -c. Without NAME, show which that is.

    attnsearch use kitchen

    attnsearch use --none
    """
    if none and ref is not None:
        raise InputError("--none takes no catalog", hint="leave one of them out")

    from attnsearch.output.formats import SCHEMA
    from attnsearch.upkeep import default

    with progress.working(quiet=quiet):
        if none:
            default.forget_default()
        elif ref is not None:
            default.store_default(ref)
        choice = default.choose_default()
    if json:
        row = {"schema": SCHEMA, "default": default.read_default(), "asks": choice.ref, "why": choice.why}
        streams.emit([to_json(row, streams.screen(out=out), indent=2)], out)
    elif not (quiet and (none or ref is not None)):
        streams.emit([streams.as_line(_in_words(choice), out)], out)


def _in_words(choice: Choice) -> str:
    """What is asked without -c, and why.

    >>> from attnsearch.upkeep.default import Choice
    >>> _in_words(Choice("shop", "by 'attnsearch use'"))
    "shop is asked without -c (by 'attnsearch use')"
    """
    from attnsearch.sources.fields import first_names

    if choice.ref is not None:
        return f"{choice.ref} is asked without -c ({choice.why})"
    names = first_names(choice.own, _LISTED)
    return f"no default: {choice.why} ({names}); choose one: attnsearch use NAME"


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
    from attnsearch.indexing.check import find_model_change, find_problems
    from attnsearch.indexing.repair import repair as repair_catalog
    from attnsearch.output.formats import SCHEMA

    rows, lost = [], dict[str, int]()
    stale: dict[str, Path] = {}

    def lines() -> Iterator[str]:
        for ref, folder in [(ref, indexed_folder(ref)) for ref in refs]:
            with progress.working(quiet=quiet) as working:
                problems, repaired = find_problems(folder), None
                if problems and problems == find_model_change(folder):
                    stale[ref] = folder
                elif problems and repair:
                    repaired = repair_catalog(folder, offline=offline, progress=working.progress)
                    lost[ref] = repaired.lost.items
            is_whole = not (find_problems(folder) if repaired else problems)
            row = {"schema": SCHEMA, "catalog": ref, "whole": is_whole, "problems": problems}
            row |= {"embedded_again": repaired and repaired.embedded, "lost": repaired and repaired.lost._asdict()}
            rows.append(row)
            if not json and not quiet:
                notes = list(problems)
                if is_whole:
                    notes.append(f"repaired; {repaired.embedded:,} texts embedded again" if repaired else "ok")
                if repaired:
                    notes += [f"lost: {ident}" for ident in repaired.lost.ids]
                yield from (f"{inert(f'{ref}: {note}')}\n" for note in notes)
        if json:
            yield to_json(rows if len(rows) > 1 else rows[0], streams.screen(out=out), indent=2)

    streams.emit(lines(), out)
    _report_problems([str(row["catalog"]) for row in rows if not row["whole"] and row["catalog"] not in stale], stale)
    _report_lost(lost)


def _report_problems(damaged: list[str], stale: Mapping[str, Path]) -> None:
    """Raise CatalogError if there are catalogs to repair, or others whose model has changed, to index again."""
    from attnsearch.storage import home

    messages, hints = [], []
    if damaged:
        messages.append("the catalog is damaged" if len(damaged) == 1 else "these catalogs are damaged")
        hints.append(f"run 'attnsearch check {shlex.join(damaged)} --repair'")
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
    from attnsearch.upkeep.removal import remove_catalog

    names = {_removable_folder(ref, everything=everything): ref for ref in reversed(refs)}  # one may be named twice
    folders = {ref: folder for folder, ref in reversed(names.items())}
    plan = {ref: _describe_removal(folder, everything=everything) for ref, folder in folders.items()}
    if dry_run:
        streams.emit(streams.as_line(f"would remove {ref}{note}") for ref, note in plan.items())
        return
    question = "; ".join(f"remove {ref}{note}" for ref, note in plan.items())
    if not yes and not streams.confirm(question):
        streams.emit([streams.as_line("nothing removed")])
        return
    default = stored_default()
    for ref, folder in folders.items():
        with progress.working(quiet=quiet):
            name = _shown_name(folder)
            remove_catalog(folder, everything=everything)
        note = "; choose another default: attnsearch use NAME" if name == default else ""
        if not quiet:
            streams.emit([streams.as_line(f"removed {ref}{plan[ref]}{note}")])


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
    from attnsearch.output.notes import counted
    from attnsearch.storage.feedback import read_feedback
    from attnsearch.storage.files import FEEDBACK, LEARNED
    from attnsearch.storage.home import taught_files

    notes = []
    files = taught_files(folder)
    if FEEDBACK in files:
        feedback = "feedback"
        with suppress(AttnsearchError):  # a file that can't be read goes, or stays, as it is
            feedback = f"feedback on {counted(len(read_feedback(folder)), 'request')}"
        notes.append(feedback)
    if LEARNED in files:
        notes.append("what it learned")
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
