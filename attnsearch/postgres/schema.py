"""The tables of a catalog, in a schema of its own. Those of `storage.database` and `postings`, but for their types.

    form      the number of this form
    info      the catalog's record of itself, each member as JSON
    segments  the keys that one commit added, and which of them are no longer anyone's
    items     the items
    keys      the keys: the item of each, the characters of its text, and the embedding
    fields    what the catalog knows of its fields
    about, facets, forms, texts, terms   the postings of each segment, see `postings.facets` and `postings.terms`
    learned, feedback                    what people taught it

No row is changed where the content is not. Ids and terms may be longer than an index of PostgreSQL takes, but not than
their hashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attnsearch.errors import CatalogError, first_line
from attnsearch.postgres.address import Address
from attnsearch.postgres.connection import damaged, find_tables, missing, reporting, vector_home
from attnsearch.storage.database import Info, parse_info
from attnsearch.storage.segment import SegmentList, parse_segments

if TYPE_CHECKING:
    from psycopg import Connection

FORM = 1
WIDEST = 16_000  # dims of a vector of pgvector
_IN_PLACE = 1_900  # dims, at most, of a vector that fits in a row, where a scan reads it; others lie elsewhere

TABLES = """
CREATE TABLE form (number integer NOT NULL);
CREATE TABLE info (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE segments (first bigint PRIMARY KEY, rows bigint NOT NULL, file text NOT NULL, dead bytea, joined bytea);
CREATE TABLE items (item bigint PRIMARY KEY, id text COLLATE "C" NOT NULL, title text NOT NULL,
                    description text NOT NULL, fields json NOT NULL, text_sha256 bytea NOT NULL, sum bigint NOT NULL,
                    EXCLUDE USING hash (id WITH =));
CREATE TABLE keys (key bigint PRIMARY KEY, item bigint NOT NULL, start bigint NOT NULL, stop bigint NOT NULL,
                   x vector NOT NULL, sum bigint NOT NULL, x_sum bigint NOT NULL);
CREATE INDEX keys_by_item ON keys (item);
CREATE TABLE fields (rowid bigint PRIMARY KEY, name text NOT NULL, kind text NOT NULL, unread bigint NOT NULL,
                     items bigint NOT NULL, lists bigint NOT NULL, forms text NOT NULL, low text NOT NULL,
                     high text NOT NULL, counts text, sum bigint NOT NULL);
CREATE TABLE about (about bigint PRIMARY KEY, segment bigint NOT NULL, label text NOT NULL, covered bytea NOT NULL,
                    name text NOT NULL, reading text NOT NULL, has_field bigint NOT NULL);
CREATE TABLE facets (about bigint NOT NULL, value text COLLATE "C" NOT NULL, folded text COLLATE "C" NOT NULL,
                     number bytea, begin double precision, rows bytea NOT NULL);
CREATE INDEX facets_by_about ON facets (about);
CREATE TABLE forms (about bigint NOT NULL, form text NOT NULL, rows bytea NOT NULL);
CREATE INDEX forms_by_about ON forms (about);
CREATE TABLE texts (segment bigint PRIMARY KEY, label text NOT NULL, lengths bytea NOT NULL);
CREATE TABLE terms (segment bigint NOT NULL, term text COLLATE "C" NOT NULL, rows bytea NOT NULL,
                    counts bytea NOT NULL);
CREATE INDEX terms_by_term ON terms USING hash (term);
CREATE TABLE learned (content bytea NOT NULL);
CREATE TABLE feedback (number bigint PRIMARY KEY, content bytea NOT NULL);
"""
TAUGHT = ("learned", "feedback")  # tables of what people taught the catalog

# Only plain tables with these columns, and nothing that runs when they are read or written: a schema may be anyone's.
# The numbers are those of collations, none, the database's own and "C": by others, different texts may be equal.
_FOUND = """
SELECT relname, relkind <> 'r' OR relpersistence <> 'p' OR relhasrules OR relhastriggers OR relrowsecurity
        OR relhassubclass OR relispartition OR relchecks > 0,
    atthasdef OR attidentity <> '' OR atttypmod <> -1 OR attcollation NOT IN (0, 100, 950),
    attname || ' ' || CASE
        WHEN kind.typnamespace = 'pg_catalog'::regnamespace OR typname = 'vector' AND kind.typnamespace = extnamespace
        THEN typname ELSE '?' END
FROM pg_class JOIN pg_namespace AS home ON home.oid = relnamespace
    LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_type AS kind ON kind.oid = atttypid LEFT JOIN pg_extension ON extname = 'vector'
WHERE nspname = %s AND relkind NOT IN ('i', 'I') ORDER BY relname <> 'form', relname, attnum
"""
# What else may be called, in the schema; and what its indexes call but for PostgreSQL's own and pgvector's.
_MORE = """
WITH home AS (SELECT oid FROM pg_namespace WHERE nspname = %s),
    kind AS (SELECT oid FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace
             AND relname IN ('pg_proc', 'pg_operator', 'pg_type', 'pg_collation'))
SELECT FROM pg_depend JOIN home ON refclassid = 'pg_namespace'::regclass AND refobjid = home.oid
    JOIN kind ON classid = kind.oid
UNION ALL
SELECT FROM pg_depend JOIN pg_class ON classid = 'pg_class'::regclass AND pg_class.oid = objid AND relkind = 'i'
    JOIN home ON relnamespace = home.oid JOIN kind ON refclassid = kind.oid
WHERE NOT EXISTS (SELECT FROM pg_depend AS member JOIN pg_extension ON member.refobjid = pg_extension.oid
    WHERE member.deptype = 'e' AND extname = 'vector' AND (member.classid, member.objid) = (pg_depend.refclassid,
        pg_depend.refobjid))
"""
_TYPES = {"bigint": "int8", "integer": "int4", "double": "float8"}  # by the names of SQL


def schema_exists(connection: Connection[Any], address: Address) -> bool:
    """Whether there is a schema of that name, of a catalog or not."""
    statement = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s)"
    row = connection.execute(statement, [address.schema]).fetchone()
    return bool(row and row[0])


def check_width(d: int, address: Address) -> None:
    """Raise CatalogError for vectors of more dims than pgvector takes."""
    if d > WIDEST:
        message = f"pgvector takes vectors of {WIDEST:,} dims, and the model's have {d:,}"
        raise CatalogError(message, where=address.shown, hint="say --dims for fewer, if the model allows that")


def create_tables(connection: Connection[Any], address: Address) -> None:
    """Create the schema and its empty tables. Raises CatalogError, and what psycopg raises."""
    from psycopg import sql

    home = ensure_vector(connection, address)
    schema = sql.Identifier(address.schema)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    path = sql.SQL("SET LOCAL search_path TO {}, pg_catalog, {}").format(schema, sql.Identifier(home))
    with connection.transaction():
        connection.execute(path)
        connection.execute(TABLES)
        connection.execute("INSERT INTO form VALUES (%s)", [FORM])
    find_tables(connection, address)


def place_vectors(connection: Connection[Any], address: Address, d: int) -> None:
    """Let vectors of `d` dims, which are all that there will be, lie in the rows themselves, if these can hold them."""
    check_width(d, address)
    storage = "PLAIN" if d <= _IN_PLACE else "EXTERNAL"
    statement = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'keys'::regclass AND attname = 'x'"
    (row,) = connection.execute(statement)
    if row[0] != storage[0].lower():  # or it would wait for all who read
        connection.execute(f"ALTER TABLE keys ALTER x SET STORAGE {storage}")


def prove_rights(connection: Connection[Any], address: Address) -> None:
    """Raise CatalogError unless this role may write the catalog, or create it: nothing of the attempt stays."""
    (row,) = connection.execute("SELECT current_setting('server_encoding')")
    if row[0] != "UTF8":
        raise CatalogError(f"the database has the encoding {row[0]}", where=address.shown, hint="use one with UTF8")
    with reporting(address):
        with connection.transaction(force_rollback=True):
            if schema_exists(connection, address):
                hold_tables(connection, address)
                for table in table_names():
                    connection.execute(f"DELETE FROM {table} WHERE false")  # noqa: S608 (our own words)
                    connection.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE false")  # noqa: S608
            else:
                create_tables(connection, address)
        find_tables(connection, address)


def ensure_vector(connection: Connection[Any], address: Address) -> str:
    """The schema that pgvector is in, which is created if need be. Raises CatalogError if that can't be."""
    from psycopg import errors

    hint = "let a superuser run there: CREATE EXTENSION vector"
    if not vector_home(connection):
        try:
            with connection.transaction():
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
        except (errors.InsufficientPrivilege, errors.InvalidSchemaName):
            message = "the database does not have pgvector, and this role may not create it"
            raise CatalogError(message, where=address.shown, hint=hint) from None
        except (errors.FeatureNotSupported, errors.UndefinedFile, errors.UndefinedObject) as error:
            message = f"the server does not have pgvector: {first_line(error)}"
            raise CatalogError(
                message, where=address.shown, hint="install it there: github.com/pgvector/pgvector"
            ) from None
        except errors.UniqueViolation:
            pass  # another attnsearch created it
    return vector_home(connection) or "public"


def check_tables(connection: Connection[Any], address: Address) -> None:
    """Raise MissingError if there are none, CatalogError for those of a newer attnsearch or of something else."""
    from psycopg import sql

    tables = _find_tables(connection, address)
    # By its full name: of a schema that we may not use, PostgreSQL would only say that there is no such table.
    form = connection.execute(sql.SQL("SELECT number FROM {}.form").format(sql.Identifier(address.schema))).fetchall()
    if len(form) != 1:
        raise damaged(address, "the table form does not have one row")
    if form[0][0] > FORM:
        newer = f"was made by a newer attnsearch (form {form[0][0]}, not {FORM})"
        raise CatalogError(newer, where=address.shown,
                           hint="upgrade attnsearch, or remove the catalog with --all and index it again")  # fmt: skip
    if tables != _columns():
        raise _foreign(address, "its tables have other columns")


def hold_tables(connection: Connection[Any], address: Address, tables: Iterable[str] = ()) -> None:
    """As `check_tables`, for a transaction that writes these tables, or else all.

    Until it ends, nobody lets them run anything.
    """
    check_tables(connection, address)  # or what is locked may be anything
    connection.execute(f"LOCK TABLE {', '.join(tables or table_names())} IN ROW EXCLUSIVE MODE")
    check_tables(connection, address)


def _find_tables(connection: Connection[Any], address: Address) -> dict[str, list[str]]:
    """The columns of each table, as `_FOUND` has them, the table form first.

    Raises MissingError if there is no such schema, CatalogError if it is not ours.
    """
    tables: dict[str, list[str]] = {}
    is_plain = True
    for name, is_special, is_special_column, column in connection.execute(_FOUND, [address.schema]):
        tables.setdefault(name, []).append(column)
        is_plain = is_plain and not is_special and not is_special_column
    if not tables:
        if not schema_exists(connection, address):
            raise missing(connection, address)
        raise _foreign(address, "it has no tables")
    if not is_plain or connection.execute(_MORE, [address.schema]).fetchone() is not None:
        raise _foreign(address, "it has more than plain tables")
    if "form" not in tables:
        raise _foreign(address, "it has other tables")
    return tables


def drop_tables(connection: Connection[Any], address: Address) -> None:
    """Drop the schema and its tables, whatever their form. Raises as `check_tables` does, and what psycopg raises.

    What others made of them, such as a view, stays, and then they do too.
    """
    from psycopg import sql

    schema = sql.Identifier(address.schema)
    for name in _find_tables(connection, address):  # readers begin with the first: then neither waits for the other
        connection.execute(sql.SQL("DROP TABLE {}.{}").format(schema, sql.Identifier(name)))
    connection.execute(sql.SQL("DROP SCHEMA {}").format(schema))


def _foreign(address: Address, what: str) -> CatalogError:
    message = f"the schema {address.schema} is not a catalog of attnsearch: {what}"
    return CatalogError(message, where=address.shown, hint="choose another name")


def table_names() -> list[str]:
    """The names of all tables."""
    return list(_columns())


def _columns() -> dict[str, list[str]]:
    """The columns of each table, as `_FOUND` has them."""
    tables = {}
    for statement in TABLES.split(";"):
        words = " ".join(statement.split())
        if words.startswith("CREATE TABLE "):
            name, _, rest = words.removeprefix("CREATE TABLE ").partition(" (")
            parts = [part.split() for part in rest.removesuffix(")").split(", ") if not part.startswith("EXCLUDE")]
            tables[name] = [f"{column} {_TYPES.get(kind, kind)}" for column, kind, *_ in parts]
    return tables


def has_catalog(connection: Connection[Any], address: Address) -> bool:
    """Whether there is a catalog, and not only what a removed one was taught. Raises CatalogError for other tables."""
    if not schema_exists(connection, address):
        return False
    check_tables(connection, address)
    return bool(connection.execute("SELECT 1 FROM info").fetchone())


def read_info(connection: Connection[Any]) -> Info:
    """The catalog's info. Raises ValueError, LookupError or TypeError if it is not what was written."""
    return parse_info(dict(connection.execute("SELECT name, value FROM info").fetchall()))


def read_segments(connection: Connection[Any], listing: int | None = None) -> SegmentList:
    """The list of segments, see `segment.parse_segments`. The checksums of their vectors are in the table `keys`."""
    rows = connection.execute("SELECT first, rows, file, ''::bytea, dead, joined FROM segments ORDER BY first")
    return parse_segments(rows.fetchall(), listing)
