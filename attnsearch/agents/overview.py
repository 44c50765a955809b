"""Catalogs → their names, fields, and examples of filters, so that a model can write one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from attnsearch.agents.words import line, short
from attnsearch.errors import AttnsearchError
from attnsearch.opening.index import Index
from attnsearch.sources.fields import leaves, to_words
from attnsearch.storage import home
from attnsearch.storage.store import Store

if TYPE_CHECKING:
    from attnsearch.sources.summary import Field
    from attnsearch.syntax.values import Value

VALUES, _FEW_VALUES = 5, 3  # of a field, as examples: the commonest, or any
_SAMPLE = 50  # items that are read for examples of values that differ in each
_FEW = 12  # fields of each of several catalogs
_FILTERS = 8  # examples for a catalog
NAME_ONE = "ask for one by its name, with `catalog`, for all of its fields"
_VALUE = 40  # characters of an example
_WORDS = {"and", "or", "not", "in", "between", "has"}  # of the language of filters


class Catalogs(Protocol):
    """The catalogs that may be asked."""

    def names(self) -> list[str]:
        """Their names."""
        ...

    def default(self) -> str:
        """The one that is asked if none is named. Raises InputError if that is not clear."""
        ...

    def lease(self, names: Sequence[str] = ()) -> AbstractContextManager[Index]:
        """An index of these, open within the context. Raises InputError or CatalogError for an unknown name."""
        ...


def describe_catalogs(catalogs: Catalogs, name: str = "") -> dict[str, Any]:
    """What `catalogs` answers, of any size: all catalogs, or the one of this name, with more of its fields.

    Raises as `Catalogs.lease` does for a name.
    """
    names = catalogs.names()
    if name:
        with catalogs.lease([name]) as index:
            name = index.store.folder.name
        names = [name]
    try:
        default = catalogs.default()
    except AttnsearchError:
        default = ""
    described = [_describe(catalogs, known, indexed=known in (name, default)) for known in names]
    answer: dict[str, Any] = {"default": default, "catalogs": described}
    if len(described) > 1 and any(len(catalog["fields"]) > _FEW for catalog in described):
        answer |= {"truncated": True, "advice": f"only {_FEW} fields of a catalog are listed: {NAME_ONE}"}
        described[:] = [{**catalog, "fields": catalog["fields"][:_FEW]} for catalog in described]
    return answer


def _describe(catalogs: Catalogs, name: str, *, indexed: bool) -> dict[str, Any]:
    """What is known of a catalog. A built-in one that is not indexed yet is indexed only if `indexed` says so."""
    folder = home.catalog_folder(name)
    try:
        if not home.catalog_exists(folder):
            if not indexed:
                return _unknown(name, "built in, not indexed yet: ask for it by its name, or search it")
            with catalogs.lease([name]):
                pass
        with home.open_migrated(folder, lambda folder: Store(folder, vectors=False)) as store:
            info, fields = store.info, store.fields()
            sample = [dict(leaves(item.fields)) for _, item in itertools.islice(store.items(), _SAMPLE)]
    except AttnsearchError:
        return _unknown(name, "it can't be read now; a search in it says why")
    shown = [(field, _examples(field, sample)) for field in fields if field.items]
    own = [pair for pair in shown if pair[0].name not in info.fields.own]
    return {
        "name": name,
        "items": info.items,
        "description": short(info.description),
        "fields": [
            {"name": spell_field(field.name), "kind": field.kind_name, "items": field.items,
             "examples": [short(value, _VALUE) for value in examples]}
            for field, examples in shown
        ],
        "where": list(dict.fromkeys(_filters(own)))[:_FILTERS],
    }  # fmt: skip


def _unknown(name: str, note: str) -> dict[str, Any]:
    return {"name": name, "items": 0, "description": "", "fields": [], "where": [], "note": note}


def _examples(field: Field, sample: Sequence[Mapping[str, Value]]) -> list[str]:
    """The lowest and the highest of numbers and dates; else the commonest values, or some short ones of a sample."""
    if field.low:
        return [*dict.fromkeys((field.low, field.high))]
    if _is_shared(field):
        return field.commonest(VALUES)
    texts = (text for item in sample for text in spell_values(item.get(field.name)))
    return [*dict.fromkeys(text for text in texts if len(text) <= _VALUE)][:_FEW_VALUES]


def _filters(fields: Sequence[tuple[Field, list[str]]]) -> Iterator[str]:
    """Filters that are valid in the catalog, for each kind of field, the fields that most items have first."""
    ordered = sorted((pair for pair in fields if pair[1]), key=lambda pair: -pair[0].items)
    measured = [field for field, _ in ordered if field.low and field.low != field.high]
    labels = [(field, examples) for field, examples in ordered if not field.low and _is_shared(field)]
    others = [(field, examples) for field, examples in ordered if not field.low and not _is_shared(field)]
    for field in measured[:2]:
        name = spell_field(field.name)
        yield f"{name} >= {spell_value(_middle(field))}"
        yield f"{name} between {spell_value(field.low)} and {spell_value(_middle(field))}"
    for field, examples in labels[:3]:
        yield f"{spell_field(field.name)} = {', '.join(map(spell_value, examples[:2]))}"
    for field, examples in others[-2:]:
        word = max(re.findall(r"\w+", examples[0]), key=len, default=examples[0])
        yield f"{spell_field(field.name)} ~ {spell_value(word)}"
    for field, _ in ordered[-1:]:
        yield f"has {spell_field(field.name)}"


def _is_shared(field: Field) -> bool:
    """Whether its values are known, and items share some."""
    return max((field.counts or {"": 0}).values()) > 1


def _middle(field: Field) -> str:
    """A number between the lowest and the highest, in few digits; of dates, the highest."""
    try:
        low, high = float(field.low), float(field.high)
        middle = f"{(low + high) / 2:.2g}" if max(abs(low), abs(high)) < 100 else f"{(low + high) / 2:.0f}"
    except (ValueError, OverflowError):
        return field.high
    return middle if low <= float(middle) <= high else field.high


def spell_field(name: str) -> str:
    """A field's name as `where` takes it: in quotes unless it is a plain word."""
    return name if name.replace(".", "_").isidentifier() and name.casefold() not in _WORDS else _quote(name)


def spell_values(value: Value) -> list[str]:
    """The values of a field as text, each on one line; none if it has none."""
    parts = value if isinstance(value, list) else [value]
    texts = (str(part).lower() if isinstance(part, bool) else line(to_words(part)) for part in parts)
    return [*filter(None, texts)]


def spell_value(value: str) -> str:
    """A value as `where` takes it: in quotes unless it is plain words."""
    plain = value.replace(" ", "").replace("-", "").replace(".", "").replace(":", "")
    words = {*value.casefold().split()}
    return value if plain.isalnum() and not words & _WORDS and value == " ".join(value.split()) else _quote(value)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
