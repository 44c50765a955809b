"""`attnsearch list`, `info` and `use`: which catalogs exist, what is in them, and which is the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnsearch.errors import InputError
from attnsearch.output.safe_text import hide_passwords, to_json
from attnsearch.storage.files import is_address
from attnsearch.terminal import options, progress, streams
from attnsearch.terminal.catalogs import CatalogRef, catalog_argument, indexed_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attnsearch.calibration.fit_file import Fit
    from attnsearch.storage.database import Info
    from attnsearch.upkeep.default import Choice

_LISTED = 20  # catalogs, at most, in a line

_SHOWN = 5  # values of a field, at most
_IN_OTHER_ROWS = {"learned", "fields", "gone", "fit", "temperature_from", "none_of_these_from"}
_MISSING = {"id_field": "made from the titles", "title_field": "none"}


def list_(json: options.Json = False, out: options.Out = None, color: options.Color = "auto") -> None:
    """List the indexed catalogs and the built-in ones."""
    from attnsearch.output import table
    from attnsearch.output.catalogs import list_catalogs

    rows = list_catalogs()
    screen = streams.screen(color=color, out=out)
    if json:
        streams.emit([to_json(rows, screen, indent=2)], out)
        return
    cells = [
        (
            _mark(row["name"], "default", when=row["default"]),
            f"{row['items']:,}" if "items" in row else "",
            ", ".join([row["model"], *row["heads"]]) if "model" in row else "",
            row.get("updated", "")[:16].replace("T", " "),
            _origin(row),
        )
        for row in rows
    ]
    columns = ("name", "items", "model", "updated", "from")
    # In a pipe, names stay whole: a command is to take them, and they may be paths.
    elastic = ("name", "model", "from") if screen.is_terminal else ("model", "from")
    middle, optional = ("name", "from"), ("updated", "model")
    streams.emit([table.listing(columns, cells, screen, elastic=elastic, middle=middle, optional=optional)], out)


def info(ref: CatalogRef, json: options.Json = False, out: options.Out = None, color: options.Color = "auto") -> None:
    """Show a catalog's items, model, sources, size and folder, and what it has learned."""
    from attnsearch.calibration.fit_file import command_to_calibrate, load_fit
    from attnsearch.output import table
    from attnsearch.output.catalogs import describe_catalog, describe_store
    from attnsearch.output.training import constants_in_words
    from attnsearch.storage import home
    from attnsearch.storage.segment import find_fit_file

    def read_fit(record: Info) -> Fit | None:
        with progress.working():  # a file that can't be used is a warning
            return load_fit(find_fit_file(record), record.model, record.use)

    if is_address(ref):
        from attnsearch.postgres.store import open_store

        with open_store(ref) as store:
            record, fit = store.info, read_fit(store.info)
            fields = describe_store(store, store.load_learned(), fit, record.name, store.address.shown, store.measure())
    else:
        folder = indexed_folder(ref)
        record = home.read_catalog_info(folder)
        fit = read_fit(record)
        fields = describe_catalog(folder, fit)
    screen = streams.screen(color=color, out=out)
    if json:
        streams.emit([to_json(fields, screen, indent=2)], out)
        return
    use = {"use": _use_in_words(fields["use"]), "published": _publication_in_words(fields["published"])}
    words = {**fields, **use, **constants_in_words(fields, fit, command_to_calibrate(record.model, record.use))}
    if is_address(ref):
        words["address"] = words.pop("folder")
    tables = [table.entries({name.replace("_", " "): value for name, value in _info_rows(words) if value}, screen)]
    if fields["fields"]:
        rows = [(field["name"], *_field_in_words(field)) for field in fields["fields"]]
        columns = ("field", "kind", "items", "values")
        tables += ["\n", table.listing(columns, rows, screen, elastic=("field", "values"), middle=("field",))]
    streams.emit(tables, out)


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
        row = {
            "schema": SCHEMA,
            "default": default.read_default(),
            "asks": choice.ref and hide_passwords(choice.ref),
            "why": choice.why,
        }
        streams.emit([to_json(row, streams.screen(out=out), indent=2)], out)
    elif not (quiet and (none or ref is not None)):
        streams.emit([streams.as_line(_choice_in_words(choice), out)], out)


