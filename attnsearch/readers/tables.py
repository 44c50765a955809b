"""Values → the tables in them: lists of mappings, and mappings of such; and a table → its records."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.syntax.names import Names, describes_item, fold_name
from attnsearch.syntax.nearest import find_nearest
from attnsearch.syntax.values import Mapping, Value

# Names of the list of records beside a title, or of a mapping around one record.
LISTS = frozenset(
    map(fold_name, ("data", "docs", "entries", "features", "@graph", "records", "results", "rows", "values"))
)
_ENVELOPES = LISTS | {"document", "item", "record", "response", "result"}

_PATH = re.compile(r'(?:\.?(?:"(?:[^"\\]|\\.)*+"|[^."]++))++')
_STEP = re.compile(r'"((?:[^"\\]|\\.)*+)"|[^."]++')
_PLAIN_STEP = re.compile(r'[^."\\\s]+')
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_SAMPLE = 100  # values that are looked at to see what all are like

log = logging.getLogger("attnsearch")


class Table(NamedTuple):
    """Records as they lie in a file: the path to them, and the line of what they lie in."""

    path: str
    value: Value
    line: int

    def describes(self, names: Names) -> bool:
        """Whether its records have titles or texts, themselves or in an inner mapping."""
        return any(
            describes_item(record, names)
            or any(isinstance(inner, dict) and describes_item(inner, names) for inner in record.values())
            for record in _first_mappings(self.value)
        )


def list_tables(top: Mapping, names: Names, path: str = "") -> Iterator[Table]:
    """The tables in a mapping and in the mappings in it. Those inside a record do not count, nor do empty lists."""
    if _has_operations(top) or _is_keyed(top, names) or _is_grouped(top):
        yield Table(path, top, top.line)
        return
    if "paths" in top and _has_operations(top["paths"]):
        yield Table("paths", top["paths"], top.line)  # OpenAPI; its servers, tags and schemas only serve them
        return
    for key, value in top.items():
        place = f"{path}.{quote_step(key)}" if path else quote_step(key)
        if isinstance(value, Mapping) and not describes_item(value, names):
            yield from list_tables(value, names, place)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield Table(place, value, top.line)


def make_records(table: Table, where: str, names: Names) -> list[Mapping]:
    """The records of a table. Those without a line get that of the table.

    The key of a mapping of mappings is a record's id, or `key` if it has an id; it is its title too if no record has
    one. Texts are titles; those of a mapping are descriptions, and their keys the titles. So are those of a list of
    mappings of a text each, with a warning.

    Raises InputError for what is none of these.
    """
    records = list(_make_records(table.value, where, names))
    for record in records:
        if not hasattr(record, "line"):
            record.line = table.line
    return records


def _make_records(value: Value, where: str, names: Names) -> Iterable[Mapping]:
    if isinstance(value, list):
        if not _are_titled_texts(value, names):
            return _read_list(value, where)
        log.warning("%s: reading each key as a title and its text as the description", where)
        return (_copy({"title": key, "description": record[key]}, record, {key}) for record in value for key in record)
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise InputError("the items are not a list", where=where, hint="begin each with '- '")
    if _has_operations(value):
        return _read_operations(value)
    values = list(value.values())
    if values and all(isinstance(inner, Mapping) for inner in values):
        return _read_keyed(value, names)
    if values and all(_is_list_of_mappings(inner) for inner in values):
        return (_add_key(record, key) for key, inner in value.items() for record in _read_list(inner, where))
    if len(values) > 1 and all(isinstance(inner, str) for inner in values):
        return (Mapping(title=key, description=text) for key, text in value.items())
    return [value]


def _are_titled_texts(values: list[Value], names: Names) -> bool:
    """Whether these are several mappings of one text each, each under a key of its own."""
    keys = {
        fold_name(key)
        for value in values
        if isinstance(value, Mapping) and len(value) == 1
        for key, text in value.items()
        if isinstance(text, str)
    }
    return len(values) > 1 and len(keys) == len(values) and not keys & names.all


def _read_list(values: list[Value], where: str) -> Iterator[Mapping]:
    """Mappings as they are, or texts as titles; the first of them decides."""
    are_mappings = bool(values) and not isinstance(values[0], (str, int, float))
    for number, value in enumerate(values, 1):
        if are_mappings and isinstance(value, Mapping):
            yield value
        elif not are_mappings and isinstance(value, (str, int, float)) and not isinstance(value, bool):
            yield Mapping(title=str(value))
        else:
            kind = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else repr(value)[:40]
            wanted = "a mapping: its fields and their values" if are_mappings else "a text, as the first is"
            raise InputError(f"item {number} is {kind}", where=where, hint=f"an item is {wanted}")


def _read_keyed(value: Mapping, names: Names) -> Iterator[Mapping]:
    """The records of a mapping of mappings."""
    titles = names.title - names.text  # a summary may be either
    are_titled = any(fold_name(name) in titles for record in value.values() for name in record)
    for key, record in value.items():
        has_id = any(fold_name(name) == "id" for name in record)
        keyed = _add_key(record, key) if has_id else _copy({"id": key}, record)
        yield keyed if are_titled or not any(map(str.isalpha, key)) else _copy({"title": key}, keyed)


def _read_operations(paths: Mapping) -> Iterator[Mapping]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            if method in _METHODS and isinstance(operation, Mapping):
                name = f"{method.upper()} {path}"
                yield _copy({"id": name, "method": method, "path": path}, operation)


def _add_key(record: Mapping, key: str) -> Mapping:
    """The record with the key under which it lies, unless one of its own fields says so."""
    return record if "key" in record or key in record.values() else _copy({"key": key}, record)


def _copy(added: dict[str, Value], record: Mapping, without: Collection[str] = ()) -> Mapping:
    """A record with further fields, `without` some; aliases may share it, so it stays as it is."""
    copied = Mapping(added | {key: value for key, value in record.items() if key not in without})
    if hasattr(record, "line"):
        copied.line = record.line
    return copied


def share_field(mappings: list[Mapping]) -> bool:
    """Whether all mappings, as far as they are looked at, have a field of the same name."""
    sample = mappings[:_SAMPLE]
    return any(all(name in mapping for mapping in sample) for name in sample[0])


def _is_keyed(mapping: Mapping, names: Names) -> bool:
    """Whether it is a mapping of mappings most of which have a title or a text."""
    values = list(mapping.values())
    if not values or not all(isinstance(value, Mapping) for value in values):
        return False
    sample = values[:_SAMPLE]
    is_envelope = len(values) == 1 and fold_name(next(iter(mapping))) in _ENVELOPES
    return not is_envelope and 2 * sum(describes_item(value, names) for value in sample) > len(sample)


def _is_grouped(mapping: Mapping) -> bool:
    """Whether it is a mapping of lists of mappings that have at least half of their fields in common."""
    values = list(mapping.values())
    if len(values) < 2 or not all(map(_is_list_of_mappings, values)):
        return False
    fields = set(values[0][0])
    return all(2 * len(fields & value[0].keys()) >= len(fields | value[0].keys()) for value in values)


def _is_list_of_mappings(value: Value) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _has_operations(paths: Value) -> bool:
    """Whether a mapping is the `paths` of OpenAPI: of mappings with operations by their methods."""
    return (
        isinstance(paths, Mapping)
        and all(key.startswith("/") and isinstance(value, Mapping) for key, value in paths.items())
        and any(_METHODS & value.keys() for value in paths.values())
    )


def _first_mappings(value: Value) -> list[Mapping]:
    parts = list(value.values() if isinstance(value, dict) else value)[:_SAMPLE]
    parts = [part[0] if isinstance(part, list) and part else part for part in parts]
    return [part for part in parts if isinstance(part, Mapping)]


def resolve_path(document: Value, path: str, where: str) -> Table:
    """The value at a dotted path, in which a key may be in double quotes; "." is the document as one record.

    On the way, a list stands for each of its mappings. Raises InputError.
    """
    line = document.line if isinstance(document, Mapping) else 1
    if path == ".":
        return Table("", [document], line)
    if not _PATH.fullmatch(path):
        hint = "write keys with dots between them; put a key that has dots in double quotes"
        raise InputError(f"invalid --items {path!r}", hint=hint)
    values = [document]
    for match in _STEP.finditer(path):
        step = match[0] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1])
        mappings = [
            part for value in values for part in (value if isinstance(value, list) else [value])
            if isinstance(part, Mapping)
        ]  # fmt: skip
        values = [mapping[step] for mapping in mappings if step in mapping]
        if not values:
            raise _no_step(step, mappings, f"{where}:{line}")
    if len(values) == 1:
        return Table(path, values[0], line)
    return Table(path, [part for value in values for part in (value if isinstance(value, list) else [value])], line)


def _no_step(step: str, mappings: list[Mapping], where: str) -> InputError:
    """The error for a key that no mapping has."""
    names = list(dict.fromkeys(name for mapping in mappings[:_SAMPLE] for name in mapping))
    near = find_nearest(step, names[:_SAMPLE])
    hint = f"did you mean {quote_step(near[0])}?" if near else ""
    if names and not near:
        hint = f"there are: {', '.join(map(quote_step, names[:10]))}{', …' if len(names) > 10 else ''}"
    return InputError(f"nothing lies under {quote_step(step)}", where=where, hint=hint)


def quote_step(key: str) -> str:
    """The key as a path has it: in double quotes if it has dots or quotes.

    >>> quote_step("data"), quote_step("v1.0")
    ('data', '"v1.0"')
    """
    if _PLAIN_STEP.fullmatch(key):
        return key
    return '"' + re.sub(r'(["\\])', r"\\\1", key) + '"'
