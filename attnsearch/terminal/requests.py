"""What a command line and standard input ask: the requests, one after another."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from attnsearch.errors import InputError

QUERY = 128 << 10  # most bytes of a query on standard input; Linux allows as many in an argument


def read_queries(texts: list[str]) -> Iterator[str]:
    """The queries of the command line. `-`, or no text with a pipe on stdin, stands for the lines of stdin."""
    if not texts and sys.stdin.isatty():
        raise InputError("no query", hint='give one: attnsearch query "science fiction"')
    for text in texts or ["-"]:
        if text == "-":
            yield from _read_lines()
        else:
            yield text


def _read_lines() -> Iterator[str]:
    """The lines of stdin that are not blank."""
    number = 0
    while raw := sys.stdin.buffer.readline(QUERY + 1):
        number += 1
        where = f"standard input:{number}"
        if len(raw) > QUERY:
            raise InputError(f"a query of more than {QUERY >> 10} KiB", where=where, hint="write one on each line")
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError:
            raise InputError("not UTF-8", where=where) from None
        if line:
            yield line
