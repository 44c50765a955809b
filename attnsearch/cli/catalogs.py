"""`attnsearch list`, `info`, `check` and `remove`: what there is, and whether it is whole."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnsearch.cli import options, terminal
from attnsearch.errors import CatalogError
from attnsearch.storage import home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attnsearch.storage.database import Info
    from attnsearch.storage.learned import Learned

Names = Annotated[
    list[str], typer.Argument(metavar="NAME|FILE", show_default=False, autocompletion=options.names, help="Catalogs.")
]


def list_(json: options.Json = False, no_color: options.NoColor = False) -> None:
    """List the catalogs that are indexed, and the built-in ones."""
    from attnsearch.output import safe_text, table
    from attnsearch.storage.home import BUILT_IN, catalog_infos

    rows: list[dict[str, Any]] = []
    for folder, found in catalog_infos():
        if isinstance(found, CatalogError):
            rows.append({"name": folder.name, "problem": found.message})
        else:
            rows.append(_row(found))
    there = {row["name"] for row in rows}
    rows += [{"name": name, "built_in": True} for name in BUILT_IN if name not in there]
    screen = terminal.screen(color=not no_color)
    if json:
        terminal.emit([safe_text.to_json(rows, screen, indent=2)])
        return
    cells = [
        (
            row["name"],
            f"{row['items']:,}" if "items" in row else "",
            row.get("model", ""),
            row.get("updated", "")[:16].replace("T", " "),
            row.get("problem") or ", ".join(row.get("sources", ["built in, indexed when first asked"])),
        )
        for row in rows
    ]
    terminal.emit([table.listing(("name", "items", "model", "updated", "from"), cells, screen)])


def _row(info: Info) -> dict[str, Any]:
    return {
        "name": info.name,
        "items": info.items,
        "model": info.model,
        "updated": info.updated,
        "sources": [source.path for source in info.sources],
    }


def info(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", show_default=False, autocompletion=options.names, help="A catalog.")
    ],
    json: options.Json = False,
    no_color: options.NoColor = False,
) -> None:
    """Tell what is known of a catalog: its items, model, source, size."""
    from attnsearch.output import safe_text, table
    from attnsearch.storage import learned
    from attnsearch.storage.store import Store

    folder = _indexed(name)
    with Store(folder) as store:
        found, segments, dead = store.info, len(store.segments), store.dead
    trained = learned.load_learned(folder)
    used = trained if trained and trained.suits(found.sha256, found.d) else None
    told = {
        "name": found.name,
        "description": found.description,
        "items": found.items,
        "keys": found.keys,
        "model": found.model,
        "weights_sha256": found.sha256,
        "d": found.d,
        "temperature": used.temperature if used else found.temperature,
        "lexical": used.lexical if used and used.lexical is not None and found.lexical else found.lexical,
        "sources": [source.path for source in found.sources],
        "id_field": found.fields.id,
        "title_field": found.fields.title,
        "text_fields": list(found.fields.text) or ["title", "description", "tags"],
        "segments": segments,
        "tombstones": dead,
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "created": found.created,
        "updated": found.updated,
        "folder": str(folder),
        "learned": trained and _learned(trained, in_use=used is not None),
    }
    screen = terminal.screen(color=not no_color)
    if json:
        terminal.emit([safe_text.to_json(told, screen, indent=2)])
        return
    cells = [(name.replace("_", " "), value) for name, value in _rows(told)]
    terminal.emit([table.listing(("", ""), cells, screen)])


def _indexed(ref: str) -> Path:
    """The folder of a catalog that is there; CatalogError for one that could be made, but is not."""
    from attnsearch.storage import home

    folder, _ = home.find_catalog(ref)
    if not home.catalog_exists(folder):
        raise CatalogError(f"'{ref}' is not indexed yet", hint=f"'attnsearch query TEXT -c {ref}' does it")
    return folder


def _learned(trained: Learned, *, in_use: bool) -> dict[str, Any]:
    """What a librarian has learned; of the matrix, its shape."""
    return {
        "in_use": in_use,
        "model": trained.model,
        "weights_sha256": trained.sha256,
        "w": trained.w.shape,
        "temperature": trained.temperature,
        "lexical": trained.lexical,
        "none_of_these": trained.null and trained.null._asdict(),
        "requests": len(trained.requests),
        "story": trained.story,
    }


def _rows(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values as words; of what was learned, a row for each part, and each of its story."""
    trained = told.pop("learned")
    yield from ((name, _words(value)) for name, value in told.items())
    if trained is None:
        return
    unused = "" if trained["in_use"] else f"; for other weights of {trained['model']}, and not used"
    story = dict(trained["story"])
    yield "learned", f"from {story.pop('from', 'elsewhere')}{unused}"
    parts = {name: trained[name] for name in ("temperature", "lexical", "none_of_these")}
    for name, value in {**parts, **story}.items():
        if value is not None:
            yield f"learned {name}", _words(value)


def _words(value: object) -> str:
    match value:
        case list() | tuple():
            return ", ".join(map(_words, value))
        case dict():
            known = ((name.replace("_", " "), one) for name, one in value.items() if one is not None)
            return ", ".join(f"{name} ({_words(one)})" if isinstance(one, dict) else f"{name} {_words(one)}"
                             for name, one in known)  # fmt: skip
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
    return str(value)


def remove(name: Names, quiet: options.Quiet = False) -> None:
    """Remove catalogs. Their sources are not touched."""
    from attnsearch.output.safe_text import inert

    for one, folder in [(one, _indexed(one)) for one in name]:
        with terminal.working(quiet=quiet):
            home.remove_catalog(folder)
        if not quiet:
            terminal.emit([f"removed {inert(one)}\n"])


def check(
    name: Names,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make whole what is not; only what is broken is embedded again.")
    ] = False,
    json: options.Json = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Verify every checksum, count and reference of catalogs, and say what is wrong.

    attnsearch check library

    attnsearch check library --repair
    """
    from attnsearch.indexing.check import find_problems
    from attnsearch.output import formats, safe_text
    from attnsearch.storage.home import read_catalog_info

    told = []
    for one, folder in [(one, _indexed(one)) for one in name]:
        with terminal.working(quiet=quiet) as working:
            with suppress(CatalogError):
                read_catalog_info(folder)  # one of an older form is brought up to date
            problems, embedded = find_problems(folder), None
            if problems and repair:
                from attnsearch.indexing.repair import repair as make_whole

                embedded = make_whole(folder, offline=offline, progress=working.progress).embedded
        left = find_problems(folder) if embedded is not None else problems
        told.append({"catalog": one, "whole": not left, "problems": problems, "embedded_again": embedded})
        if not json and not quiet:
            terminal.emit(f"{safe_text.inert(f'{one}: {problem}')}\n" for problem in problems)
            if embedded is not None and not left:
                terminal.emit([f"{safe_text.inert(one)}: whole again; {embedded:,} texts embedded anew\n"])
            elif not left:
                terminal.emit([f"{safe_text.inert(one)}: whole\n"])
    if json:
        rows = [{"schema": formats.SCHEMA, **row} for row in told]
        terminal.emit([safe_text.to_json(rows if len(rows) > 1 else rows[0], terminal.screen(), indent=2)])
    broken = [str(row["catalog"]) for row in told if not row["whole"]]
    if broken:
        hint = f"run 'attnsearch check {' '.join(broken)} --repair'"
        raise CatalogError("the catalog is damaged", where=", ".join(broken), hint=hint)
