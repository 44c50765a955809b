"""The address of a cluster, as it is written on the command line or in Dask's configuration → who is there."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsearch.errors import CatalogError, InputError
from attnsearch.storage.files import open_to_read

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

DEADLINE = 60.0  # seconds until a query is answered, by default
_MOST = 16  # processes on a machine, or two for each of its cores
_LARGEST = 1 << 20  # bytes of a scheduler's file
_CLOSING = 1.0  # seconds for a client to close
_GATHERING = 0.001  # seconds in which messages are gathered that go together: Dask's 10 ms would be most of a query

log = logging.getLogger("attnsearch")


def check_address(address: str) -> None:
    """Raise InputError for an address that is of no cluster, and for any without Dask."""
    if not re.fullmatch(r"(tcp|tls)://[^\s@]+:\d+|dask:|local:[1-9]\d*", address) or not _has_port(address):
        hint = "write tcp://HOST:PORT, tls://HOST:PORT, dask: or local:N"
        shown = re.sub(r"//\S*@", "//…@", address)  # that of a database, say, may have a password
        raise InputError(f"invalid address of a cluster '{shown}'", hint=hint)
    most = max(_MOST, 2 * (os.cpu_count() or 1))
    if address.startswith("local:") and (len(address) > 10 or int(address[6:]) > most):
        raise InputError(f"'{address}' asks for more processes than this machine can use", hint=f"at most local:{most}")
    if find_spec("distributed") is None:
        raise InputError("other machines are asked through Dask, which is not installed",
                         hint="pip install 'attnsearch[dask]'")  # fmt: skip
    if address.startswith("tcp://") and not re.match(r"tcp://(localhost|127\.|\[::1\])", address):
        _warn_of_listeners(address)


def find_scheduler(address: object, file: object) -> str:
    """The address of a scheduler, as Dask's configuration has it, or the file that a scheduler writes.

    Dask itself waits for that file without end. Raises InputError if there is neither, CatalogError for no such file.
    """
    if not (address or file):
        hint = "set DASK_SCHEDULER_ADDRESS, or name it: tcp://HOST:8786"
        raise InputError("Dask's configuration names no scheduler", where="dask:", hint=hint)
    if file:
        try:
            with open_to_read(Path(str(file)), follow_links=True) as stream:
                address = json.loads(stream.read(_LARGEST))["address"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it has no address"
            message = f"no Dask scheduler is known from its file: {reason}"
            raise CatalogError(
                message, where=str(file), hint="start it: 'dask scheduler --scheduler-file FILE'"
            ) from None
    if not isinstance(address, str) or not _has_port(address):
        raise InputError("Dask's configuration has no valid address of a scheduler", where="dask:")
    return address


def open_client(target: str | LocalCluster, seconds: float) -> Client:
    """A client of the scheduler at an address. Raises what Dask raises, of any kind, if none answers within `seconds`.

    Dask itself waits without end for who accepts a connection, and then says nothing. And a client that it has given up
    it closes when that is collected, which may wait for itself.
    """
    import distributed

    class LimitedClient(distributed.Client):  # type: ignore[misc]
        def start(self, **options: Any) -> None:
            try:
                super().start(**options)
            except BaseException:
                with suppress(Exception):
                    self.close(timeout=_CLOSING)
                self._loop_runner.stop()
                self.status = "closed"
                raise

        async def _ensure_connected(self, timeout: float | None = None) -> None:
            await distributed.utils.wait_for(super()._ensure_connected(timeout), seconds)
            if self.scheduler_comm:
                self.scheduler_comm.interval = _GATHERING

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other versions, which we refuse ourselves
        return LimitedClient(target, timeout=seconds, set_as_default=False)


def _has_port(address: str) -> bool:
    """Whether the port of an address, if it has one, is the number of a port."""
    port = re.search(r":(\d+)$", address)
    return not (port and "://" in address) or (len(port[1]) <= 5 and 0 < int(port[1]) < 1 << 16)


@functools.cache  # once in a process, which may check an address before it has anything else
def _warn_of_listeners(address: str) -> None:
    log.warning("%s is not encrypted, and whoever reaches it can run code on its workers; use tls://", address)