def _choice_in_words(choice: Choice) -> str:
    """What is asked without -c, and why.

    >>> from attnsearch.upkeep.default import Choice
    >>> _choice_in_words(Choice("shop", "by 'attnsearch use'"))
    "shop is asked without -c (by 'attnsearch use')"
    """
    from attnsearch.sources.fields import first_names

    if choice.ref is not None:
        return f"{hide_passwords(choice.ref)} is asked without -c ({choice.why})"
    names = first_names(choice.own, _LISTED)
    return f"no default: {choice.why} ({names}); choose one: attnsearch use NAME"


def _mark(text: str, mark: str, *, when: bool) -> str:
    return f"{text} ({mark})" if when else text


def _origin(row: Mapping[str, Any]) -> str:
    """Where a catalog is from, or why that is not known."""
    if "problem" in row:
        return str(row["problem"])
    if "removed" in row:
        return "removed; what it was taught is kept"
    if "built_in" in row:
        return "built in; the first query indexes it"
    if row["sources"] == [row["name"]]:  # no need to say it twice
        return "(gone)" if row["gone"] else "the file"
    return ", ".join(_mark_gone(row))


def _mark_gone(row: Mapping[str, Any]) -> list[str]:
    """The sources of a catalog; those that are not there any more are marked."""
    return [_mark(source, "gone", when=source in row["gone"]) for source in row.get("sources", ())]


def _head_in_words(head: Mapping[str, Any]) -> str:
    parts = [f"{head['d']:,} columns", f"weight {head['weight']:.3g}", f"temperature {head['temperature']:.3g}"]
    return f"{head['model']} ({', '.join(filter(None, [*parts, _use_in_words(head['use'])]))})"


def _use_in_words(use: Mapping[str, Any] | None) -> str:
    """The prompts and the width of a model; nothing if it is used as an older attnsearch would."""
    from attnsearch.models.use import Use

    return "" if use is None else Use(**use).in_words()


def _publication_in_words(published: Mapping[str, Any] | None) -> str:
    """Where a catalog is published."""
    return "" if published is None else _mark(published["url"], "an earlier state", when=not published["is_current"])


def _field_in_words(field: Mapping[str, Any]) -> tuple[str, str, str]:
    """The kind of a field, how many items have it, and its range, or its commonest values."""
    from attnsearch.output.notes import range_in_words
    from attnsearch.sources.fields import first_names

    if field["low"]:
        values = range_in_words(field["low"], field["high"])
    elif field["different"] is None:
        values = ""
    else:
        # Values that all differ say nothing about each other.
        repeated = [f"{value} ({count:,})" for value, count in map(dict.values, field["values"]) if count > 1]
        values = first_names(repeated, _SHOWN) or f"{field['different']:,} different"
    if field["unread"] and field["kind"] != "text":
        values += f"{'; ' if values else ''}{field['unread']:,} can't be read"
    return field["kind"], f"{field['items']:,}", values


def _info_rows(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values in words; what was learned has a row for each part, and for each part of its story."""
    learned = fields["learned"]
    for name, value in fields.items():
        if name == "sources":
            yield name, ", ".join(_mark_gone(fields))
        elif name == "heads":
            yield name, ", ".join(map(_head_in_words, value))
        elif name not in _IN_OTHER_ROWS:
            yield name, _MISSING.get(name, "") if value is None else _in_words(value)
    if learned is None:
        return
    story = {name: value for name, value in learned["story"].items() if name != "remembered"}
    model = learned["model"]
    unused = f"; not in use: it is for other weights, another tokenizer, prompt or head of {model}"
    unused = "" if learned["in_use"] else unused
    memory = learned["memory"]
    if learned["w"]:
        yield "learned", f"from {story.pop('from', 'elsewhere')}{unused}"
    if memory:
        from attnsearch.output.notes import counted

        yield "remembers", f"{counted(memory['requests'], 'judged request')}{'' if learned['w'] else unused}"
    parts = {name: learned[name] for name in ("temperature", "lexical", "none_of_these")}
    for name, value in {**parts, **story}.items():
        if value is not None:
            yield f"learned {name}", _in_words(value)


def _in_words(value: object) -> str:
    match value:
        case list() | tuple():
            return ", ".join(map(_in_words, value))
        case dict():
            return ", ".join(_entry_in_words(name, part) for name, part in value.items() if part is not None)
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
    return str(value)


def _entry_in_words(name: str, value: object) -> str:
    words = f"({_in_words(value)})" if isinstance(value, dict) else _in_words(value)
    return f"{name.replace('_', ' ')} {words}"
