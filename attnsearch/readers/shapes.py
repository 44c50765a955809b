"""The documents of a YAML or JSON file → its records, wherever their list lies.

The rules, in their order:

1. `--items PATH` names the place.
2. Several documents are a record each, or, if all are lists, one list.
3. A list at the top, or under `items`.
4. A mapping with a title or a text is one record, unless it has a list of mappings under a name of `tables.LISTS`.
5. The one table of the file. A table is a list of mappings, a mapping of mappings most of which have a title or a text,
   a mapping of lists of mappings with much the same fields, or the operations of OpenAPI. A table inside a record does
   not count. If there are several, then the one whose records have a title or a text; several of these are refused.
6. Without a table: a mapping of mappings that share a field, the one mapping with a title or a text, the one mapping
   of several mappings that share a field, a mapping of texts, the one list of texts, the file itself.

A message says what rules 4 to 6 chose, unless that is the whole file.
"""

from __future__ import annotations

import itertools
import logging
import shlex
from collections.abc import Iterable, Iterator

from attnsearch.errors import InputError
from attnsearch.readers.raw_file import STDIN
from attnsearch.readers.tables import LISTS, Table, list_tables, make_records, quote_step, resolve_path, share_field
from attnsearch.syntax.names import NAMES, Names, describes_item, fold_name
from attnsearch.syntax.values import Mapping, Records, Value

_CONTAINERS = ("fields", "data", "attributes", "_source", "properties", "node", "document")
_LISTED = 10  # places named in an error

log = logging.getLogger("attnsearch")


def split_documents(
    documents: list[Value], where: str, items: str | None = None, names: Names | None = None
) -> Records:
    """The records of a file, whose documents are given, by the rules above; `items` is the path to them.

    The head is what a mapping has beside its `items`. A record that lacks a line gets that of its table.

    Raises InputError: the path leads nowhere, there are several tables, a record is not a mapping.
    """
    names = names or NAMES
    head = Mapping()
    if items is not None:
        parts = [resolve_path(document, items, where) for document in documents]
        records = list(itertools.chain.from_iterable(make_records(part, where, names) for part in parts))
    elif len(documents) > 1:
        records = make_records(Table("", _join_documents(documents, where), 1), where, names)
    elif not documents:
        records = []
    elif not isinstance(top := documents[0], Mapping):
        records = make_records(Table("", top, 1), where, names)
    elif isinstance(top.get("items", 0), (list, dict, type(None))):
        table = Table("items", top.pop("items"), top.line)
        head, records = top, make_records(table, where, names)
    else:
        table = _choose_table(top, where, names)
        records = make_records(table, where, names)
        if table.path:
            log.warning("%s: reading the %s under %s", where, _count(len(records)), table.path)
    return Records(head, lift_fields(records, where, names))


def split_lines(
    lines: Iterator[Mapping], where: str, items: str | None = None, names: Names | None = None
) -> Iterator[Mapping]:
    """The records of JSON Lines: each line is one, or has some under the path `items`."""
    names = names or NAMES
    if items is not None:
        lines = (
            record for line in lines for record in make_records(resolve_path(line, items, where), where, names)
        )  # fmt: skip
    return lift_fields(lines, where, names)


def lift_fields(records: Iterable[Mapping], where: str, names: Names) -> Iterator[Mapping]:
    """The records, with the fields of an inner mapping as their own if only those have a title or a text.

    The first record decides. A field of the inner mapping whose name the record has already stays inside.
    """
    records = iter(records)
    first = next(records, None)
    if first is None:
        return
    container = _find_container(first, names)
    if container is not None:
        log.warning("%s: reading the fields under '%s' of each record as its own", where, container)
    for record in itertools.chain([first], records):
        yield record if container is None else _lift_record(record, container)


def _find_container(record: Mapping, names: Names) -> str | None:
    """The key of the inner mapping whose fields describe the record; None if its own do."""
    if _is_feature(record):
        return "properties"
    if describes_item(record, names):
        return None
    for container in _CONTAINERS:
        inner = record.get(container)
        if isinstance(inner, dict) and describes_item(inner, names):
            return container
    return None


