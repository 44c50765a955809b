"""The first records of a file → which of their fields hold the id, the title and the text.

Names decide first, without regard to case and separators, and then the data: long text is text by any name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from attnsearch.errors import InputError
from attnsearch.sources.fields import LABELS, UNNAMED, Fields, first_names, leaves, split_name
from attnsearch.syntax.names import IDS, OWN_IDS, TEXTS, TITLES, fold_name
from attnsearch.syntax.values import WRAPPERS, Value, content_of, unwrap

SAMPLE = 1_000  # records, at most, that are looked at
SAMPLE_SIZE = 4 << 20  # characters, about

_PROSE = 5  # words, on average, of a field that is text by any name
_LABEL = 8  # words, on average, of a title at most, by any name
_NEAR_THE_FRONT = 1  # fields before one that is an id by the end of its name
_SENTENCE = 2  # words, on average, of a field that is the text if nothing else is
_MOST_TEXTS = 12  # fields of a key text
_NO_TEXT = 9  # the rank of a field that is not part of it
_LISTED = 5  # fields of a mapping, at most, in a message

_AUTHORS = ("author", "authors")
_OTHERS_NAMES = frozenset({  # what stands before "name" or "title" if it is not the item's own
    "first", "last", "middle", "user", "file", "path", "author", "publisher", "brand", "category", "vendor", "host",
    "country", "city", "state", "owner", "group", "seller", "manufacturer", "series", "department", "artist", "creator",
    "given", "family", "nick", "job", "domain",
})  # fmt: skip
# Fields in which exports put all of a record's own fields.
_CONTAINERS = frozenset({"properties", "attributes", "fields", "data", "node", "item", "info", "source", "volumeinfo",
                         "package", "record", "document", "doc", "entry"})  # fmt: skip

_TAG = re.compile(r"<[^<>]{1,200}>")


class _Seen:
    """What the sample has in one field."""

    __slots__ = ("has_letters", "lists", "records", "values", "words")

    def __init__(self) -> None:
        self.records = self.words = 0
        self.has_letters = self.lists = False
        self.values: set[str] = set()

    @property
    def length(self) -> float:
        """Words of a record that has the field."""
        return self.words / self.records


class Survey:
    """The first records of a catalog's files, and what their fields hold."""

    def __init__(self, records: Iterable[Mapping[str, Value]] = ()) -> None:
        self.count = self.size = 0
        self.fields: dict[str, _Seen] = {}
        self.mappings: dict[str, list[str]] = {}  # fields that are mappings, and the names in each
        for record in records:
            self.add(record)

    @property
    def is_full(self) -> bool:
        """Whether it has seen enough."""
        return self.count >= SAMPLE or self.size > SAMPLE_SIZE

    def add(self, record: Mapping[str, Value]) -> None:
        """Take a record into account."""
        self.count += 1
        of_record: set[str] = set()
        for name, value in leaves(record):
            seen = self.fields.setdefault(name, _Seen())
            if name not in of_record:
                of_record.add(name)
                seen.records += 1
            value = unwrap(value)
            seen.lists |= isinstance(value, list)
            for part in value if isinstance(value, list) else [value]:
                text = str(part).strip()
                self.size += len(text) + len(name)
                if isinstance(part, str):
                    seen.words += count_words(text)
                    seen.has_letters = seen.has_letters or _has_letters(text)
                seen.values.add(text[:1_000])
        for name, value in record.items():
            if isinstance(value, dict) and isinstance(inner := unwrap(value), dict) and inner:
                self.mappings.setdefault(name, list(inner))

    def has(self, name: str) -> bool:
        """Whether a record has the field."""
        return self.plain_name(name) in self.fields or name in self.mappings

    def plain_name(self, name: str) -> str:
        """The name of a field without that of the wrapper inside it: `title` for `title.rendered`."""
        outer, _, last = name.rpartition(".")
        return outer if last in WRAPPERS and outer in self.fields and name not in self.fields else name

    def is_prose(self, name: str) -> bool:
        """Whether the values of a field are sentences rather than labels."""
        return self.fields[name].length >= _PROSE and not self.fields[name].lists

    def texts(self) -> list[str]:
        """The fields that hold words, those with the most of them first."""
        names = [name for name, seen in self.fields.items() if seen.words]
        return sorted(names, key=lambda name: -self.fields[name].words)


