"""Files → the items of a catalog: id, title, description, all other fields, and the key text made from them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.errors import InputError
from attnsearch.sources.fields import (
    LABELS,
    UNNAMED,
    Fields,
    first_names,
    leaves,
    look_up,
    plain_text,
    refuse_ambiguous,
    show_text,
    to_words,
    unknown_field,
)
from attnsearch.sources.letters import make_slug, normalize_text
from attnsearch.syntax import values
from attnsearch.syntax.formats import AS_FOUND, Reading
from attnsearch.syntax.names import fold_name
from attnsearch.syntax.values import Value, content_of, unwrap

if TYPE_CHECKING:
    from attnsearch.sources.recognition import Survey

LONGEST = 4_000_000  # characters of a text; War and Peace has fewer
DEFAULT_TEXT = ("title", "description", "tags")

_OPENING = 60  # characters, at most, of a text that stand for a title
_JOINT = "/"  # between the parts of an id that several fields make
_LISTED = 12  # fields of an item, at most, in a message


class Item(NamedTuple):
    """A described thing. `text` is its key text, which the encoder reads; `place` is its file:line.

    `has_own_id` says that the id is the file's own; one that we made of the title is numbered if others have it too.
    """

    id: str
    title: str
    description: str
    fields: Mapping[str, Value]
    text: str
    place: str = ""
    has_own_id: bool = True


class Listing(NamedTuple):
    """The items of one or more files, read one by one, and the name and description that a single file gives.

    `fields` are those that are read; `survey` is what the first records hold.
    """

    name: str | None
    description: str
    items: Iterator[Item]
    fields: Fields
    survey: Survey


def read_items(
    sources: Sequence[str],
    given: Fields = UNNAMED,
    *,
    fixed: Fields | None = None,
    remembered: Fields | None = None,
    known: Collection[str] = (),
    required: Collection[str] | None = None,
    reading: Reading = AS_FOUND,
    observers: Sequence[Callable[[bytes], object]] = (),
    records: Iterator[values.Mapping] | None = None,
) -> Listing:
    """The items of the files and folders `sources`, or of `records`, as one catalog; `-` is standard input.

    The fields of id, title and text are those `given`, else those `remembered` or recognized: see `choose_fields`; if
    they are `fixed`, the data has no say. Those `required`, by default all that are given, must be in some item.
    `reading`, and one of the `observers` for each source: see `read_sources`.

    Items are checked as they are read; the writer checks that ids are unique.

    Raises InputError, with the line: an invalid file, an item without a title or id, a title that is not text, no text
    to search, a text of more than `LONGEST` characters, a required field that no item has, no items at all.
    """
    from attnsearch.readers import folder  # which a query does without
    from attnsearch.sources.recognition import Survey, choose_fields

    if records is None:
        files = folder.read_sources(sources, reading=reading, given=given.names, observers=observers)
    else:
        files = iter([("items", values.Records(values.Mapping(), records))])
    first = next(files)
    rows = _place_records(itertools.chain([first], files))
    survey = Survey()
    start = []
    for row in rows if fixed is None else ():
        start.append(row)
        survey.add(row[1])
        if survey.is_full:
            break
    checker = _FieldChecker(given.names if required is None else required, survey, first[0])
    if not survey.is_full and survey.count:
        for place, record in start:
            checker.add(record, place)
        checker.finish()
    fields = fixed or choose_fields(survey, first[0], given=given, remembered=remembered, known=known)
    items = _make_items(itertools.chain(start, rows), fields, checker)
    head = first[1].head if len(sources) == 1 else {}
    description = _text_or_none(head.get("description")) or ""
    return Listing(_text_or_none(head.get("name")), description, _require_items(items, first[0]), fields, survey)


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
        own = {"description": description, fields.title: title}  # texts already, and HTML no more
        parts = [own.get(name) or _words_of(name, look_up(rest, name)) for name in fields.text]
    else:
        parts = [title, description, _words_of("tags", rest.get("tags"))]
    text = _join_sentences(parts)
    return text.rstrip(" .") or text


def describe(item: Item, fields: Fields) -> str:
    """The text that describes an item: its description, or else the fields of its key text, without the title.

    >>> lamp = Item("7", "Lamp", "", {"blurb": "Light for one page.", "price": 9}, "Lamp. Light for one page")
    >>> describe(lamp, Fields(("sku",), "product", ("product", "blurb")))
    'Light for one page.'
    """
    names = (name for name in fields.text if name != fields.title)
    return item.description or _join_sentences(_words_of(name, look_up(item.fields, name)) for name in names)


def _words_of(name: str, value: Value) -> str:
    """A field's value in words; labels in one text, as CSV has them, as a list of them."""
    if not isinstance(value, str):
        return to_words(value)
    if fold_name(name) in LABELS:
        return ", ".join(label for part in re.split("[,;|]", value) if (label := part.strip()))
    return show_text(value)


def _join_sentences(parts: Iterable[str]) -> str:
    """The parts that are not blank, each ended as a sentence."""
    text = ""
    for part in filter(None, map(str.strip, parts)):
        text += part if not text else (" " if text[-1] in ".!?…。:;" else ". ") + part
    return text


def _text_or_none(value: Value) -> str | None:
    return None if value is None else str(value)


