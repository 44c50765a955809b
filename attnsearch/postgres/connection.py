"""An address → a connection to its server; and whatever psycopg raises → an error in one sentence."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attnsearch.errors import AttnsearchError, CatalogError, first_line
from attnsearch.postgres.address import PREFIX, Address
from attnsearch.sources.fields import first_names
from attnsearch.storage.failures import DamagedError, MissingError
from attnsearch.storage.files import quoted
from attnsearch.syntax.nearest import find_nearest

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

PATIENCE = 10  # seconds to connect, unless the address says connect_timeout
SILENCE = 30  # seconds after which a server that acknowledges nothing is gone
STATEMENT = 600  # seconds of one statement
LOCKED = 30  # seconds to wait for who holds a table, which attnsearch only does to remove one
GRACE = 5  # seconds more for a server to say that it ended one

_LISTED = 5  # catalogs that a message names
_LONGEST = (1 << 31) - 1  # milliseconds

_DEFAULTS = {
    "connect_timeout": PATIENCE,
    "tcp_user_timeout": SILENCE * 1_000,
    "keepalives_idle": SILENCE,
    "application_name": "attnsearch",
}

log = logging.getLogger("attnsearch")
_QUIET = logging.NullHandler()  # psycopg warns of what it also raises, or need not: our message is one line


def connect(address: Address) -> Connection[Any]:
    """A connection without a transaction, which finds the catalog's tables by their plain names.

    JSON comes as text. Threads may share it, in turn. Raises CatalogError.
    """
    import psycopg
    from psycopg.types.string import TextLoader

    log.info("connecting to %s", address.shown)  # what a terminal shows until the server answers
    logging.getLogger("psycopg").addHandler(_QUIET)
    with reporting(address):
        parameters: dict[str, Any] = {**_DEFAULTS, **address.parameters, "client_encoding": "utf8"}
        try:
            connection = _impatient().connect(**parameters, autocommit=True)
        except psycopg.OperationalError as error:
            raise _unreachable(address, error) from None
        try:
            # Before any function is called, which may be anyone's. Without the second, libpq would write other bytes.
            connection.execute("SET search_path TO pg_catalog; SET standard_conforming_strings TO on")
            connection.adapters.register_loader("json", TextLoader)
            limit_statements(connection, STATEMENT)
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCKED * 1_000:.0f}"])
            find_tables(connection, address)
        except BaseException:
            connection.close()
            raise
    return connection


def limit_statements(connection: Connection[Any], seconds: float) -> None:
    """Let no statement take longer: the server ends it, or if nothing comes from that, we do."""
    milliseconds = min(math.ceil(seconds * 1_000), _LONGEST)
    connection.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds)])
    vars(connection)["limit"] = seconds + GRACE


def _impatient() -> type[Connection[Any]]:
    """The class of connections that wait for an answer no longer than their `limit`, in seconds.

    `vectors` is the schema that pgvector is in, see `find_tables`.
    """
    import psycopg

    class Impatient(psycopg.Connection[Any]):
        limit = float(STATEMENT)
        vectors: str | None = None

        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(_until(gen, time.monotonic() + self.limit), *arguments, **options)

    return Impatient


def _until(steps: Generator[Any, Any, Any], end: float) -> Generator[Any, Any, Any]:
    """The steps of an answer, if they are done at that time; psycopg looks ten times a second."""
    from psycopg import OperationalError

    ready = None
    while True:
        try:
            wanted = steps.send(ready)
        except StopIteration as done:
            return done.value
        ready = yield wanted
        if time.monotonic() > end:
            raise OperationalError("the server does not answer")


def find_tables(connection: Connection[Any], address: Address) -> None:
    """Let the connection find the catalog's tables by their names, and nothing else; and take vectors, if it can.

    What is anyone's, as the schema public often is, is never searched: a function there may fit a call better than the
    one that comes with PostgreSQL, and would run. What pgvector has is called by its full name.
    """
    from pgvector.psycopg import register_vector
    from psycopg import sql

    vars(connection)["vectors"] = home = vector_home(connection)
    if home:
        connection.execute(sql.SQL("SET search_path TO pg_catalog, {}").format(sql.Identifier(home)))
        register_vector(connection)
    connection.execute(search_path(address))


def search_path(address: Address, scope: str = "SESSION") -> Composed:
    """The statement that lets the session, or with LOCAL this transaction, find the catalog's tables."""
    from psycopg import sql

    return sql.SQL(f"SET {scope} search_path TO pg_catalog, {{}}").format(sql.Identifier(address.schema))


