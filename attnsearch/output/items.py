"""Items → all that a catalog has of them: the text, the fields, the passages. For a terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnsearch.output.columns import field_texts, find_link
from attnsearch.output.formats import SCHEMA
from attnsearch.output.notes import short_name
from attnsearch.output.safe_text import PIPE, Screen, inert, inert_lines, to_json
from attnsearch.output.table import GAP, draw, link_text

if TYPE_CHECKING:
    from rich.text import Text

    from attnsearch.storage.store import Place

FORMATS = ("table", "json", "jsonl")
WIDTH = 100  # cells of a line where there is no window

_BROAD = 30  # cells for values beside their names, at least


def render(
    items: Iterable[Sequence[Place]], catalog: str, form: str, screen: Screen = PIPE, *, several: bool = False
) -> Iterator[str]:
    """Items of a catalog, each given as the places of all its keys. With `several`, JSON is a list."""
    match form:
        case "json":
            objects = [as_json(places, catalog) for places in items]
            yield to_json(objects if several else objects[0], screen, indent=2)
        case "jsonl":
            for places in items:
                yield to_json(as_json(places, catalog), screen)
        case _:
            screen = screen._replace(width=screen.width or WIDTH)
            for number, places in enumerate(items):
                yield _rule(screen) if number else ""
                yield "\n".join(_parts(places, catalog, screen))


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


def _passage(place: Place) -> str:
    return place.item.text[place.start : place.stop]


def _rule(screen: Screen) -> str:
    """A line between two items."""
    return "\n" + ("─" if screen.unicode else "-") * (screen.width or WIDTH) + "\n\n"


def _parts(places: Sequence[Place], catalog: str, screen: Screen) -> Iterator[str]:
    """The parts of an item, each of whole lines: its names, its description, its fields, its passages."""
    item = places[0].item
    title = _text(item.title or item.id, "bold")
    link_text(title, find_link(item.fields), screen)
    yield draw(title, screen) + draw(_text(f"{item.id} · {short_name(catalog)}", "dim"), screen)
    if item.description:
        yield draw(_text(item.description), screen)
    if fields := field_texts(item.fields):
        yield _entries(fields, screen)
    if len(places) > 1:
        passages = {str(number): _passage(place) for number, place in enumerate(places, 1)}
        heading = f"{len(places):,} passages, as the encoder reads them:"
        yield draw(_text(heading, "dim"), screen) + _entries(passages, screen)


def _entries(entries: Mapping[str, str], screen: Screen) -> str:
    """Names, with their values beside them, or under them if that leaves the values too little room."""
    from rich.cells import cell_len
    from rich.padding import Padding
    from rich.table import Table

    room = (screen.width or WIDTH) - max(cell_len(inert(name)) for name in entries) - GAP
    if room < _BROAD:
        parts = [(_text(name, "dim"), Padding(_text(value), (0, 0, 0, GAP))) for name, value in entries.items()]
        return "".join(draw(part, screen) for pair in parts for part in pair)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in entries.items():
        table.add_row(_text(inert(name), "dim"), _text(value))
    return draw(table, screen)


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(inert_lines(text), style, overflow="fold")
