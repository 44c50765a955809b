"""Files → the items of a catalog: id, title, description, all other fields, and the key text made from them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.readers.records import Reading
from attnsearch.sources.letters import has_marks, normalize_text, word_patterns
from attnsearch.syntax import values
from attnsearch.syntax.values import Value

LONGEST = 4_000_000  # characters of a text; War and Peace has fewer


class Fields(NamedTuple):
    """The fields of a record that hold its id, its title, and its key text: () means title, description and tags."""

    id: str = "id"
    title: str = "title"
    text: tuple[str, ...] = ()


class Item(NamedTuple):
    """A described thing. `text` is its key text, which the encoder reads; `place` is its file:line."""

    id: str
    title: str
    description: str
    fields: Mapping[str, Value]
    text: str
    place: str = ""


class Listing(NamedTuple):
    """The items of one or more files, read one by one, and the name and description that a single file gives."""

    name: str | None
    description: str
    items: Iterator[Item]


def read_items(
    sources: Sequence[str],
    fields: Fields | None = None,
    *,
    reading: Reading = Reading(),  # noqa: B008 (it is immutable)
    observers: Sequence[Callable[[bytes], object]] = (),
) -> Listing:
    """The items of the files and folders `sources` as one catalog; `-` is standard input.

    `reading`, and one of the `observers` for each source: see `read_sources`.

    Items are checked as they are read; the writer checks that ids are unique.

    Raises InputError, with the line: an invalid file, an item without a title or id, a title that is not text, no text
    to search, a text of more than `LONGEST` characters, no items at all.
    """
    fields = fields or Fields()
    from attnsearch.readers import folder  # which a query does without
    from attnsearch.syntax.names import NAMES

    as_text = NAMES.all | {fields.id, fields.title}
    files = folder.read_sources(sources, reading=reading, as_text=as_text, observers=observers)
    first = next(files)
    items = _make_items(itertools.chain([first], files), fields)
    head = first[1].head if len(sources) == 1 else {}
    description = _text_or_none(head.get("description")) or ""
    place = first[0]
    return Listing(_text_or_none(head.get("name")), description, _require_items(items, place))


def key_text(title: str, description: str, rest: Mapping[str, Value], fields: Fields | None = None) -> str:
    """The text of an item that the encoder reads: title, description and tags, or the chosen fields, in order.

    `rest` holds the item's other fields. The text ends without a full stop, as queries do, which helps short texts to
    be found.

    >>> key_text("Dune", "A desert planet.", {"year": 1965, "tags": ["sand", "spice"]})
    'Dune. A desert planet. sand, spice'
    >>> key_text("Dune", "A desert planet.", {})
    'Dune. A desert planet'
    """
    if fields and fields.text:
        all_fields = {**rest, "description": description, fields.title: title}
        parts = [_to_words(all_fields.get(name)) for name in fields.text]
    else:
        parts = [title, description, _to_words(rest.get("tags"))]
    text = _join_sentences(parts)
    return text.rstrip(" .") or text


def describe(item: Item, fields: Fields) -> str:
    """The text that describes an item: its description, or else the fields of its key text, without the title.

    >>> lamp = Item("7", "Lamp", "", {"blurb": "Light for one page.", "price": 9}, "Lamp. Light for one page")
    >>> describe(lamp, Fields("sku", "product", ("product", "blurb")))
    'Light for one page.'
    """
    return item.description or _join_sentences(_to_words(item.fields.get(name)) for name in fields.text)


def _join_sentences(parts: Iterable[str]) -> str:
    """The parts that are not blank, each ended as a sentence."""
    text = ""
    for part in filter(None, map(str.strip, parts)):
        text += part if not text else (" " if text[-1] in ".!?…。:;" else ". ") + part
    return text


def _to_words(value: Value) -> str:
    """A field's value in words."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_to_words(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_to_words(part)}" for name, part in value.items())
    from attnsearch.sources.markup import to_text

    return to_text(str(value))


def _text_or_none(value: Value) -> str | None:
    return None if value is None else str(value)


def _make_items(files: Iterable[tuple[str, values.Records]], fields: Fields) -> Iterator[Item]:
    """The items of files, each given with its name."""
    for where, file in files:
        for record in file.items:
            yield _make_item(record, fields, f"{where}:{record.line}")


def _require_items(items: Iterator[Item], where: str) -> Iterator[Item]:
    """Yield the items; raise InputError at the end if there are none."""
    item = None
    for item in items:
        yield item
    if item is None:
        raise InputError("no items", where=where, hint="a catalog needs at least one")


def _make_item(record: values.Mapping, fields: Fields, place: str) -> Item:
    from attnsearch.sources.markup import to_text

    title = to_text(_read_text(record, fields.title, place))
    description = to_text(_read_text(record, "description", place))
    item_id = _read_text(record, fields.id, place) or _make_id(title, fields, place)
    listed = f"its fields are: {', '.join(record)}" if record else "it has no fields"
    if not item_id:
        hint = f"{listed}; name the right ones: attnsearch index --title-field FIELD --id-field FIELD"
        raise InputError(f"an item has no '{fields.title}' and no '{fields.id}'", where=place, hint=hint)
    own = {fields.id, fields.title, "description"}
    rest = {name: value for name, value in record.items() if name not in own and value is not None}
    text = key_text(title, description, rest, fields)
    if not text:
        hint = f"{listed}; name those that describe it: attnsearch index --text-field FIELD"
        raise InputError(f"item '{item_id}' has no text to search", where=place, hint=hint)
    _check_length(text, "its text", place)
    return Item(item_id, title, description, rest, text, place)


def _read_text(record: values.Mapping, name: str, place: str) -> str:
    value = record.get(name)
    if isinstance(value, (list, dict)):
        kind = "list" if isinstance(value, list) else "mapping"
        raise InputError(f"'{name}' is a {kind}, not text", where=place)
    text = "" if value is None else str(value).strip()
    _check_length(text, f"'{name}'", place)
    return text


def _check_length(text: str, name: str, place: str) -> None:
    if len(text) > LONGEST:
        raise values.too_long(text, name, LONGEST, where=place, hint="split the item into several")


def _make_id(title: str, fields: Fields, place: str) -> str:
    """The id of an item that has only a title, which must be short: NFKC writes some characters as eighteen."""
    if len(title) > values.LONGEST_QUERY:
        name = f"'{fields.title}', which the id is made of,"
        hint = f"give the item an id: attnsearch index --id-field FIELD, else '{fields.id}'"
        raise values.too_long(title, name, values.LONGEST_QUERY, where=place, hint=hint)
    return _make_slug(title)


def _make_slug(title: str) -> str:
    """An id for a title: its letters and digits, lower case, joined by hyphens; the title itself if it has none.

    >>> _make_slug("Dune: Part II"), _make_slug("दीन और दिन")
    ('dune-part-ii', 'दीन-और-दिन')
    """
    plain = normalize_text(title, "NFKC")
    if has_marks(plain):  # without them ids stay what they always were
        return word_patterns().gap.sub("-", normalize_text(plain.casefold())).strip("-") or title
    return re.sub(r"\W+", "-", plain.casefold()).strip("-") or title
