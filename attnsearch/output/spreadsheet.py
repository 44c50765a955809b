"""Items → the rows of a spreadsheet, CSV: their texts and fields, without vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from attnsearch.errors import InputError
from attnsearch.output.columns import choose_header, field_texts
from attnsearch.output.formats import separated_line
from attnsearch.sources.fields import OWN

if TYPE_CHECKING:
    from attnsearch.sources.items import Item

COLUMNS = 10_000  # as many as a CSV may have when it is read


def write_csv(read: Callable[[], Iterable[Item]]) -> Iterator[str]:
    """The lines of CSV; `read` gives the items, twice. A field that is called like an earlier column is `fields.NAME`.

    Raises InputError for more than `COLUMNS`.
    """
    names: dict[str, None] = {}
    for item in read():
        names.update(dict.fromkeys(field_texts(item.fields)))
        if len(names) + len(OWN) > COLUMNS:
            raise InputError(f"more than {COLUMNS:,} fields", hint="export it as JSONL or Parquet: -f jsonl")
    headers = dict.fromkeys(OWN)
    for name in names:
        headers[choose_header(name, headers)] = None
    yield separated_line([*headers], ",")
    for item in read():
        texts = field_texts(item.fields)
        yield separated_line([item.id, item.title, item.description, *(texts.get(name, "") for name in names)], ",")
