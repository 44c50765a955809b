"""An item of a catalog, and what the catalog knows of a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from attnsearch.sources import items, summary
from attnsearch.sources.fields import Fields
from attnsearch.syntax.values import Value

_VALUES = 20  # the commonest of a field, at most


class Item(NamedTuple):
    """An item: its id, its title, the text that describes it, and its other fields by name.

    `description` is that of a `Hit`: the item's own, else the fields that are read as its text.
    """

    id: str
    title: str
    description: str
    fields: Mapping[str, Value]


class Field(NamedTuple):
    """What a catalog knows of a field: its kind, and how many items have it.

    `low` and `high` are the ends of numbers or dates, as they are written; empty for others. `values` are the commonest
    20 with their counts, the commonest first; none if there are too many different ones to count.
    """

    name: str
    kind: Literal["number", "date", "yes/no", "text", "mixed", "list"]
    items: int
    low: str
    high: str
    values: Mapping[str, int]


def publish_item(item: items.Item, fields: Fields) -> Item:
    """An item as a program sees it; `fields` are those that the catalog reads."""
    return Item(item.id, item.title, items.describe(item, fields), item.fields)


def publish_field(field: summary.Field) -> Field:
    """What is known of a field, as a program sees it."""
    counts = field.counts or {}
    values = {value: counts[value] for value in field.commonest(_VALUES)}
    return Field(field.name, field.kind_name, field.items, field.low, field.high, values)
