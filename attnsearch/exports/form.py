"""What an export says of its catalog, and an item with its vectors; both are checked, since a file may hold anything.

Axis letters: n = passages of an item, d = width.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from attnsearch.encoding.encoder import Precision
from attnsearch.errors import InputError
from attnsearch.models.record import Head, list_heads, parse_heads
from attnsearch.models.use import WIDEST, Use, parse_use
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import LONGEST, Item, key_text
from attnsearch.sources.letters import normalize_text
from attnsearch.syntax.formats import EXPORT
from attnsearch.syntax.languages import ENGLISH, LANGUAGES
from attnsearch.syntax.values import Value, too_long

VERSION = 1  # of the form, which the member `EXPORT` of a header has
VERSION_OF_HEADS = 2  # of a catalog with several heads
VERSION_OF_USES = 3  # of one with prompts, or fewer dimensions than its model has
PARTS = 4_000_000  # numbers, keys and values of an item: of the longest text at a width of 768

_UNIT = 1e-4  # how far the length of a vector may be from 1
_NUMBERS = frozenset({int, float})

Floats = NDArray[np.float32]

encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Header(NamedTuple):
    """What a file says of the catalog that it was made from: see `database.Info` for its members."""

    name: str
    description: str
    model: str
    sha256: str
    identity: str
    precision: Precision
    d: int
    temperature: float
    lexical: float
    fields: Fields
    given: Fields
    items: int
    keys: int
    language: str = ENGLISH
    heads: tuple[Head, ...] = ()
    use: Use | None = None

    @property
    def all_heads(self) -> tuple[Head, ...]:
        """See `record.list_heads`; no head has a stamp."""
        return list_heads(self.model, self.sha256, self.identity, "", self.d, self.heads, self.use)

    @property
    def version(self) -> int:
        """That of the form that holds it, the least that does."""
        has_uses = any(head.use for head in self.all_heads)
        return VERSION_OF_USES if has_uses else VERSION_OF_HEADS if self.heads else VERSION


class Entry(NamedTuple):
    """An item, where its passages begin and end (n,), and their vectors x (n, d).

    `is_current` says that the text is the one that the vectors were made of: someone may have changed a field.
    """

    item: Item
    starts: Sequence[int]
    stops: Sequence[int]
    x: Floats
    is_current: bool = True


def header_as_json(header: Header) -> dict[str, Any]:
    """The header as a JSON object, which begins with `EXPORT`."""
    members = {
        EXPORT: header.version,
        **header._asdict(),
        **{name: getattr(header, name)._asdict() for name in ("fields", "given")},
        "heads": [_head_as_json(head) for head in header.heads],
        "use": header.use and header.use._asdict(),
    }
    return {name: value for name, value in members.items() if value or name not in ("heads", "use")}


def _head_as_json(head: Head) -> dict[str, Any]:
    members = {**head._asdict(), "use": head.use and head.use._asdict()}
    return {name: value for name, value in members.items() if name != "stamp" and (value or name != "use")}


def parse_header(value: Value, where: str) -> Header:
    """The header in a JSON object. Raises InputError if it is not one, or that of a newer attnsearch."""
    try:
        members = dict(value)
        version = members.pop(EXPORT)
        if type(version) is int and version > VERSION_OF_USES:
            newer = f"was exported by a newer attnsearch (form {version}, not {VERSION_OF_USES})"
            raise InputError(newer, where=where, hint="upgrade attnsearch")
        use = _parse_use(members.pop("use", None))
        heads = parse_heads([list(_parse_head(head)) for head in members.pop("heads", [])], members["d"], use)
        fields, given = (_parse_fields(members.pop(name)) for name in ("fields", "given"))
        header = Header(fields=fields, given=given, heads=heads, use=use, **members)
        if type(version) is not int or version != header.version:
            raise ValueError("there is no such version")
        _check_header(header)
    except (KeyError, TypeError, ValueError):
        raise damaged("its header is not that of an export", where) from None
    return header


def _parse_head(members: Mapping[str, Any]) -> Head:
    return Head(stamp="", **{**members, "use": _parse_use(members.get("use"))})


def _parse_use(members: Any) -> Use | None:
    if members is None:
        return None
    if set(members) != set(Use._fields):
        raise ValueError("there is no such use")
    return parse_use([members[name] for name in Use._fields])


def _parse_fields(value: Mapping[str, Value]) -> Fields:
    ident, title, text = value["id"], value["title"], value["text"]
    if not (type(ident) is type(text) is list and all(type(name) is str for name in (*ident, title, *text))):
        raise TypeError("fields are names")
    return Fields(tuple(ident), title, tuple(text))


def _check_header(header: Header) -> None:
    """Raise TypeError or ValueError for what no export has."""
    texts = header.name, header.description, header.model, header.sha256, header.identity
    counts = header.d, header.items, header.keys
    numbers = header.temperature, header.lexical
    if not (
        all(type(text) is str for text in texts)
        and all(type(count) is int for count in counts)
        and all(type(number) in _NUMBERS for number in numbers)
    ):
        raise TypeError("the members have other types")
    if not (
        1 <= header.d <= WIDEST
        and min(header.items, header.keys) >= 0
        and 0 < header.temperature < math.inf
        and 0 <= header.lexical < math.inf
        and header.precision in get_args(Precision)
        and header.language in LANGUAGES
        and (header.identity or not (header.heads or header.use))
        and header.model not in [head.model for head in header.heads]
    ):
        raise ValueError("the members have values that no export has")


def item_as_json(entry: Entry) -> dict[str, Any]:
    """The item as a JSON object, without its vectors."""
    item = entry.item
    return {
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "text": item.text,
        "fields": item.fields,
    }


def make_entry(record: Mapping[str, Value], x: Floats, header: Header, place: str) -> Entry:
    """The item in a record, and its vectors x (n, d). Raises InputError, with the place, for what no export has."""
    try:
        texts = [record[name] for name in ("id", "title", "description", "text")]
        fields, starts, stops = record["fields"], list(record["starts"]), list(record["stops"])
    except (KeyError, TypeError):
        raise damaged("an item lacks a part", place) from None
    if not (all(type(text) is str for text in texts) and isinstance(fields, dict)):
        raise damaged("an item has a part that is not text", place)
    for name, text in zip(("its id", "its title", "its description", "its text"), texts, strict=True):
        if len(text) > LONGEST:
            raise too_long(text, name, LONGEST, where=place)
    ident, title, description, text = texts
    item_text = key_text(title, description, fields, header.fields)
    if not (ident and item_text) or ident != normalize_text(ident) or len(item_text) > LONGEST:
        raise damaged("an item has no id or no text", place)
    _check_passages(starts, stops, len(text), len(x), place)
    _check_vectors(x, header.d, place)
    return Entry(Item(ident, title, description, fields, item_text, place), starts, stops, x, item_text == text)


def parse_vectors(value: Value, d: int, place: str) -> Floats:
    """The vectors (n, d) in a list of lists of numbers. Raises InputError."""
    rows = value if isinstance(value, list) else []
    if any(not isinstance(row, list) or len(row) != d or not _NUMBERS.issuperset(map(type, row)) for row in rows):
        raise damaged(f"its embeddings are not lists of {d} numbers", place)
    try:
        with np.errstate(over="ignore"):  # which is infinity then, and refused
            return np.array(rows, np.float64).astype(np.float32).reshape(-1, d)
    except OverflowError:
        raise damaged("its embeddings have a number that is too large", place) from None


def _check_passages(starts: list[Value], stops: list[Value], length: int, n: int, place: str) -> None:
    if not (n and n == len(starts) == len(stops)):
        raise damaged(f"an item has {n} embeddings, {len(starts)} starts and {len(stops)} stops", place)
    if not all(type(number) is int for number in (*starts, *stops)):
        raise damaged("starts and stops are whole numbers", place)
    ascending = all(a < b for numbers in (starts, stops) for a, b in itertools.pairwise(numbers))
    inside = all(start < stop for start, stop in zip(starts, stops, strict=True)) and stops[-1] <= length + 1
    if starts[0] != 0 or not (ascending and inside):  # older catalogs embedded a full stop past the end
        raise damaged("the starts and stops of its passages are not places in its text", place)


def _check_vectors(x: Floats, d: int, place: str) -> None:
    if x.shape[1] != d or not np.isfinite(x).all():
        raise damaged(f"its embeddings are not {d} finite numbers each", place)
    if (np.abs(np.linalg.norm(x.astype(np.float64), axis=1) - 1) > _UNIT).any():
        raise damaged("its embeddings are not of length 1", place)


def check_counts(entries: Iterable[Entry], header: Header, where: str) -> Iterator[Entry]:
    """Pass the items on; raise InputError at the end if they or their vectors are not as many as the header says."""
    items = keys = 0
    for entry in entries:
        items, keys = items + 1, keys + len(entry.x)
        yield entry
    if (items, keys) != (header.items, header.keys):
        message = f"it has {items:,} items and {keys:,} vectors, not {header.items:,} and {header.keys:,}"
        raise damaged(message, where)


def damaged(message: str, where: str) -> InputError:
    """The error for a file that is not as it was written."""
    return InputError(f"is a damaged export: {message}", where=where, hint="export the catalog again")
