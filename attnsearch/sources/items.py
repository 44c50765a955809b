"""A file → the items of a catalog: what each is called, what describes it, and everything else that it carries."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.sources import records, values
from attnsearch.sources.values import Value

LONGEST = 4_000_000  # characters of a text: more than War and Peace has


class Fields(NamedTuple):
    """Which fields of a record are its id, its title and, if not the usual ones, its key text."""

    id: str = "id"
    title: str = "title"
    text: tuple[str, ...] = ()


class Item(NamedTuple):
    """One described thing. `text` is its key, what the encoder reads; `place` is its file:line."""

    id: str
    title: str
    description: str
    fields: Mapping[str, Value]
    text: str
    place: str = ""


class Listing(NamedTuple):
    """The items of one or more files, drawn one by one, and what a single file says about itself."""

    name: str | None
    description: str
    items: Iterator[Item]


def read_items(sources: Sequence[str], fields: Fields | None = None, *, form: str | None = None) -> Listing:
    """The items of the files `sources` as one catalog; `-` is standard input. Forms: see `records.read`.

    Items are checked as they are drawn. Raises InputError, with the line: nothing that could be a title or an
    id, no text, a title that is no text, no item at all. That no two items share an id, the writer checks.
    """
    fields = fields or Fields()
    as_text = frozenset({"description", fields.id, fields.title})
    places = [records.source_name(source) for source in sources]
    parts = (
        records.read_records(source, form=form, as_text=as_text) for source in sources
    )  # one at a time: they may be large
    first = next(parts)
    head = first.head if len(sources) == 1 else {}
    found = zip(places, itertools.chain([first], parts), strict=True)
    items = (_item(record, fields, f"{where}:{record.line}") for where, part in found for record in part.items)
    return Listing(_opt(head.get("name")), _opt(head.get("description")) or "", _some(items, places[0]))


def _opt(value: Value) -> str | None:
    return None if value is None else str(value)


def key_text(title: str, description: str, rest: Mapping[str, Value], fields: Fields | None = None) -> str:
    """What the encoder reads of an item: title, description and tags, or the fields chosen for it, in that order.

    It ends without a full stop, as requests do: a short text is found better so.

    >>> key_text("Dune", "A desert planet.", {"year": 1965, "tags": ["sand", "spice"]})
    'Dune. A desert planet. sand, spice'
    >>> key_text("Dune", "A desert planet.", {})
    'Dune. A desert planet'
    """
    if fields and fields.text:
        known = {**rest, "description": description, fields.title: title}
        parts = [_words(known.get(name)) for name in fields.text]
    else:
        parts = [title, description, _words(rest.get("tags"))]
    text = _sentences(parts)
    return text.rstrip(" .") or text


def describe(item: Item, fields: Fields) -> str:
    """What describes an item: its description, else the fields chosen for its key text, its title left out.

    >>> lamp = Item("7", "Lamp", "", {"blurb": "Light for one page.", "price": 9}, "Lamp. Light for one page")
    >>> describe(lamp, Fields("sku", "product", ("product", "blurb")))
    'Light for one page.'
    """
    return item.description or _sentences(_words(item.fields.get(name)) for name in fields.text)


def _sentences(parts: Iterable[str]) -> str:
    """What is in the parts, each a sentence."""
    text = ""
    for part in filter(None, map(str.strip, parts)):
        text += part if not text else (" " if text[-1] in ".!?…。:;" else ". ") + part
    return text


def _words(value: Value) -> str:
    """A field's value in words."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_words(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(part)}" for name, part in value.items())
    return str(value)


def _some(items: Iterator[Item], where: str) -> Iterator[Item]:
    """The same items; InputError when there is none."""
    item = None
    for item in items:
        yield item
    if item is None:
        raise InputError("no items", where=where, hint="a catalog needs at least one")


def _item(record: values.Mapping, fields: Fields, place: str) -> Item:
    title = _text(record, fields.title, place)
    description = _text(record, "description", place)
    ident = _text(record, fields.id, place) or _slug(title)
    has = f"its fields are: {', '.join(record)}" if record else "it has no fields"
    if not ident:
        hint = f"{has}; name the right ones: attnsearch index --title-field FIELD --id-field FIELD"
        raise InputError(f"an item has no '{fields.title}' and no '{fields.id}'", where=place, hint=hint)
    apart = {fields.id, fields.title, "description"}
    rest = {name: value for name, value in record.items() if name not in apart and value is not None}
    text = key_text(title, description, rest, fields)
    if not text:
        hint = f"{has}; name those that describe it: attnsearch index --text-field FIELD"
        raise InputError(f"item '{ident}' has no text to search", where=place, hint=hint)
    _check_length(text, "its text", place)
    return Item(ident, title, description, rest, text, place)


def _text(record: values.Mapping, name: str, place: str) -> str:
    value = record.get(name)
    if isinstance(value, (list, dict)):
        raise InputError(f"'{name}' is a {'list' if isinstance(value, list) else 'mapping'}, not text", where=place)
    text = "" if value is None else str(value).strip()
    _check_length(text, f"'{name}'", place)
    return text


def _check_length(text: str, what: str, place: str) -> None:
    if len(text) > LONGEST:
        hint = "make several items of it"
        raise InputError(f"{what} has {len(text):,} characters; at most {LONGEST:,} are read", where=place, hint=hint)


def _slug(title: str) -> str:
    """An id for a title: its letters and digits, lower case, joined by hyphens; the title itself if it has none."""
    plain = unicodedata.normalize("NFKC", title).casefold()
    return re.sub(r"\W+", "-", plain).strip("-") or title
