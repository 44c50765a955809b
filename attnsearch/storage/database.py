"""index.sqlite → a catalog's info, its keys, items and fields; each row verified by its checksum.

The form on disk: docs/storage.md; `writer` creates it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from attnsearch.encoding.encoder import Precision
from attnsearch.errors import CatalogError
from attnsearch.models.record import Head, parse_heads
from attnsearch.models.use import WIDEST, Use, parse_use
from attnsearch.sources.fields import UNNAMED, Fields, parse_fields
from attnsearch.sources.items import DEFAULT_TEXT, Item, key_text
from attnsearch.storage import checksum
from attnsearch.storage.failures import OlderError, damaged
from attnsearch.storage.files import DATABASE, SEAL
from attnsearch.syntax.formats import AS_FOUND, Reading
from attnsearch.syntax.languages import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    from attnsearch.sources import summary

FORM = 6
APPLICATION = 0x61_74_74_6E  # "attn", in the SQLite file's header

TABLES = """
CREATE TABLE info (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, file TEXT NOT NULL UNIQUE, sums BLOB NOT NULL,
                       dead BLOB, joined BLOB);
CREATE TABLE items (item INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL,
                    fields TEXT NOT NULL, text_sha256 BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE keys (key INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items, start INTEGER NOT NULL,
                   stop INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX keys_by_item ON keys (item);
CREATE TABLE fields (name TEXT PRIMARY KEY, kind TEXT NOT NULL, unread INTEGER NOT NULL, items INTEGER NOT NULL,
                     lists INTEGER NOT NULL, forms TEXT NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL, counts TEXT,
                     sum INTEGER NOT NULL);
"""

MOST_READ = 20  # fields whose values a request is compared with
ITEM = "item, id, title, description, fields, text_sha256, items.sum"  # the columns for `read_item`
FIELD = "name, kind, unread, items, lists, forms, low, high, counts, fields.sum"  # the columns of `summary.to_cells`
KEY = "key, item, start, stop, keys.sum"  # the columns for `read_key`


class Source(NamedTuple):
    """A file that a catalog was made from, and its SHA-256 then; None for a pipe, which can't be read again.

    `stamp` is what the system said of the file before it was read, see `upkeep.freshness`; empty if that is not known.
    """

    path: str
    sha256: str | None
    stamp: str = ""


class Info(NamedTuple):
    """A catalog's record of itself. Times are ISO 8601, UTC.

    `fields` are those that are read as id, title and text; `given` are those of them that a user named, and `reading`
    how the files are read, as far as a user said it. `is_exact` says that its items are those of its sources and no
    others. `precision` is the lowest that any of its texts was embedded with. `quick` says whether its encoder's fast
    path may be taken. `lexical` is the λ of a query that names none (see `bias`), `language` that of its terms. `model`
    is the first head, used as `use` says (see `Head`); `heads` are the others, `d` the width of all together.
    """

    name: str
    description: str
    sources: tuple[Source, ...]
    fields: Fields
    model: str
    sha256: str
    stamp: str
    d: int
    temperature: float
    precision: Precision = "float32"
    quick: bool = True
    items: int = 0
    keys: int = 0
    created: str = ""
    updated: str = ""
    commit: str = ""  # a random name for this state
    listing: int = 0  # the checksum of the list of segments
    lexical: float = 0.0
    identity: str = ""  # the encoder's; a catalog of an older attnsearch has none
    given: Fields = UNNAMED
    reading: Reading = AS_FOUND
    is_exact: bool = True
    language: str = ENGLISH
    heads: tuple[Head, ...] = ()
    use: Use | None = None


class KeyRow(NamedTuple):
    """A key, the number of its item, and the characters of that item's text that it stands for: [start, stop)."""

    key: int
    item: int
    start: int
    stop: int


def read_info(db: sqlite3.Connection, folder: Path) -> Info | None:
    """The info; None if nothing was committed. Raises CatalogError, and what `parse_info` raises."""
    (form,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if form == 0 and application == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        if (folder / SEAL).exists():
            raise damaged(folder, f"{DATABASE} is empty")
        return None
    if application != APPLICATION:
        raise damaged(folder, f"{DATABASE} was not made by attnsearch")
    if form > FORM:
        newer = f"was made by a newer attnsearch (form {form}, not {FORM})"
        hint = "upgrade attnsearch, or remove the catalog and index it again"
        raise CatalogError(newer, where=folder.name, hint=hint)
    _check_schema(db, folder, form)
    if form < FORM:
        raise OlderError(f"was made by an older attnsearch (form {form})", where=folder.name)
    return parse_info(read_info_rows(db))


def _check_schema(db: sqlite3.Connection, folder: Path, form: int) -> None:
    """Raise DamagedError for tables that attnsearch did not create: a view or a trigger could run for ever."""
    schema = db.execute("SELECT type, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    statements = {" ".join(str(sql).split()) for _, sql in schema}
    ours = {" ".join(sql.split()) for sql in TABLES.split(";") if sql.strip()}
    if {kind for kind, _ in schema} - {"table", "index"} or (form >= FORM and statements - ours):
        raise damaged(folder, f"{DATABASE} has other tables than attnsearch creates")


def read_info_rows(db: sqlite3.Connection) -> dict[str, str]:
    """The rows of the table `info` as they are: each name, and its value as JSON."""
    return dict(db.execute("SELECT name, value FROM info ORDER BY name").fetchall())


def parse_info(rows: Mapping[str, str], *, has_sum: bool = True) -> Info:
    """The info in the rows of the table `info`; in form 1, it has no checksum.

    Raises ValueError, LookupError or TypeError if they are not what was written.
    """
    info: dict[str, Any] = {name: json.loads(value) for name, value in rows.items()}
    if has_sum and info.pop("sum") != checksum.info_checksum(rows):
        raise ValueError("the table info is not what was written")
    if "given" not in info:
        info |= upgrade_fields(info["fields"])
    sources = tuple(Source(*source) for source in info.pop("sources"))
    fields, given = (parse_fields(info.pop(name)) for name in ("fields", "given"))
    reading, use = Reading(*info.pop("reading")), parse_use(info.pop("use", None))
    heads = parse_heads(info.pop("heads", []), info["d"], use)
    parsed = Info(fields=fields, given=given, reading=reading, sources=sources, heads=heads, use=use, **info)
    _check_types(parsed)
    return parsed


def upgrade_fields(fields: Any) -> dict[str, Any]:
    """The members `fields`, `given`, `reading` and `is_exact` of an info, from the fields as older forms had them.

    They recorded what was read, not what a user had named, nor whether items came with `--keep`.
    """
    ident, title, texts = fields
    given = [[ident] * (ident != "id"), title * (title != "title"), texts]
    read = [[ident], title, texts or [title, *DEFAULT_TEXT[1:]]]
    return {"fields": read, "given": given, "reading": AS_FOUND, "is_exact": False}


def _check_types(info: Info) -> None:
    """Raise TypeError or ValueError for what no commit writes: a right checksum may be made by anyone."""
    texts = (
        *(info.name, info.description, info.model, info.sha256, info.stamp, info.created, info.updated, info.commit),
        info.identity,
        *(name for fields in (info.fields, info.given) for name in (*fields.id, fields.title, *fields.text)),
        *(option or "" for option in info.reading),
        *(source.path for source in info.sources),
        *(text or "" for source in info.sources for text in source[1:]),
    )
    if not (
        all(type(text) is str for text in texts)
        and all(type(count) is int for count in (info.d, info.items, info.keys, info.listing))
        and all(type(number) in (int, float) for number in (info.temperature, info.lexical))
        and type(info.quick) is type(info.is_exact) is bool
    ):
        raise TypeError("the table info holds values of other types")
    if not (
        min(info.items, info.keys) >= 0
        and 1 <= info.d <= WIDEST
        and 0 < info.temperature < math.inf
        and 0 <= info.lexical < math.inf
        and info.precision in get_args(Precision)
        and info.language in LANGUAGES
        and (info.identity or not (info.heads or info.use))
        and info.model.strip()
        and info.model not in [head.model for head in info.heads]
    ):
        raise ValueError("the table info holds values that no commit writes")


def write_info(db: sqlite3.Connection, info: Mapping[str, Any]) -> None:
    """Fill the table `info` with these values, as JSON; without `heads` and `use` if there are none."""
    info = {name: value for name, value in info.items() if value or name not in ("heads", "use")}
    rows = {name: json.dumps(value) for name, value in info.items()}
    rows["sum"] = str(checksum.info_checksum(rows))
    db.execute("DELETE FROM info")
    db.executemany("INSERT INTO info VALUES (?, ?)", rows.items())


def read_key(row: Sequence[Any]) -> KeyRow:
    """A key from the columns `KEY` of its row. Raises ValueError if they are not what was written."""
    *cells, row_sum = row
    if checksum.row_checksum(*cells) != row_sum:
        raise ValueError(f"the key {cells[0]} is not what was written")
    return KeyRow(*cells)


def read_item(row: Sequence[Any], fields: Fields) -> Item:
    """An item from the columns `ITEM` of its row. Raises ValueError if they are not what was written."""
    *cells, row_sum = row
    if checksum.row_checksum(*cells) != row_sum:
        raise ValueError(f"the item {cells[0]} is not what was written")
    return read_item_1(cells, fields)


def read_item_1(cells: Sequence[Any], fields: Fields) -> Item:
    """An item of form 1: from the columns `ITEM` but the checksum. Raises ValueError or TypeError for a damaged row."""
    _, ident, title, description, fields_json, _ = cells
    if not all(isinstance(text, str) for text in (ident, title, description, fields_json)):
        raise TypeError(f"the item {cells[0]} is not what was written")
    item_fields = json.loads(fields_json)
    return Item(ident, title, description, item_fields, key_text(title, description, item_fields, fields))


def read_fields(db: sqlite3.Connection) -> list[summary.Field]:
    """What the catalog knows of its fields. Raises ValueError or TypeError if a row is not what was written."""
    from attnsearch.sources import summary  # which most queries do without

    fields = []
    for *cells, row_sum in db.execute(f"SELECT {FIELD} FROM fields ORDER BY rowid"):  # noqa: S608 (our own words)
        if checksum.row_checksum(*cells) != row_sum:
            raise ValueError(f"the field {cells[0]!r} is not what was written")
        fields.append(summary.from_cells(cells))
    return fields


def read_counts(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """The fields of texts, without lists, whose values are counted: the name, and the counts as JSON.

    Raises ValueError if a row is not what was written.
    """
    statement = f"SELECT {FIELD} FROM fields WHERE kind = 'text' AND lists = 0 AND counts IS NOT NULL LIMIT {MOST_READ}"  # noqa: S608
    rows = db.execute(statement).fetchall()
    if any(checksum.row_checksum(*cells) != row_sum for *cells, row_sum in rows):
        raise ValueError("a row of the table fields is not what was written")
    return [(row[0], row[-2]) for row in rows]


def write_fields(db: sqlite3.Connection, known: summary.Summary, fields: Fields) -> None:
    """Fill the table `fields`; what can't be known from the items that came and went is counted from all of them."""
    from attnsearch.sources import summary

    count_fields(db, known, fields, known.restart())
    db.execute("DELETE FROM fields")
    rows = (summary.to_cells(field) for field in known.fields())
    marks = ", ".join("?" * (FIELD.count(",") + 1))
    db.executemany(f"INSERT INTO fields VALUES ({marks})", ((*row, checksum.row_checksum(*row)) for row in rows))  # noqa: S608


def count_fields(
    db: sqlite3.Connection, known: summary.Summary, fields: Fields, names: frozenset[str] | None = None
) -> None:
    """Count the fields of these names, or all, in all items, until nothing is left to be counted anew."""
    while names != frozenset():
        for item in item_fields(db, "SELECT id, title, description, fields FROM items ORDER BY item", fields):
            known.add(item, names)
        names = known.restart()


def item_fields(db: sqlite3.Connection, statement: str, fields: Fields) -> Iterator[summary.Leaves]:
    """The fields of the items that a statement of ours selects, as id, title, description and fields."""
    from attnsearch.sources.summary import item_leaves

    for ident, title, description, fields_json in db.execute(statement):
        yield item_leaves(ident, title, description, json.loads(fields_json), fields)
