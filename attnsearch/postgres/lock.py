"""One writer at a time, by an advisory lock of the server, which ends with the connection however that ends.

Whoever waits for a writer waits as long as that makes progress: as its connection runs statements.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from attnsearch.postgres.address import Address
from attnsearch.storage.checksum import row_checksum
from attnsearch.storage.failures import BusyError

if TYPE_CHECKING:
    from psycopg import Connection

_PAUSE = 0.05  # seconds between two attempts
_LOOK = 1.0  # seconds between two looks at whether the other writer makes progress

_HOLDER = """
SELECT state_change::text FROM pg_catalog.pg_locks JOIN pg_catalog.pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = %s
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""

log = logging.getLogger("attnsearch")


def acquire(connection: Connection[Any], address: Address, wait: float) -> None:
    """Take the catalog's lock, which the connection then holds until it ends.

    Raises BusyError if another writer makes no progress for `wait` seconds; of one of another role, which the server
    hides, if it holds the lock for so long.
    """
    number = row_checksum("attnsearch", address.schema)
    deadline, looked, sign = time.monotonic() + wait, 0.0, None
    is_waiting = False
    while not _try(connection, number):
        now = time.monotonic()
        if not is_waiting and wait:
            log.warning("waiting for another attnsearch to finish writing to %s", address.shown)
            is_waiting = True
        if now - looked > _LOOK:
            row = connection.execute(_HOLDER, [number]).fetchone()
            if row != sign:
                sign, deadline = row, now + wait
            looked = now
        if now >= deadline:
            raise BusyError(
                "another attnsearch is writing to it", where=address.shown, hint="try again when it is done"
            )
        time.sleep(_PAUSE)


def _try(connection: Connection[Any], number: int) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [number]).fetchone()
    return bool(row and row[0])
