"""The fields of records: what each is called, and which of them hold an id, a title and a text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.syntax.names import fold_name
from attnsearch.syntax.nearest import find_nearest
from attnsearch.syntax.values import Value, unwrap

# Fields of labels, as `fold_name` writes their names.
LABELS = frozenset({"tags", "tag", "keywords", "keyword", "subjects", "subject", "genres", "genre", "topics"})

_DEEPEST = 8  # mappings inside one another whose fields have names
_LONGEST_NAME = 200  # characters
_LISTED = 12  # names of fields, at most, in a message


OWN = ("id", "title", "description")  # fields that every item has, whatever its source calls them


class Fields(NamedTuple):
    """The fields of a record that hold its id, its title, and its key text.

    Several fields of `id` make one id together. An empty member says nothing: where a user names fields, the others
    are left to the data; of a catalog, its ids are made from titles, its items have no title, or its key text is
    title, description and tags.
    """

    id: tuple[str, ...] = ()
    title: str = ""
    text: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that are named, each once."""
        return tuple(dict.fromkeys((*self.id, *filter(None, [self.title]), *self.text)))

    @property
    def own(self) -> frozenset[str]:
        """All names of an item's own: of those that every item has, and what its source calls its id and title."""
        return frozenset((*OWN, *self.id, *filter(None, [self.title])))

    def over(self, other: Fields) -> Fields:
        """These fields, and the other's where these say nothing."""
        return Fields(self.id or other.id, self.title or other.title, self.text or other.text)


UNNAMED = Fields()  # all are left to the data


def parse_fields(value: Value) -> Fields:
    """The fields in a list of three, as JSON has them. Raises TypeError or ValueError."""
    ident, title, texts = value
    if type(ident) is not list or type(texts) is not list:
        raise TypeError("the fields are not lists")
    return Fields(tuple(ident), title, tuple(texts))


def look_up(record: Mapping[str, Value], name: str) -> Value:
    """The value of the field of that name, else of the field inside another: `author.name`. None if it is missing.

    The fields of a list's mappings are a list.

    >>> look_up({"author": [{"name": "Ann"}, {"name": "Bob"}]}, "author.name"), look_up({"a.b": 1}, "a.b")
    (['Ann', 'Bob'], 1)
    """
    if name in record or "." not in name:
        return record.get(name)
    return next(_inner_values(record, name), None)


def _inner_values(record: Mapping[str, Value], name: str) -> Iterator[Value]:
    """What the name can mean as a field inside another one."""
    for dot in (i for i, character in enumerate(name) if character == "."):
        value = record.get(name[:dot])
        if isinstance(value, list):
            values = [inner for part in value if isinstance(part, dict)
                      if (inner := look_up(part, name[dot + 1 :])) is not None]  # fmt: skip
            if values:
                yield values
        elif isinstance(value, dict) and (inner := look_up(value, name[dot + 1 :])) is not None:
            yield inner


def refuse_ambiguous(record: Mapping[str, Value], name: str, place: str) -> None:
    """Raise InputError if a name with a dot is a field, and also a field inside another one."""
    if "." in name and record.get(name) is not None and next(_inner_values(record, name), None) is not None:
        first, _, rest = name.partition(".")
        message = f"'{name}' can be the field '{name}', or '{rest}' in the field '{first}'"
        raise InputError(message, where=place, hint="rename one of them")


def leaves(record: Mapping[str, Value], prefix: str = "", depth: int = _DEEPEST) -> Iterator[tuple[str, Value]]:
    """The name and value of each field that is not a mapping, with dots for fields inside others; lists stay lists.

    >>> list(leaves({"a": {"b": 1, "c": [2]}, "title": {"rendered": "Lamp"}, "d": [{"e": 3}, {"e": 4}], "f": None}))
    [('a.b', 1), ('a.c', [2]), ('title', 'Lamp'), ('d.e', 3), ('d.e', 4)]
    """
    for key, value in record.items():
        name = prefix + key if prefix else key
        if value is None or len(name) > _LONGEST_NAME:
            continue
        if not isinstance(value, (dict, list)):
            yield name, value
            continue
        value = unwrap(value) if isinstance(value, dict) else value
        parts = value if isinstance(value, list) else [value]
        if plain := [part for part in parts if not isinstance(part, (dict, list))]:
            yield name, plain if isinstance(value, list) else value
        for part in parts if len(plain) < len(parts) else ():
            if isinstance(part, dict) and depth > 1:
                yield from leaves(part, f"{name}.", depth - 1)


def unknown_field(name: str, names: Collection[str], where: str) -> InputError:
    """The error for a field that no item has; `names` are those that they have.

    >>> print(unknown_field("overveiw", ["title", "overview"], "films.csv"))
    films.csv: no item has a field 'overveiw'; did you mean 'overview'?
    """
    import shlex  # which a query does without

    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and all(part in names for part in parts):
        hint = f"say it once for each: {' '.join(f'--text-field {shlex.quote(part)}' for part in parts)}"
    else:
        hint = suggest_name(name, names)
    return InputError(f"no item has a field '{name[:80]}'", where=where, hint=hint)


def suggest_name(name: str, names: Collection[str], built_in: Collection[str] = ()) -> str:
    """The hint for a field that no item has: the name most like it, if any is, else all names but the `built_in`."""
    candidates = [*names, *built_in]
    folded = {fold_name(known): known for known in reversed(candidates)}
    near = find_nearest(name, candidates) or find_nearest(fold_name(name), folded)
    if near:
        return f"did you mean '{folded.get(near[0], near[0])}'?"
    return f"the fields are {first_names([*names], _LISTED)}" if names else "its items have no fields"


def split_name(name: str) -> list[str]:
    """The words of a field's name, in lower case.

    >>> split_name("bookId"), split_name("Customer Name"), split_name("ISBN13")
    (['book', 'id'], ['customer', 'name'], ['isbn13'])
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+", " ", name).casefold().split()


def plain_text(value: Value) -> str | None:
    """A value as text, texts in a list joined; None if it is a mapping, or has one."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    value = unwrap(value)
    if isinstance(value, list) and not any(isinstance(part, (list, dict)) for part in value):
        value = ", ".join(str(part).strip() for part in value if part is not None)
    if isinstance(value, (list, dict)):
        return None
    return "" if value is None else str(value).strip()


def to_words(value: Value) -> str:
    """A field's value in words.

    >>> to_words(["sand", "spice"]), to_words({"h": 9, "w": [1, 2]}), to_words(None)
    ('sand, spice', 'h: 9, w: 1, 2', '')
    """
    if isinstance(value, str):
        return show_text(value)
    value = unwrap(value) if isinstance(value, dict) else value
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(filter(None, map(to_words, value)))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {to_words(part)}" for name, part in value.items())
    return show_text(str(value))


def show_text(text: str) -> str:
    """The text that a browser would show, see `markup`; most texts have nothing of HTML."""
    if "<" not in text and "&" not in text:
        return text
    from attnsearch.sources.markup import to_text

    return to_text(text)


def first_names(names: Sequence[str], count: int) -> str:
    """The first few of the names, and an ellipsis for the others.

    >>> first_names(["a", "b", "c"], 2)
    'a, b, …'
    """
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")
