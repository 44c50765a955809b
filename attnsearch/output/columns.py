"""The fields of catalogs → columns of an answer, and what stands in an item's cells."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from attnsearch.errors import InputError
from attnsearch.output.safe_text import inert, safe_url
from attnsearch.sources.fields import OWN, Fields, leaves, suggest_name
from attnsearch.syntax.names import NAMES, fold_name
from attnsearch.syntax.values import WRAPPERS, Value, unwrap

if TYPE_CHECKING:
    from attnsearch.search.result import Hit
    from attnsearch.storage.store import Store

ALL, NONE = "all", "none"  # what --show takes beside the names of fields

# The columns of answers. A field that is called like one of them has the column `fields.NAME`, as it has in JSON.
ANSWERS = ("query", "catalog", "rank", "id", "title", "weight", "score", "logit", "description", "passage")

_LINKS = ("url", "link", "href", "homepage")  # fields that have an item's address, whatever their case

_PREFIX = "fields."
_JOINT = "; "  # between the elements of a list


class Column(NamedTuple):
    """A column for the field `name`; if that is the id, title or description of every item, `own` is this word."""

    name: str
    header: str
    is_number: bool = False
    own: str = ""


class Shown(NamedTuple):
    """The columns of an answer's fields.

    `owns` says of each catalog which of its fields are an item's id, title and description. `names` has the name that
    is shown for each catalog.
    """

    columns: Sequence[Column] = ()
    owns: Mapping[str, Mapping[str, str]] = {}
    names: Mapping[str, str] = {}

    def cells(self, hit: Hit) -> list[str]:
        """What stands in each column for a hit; nothing for a field that it lacks."""
        if not self.columns:
            return []
        texts, own = field_texts(hit.fields), self.owns.get(hit.catalog, {})
        cells = []
        for column in self.columns:
            part = own.get(column.name) or (column.own if column.own == column.name else "")
            if column is _CATALOG:
                cells.append(self.names.get(hit.catalog, hit.catalog))
            else:
                cells.append(getattr(hit, part) if part else texts.get(column.name, ""))
        return cells


NOTHING = Shown()
_CATALOG = Column("catalog", "catalog")  # of the hit, if several catalogs were asked


def choose_columns(stores: Sequence[Store], names: Sequence[str], form: str) -> Shown:
    """The columns for the fields in `names`, those of --show; without any, CSV and TSV have all plain fields.

    Plain are all fields but an item's own and embedded prose, which `description` and `passage` hold. Of several
    catalogs, the first column has the name of the item's.

    Raises InputError for a field that no item has, and for a word that can mean two things.
    """
    is_separated = form in ("csv", "tsv")
    if NONE in names and len({*names}) > 1:
        raise InputError(f"--show {NONE} and other fields exclude each other", hint="leave one of them out")
    catalog = [_CATALOG] if len(stores) > 1 else []
    if not names and not is_separated:
        return Shown(catalog, names=short_names([store.info.name for store in stores]))
    owns = {store.info.name: _own_names(store.info.fields) for store in stores}
    known = _known_columns(stores, owns)
    for word, meaning in ((ALL, "all fields"), (NONE, "no fields")):
        if word in names and word in known:
            hint = f"write {_PREFIX}{word} for the field"
            raise InputError(f"--show {word} can mean {meaning}, or the field '{word}'", hint=hint)
    present = ANSWERS if is_separated else ("title", "description")
    columns: dict[str, Column] = {}
    for name in names or [ALL]:
        if name == ALL:
            prose = {prose_name for store in stores for prose_name in _prose_names(store.info.fields)}
            chosen = [column for column in known.values() if not column.own and column.name not in prose]
        else:
            chosen = [] if name == NONE else [_find_column(name, known, stores)]
        columns |= {column.name: column for column in chosen if column.header not in present}
    names_of = {} if is_separated else short_names([*owns])
    return Shown([*catalog, *columns.values()], owns, names_of)


def short_name(catalog: str) -> str:
    """A catalog's name; of a file that has none, that of the file.

    >>> short_name("library"), short_name("/home/ann/shop.csv"), short_name("-")
    ('library', 'shop.csv', 'standard input')
    """
    return "standard input" if catalog == "-" else re.split(r"[/\\]", catalog)[-1]


def short_names(catalogs: Sequence[str]) -> dict[str, str]:
    """The short name of each catalog, or if two have the same, the whole names.

    >>> list(short_names(["library", "a/shop.csv"]).values()), list(short_names(["a/shop.csv", "b/shop.csv"]).values())
    (['library', 'shop.csv'], ['a/shop.csv', 'b/shop.csv'])
    """
    short = {name: short_name(name) for name in catalogs}
    return short if len(set(short.values())) == len(short) else {name: name for name in catalogs}


def choose_header(name: str, taken: Collection[str]) -> str:
    """The header of a field's column, as it is shown: its name, or `fields.NAME` if another column has that.

    >>> choose_header("year", ["id"]), choose_header(" id", ["id"]), choose_header("id", ["id", "fields.id"])
    ('year', 'fields.id', 'fields.fields.id')
    """
    header = inert(name)
    while header in taken:
        header = _PREFIX + header
    return header


def field_texts(fields: Mapping[str, Value]) -> dict[str, str]:
    """The text of each field that has a value, with dots in the names of fields inside others.

    Several values are joined by `; `. One that has a semicolon, a quote or blanks at its ends is put in double quotes,
    and its own quotes are doubled, so that a reader of CSV gets them back.

    >>> field_texts({"year": 1965, "sold": True, "size": {"h": 9.5}, "tags": ["sand", 'the "spice"; melange']})
    {'year': '1965', 'sold': 'true', 'size.h': '9.5', 'tags': 'sand; "the ""spice""; melange"'}
    """
    texts: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for name, value in leaves(fields):
        if isinstance(value, list) or name in texts:
            parts = lists.setdefault(name, [texts[name]] if name in texts else [])
            parts += [_to_text(part) for part in (value if isinstance(value, list) else [value]) if part is not None]
            texts[name] = _JOINT.join(map(_quote, parts))
        else:
            texts[name] = _to_text(value)
    return texts


def find_link(fields: Mapping[str, Value]) -> str:
    """The web address of an item, as `safe_url` writes it; empty if it has none.

    >>> find_link({"Homepage": ["https://example.org"], "url": "mailto:ann@example.org"})
    'https://example.org'
    """
    named = {name.casefold(): value for name, value in fields.items()}
    values = (unwrap(named[name]) for name in _LINKS if name in named)
    return next((url for value in values if isinstance(value, str) and (url := safe_url(value))), "")


def _to_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _quote(text: str) -> str:
    if text and text == text.strip() and not {";", '"'} & {*text}:
        return text
    return '"' + text.replace('"', '""') + '"'


def _own_names(fields: Fields) -> dict[str, str]:
    """Which fields of a catalog's items are their id, title and description."""
    own = {"description": "description", **dict.fromkeys(_spellings(fields.title), "title")}
    return own | (dict.fromkeys(_spellings(fields.id[0]), "id") if len(fields.id) == 1 else {})


