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
    from attnsearch.storage.store import ItemSpan

COLUMNS = 10_000  # as many as a CSV may have when it is read


def render(
    items: Iterable[Sequence[ItemSpan]],
    info: Info,
    form: str,
    screen: Screen = PIPE,
    *,
    several: bool = False,
) -> Iterator[str]:
    """Items of a catalog, each given as the spans of all its keys. With `several`, JSON is a list."""
    match form:
        case "json":
            objects = [as_json(spans, info.name) for spans in items]
            yield to_json(objects if several else objects[0], screen, indent=2)
        case "jsonl":
            for spans in items:
                yield to_json(as_json(spans, info.name), screen)
        case _:
            screen = screen._replace(width=screen.width or WIDTH)
            for number, spans in enumerate(items):
                yield _rule(screen) if number else ""
                yield "\n".join(_parts(spans, info, screen))


def as_json(spans: Sequence[ItemSpan], catalog: str) -> dict[str, Any]:
    """The JSON object of an item, as docs/reference.md describes it."""
    item = spans[0].item
    return {
        "schema": SCHEMA,
        "catalog": catalog,
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "fields": item.fields,
        "text": item.text,
        "passages": [
            {"start": span.start, "stop": min(span.stop, len(item.text)), "text": _passage(span)} for span in spans
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


def _passage(span: ItemSpan) -> str:
    return span.item.text[span.start : span.stop]


def _rule(screen: Screen) -> str:
    """A line between two items."""
    return "\n" + ("─" if screen.unicode else "-") * (screen.width or WIDTH) + "\n\n"


def _parts(spans: Sequence[ItemSpan], info: Info, screen: Screen) -> Iterator[str]:
    """The parts of an item, each of whole lines: its names, its description, its fields, its passages."""
    item = spans[0].item
    title = to_text(item.title or item.id, "bold")
    link_text(title, find_link(item.fields), screen)
    yield draw(title, screen) + draw(to_text(f"{item.id} · {short_name(info.name)}", "dim"), screen)
    if item.description:
        yield draw(to_text(item.description), screen)
    if fields := field_texts(item.fields):
        fields |= {name: show_text(fields[name]) for name in info.fields.text if name in fields}
        yield entries(fields, screen)
    if len(spans) > 1:
        passages = {str(number): _passage(span) for number, span in enumerate(spans, 1)}
        heading = f"{len(spans):,} passages, as the encoder reads them:"
        yield draw(to_text(heading, "dim"), screen) + entries(passages, screen)
