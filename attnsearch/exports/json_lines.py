"""An export as JSON Lines: the header, then an item on each line, with its vectors as lists of numbers.

Nine digits give every float32 back, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from attnsearch.exports.form import (
    PARTS,
    Entry,
    Floats,
    Header,
    check_counts,
    damaged,
    header_as_json,
    item_as_json,
    make_entry,
    parse_header,
    parse_vectors,
)
from attnsearch.readers.raw_file import RawFile
from attnsearch.readers.text_file import WHOLE, TextFile
from attnsearch.syntax import strict_json
from attnsearch.syntax.formats import EXPORT
from attnsearch.syntax.values import Mapping

START = b'{"%s"' % EXPORT.encode()  # of the file


def write_lines(header: Header, entries: Iterable[Entry], to_json: Callable[[Any], str]) -> Iterator[str]:
    """The lines of an export; `to_json` writes a value as JSON and ends the line."""
    yield to_json(header_as_json(header))
    for entry in entries:
        record = {**item_as_json(entry), "starts": list(entry.starts), "stops": list(entry.stops)}
        vectors = ", ".join(f"[{_format_vector(row)}]" for row in entry.x)
        yield f'{to_json(record).rstrip()[:-1]}, "embeddings": [{vectors}]}}\n'


def _format_vector(x: Floats) -> str:
    numbers = ("%.9g, " * len(x) % tuple(x.tolist())).split(", ")[:-1]
    for position in np.flatnonzero((x == 0) & np.signbit(x)):
        numbers[position] = "-0.0"  # -0 would be the integer 0
    return ", ".join(numbers)


def read_lines(raw: RawFile) -> tuple[Header, Iterator[Entry]]:
    """The header of a file that begins with `START`, and its items, read one by one. Raises InputError."""
    file = TextFile(raw)
    file.longest = WHOLE
    lines = enumerate(file, 1)
    _, first = next(lines)
    header = parse_header(strict_json.parse_line(first.rstrip(), where=raw.where), f"{raw.where}:1")

    entries = (_read_entry(line.rstrip(), header, raw.where, number) for number, line in lines if line.strip())
    return header, check_counts(entries, header, raw.where)


def _read_entry(line: str, header: Header, where: str, number: int) -> Entry:
    place = f"{where}:{number}"
    record = strict_json.parse_line(line, where=where, line=number, parts=PARTS)
    if not isinstance(record, Mapping):
        raise damaged("an item is not a JSON object", place)
    return make_entry(record, parse_vectors(record.get("embeddings"), header.d, place), header, place)
