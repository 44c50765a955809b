"""The address of a cluster, as it is written on the command line."""

from __future__ import annotations

import functools
import logging
import re
from importlib.util import find_spec

from attnsearch.errors import InputError

DEADLINE = 60.0  # seconds until a query is answered, by default

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


@functools.cache  # once in a process, which may check an address before it has anything else
def _warn_of_listeners(address: str) -> None:
    log.warning("%s is not encrypted, and whoever reaches it can run code on its workers; use tls://", address)
