"""What a command line and standard input ask: batches of requests, each as soon as it is there."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BufferedReader
from typing import Literal, cast

from attnsearch.errors import InputError
from attnsearch.terminal import streams

QUERY = 128 << 10  # most bytes of a request on standard input; Linux allows as many in an argument
BATCH = 256  # most requests answered together
FIRST = 16  # of the first batch, so that there is soon something to read

_READ = 1 << 20  # bytes; more than Python's own buffer holds, so that a read leaves nothing in there
_BOM = b"\xef\xbb\xbf"
_EXAMPLES = {
    "query": 'give one: attnsearch query "science fiction"',
    "request": 'give some: attnsearch heatmap "science fiction" "a voyage at sea"',
    "item": "name one by its id or its title: attnsearch show ITEM",
}


def check_input(texts: list[str], catalogs: list[str] | None) -> None:
    """Raise InputError if requests and a catalog would both come from standard input."""
    if "-" in texts and "-" in (catalogs or [os.environ.get("ATTNSEARCH_CATALOG", "")]):
        hint = "name the requests as TEXT"
        raise InputError("standard input can't be both the catalog and the requests", hint=hint)


def read_batches(
    texts: list[str], *, null: bool = False, noun: Literal["query", "request", "item"] = "query"
) -> Iterator[list[str]]:
    """The requests of a command line. `-`, or no text with a pipe on stdin, stands for the lines of stdin.

    A batch has what can be read without waiting for more, so that who writes a line gets its answer. What was written
    to stdout is flushed before each read. With `null`, a NUL ends a request, as `find -print0` writes it. `noun` is
    what errors call a request.

    Raises InputError for a terminal in the place of a pipe, and for a request that is too long or not UTF-8, after the
    batch of those before it.
    """
    if not texts and sys.stdin.isatty():
        raise InputError(f"no {noun}", hint=_EXAMPLES[noun])
    if null and texts and "-" not in texts:
        raise InputError("--null is for queries on standard input", hint="leave it out, or add -")
    size = FIRST
    for is_stdin, group in itertools.groupby(texts or ["-"], "-".__eq__):
        for arrived in _read_stdin(noun, null=null) if is_stdin else [list(group)]:
            while arrived:
                yield arrived[:size]
                arrived, size = arrived[size:], BATCH
    if size == FIRST:
        raise InputError(f"no {noun} on standard input", hint=f"write one {_place(null=null)}")


def _place(*, null: bool) -> str:
    return "before each NUL" if null else "on each line"


def are_several(texts: list[str]) -> bool:
    """Whether the answers make a list: unless there is exactly one text, even when standard input has one line."""
    return len(texts) != 1 or texts == ["-"]


def describe_words(texts: list[str]) -> str:
    """What several texts are, if they may have been meant as the words of one; else empty."""
    if len(texts) < 2 or any(len(text.split()) != 1 or text == "-" for text in texts):
        return ""
    import shlex  # which other queries do without

    return f"{len(texts)} queries, a word each; for one, quote them: attnsearch query {shlex.quote(' '.join(texts))}"


def _read_stdin(noun: str, *, null: bool) -> Iterator[list[str]]:
    """What each read of stdin completes; whatever is wrong with a request is raised after those before it."""
    separator, rest, is_open = b"\0" if null else b"\n", b"", True
    numbers = itertools.count(1)
    while is_open:
        streams.flush()
        part = _read_what_is_there()
        *whole, rest = (rest + part).split(separator)
        is_open = bool(part) and len(rest) <= QUERY
        yield from _parse(whole if is_open else [*whole, rest], numbers, noun, null=null)


def _read_what_is_there() -> bytes:
    """Wait until stdin has something, and read that; nothing at its end."""
    import select  # which a query of the command line does without

    with suppress(OSError, ValueError):  # not a descriptor; or a system that waits only for sockets
        select.select([sys.stdin], [], [])  # a pipe that does not block would seem to have ended
    try:
        streams.used.set()
        return cast(BufferedReader, sys.stdin.buffer).read1(_READ)
    except OSError as error:
        raise InputError(error.strerror or str(error), where="standard input") from None


def _parse(raws: Iterable[bytes], numbers: Iterator[int], noun: str, *, null: bool) -> Iterator[list[str]]:
    """The requests that are not blank, as one batch; then the error of the first that is invalid."""
    batch: list[str] = []
    problem = None
    for raw in raws:
        number = next(numbers)
        where = f"standard input:{number}"
        if len(raw) > QUERY:
            hint = f"write one {_place(null=null)}"
            problem = InputError(f"the {noun} is longer than {QUERY >> 10} KiB", where=where, hint=hint)
        elif b"\0" in raw:
            hint = f"write one {_place(null=null)}" if noun == "item" else "-0 reads those that end with one"
            problem = InputError(f"the {noun} has a NUL", where=where, hint=hint)
        else:
            try:
                text = (raw.removeprefix(_BOM) if number == 1 else raw).decode().strip()
            except UnicodeDecodeError:
                problem = InputError("not UTF-8", where=where)
        if problem:
            break
        if text:
            batch.append(text)
    yield batch
    if problem:
        raise problem
