"""The address of a catalog in a database, as it is written on the command line: postgresql://HOST/DATABASE/NAME.

All but the name is libpq's own form of an address, which libpq itself parses: https://www.postgresql.org/docs/current/
libpq-connect.html#LIBPQ-CONNSTRING-URIS. A password is never part of a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec

from attnsearch.errors import InputError
from attnsearch.storage.files import check_name

LONGEST_SCHEMA = 63  # bytes of a name in PostgreSQL

PREFIX = "attnsearch_"  # of a catalog's schema
_FORM = "write postgresql://USER@HOST/DATABASE/NAME"
_PARTS = re.compile(r"(postgres(?:ql)?://[^/?]*)/?([^?]*)(\?.*)?", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """A catalog in a database: its name, its schema, and what libpq needs to connect.

    `shown` is the address without a password.
    """

    name: str
    schema: str
    shown: str
    parameters: dict[str, str] = field(repr=False)  # may have a password


def parse_address(ref: str) -> Address:
    """The parts of an address. Raises InputError, which never repeats a password, also without psycopg."""
    if any(find_spec(library) is None for library in ("psycopg", "pgvector")):
        raise InputError("a database is asked through psycopg and pgvector, which are not installed",
                         hint="pip install 'attnsearch[postgres]'")  # fmt: skip
    match = _PARTS.fullmatch(ref)
    if not match or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", ref):
        raise InputError("invalid address of a catalog in a database", hint=_FORM)
    server, path, query = match[1], match[2], match[3] or ""
    database, *names = path.split("/")
    if database and not any(names):
        raise _ambiguous(database)
    if not database or len(names) != 1:
        hint = f"{_FORM}; in a password, / is written %2F, and @ %40" if "@" in ref else _FORM
        raise InputError("the address of a catalog has a database and a name after the host", hint=hint)
    is_secret = "@" in server + query or "password" in query
    parameters = _parse(f"{server}/{database}{query}", is_secret=is_secret)
    if not re.fullmatch(r"[\d,]*", parameters.get("port", "")):
        raise InputError("the port in an address must be a number", hint=_FORM)
    decoded = _parse(f"postgresql:///{names[0].replace(' ', '%20')}", is_secret=False)
    name = check_name(decoded.get("dbname", ""))
    schema = f"{PREFIX}{name}"
    if (size := len(schema.encode())) > LONGEST_SCHEMA:
        message = f"the schema '{schema}' would have {size} bytes, and PostgreSQL takes {LONGEST_SCHEMA}"
        raise InputError(message, hint="choose a shorter name")
    return Address(name, schema, _show(parameters, name), parameters)


def _ambiguous(part: str) -> InputError:
    """The error for an address with one part after the host, which could be a database or a catalog."""
    shown = part if re.fullmatch(r"[\w .-]+", part) else "…"  # or it is the end of a password with a slash
    message = f"'{shown}' may be a database, whose catalog is not named, or a catalog, whose database is not named"
    return InputError(message, hint=f"write postgresql://HOST/{shown}/NAME or postgresql://HOST/DATABASE/{shown}")


def _parse(url: str, *, is_secret: bool) -> dict[str, str]:
    """The parameters in an address of libpq's. Raises InputError, with libpq's words if they can't hold a password."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error as error:
        words = str(error).strip()
        is_name = (
            re.fullmatch(r'invalid URI query parameter: "[a-z_]{1,40}"', words) and "@" not in url.partition("?")[2]
        )
        reason = "" if is_secret and not is_name else f": {words[:200]}"
        raise InputError(f"invalid address of a catalog in a database{reason}", hint=_FORM) from None


def _show(parameters: dict[str, str], name: str) -> str:
    """The address again, without what may be secret: with the folder of a socket, but no other parameter."""
    user, host, port = (parameters.get(part, "") for part in ("user", "host", "port"))
    socket = host if host.startswith(("/", "@")) else ""
    host = "" if socket else f"[{host}]" if ":" in host else host
    server = f"{user}@{host}" if user else host
    query = f"?host={socket}{f'&port={port}' if port else ''}" if socket else ""
    return f"postgresql://{server}{f':{port}' if host and port else ''}/{parameters['dbname']}/{name}{query}"
