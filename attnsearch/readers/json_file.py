"""A file of JSON or JSON Lines → its documents, or its lines one by one. Its content decides, not its name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from attnsearch.errors import InputError
from attnsearch.readers.text_file import LINE, TextFile
from attnsearch.syntax import strict_json
from attnsearch.syntax.values import Mapping, Value


def read_json(file: TextFile, start: list[str], *, is_lines: bool) -> list[Value] | Iterator[Mapping]:
    """The documents of the file, or an iterator of its lines if it has one object on each.

    `start` holds the lines that were read already. `is_lines` says that a single line with an object is JSON Lines too.

    Raises InputError, with the line, for what is not JSON; for JSON Lines while they are read.
    """
    lines = iter(file)
    content = [line for line in start if line.strip()]
    while len(content) < 2 and (line := next(lines, None)) is not None:
        start.append(line)
        if line.strip():
            content.append(line)
    file.longest = LINE
    if not content:
        return []
    if _are_lines(content, is_lines=is_lines):
        if any(len(line) > LINE for line in content):
            raise InputError(f"a line of more than {LINE >> 20} MiB", where=file.where)
        return read_lines(enumerate(itertools.chain(start, lines), 1), file.where)
    return strict_json.parse_documents("".join(start) + file.read_rest(), where=file.where)


def _are_lines(content: list[str], *, is_lines: bool) -> bool:
    """Whether a file whose first lines are given has an object on each."""
    first = content[0].strip()
    if not (first.startswith("{") and first.endswith("}")):
        return False
    if len(content) == 1 and not is_lines:
        return False
    if len(content) > 1 and content[1].lstrip().startswith("{"):
        return True
    try:
        strict_json.parse_line(first, where="")
    except InputError:
        return False
    return True


def read_lines(lines: Iterable[tuple[int, str]], where: str) -> Iterator[Mapping]:
    """The objects on lines, each of which has a number; none on an empty one. Raises InputError, with that number."""
    for number, line in lines:
        if not line.strip():
            continue
        value = strict_json.parse_line(line.rstrip(), where=where, line=number)
        if not isinstance(value, Mapping):
            raise InputError("not a JSON object", where=f"{where}:{number}", hint="write one {…} on each line")
        yield value