def vector_home(connection: Connection[Any]) -> str | None:
    """The schema that pgvector is in; None if the database does not have it."""
    statement = """SELECT nspname FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS home
        ON home.oid = extnamespace WHERE extname = 'vector'"""
    row = connection.execute(statement).fetchone()
    return row and str(row[0])


def damaged(address: Address, problem: str) -> DamagedError:
    """The error for tables that do not hold what was written; `problem` says which part, and how."""
    hint = "restore a backup, or remove the catalog and index it again"
    return DamagedError(f"the catalog is damaged: {problem}", where=address.shown, hint=hint)


def missing(connection: Connection[Any], address: Address) -> MissingError:
    """The error for a database without that catalog; it names those that there are."""
    statement = """SELECT substr(nspname, length(%(prefix)s) + 1) FROM pg_catalog.pg_namespace
        WHERE starts_with(nspname, %(prefix)s) ORDER BY nspname"""
    names = [row[0] for row in connection.execute(statement, {"prefix": PREFIX})]
    names = [name for name in names if name != address.name]  # of one that was removed, what it learned may be there
    others = f"; the database has {first_names(names, _LISTED)}" if names else ""
    near = find_nearest(address.name, names)
    hint = f"make it: attnsearch index FILE --name {quoted(address.shown)}"
    return MissingError(f"there is no such catalog{others}", where=address.shown,
                        hint=f"did you mean '{near[0]}'?" if near else hint)  # fmt: skip


@contextmanager
def reporting(address: Address) -> Iterator[None]:
    """Turn what psycopg raises into CatalogError."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _translate(address, error) from None


@contextmanager
def reading(address: Address) -> Iterator[None]:
    """Turn what psycopg raises into CatalogError, and what rows raise that are not what was written, DamagedError."""
    try:
        with reporting(address):
            yield
    except AttnsearchError:
        raise
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise damaged(address, str(error)) from None


def _translate(address: Address, error: Exception) -> AttnsearchError:
    from psycopg import errors

    where, reason = address.shown, first_line(error)
    if isinstance(error, errors.InsufficientPrivilege):
        return CatalogError(
            f"the role lacks a right: {reason}", where=where, hint="'attnsearch docs postgresql' lists those needed"
        )
    if isinstance(error, errors.LockNotAvailable):
        return CatalogError("others hold its tables", where=where, hint="try again when they are done")
    if isinstance(error, errors.DependentObjectsStillExist):
        detail = (error.diag.message_detail or reason).splitlines()[0]
        return CatalogError(f"others use its tables: {detail}", where=where, hint="drop that first")
    if isinstance(error, errors.QueryCanceled):
        hint = "raise --timeout" if "timeout" in reason else "ask again"
        return CatalogError(f"the server stopped the statement: {reason}", where=where, hint=hint)
    if isinstance(error, (errors.AdminShutdown, errors.CrashShutdown, errors.IdleInTransactionSessionTimeout)):
        return CatalogError(f"the server ended the connection: {reason}", where=where, hint="run it again")
    if isinstance(error, errors.UntranslatableCharacter | errors.CharacterNotInRepertoire):
        return CatalogError(f"the database can't hold the text: {reason}", where=where, hint="it must be in UTF8")
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedColumn, errors.DataException, errors.IntegrityError)):
        return damaged(address, reason)
    if isinstance(error, errors.OperationalError) and not error.sqlstate:
        return CatalogError(f"the connection was lost: {reason}", where=where, hint="run it again")
    return CatalogError(f"PostgreSQL reports: {reason}", where=where)


def _unreachable(address: Address, error: Exception) -> CatalogError:
    """The error for a server that does not answer, or does not let us in."""
    reason = first_line(error).removeprefix("connection failed: ").removeprefix("connection is bad: ")
    is_secret = "password" in reason or "authentication" in reason
    if is_secret:
        hint = "set PGPASSWORD, or write ~/.pgpass"
    elif re.search(r'FATAL:\s+database ".*" does not exist', reason):
        hint = "name one that is there, or let createdb make it; attnsearch makes only catalogs"
    else:
        hint = "see that the server runs, and that it lets you in"
    return CatalogError(f"can't connect: {reason}", where=address.shown, hint=hint)