def count_words(text: str) -> int:
    """How many words a text has, without numbers, addresses, paths and hashes. Two ideographs count as one word.

    >>> count_words("A lamp, of brass."), count_words("https://example.org/a lamp"), count_words("2021-05-17 3fa9c1")
    (4, 1, 0)
    """
    count = 0
    if "<" in text:
        text = _TAG.sub(" ", text)
    for token in text.split():
        if token.isascii():
            core = token.strip(".,;:!?()[]{}<>\"'`*_-")
            count += core.replace("-", "").replace("'", "").isalpha()
        elif any(map(str.isalpha, token)):
            count += max(1, sum(character >= "\u2e80" for character in token) // 2)
    return count


def _has_letters(text: str) -> bool:
    """Whether a text has letters beside addresses and paths."""
    tokens = _TAG.sub(" ", text).split()
    return any(any(map(str.isalpha, token)) for token in tokens if "/" not in token and "@" not in token)


def choose_fields(
    survey: Survey,
    where: str,
    *,
    given: Fields = UNNAMED,
    remembered: Fields | None = None,
    known: Collection[str] = (),
) -> Fields:
    """The fields to read: those given, else those remembered from the last time, else the recognized ones.

    `known` are the fields that the catalog had then: only one that it did not have can join what is remembered. What
    the data does not have any more is recognized anew.

    Raises InputError if what is called a title is a mapping of several fields.
    """

    def keep(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
        if old:
            return old if all(map(survey.has, old)) else new
        return new if {*new} - {*known} else old

    given = Fields(tuple(map(survey.plain_name, given.id)), survey.plain_name(given.title),
                   tuple(map(survey.plain_name, given.text)))  # fmt: skip
    names = {name: own for name in survey.fields if (own := _own_name(name)) is not None}
    ident = given.id or _tuple(_find_id(survey, names))
    title = given.title or _find_title(survey, names, ident, where)
    if remembered:
        ident = given.id or keep(remembered.id, ident)
        title = given.title or "".join(keep(_tuple(remembered.title), _tuple(title)))
    text = given.text or tuple(_find_texts(survey, ident, title))
    if remembered and not given.text:
        text = _join_texts(survey, title, remembered.text, [name for name in text if name not in known]) or text
    return Fields(ident, title, text)


def _tuple(name: str) -> tuple[str, ...]:
    return (name,) if name else ()


def _join_texts(survey: Survey, title: str, old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """The fields of the last key text that the data still has, and the new ones, in order; with the present title."""
    names = {name for name in (*old, *new) if name in survey.fields}
    if title in survey.fields and title not in old and names.intersection(old):
        names.add(title)
    if names == {*old}:
        return tuple(old)
    positions = {name: number for number, name in enumerate(survey.fields)}
    return tuple(sorted(names, key=lambda name: (_text_rank(survey, name, title), positions[name])))


def _own_name(name: str) -> str | None:
    """A field's name, folded, without the container around it; None for what is inside another thing."""
    *path, last = name.split(".")
    if all(fold_name(part) in _CONTAINERS for part in path):
        return "_id" if last == "_id" else fold_name(last)
    return None


def _find_id(survey: Survey, names: Mapping[str, str]) -> str:
    """The field of the id: one called so, else one that is told by its name and different in each record."""
    for own in OWN_IDS:
        for name in names:
            if name.rpartition(".")[2].casefold() == own and not survey.fields[name].lists:
                return name
    unique = [name for name in names if _is_unique(survey, name)]
    for known in IDS:
        for name in unique:
            if names[name] == known:
                return name
    front = [*names][: _NEAR_THE_FRONT + 1]
    return next((name for name in front if name in unique and split_name(name)[-1:] == ["id"]), "")


def _is_unique(survey: Survey, name: str) -> bool:
    seen = survey.fields[name]
    is_full = not seen.lists and seen.records == len(seen.values) == survey.count
    return is_full and None not in map(content_of, seen.values)


def _find_title(survey: Survey, names: Mapping[str, str], ident: Collection[str], where: str) -> str:
    candidates = [name for known in TITLES for name, own in names.items() if own == known]
    candidates = [name for name in candidates if name not in ident and _can_be_title(survey, name, names)]
    if not candidates:
        candidates = [name for name in names if name not in ident and _ends_as_title(name)]
        candidates.sort(key=lambda name: -len(survey.fields[name].values))
    if candidates:
        full = (name for name in candidates if 2 * survey.fields[name].records >= survey.count)
        return next(full, candidates[0])
    for name, inner in survey.mappings.items():
        if fold_name(name) in TITLES[:2]:
            message = f"'{name}' is a mapping ({first_names(inner, _LISTED)}), not text"
            raise InputError(message, where=where, hint=f"say which: --title-field {shlex.quote(f'{name}.{inner[0]}')}")
    return next((name for name in names if name not in ident and _looks_like_title(survey, name, names)), "")


def _can_be_title(survey: Survey, name: str, names: Mapping[str, str]) -> bool:
    """Whether a field can be the title that its name says: a summary only beside another text."""
    if names[name] == "summary":
        return any(own in TEXTS and own != "summary" and survey.fields[other].words for other, own in names.items())
    return True


def _ends_as_title(name: str) -> bool:
    """Whether a name is one like "Film Title" or "common_name"."""
    words = split_name(name.rpartition(".")[2])
    return len(words) > 1 and words[-1] in ("title", "name") and not _OTHERS_NAMES.intersection(words)


def _looks_like_title(survey: Survey, name: str, names: Mapping[str, str]) -> bool:
    """Whether a field is different in nearly each record, and a few words long, whatever its name."""
    seen = survey.fields[name]
    is_known = names[name] in {*TEXTS, *LABELS, *_AUTHORS, *IDS}
    is_short = not seen.lists and seen.records / 2 <= seen.words and seen.length <= _LABEL
    return is_short and not is_known and 5 * len(seen.values) >= 4 * survey.count


def _find_texts(survey: Survey, ident: Collection[str], title: str) -> Iterator[str]:
    """The fields of the key text, in order: title, descriptions, other long texts, labels, authors."""
    names = [name for name in survey.fields if name not in ident and _text_rank(survey, name, title) < _NO_TEXT]
    texts = sorted(names, key=lambda name: _text_rank(survey, name, title))
    if texts in ([], [title]):  # no field is a text by its name or its length: the longest one is
        others = [name for name in survey.texts() if name not in ident and name != title]
        texts += [name for name in others[:1] if not title or survey.fields[name].length >= _SENTENCE]
    return iter(texts[:_MOST_TEXTS])


def _text_rank(survey: Survey, name: str, title: str) -> int:
    """Where a field stands in the key text; `_NO_TEXT` if it is not part of it by its name or its length."""
    if name == title:
        return 0
    seen = survey.fields[name]
    own, outer = _own_name(name), fold_name(name.partition(".")[0])
    if not seen.has_letters:
        return _NO_TEXT
    if own in TEXTS or (own is None and outer in TEXTS):
        return 1
    if own in LABELS:
        return 3
    if own in _AUTHORS:
        return 4
    return 2 if own is not None and survey.is_prose(name) else _NO_TEXT
