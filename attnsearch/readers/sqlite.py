"""The rows of a table or of a query of an SQLite database → records; the line of a record is the number of its row.

Nothing but reading is allowed: no other database, no extension, no function that reaches out, no row or value without
end.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from attnsearch.errors import InputError
from attnsearch.readers import binary_tables
from attnsearch.readers.raw_file import RawFile
from attnsearch.readers.text_file import LINE
from attnsearch.syntax.values import Mapping

log = logging.getLogger("attnsearch")

ROWS = 10_000_000  # of a query
STEPS = 2_000_000_000  # of SQLite's machine between two rows: minutes
COUNTING = 100_000_000  # steps that the count of a table may take: seconds

_INTERVAL = 1_000_000  # steps
_COUNTED = 1_000_000  # rows that a message counts
_LISTED = 1_000  # tables
_MAY = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_WAL = 2  # in byte 18 of the file: it keeps a write-ahead log


class _Clock:
    """Stops a query that works on and on without a row."""

    def __init__(self) -> None:
        self.start(STEPS)

    def start(self, steps: int) -> None:
        self.intervals, self.most = 0, steps // _INTERVAL

    @property
    def is_over(self) -> bool:
        return self.intervals > self.most

    def __call__(self) -> int:
        self.intervals += 1
        return int(self.is_over)


def read_database(raw: RawFile, table: str | None, query: str | None) -> Iterator[Mapping]:
    """The records of a table, by default of the only one, or of a SELECT. Raises InputError."""
    if raw.own is None or len(raw.head) < 100:
        raise InputError("is an SQLite database", where=raw.where, hint="name it as a file, not compressed")
    raw.drain()
    _check_size(raw)
    if raw.head[18] == _WAL:  # changes may lie in another file, so the hash must not say that nothing has changed
        raw.observe(b"WAL")
    clock = _Clock()
    try:
        with closing(_connect(raw.source)) as db:
            db.set_progress_handler(clock, _INTERVAL)
            if query is None:
                sizes = (table and _measure_tables(db, clock, table)) or _measure_tables(db, clock)
                name = binary_tables.choose_table(sizes, table, raw.where, "table")
                if table is None:
                    log.warning("%s: reading its only table, '%s'", raw.where, name)
                clock.start(STEPS)
                query = f"SELECT * FROM {_quote(name)}"  # noqa: S608 (the name is quoted)
            yield from _read_rows(db.execute(query), clock, raw.where)
    except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError) as error:
        if clock.is_over:
            raise InputError("the query goes on without a row", where=raw.where, hint="simplify it") from None
        raise InputError(f"SQLite: {error}", where=raw.where) from None


def _check_size(raw: RawFile) -> None:
    """Raise InputError for a file that lacks pages, which SQLite would read as empty ones."""
    page = int.from_bytes(raw.head[16:18], "big")
    pages = int.from_bytes(raw.head[28:32], "big")
    is_counted = raw.head[24:28] == raw.head[92:96]
    if is_counted and raw.size < pages * (65_536 if page == 1 else page):
        raise InputError("is an SQLite database that is cut short", where=raw.where, hint="copy it again")


def _connect(source: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{Path(source).resolve().as_uri()}?mode=ro", uri=True)
    db.execute("PRAGMA trusted_schema = OFF")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LINE)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.set_authorizer(_authorize)
    return db


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Allow reading, and what virtual tables do for it."""
    if action == sqlite3.SQLITE_PRAGMA and first in ("data_version", "table_list"):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_UPDATE and first in ("sqlite_master", "sqlite_schema"):
        return sqlite3.SQLITE_OK  # asked for while a virtual table is declared; the file itself is open to read only
    if action == sqlite3.SQLITE_FUNCTION and second in ("load_extension", "readfile", "writefile", "edit"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _MAY else sqlite3.SQLITE_DENY


def _measure_tables(db: sqlite3.Connection, clock: _Clock, wanted: str | None = None) -> dict[str, str]:
    """The tables and views that have rows, but for SQLite's own, with how many; only the one that is `wanted`."""
    listed = db.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual')"
        " AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name LIMIT ?",
        (_LISTED,),
    ).fetchall()
    sizes = {}
    for (name,) in listed:
        if wanted is not None and name.casefold() != wanted.casefold():
            continue
        clock.start(COUNTING)
        counted = f"SELECT count(*) FROM (SELECT 1 FROM {_quote(name)} LIMIT {_COUNTED})"  # noqa: S608 (quoted)
        try:
            count = db.execute(counted).fetchone()[0]
        except sqlite3.OperationalError:
            if clock.is_over:
                sizes[name] = "rows not counted: it takes too long"
            continue  # else a view of a table that is gone
        if count:
            more = " or more" if count == _COUNTED else ""
            sizes[name] = f"{count:,}{more} row{'s' * (count != 1)}"
    return sizes


def _read_rows(cursor: sqlite3.Cursor, clock: _Clock, where: str) -> Iterator[Mapping]:
    if cursor.description is None:
        raise InputError("--sql gives no rows", where=where, hint="write one SELECT")
    names = [column[0] for column in cursor.description]
    left_out: set[str] = set()
    for number, cells in enumerate(cursor, 1):
        if number > ROWS:
            raise InputError(f"more than {ROWS:,} rows", where=where, hint="add a LIMIT to the query")
        yield binary_tables.make_record(names, cells, number, where, left_out)
        clock.start(STEPS)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
