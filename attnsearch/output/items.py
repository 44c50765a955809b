"""Items → all that a catalog has of them: text, fields, passages, for a terminal or as JSON; or rows of CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attnsearch.errors import InputError
from attnsearch.output.columns import choose_header, field_texts, find_link, short_name
from attnsearch.output.formats import SCHEMA, separated_line
from attnsearch.output.safe_text import PIPE, WIDTH, Screen, to_json
from attnsearch.output.table import draw, entries, link_text, to_text
from attnsearch.sources.fields import OWN, show_text

if TYPE_CHECKING:
    from attnsearch.sources.items import Item
    from attnsearch.storage.database import Info
    from attnsearch.storage.store import Place

COLUMNS = 10_000  # as many as a CSV may have when it is read


def render(
    items: Iterable[Sequence[Place]],
    info: Info,
    form: str,
    screen: Screen = PIPE,
    *,
    several: bool = False,
) -> Iterator[str]:
    """Items of a catalog, each given as the places of all its keys. With `several`, JSON is a list."""
    match form:
        case "json":
            objects = [as_json(places, info.name) for places in items]
            yield to_json(objects if several else objects[0], screen, indent=2)
        case "jsonl":
            for places in items:
                yield to_json(as_json(places, info.name), screen)
        case _:
            screen = screen._replace(width=screen.width or WIDTH)
            for number, places in enumerate(items):
                yield _rule(screen) if number else ""
                yield "\n".join(_parts(places, info, screen))


def as_json(places: Sequence[Place], catalog: str) -> dict[str, Any]:
    """The JSON object of an item, as docs/reference.md describes it."""
    item = places[0].item
    return {
        "schema": SCHEMA,
        "catalog": catalog,
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "fields": item.fields,
        "text": item.text,
        "passages": [
            {"start": place.start, "stop": min(place.stop, len(item.text)), "text": _passage(place)} for place in places
        ],
    }


def write_csv(read: Callable[[], Iterable[Item]]) -> Iterator[str]:
    """The lines of CSV; `read` gives the items, twice. A field that is called like an earlier column is `fields.NAME`.

    Raises InputError for more than `COLUMNS`.
    """
    names: dict[str, None] = {}
    for item in read():
        names.update(dict.fromkeys(field_texts(item.fields)))
        if len(names) + len(OWN) > COLUMNS:
            raise InputError(f"more than {COLUMNS:,} fields", hint="export it as JSONL or Parquet: -f jsonl")
    headers = dict.fromkeys(OWN)
    for name in names:
        headers[choose_header(name, headers)] = None
    yield separated_line([*headers], ",")
    for item in read():
        texts = field_texts(item.fields)
        yield separated_line([item.id, item.title, item.description, *(texts.get(name, "") for name in names)], ",")


def _passage(place: Place) -> str:
    return place.item.text[place.start : place.stop]


def _rule(screen: Screen) -> str:
    """A line between two items."""
    return "\n" + ("─" if screen.unicode else "-") * (screen.width or WIDTH) + "\n\n"


def _parts(places: Sequence[Place], info: Info, screen: Screen) -> Iterator[str]:
    """The parts of an item, each of whole lines: its names, its description, its fields, its passages."""
    item = places[0].item
    title = to_text(item.title or item.id, "bold")
    link_text(title, find_link(item.fields), screen)
    yield draw(title, screen) + draw(to_text(f"{item.id} · {short_name(info.name)}", "dim"), screen)
    if item.description:
        yield draw(to_text(item.description), screen)
    if fields := field_texts(item.fields):
        fields |= {name: show_text(fields[name]) for name in info.fields.text if name in fields}
        yield entries(fields, screen)
    if len(places) > 1:
        passages = {str(number): _passage(place) for number, place in enumerate(places, 1)}
        heading = f"{len(places):,} passages, as the encoder reads them:"
        yield draw(to_text(heading, "dim"), screen) + entries(passages, screen)