def _prose_names(fields: Fields) -> set[str]:
    """The fields of a catalog that are embedded and are called like prose."""
    texts = [_spellings(name) for name in fields.text if name != fields.title]
    return {name for names in texts if any(fold_name(name) in NAMES.text for name in names) for name in names}


def _spellings(name: str) -> set[str]:
    """A field's name, and the one that it has as a column if it stands for the value of the field around it."""
    outer, _, last = name.rpartition(".")
    return {name, outer} - {""} if last in WRAPPERS else {name} - {""}


def _known_columns(stores: Sequence[Store], owns: Mapping[str, Mapping[str, str]]) -> dict[str, Column]:
    """The columns of the fields that the catalogs know, by name."""
    is_number: dict[str, bool] = {}
    meanings: dict[str, set[str]] = {}
    for store in stores:
        for field in store.fields():
            is_number[field.name] = is_number.get(field.name, True) and field.kind_name == "number"
            meanings.setdefault(field.name, set()).add(owns[store.info.name].get(field.name, ""))
    known: dict[str, Column] = {}
    headers: set[str] = set()
    for name, meaning in meanings.items():
        own = meaning.pop() if len(meaning) == 1 else ""
        header = choose_header(name, (headers.union(meanings) - {name}).union({*ANSWERS} - {own}))
        headers.add(header)
        known[name] = Column(name, header, is_number[name], own)
    return known


def _find_column(name: str, known: Mapping[str, Column], stores: Sequence[Store]) -> Column:
    """The column of the field that --show calls `name`. Raises InputError if no item has it."""
    from attnsearch.sources.summary import MOST_FIELDS  # which a query without --show does without
    from attnsearch.storage.files import quoted

    bare = name.removeprefix(_PREFIX)
    if name in known or bare in known:
        return known.get(name) or known[bare]
    if name in OWN:
        return Column(name, name, own=name)
    if len(known) >= MOST_FIELDS and any(store.mentions(name.rpartition(".")[2]) for store in stores):
        return Column(name, choose_header(name, {*ANSWERS, *(column.header for column in known.values())}))
    inner = [known_name for known_name in known if known_name.startswith(f"{name}.")]
    parts = [part.strip() for part in name.split(",")]
    if inner:
        hint = f"say which: {', '.join(inner[:5])}"
    elif len(parts) > 1 and {*parts} <= {*known, *OWN}:
        hint = f"say {' '.join(f'--show {quoted(part)}' for part in parts)}"
    else:
        hint = suggest_name(bare, [*known], OWN)
    names = " or ".join(store.info.name for store in stores)
    raise InputError(f"no item of {names} has a field '{name}'", hint=hint)