def _is_feature(record: Mapping) -> bool:
    """Whether the record is one of GeoJSON (RFC 7946)."""
    return record.get("type") == "Feature" and isinstance(record.get("properties"), dict) and "geometry" in record


def _lift_record(record: Mapping, container: str) -> Mapping:
    inner = record.get(container)
    if not isinstance(inner, dict):
        return record
    lifted = Mapping((key, value) for key, value in record.items() if key != container)
    if _is_feature(record):
        del lifted["type"]  # which says nothing, and many a feature has a type of its own
    left = {key: value for key, value in inner.items() if key in lifted and lifted[key] != value}
    lifted |= {key: value for key, value in inner.items() if key not in lifted}
    if left:
        lifted[container] = left
    lifted.line = record.line
    return lifted


def _join_documents(documents: list[Value], where: str) -> list[Value]:
    """The records of several documents: each is one, or all are lists of them."""
    if all(isinstance(document, Mapping) for document in documents):
        return documents
    if all(
        isinstance(document, list) and all(isinstance(record, Mapping) for record in document) for document in documents
    ):
        return list(itertools.chain.from_iterable(documents))
    hint = "each is to be a mapping, or each a list of mappings"
    raise InputError(f"the {len(documents)} documents are not of one kind", where=where, hint=hint)


def _choose_table(top: Mapping, where: str, names: Names) -> Table:
    whole = Table("", [top], top.line)
    tables = list(list_tables(top, names))
    if describes_item(top, names):
        listed = [table for table in tables if fold_name(table.path) in LISTS]
        if len(listed) == 1:
            return listed[0]
        if rivals := [table for table in tables if table.describes(names)]:
            log.warning("%s: reading the file as one item; to read what is inside: --items %s",
                        where, " or --items ".join(shlex.quote(table.path) for table in rivals[:_LISTED]))  # fmt: skip
        return whole
    if len(tables) > 1:
        tables = [table for table in tables if table.describes(names)] or tables
    if len(tables) > 1:
        places = ", ".join(f"{table.path} ({len(table.value)})" for table in tables[:_LISTED])
        more = f" and {len(tables) - _LISTED} more" if len(tables) > _LISTED else ""
        source = "-" if where == STDIN else where
        hint = f"choose one: attnsearch index {shlex.quote(source)} --items {shlex.quote(tables[0].path)}"
        raise InputError(f"records lie in several places: {places}{more}", where=f"{where}:{top.line}", hint=hint)
    return tables[0] if tables else _choose_without_table(top, where, names) or whole


def _choose_without_table(top: Mapping, where: str, names: Names) -> Table | None:
    """What the records are if there is no table: see rule 6. None if the file itself is one."""
    values = list(top.values())
    if len(values) > 1 and all(isinstance(value, Mapping) for value in values) and share_field(values):
        return Table("", top, top.line)
    single = [key for key, value in top.items() if isinstance(value, Mapping) and describes_item(value, names)]
    if len(single) == 1:
        return Table(quote_step(single[0]), [top[single[0]]], top.line)
    keyed = [
        key for key, value in top.items()
        if isinstance(value, Mapping) and len(value) > 1
        and all(isinstance(inner, Mapping) and inner for inner in value.values()) and share_field([*value.values()])
    ]  # fmt: skip
    if len(keyed) == 1:
        return Table(quote_step(keyed[0]), top[keyed[0]], top.line)
    if len(values) > 1 and all(isinstance(value, str) for value in values):
        folded = set(map(fold_name, top))
        if not folded & names.all:
            log.warning("%s: reading each key as a title and its text as the description", where)
            return Table("", top, top.line)
    lists = [
        key for key, value in top.items()
        if isinstance(value, list) and all(isinstance(text, str) for text in value)
    ]  # fmt: skip
    return Table(quote_step(lists[0]), top[lists[0]], top.line) if len(lists) == 1 else None


def _count(records: int) -> str:
    return f"{records:,} records" if records != 1 else "one record"
