"""Items → the rows of a spreadsheet, CSV: their texts and fields, without vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from attnsearch.errors import InputError
from attnsearch.output.columns import field_texts
from attnsearch.output.formats import separated_line

if TYPE_CHECKING:
    from attnsearch.sources.items import Item

COLUMNS = 10_000  # which is what CSV may have when it is read

_OWN = ("id", "title", "description")


def write_csv(read: Callable[[], Iterable[Item]]) -> Iterator[str]:
    """The lines of CSV; `read` gives the items, twice. A field that is called like an own column is `fields.NAME`.

    Raises InputError for more than `COLUMNS`.
    """
    names: dict[str, None] = {}
    for item in read():
        names.update(dict.fromkeys(field_texts(item.fields)))
        if len(names) + len(_OWN) > COLUMNS:
            raise InputError(f"more than {COLUMNS:,} fields", hint="export it as JSONL or Parquet: -f jsonl")
    yield separated_line([*_OWN, *(f"fields.{name}" if name in _OWN else name for name in names)], ",")
    for item in read():
        texts = field_texts(item.fields)
        yield separated_line([item.id, item.title, item.description, *(texts.get(name, "") for name in names)], ",")
