"""The plain values that files hold, and the limits that every reader enforces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from attnsearch.errors import InputError

Value = Any  # str | int | float | bool | None | list[Value] | dict[str, Value]

DEPTH = 64  # containers inside one another
LONGEST_NUMBER = 1000  # digits
LONGEST_QUERY = 128 << 10  # characters
PARTS = 1_000_000  # keys, values and ends of containers in one document, or on one line of JSONL
STREAM_HINT = "use JSONL or CSV, which are read as a stream"

_NO_VALUES = ("", r"\N", "NULL")  # what databases export for no value

# Keys of mappings that only say how their one value is meant: WordPress, MongoDB, JSON-LD, XML as JSON. A text under
# one of `_CONTENT` may have properties beside it.
_CONTENT = ("rendered", "@value", "value", "#text")
WRAPPERS = frozenset({*_CONTENT, "_text", "$t", "$oid", "$uuid", "$date", "$numberInt", "$numberLong", "$numberDouble",
                      "$numberDecimal"})  # fmt: skip


class Mapping(dict[str, Value]):
    """A dict with the line of the file on which it begins; readers set `line` for every record."""

    __slots__ = ("line",)  # a file can have a million of them
    line: int


class Records(NamedTuple):
    """The content of a file: its records, in order, and the other fields of its top mapping."""

    head: Mapping
    items: Iterator[Mapping]


def unwrap(value: Value) -> Value:
    """The plain value in a list of one value, or in a mapping that stands for one.

    That is a mapping of one of the `WRAPPERS` alone, or one with a text under a name of `_CONTENT`. What stands for
    nothing else is returned as it is.

    >>> unwrap({"$oid": "65a0c1"}), unwrap(["On lamps"]), unwrap({"rendered": "Lamp", "protected": False})
    ('65a0c1', 'On lamps', 'Lamp')
    >>> unwrap({"$date": {"$numberLong": "0"}}), unwrap({"low": 1, "high": 2})
    ('1970-01-01T00:00:00Z', {'low': 1, 'high': 2})
    >>> unwrap({"name": "Lamp"})
    {'name': 'Lamp'}
    """
    if not isinstance(value, (list, dict)):
        return value
    for _ in range(DEPTH):
        if isinstance(value, list) and len(value) == 1:
            (value,) = value
        elif isinstance(value, dict) and len(value) == 1 and WRAPPERS.issuperset(value):
            ((key, inner),) = value.items()
            value = _parse_extended(key, unwrap(inner)) if key.startswith("$") else inner
        elif isinstance(value, dict) and (key := next((key for key in _CONTENT if key in value), "")):
            if isinstance(value[key], (dict, list)):
                return value
            value = value[key]
        else:
            return value
    return value


def _parse_extended(key: str, value: Value) -> Value:
    """A value of MongoDB's Extended JSON: numbers as such, dates by ISO 8601, anything else as it is written."""
    try:
        match key, value:
            case "$numberInt" | "$numberLong", str():
                return parse_integer(value)
            case "$numberDouble", str():
                return require_finite(float(value), value)
            case "$date", int():
                from datetime import UTC, datetime, timedelta

                moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)
                return moment.isoformat(timespec="milliseconds" if value % 1000 else "seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        pass
    return value


def content_of(text: str) -> str | None:
    r"""The value that a cell's text stands for; None if that is no value, which MySQL and IMDb write \N or NULL.

    Blanks around it do not count. ="0123" is its content, which spreadsheets then leave as it is. N/A and - are text:
    people write them with a meaning of their own.

    >>> content_of(' ="0306406157" '), content_of("NULL"), content_of("N/A")
    ('0306406157', None, 'N/A')
    """
    text = text.strip()
    if text.startswith('="') and text.endswith('"') and len(text) > 3:
        text = text[2:-1].replace('""', '"').strip()
    return None if text in _NO_VALUES else text


def check_text(text: str, name: str) -> None:
    """Raise InputError for half of a surrogate pair, which no file, terminal or JSON can hold."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{name} is not valid UTF-8")


def too_long(text: str, name: str, longest: int, *, where: str, hint: str = "") -> InputError:
    """The error for a text of more than `longest` characters."""
    message = f"{name} has {len(text):,} characters; at most {longest:,} are allowed"
    return InputError(message, where=where, hint=hint)


def read_text(value: Value, name: str, *, where: str, hint: str = "") -> str:
    """A query or an id, which may be written as a number, without white space around it.

    Raises InputError if it is missing or not text, for which `hint` says what to do, or if it is empty or longer than
    `LONGEST_QUERY`.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        problem = "missing" if value is None else "not text"
        raise InputError(f"{name} is {problem}", where=where, hint=hint)
    text = str(value).strip()
    if not text:
        raise InputError(f"{name} is empty", where=where)
    if len(text) > LONGEST_QUERY:
        raise too_long(text, name, LONGEST_QUERY, where=where)
    return text


def line_of(place: str) -> str:
    """The line in a place "file:line"."""
    return place.rpartition(":")[2]


def parse_integer(text: str, base: int = 10) -> int:
    """The integer in `text`; ValueError, worded for the user, for more than `LONGEST_NUMBER` digits."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} digits; put it in quotes if it is text")
    return int(text, base)


def require_finite(number: float, text: str) -> float:
    """The number that was written as `text`; ValueError, worded for the user, for infinity and NaN."""
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number
