"""Items as they come and go → what a catalog knows of its fields: kind, range, commonest values.

A field of few different values has each of them counted. Of another one only the forms of its values are counted, and
the lowest and highest are kept: a field whose extreme goes is counted anew, from all items.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from attnsearch.sources.fields import Fields, leaves, look_up
from attnsearch.sources.kinds import Kind, KindName, decide, form_of, interpret
from attnsearch.syntax.values import Value

MOST_FIELDS = 1_000  # of a catalog; others are not summarized
MOST_VALUES = 1_000  # different ones of a field that are counted each
LONGEST = 100  # characters of a value that is counted

_ORDERED = ("number", "date")  # the kinds of fields whose ends are kept
_PLAIN_NUMBERS = ("number", "number .", "year")  # the forms of numbers that are read in the same way in every field

Leaves = Iterable[tuple[str, Value]]


class Field(NamedTuple):
    """What a catalog knows of a field: how many items have it, and in how many it is a list.

    `forms` has how many values have each form (see `kinds`). `low` and `high` are the ends of numbers or dates, as
    written. `counts` has each value and how often it occurs; None if there are too many.
    """

    name: str
    kind: Kind
    items: int
    lists: int
    forms: Mapping[str, int]
    low: str
    high: str
    counts: Mapping[str, int] | None

    @property
    def kind_name(self) -> KindName | Literal["list"]:
        """The name of its kind; "list" if some item has several values."""
        return "list" if self.lists else self.kind.name

    def commonest(self, count: int) -> list[str]:
        """The commonest values, those as common in the order of the alphabet; none if there are too many to count."""
        counts = self.counts or {}
        return sorted(counts, key=lambda value: (-counts[value], value))[:count]


class _Tally:
    """The values of one field, as they are counted. `kind` is what they are, if that is known from an earlier count."""

    __slots__ = ("counts", "ends", "forms", "is_stale", "items", "kind", "last", "lists", "measures", "plain")

    def __init__(self, kind: Kind | None = None) -> None:
        self.items = self.lists = 0
        self.counts: dict[str, int] | None = {}
        self.forms: dict[str, int] = {}  # of all values, once `counts` is None
        self.kind = kind  # by which the ends are measured
        self.ends: list[str] = []  # the lowest value and the highest, as written
        self.plain: list[Any] = []  # both as values that compare quickly, if they are as programs write them
        self.measures: list[Any] = []  # what orders both, once it had to be worked out
        self.is_stale = False
        self.last = 0  # the number of the last item that was counted

    def add(self, text: str) -> None:
        """Count a value that is not among those of `counts`."""
        if self.counts is not None:
            if len(text) <= LONGEST and len(self.counts) < MOST_VALUES:
                self.counts[text] = 1
                return
            self._drop_counts(self.counts)
        form = form_of(text)
        self.forms[form] = self.forms.get(form, 0) + 1
        if self.kind and self.kind.name in _ORDERED and not self._widen_plainly(text, form, self.kind):
            self._widen(text, self.kind)

    def _widen(self, text: str, kind: Kind) -> None:
        measure = _measure(text, kind)
        if measure is None:
            return
        if not self.ends:
            self.set_ends([text, text], kind)
        if not self.measures:
            self.measures = [_measure(end, kind) for end in self.ends]
        low, high = zip(self.measures, self.ends, strict=True)
        if low <= (measure, text) <= high:
            return
        low, high = min(low, (measure, text)), max(high, (measure, text))
        self.set_ends([low[1], high[1]], kind)
        self.measures = [low[0], high[0]]

    def _widen_plainly(self, text: str, form: str, kind: Kind) -> bool:
        """Widen the ends by a value, if it and they are as programs write them; else False, also if it is at an end."""
        if not self.plain or (value := _plain(text, form, kind)) is None or value in self.plain:
            return False
        low, high = self.plain
        if value < low:
            self.ends[0], self.plain[0], self.measures = text, value, []
        elif value > high:
            self.ends[1], self.plain[1], self.measures = text, value, []
        return True

    def set_ends(self, ends: Sequence[str], kind: Kind) -> None:
        """Set the lowest value and the highest, which are numbers or dates in a field of this kind."""
        plain = [_plain(end, form_of(end), kind) for end in ends]
        self.ends, self.plain, self.measures = [*ends], [] if None in plain else plain, []

    def _drop_counts(self, counts: Mapping[str, int]) -> None:
        self.forms = _count_forms(counts)
        self.kind = self.kind or decide(self.forms)
        self.counts = None
        self.set_ends(_find_ends(counts, self.kind), self.kind)

    def remove(self, text: str) -> None:
        if self.counts is not None:
            self.counts[text] -= 1
            if not self.counts[text]:
                del self.counts[text]
            return
        self.forms[form_of(text)] -= 1
        self.is_stale |= text in self.ends or sum(self.forms.values()) <= MOST_VALUES

    def is_settled(self) -> bool:
        """Whether its ends are those of what its values are now."""
        return not self.is_stale and (self.counts is not None or _agree(self.kind, decide(self.forms)))

    def field(self, name: str) -> Field:
        forms = self.forms if self.counts is None else _count_forms(self.counts)
        forms = {form: count for form, count in sorted(forms.items()) if count}
        kind = decide(forms)
        ends = self.ends if self.counts is None else _find_ends(self.counts, kind)
        low, high = ends or ("", "")
        return Field(name, kind, self.items, self.lists, forms, low, high, self.counts)


class Summary:
    """The fields of a catalog, by name, as items are added and removed."""

    def __init__(self, fields: Iterable[Field] = ()) -> None:
        self._tallies: dict[str, _Tally] = {}
        for field in fields:
            tally = self._tallies[field.name] = _Tally()
            tally.items, tally.lists = field.items, field.lists
            tally.counts = None if field.counts is None else dict(field.counts)
            tally.forms, tally.kind = dict(field.forms), field.kind
            tally.set_ends([field.low, field.high] if field.low else [], field.kind)
        self._item = 0
        self._is_complete = False  # whether it has the first fields of all items, if it has as many as there may be

    def add(self, item: Leaves, only: frozenset[str] | None = None) -> None:
        """Count the fields of an item, or `only` some of them."""
        self._item += 1
        for name, value in item:
            if only is not None and name not in only:
                continue
            texts = _to_texts(value)
            if not texts:
                continue
            tally = self._tallies.get(name)
            if tally is None:
                if len(self._tallies) == MOST_FIELDS:
                    continue
                tally = self._tallies[name] = _Tally()
            if tally.last != self._item:
                tally.last = self._item
                tally.items += 1
                tally.lists += type(value) is list
            for text in texts:
                if tally.counts is not None and text in tally.counts:
                    tally.counts[text] += 1
                else:
                    tally.add(text)

    def remove(self, item: Leaves) -> None:
        """Forget the fields of an item. Raises KeyError if it was never added."""
        self._item += 1
        for name, value in item:
            texts = _to_texts(value)
            if not texts or (name not in self._tallies and len(self._tallies) == MOST_FIELDS):
                continue
            tally = self._tallies[name]
            if tally.last != self._item:
                tally.last = self._item
                tally.items -= 1
                tally.lists -= type(value) is list
            for text in texts:
                tally.remove(text)

    def restart(self) -> frozenset[str] | None:
        """Forget the fields that must be counted anew, from all items, and name them; None stands for all."""
        if len(self._tallies) == MOST_FIELDS and not self._is_complete:
            self._tallies, self._is_complete = {}, True
            return None
        self._tallies = {name: tally for name, tally in self._tallies.items() if tally.items}
        unsettled = {name: tally for name, tally in self._tallies.items() if not tally.is_settled()}
        self._tallies |= {name: _Tally(decide(tally.forms)) for name, tally in unsettled.items()}
        return frozenset(unsettled)

    def fields(self) -> list[Field]:
        """The fields, in the order in which they came."""
        return [tally.field(name) for name, tally in self._tallies.items()]


def item_leaves(ident: str, title: str, description: str, rest: Mapping[str, Value], fields: Fields) -> Leaves:
    """The fields of an item, those of its id and its title among them, and their values."""
    own = {**dict.fromkeys(fields.id if len(fields.id) == 1 else (), ident), fields.title: title,
           "description": description}  # fmt: skip
    record = {name: value for name, value in own.items() if name and value and look_up(rest, name) is None}
    return leaves({**record, **rest})


def _to_texts(value: Value) -> list[str]:
    """The texts of a field's value, without empty ones."""
    if isinstance(value, str):
        return [text] if (text := value.strip()) else []
    if isinstance(value, list):
        return [text for part in value for text in _to_texts(part)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [] if value is None else [str(value)]


def _plain(text: str, form: str, kind: Kind) -> float | str | None:
    """A number or a day as programs write it, as a value that compares as it does, but for rounding; else None."""
    if kind.name == "date":
        return text if form == "date" and len(text) == len("2021-05-17") and text[4] == "-" else None
    try:
        return float(text) if form in _PLAIN_NUMBERS else None
    except ValueError:
        return None


def _count_forms(counts: Mapping[str, int]) -> dict[str, int]:
    forms: dict[str, int] = {}
    for text, count in counts.items():
        form = form_of(text)
        forms[form] = forms.get(form, 0) + count
    return forms


def _find_ends(texts: Iterable[str], kind: Kind) -> list[str]:
    """The lowest and the highest of the texts that are numbers or dates in a field of this kind, if any is."""
    if kind.name not in _ORDERED:
        return []
    measured = [(measure, text) for text in texts if (measure := _measure(text, kind)) is not None]
    return [min(measured)[1], max(measured)[1]] if measured else []


def _agree(counted: Kind | None, other: Kind) -> bool:
    """Whether two kinds read values in the same way."""
    return counted is not None and counted._replace(values=0, unread=0) == other._replace(values=0, unread=0)


def _measure(text: str, kind: Kind) -> Any:
    """What orders the values of a field of numbers or dates; None if the text is neither."""
    number, begin, _ = interpret(text, kind)
    return number if kind.name == "number" else begin


def to_cells(field: Field) -> tuple[str | int | None, ...]:
    """A field as the cells of a row, without its checksum.

    >>> field = Field("year", Kind("number", 2), 2, 0, {"year": 2}, "1851", "1897", {"1851": 1, "1897": 1})
    >>> from_cells(to_cells(field)) == field._replace(kind=decide({"year": 2}))
    True
    """
    counts = None if field.counts is None else json.dumps(field.counts, ensure_ascii=False)
    forms = json.dumps(field.forms)
    numbers = field.kind.name, field.kind.unread, field.items, field.lists
    return field.name, *numbers, forms, field.low, field.high, counts


def from_cells(cells: Sequence[Any]) -> Field:
    """A field from the cells of its row. Raises ValueError or TypeError if they are not what `to_cells` makes."""
    name, kind, unread, items, lists, forms_json, low, high, counts_json = cells
    forms, counts = json.loads(forms_json), None if counts_json is None else json.loads(counts_json)
    field = Field(name, decide(forms), items, lists, forms, low, high, counts)
    texts = (name, low, high, *forms, *(counts or ()))
    numbers = (items, lists, *forms.values(), *(counts or {}).values())
    if not (all(type(text) is str for text in texts) and all(type(number) is int for number in numbers)):
        raise TypeError("the table fields holds values of other types")
    if (kind, unread) != (field.kind.name, field.kind.unread):
        raise ValueError("the table fields holds values that no commit writes")
    return field
