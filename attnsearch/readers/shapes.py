"""The document of a YAML or JSON file → its records, wherever their list lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.readers.values import Mapping, Value


class Records(NamedTuple):
    """The content of a file: its records, in order, and the other fields of its top mapping."""

    head: Mapping
    items: Iterator[Mapping]


def split_document(document: Value, where: str) -> Records:
    """The records of a document: a list of mappings, or a mapping with such a list under `items`."""
    head = Mapping()
    if isinstance(document, Mapping):
        head = document
        if "items" not in head:
            hint = "write a list of items, or a mapping with 'items:'"
            raise InputError("no 'items' in the mapping", where=f"{where}:{head.line}", hint=hint)
        document = head.pop("items")
    if document is None:
        document = []
    if not isinstance(document, list):
        raise InputError("the items are not a list", where=where, hint="begin each with '- '")
    for number, item in enumerate(document, 1):
        if not isinstance(item, Mapping):
            kind = "a list" if isinstance(item, list) else repr(item)[:40]
            hint = "an item is a mapping: its fields and their values"
            raise InputError(f"item {number} is {kind}", where=where, hint=hint)
    return Records(head, iter(document))