def _place_records(files: Iterable[tuple[str, values.Records]]) -> Iterator[tuple[str, values.Mapping]]:
    """The records of files, each given with its name; each record with its file:line."""
    for where, file in files:
        for record in file.items:
            yield f"{where}:{record.line}", record


class _FieldChecker:
    """Finds out which of the fields that must be there no record has."""

    def __init__(self, names: Collection[str], survey: Survey, where: str) -> None:
        self.missing = list(names)
        self.with_dots = [name for name in names if "." in name]
        self.survey, self.where = survey, where
        self.known = dict.fromkeys(survey.fields)

    def add(self, record: values.Mapping, place: str) -> None:
        """Take a record into account."""
        if self.missing:
            self.known.update(dict.fromkeys(name for name, _ in leaves(record)))
            self.missing = [name for name in self.missing if look_up(record, name) is None]
        for name in self.with_dots:
            refuse_ambiguous(record, name, place)

    def finish(self) -> None:
        """Raise InputError if a field is missing."""
        if self.missing:
            raise unknown_field(self.missing[0], self.known, self.where)


def _make_items(rows: Iterable[tuple[str, values.Mapping]], fields: Fields, checker: _FieldChecker) -> Iterator[Item]:
    for place, record in rows:
        if checker.missing or checker.with_dots:
            checker.add(record, place)
        yield _make_item(record, fields, place)
    checker.finish()


def _require_items(items: Iterator[Item], where: str) -> Iterator[Item]:
    """Yield the items; raise InputError at the end if there are none."""
    item = None
    for item in items:
        yield item
    if item is None:
        raise InputError("no items", where=where, hint="a catalog needs at least one")


def _make_item(record: values.Mapping, fields: Fields, place: str) -> Item:
    title = show_text(_read_text(record, fields.title, place)) if fields.title else ""
    # A description that is not text is a field like others; so it is if nobody reads it.
    description = plain_text(record.get("description"))
    rest = {name: value for name, value in record.items() if value is not None}
    if description is None:
        description = ""
    else:
        description = show_text(description)
        rest.pop("description", None)
    _check_length(description, "'description'", place)
    if fields.title and isinstance(unwrap(rest.get(fields.title)), (str, int, float)):
        del rest[fields.title]
    if len(fields.id) == 1 and fields.id[0] not in fields.text:
        rest.pop(fields.id[0], None)
    text = key_text(title, description, rest, fields)
    item_id = _read_id(record, fields.id, place)
    has_own_id = bool(item_id)
    if not has_own_id:
        opening = title or _cut_opening(text)
        item_id = _make_id(opening, fields, place) if opening else ""
        title = title or ("" if fields.title else opening)
    if not (item_id and text):
        listed = f"its fields are: {first_names([*record], _LISTED)}" if record else "it has no fields"
        what = f"item '{item_id[:80]}'" if item_id else "an item"
        hint = f"{listed}; name those that describe it: attnsearch index SOURCE --text-field FIELD"
        raise InputError(f"{what} has no text to search", where=place, hint=hint)
    _check_length(text, "its text", place)
    return Item(item_id, title, description, rest, text, place, has_own_id)


def _read_id(record: values.Mapping, names: tuple[str, ...], place: str) -> str:
    """The id that the record says, in NFC: the values of these fields, joined; empty if it has none of them."""
    parts = [part for name in names if (part := content_of(_read_text(record, name, place)))]
    return normalize_text(_JOINT.join(parts))


def _read_text(record: values.Mapping, name: str, place: str) -> str:
    """The text of a field that must be one, without white space around it."""
    value = look_up(record, name)
    text = value.strip() if isinstance(value, str) else plain_text(value)
    if text is None:
        inner = unwrap(value)
        if isinstance(inner, list):
            raise InputError(f"'{name}' is a list, not text", where=place)
        hint = f"say which: {name}.{next(iter(inner))}" if inner else ""
        raise InputError(f"'{name}' is a mapping ({first_names([*inner], _LISTED)}), not text", where=place, hint=hint)
    _check_length(text, f"'{name}'", place)
    return text


def _cut_opening(text: str) -> str:
    """The first sentence of a text, or as many of its words as fit, which can stand for a title.

    >>> _cut_opening("The fuse box is behind the coats. Mind the cat")
    'The fuse box is behind the coats'
    >>> _cut_opening("word " * 40)
    'word word word word word word word word word word word word…'
    """
    line = " ".join(text[: 20 * _OPENING].split())
    sentence = re.split(r"(?<=\w)[.!?…。](?=\s|$)", line, maxsplit=1)[0]
    if len(sentence) <= _OPENING:
        return sentence
    return (sentence[:_OPENING].rpartition(" ")[0] or sentence[:_OPENING]).rstrip(" ,;:-") + "…"


def _check_length(text: str, name: str, place: str) -> None:
    if len(text) > LONGEST:
        raise values.too_long(text, name, LONGEST, where=place, hint="split the item into several")


def _make_id(title: str, fields: Fields, place: str) -> str:
    """The id of an item that has only a title, which must be short: NFKC writes some characters as eighteen."""
    if len(title) > values.LONGEST_QUERY:
        name = f"'{fields.title}', which the id is made of,"
        hint = "give the item an id: attnsearch index SOURCE --id-field FIELD, else 'id'"
        raise values.too_long(title, name, values.LONGEST_QUERY, where=place, hint=hint)
    return make_slug(title)
