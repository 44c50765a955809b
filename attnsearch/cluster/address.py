"""The address of a cluster, as it is written on the command line."""

from __future__ import annotations

import functools
import logging
import re
import warnings
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attnsearch.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

DEADLINE = 60.0  # seconds until a query is answered, by default

_CLOSING = 1.0  # seconds for a client to close

log = logging.getLogger("attnsearch")


def check_address(address: str) -> None:
    """Raise InputError for an address that is of no cluster, and for any without Dask."""
    if not re.fullmatch(r"(tcp|tls)://\S+:\d+|dask:|local:[1-9]\d{0,2}", address):
        hint = "write tcp://HOST:PORT, tls://HOST:PORT, dask: or local:N, 1 to 999 processes"
        raise InputError(f"invalid address of a cluster '{address}'", hint=hint)
    if find_spec("distributed") is None:
        raise InputError("other machines are asked through Dask, which is not installed",
                         hint="pip install 'attnsearch[dask]'")  # fmt: skip
    if address.startswith("tcp://") and not re.match(r"tcp://(localhost|127\.|\[::1\])", address):
        _warn_of_listeners(address)


def open_client(target: object, file: object, seconds: float) -> Client:
    """A client of the scheduler at an address, or in a file. Raises what Dask raises if none answers in time.

    Dask closes a client whose constructor failed only when it is collected. If that is while the next one starts, each
    waits for the other without end. So it is closed at once.
    """
    import distributed

    class ClosingClient(distributed.Client):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            try:
                super().__init__(*arguments, **options)
            except BaseException:
                with suppress(Exception):
                    self.close(timeout=_CLOSING)
                raise

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other versions, which we refuse ourselves
        return ClosingClient(target, scheduler_file=file, timeout=seconds, set_as_default=False)


@functools.cache  # once in a process, which may check an address before it has anything else
def _warn_of_listeners(address: str) -> None:
    log.warning("%s is not encrypted, and whoever reaches it can run code on its workers; use tls://", address)
