"""The rows of CSV or TSV → records. Cells are text, byte for byte: that `3.10` is a number matters in comparisons only.

The only exception is tags, which are a list.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from attnsearch.errors import InputError
from attnsearch.readers import dialect
from attnsearch.readers.dialect import Row
from attnsearch.syntax.values import Mapping

COLUMNS = 10_000

_SHOWN = 40  # characters of a cell in a message
_HEADINGS = 20  # rows, at most, above the names of the columns
_FILLED = 3  # cells with text of a row that has names below a heading
# What is a value rather than the name of a column, if values below it are so too.
_VALUE = re.compile(r"https?://\S+|[^\s@]+@[^\s@]+\.[a-z]+|\d{4}-\d\d-\d\d([T ].*)?")

_split = re.compile("[,;|]").split

log = logging.getLogger("attnsearch")


def read_delimited(
    lines: Iterable[str], where: str, delimiter: str | None, *, is_tsv: bool = False, as_it_stands: bool = False
) -> Iterator[Mapping]:
    """The records of the rows after the header; an empty cell is a field that the record lacks.

    Without a `delimiter`, it is found from the first rows of CSV, or in a first line `sep=;`. It is a tab for TSV,
    of which each line is a row if it is to be read `as_it_stands`; see `read_tsv`.

    Raises InputError, with `where` and the line, while they are read.
    """
    if is_tsv:
        return make_records(dialect.read_tsv(lines, None if as_it_stands else where), where, "TSV")
    sample = dialect.take_sample(lines)
    if sample.lines and (declared := dialect.declared_delimiter(sample.lines[0])):
        delimiter = delimiter or declared
        sample.lines[0] = "\n"  # a blank line, so that the others keep their numbers
    delimiter = delimiter or dialect.find_delimiter(sample, where)
    return make_records(dialect.read_csv(itertools.chain(sample.lines, lines), where, delimiter), where, "CSV")


def make_records(rows: Iterator[Row], where: str, form: str) -> Iterator[Mapping]:
    """The records of rows, the first of which has the names of the columns; `form` is for messages.

    Missing cells at the end of a row are empty. A column without a name is called after its number if it has text.
    Columns of one name are one field, a list. Headings above the names are left out, with a warning. Raises InputError.
    """
    rows = _skip_headings(rows, where)
    header = next((row for row in rows if any(map(str.strip, row[1]))), None)
    if header is None:
        return
    names, unnamed = _read_header(header[1], f"{where}:{header[0]}")
    width = len(names)
    # Names of several columns, and tags; whether it is tags.
    lists = {name: _is_tags(name) for name, count in Counter(names).items() if count > 1 or _is_tags(name)}
    is_unique = len({*names}) == width
    first = list(itertools.islice(rows, 2))
    if _looks_like_item(header[1], [cells for _, cells in first]):
        message = "%s:%d: the columns are named '%s'; if that is an item, add a row of names above it"
        log.warning(message, where, header[0], "', '".join(name[:_SHOWN] for name in names[:3]))
    for line, cells in itertools.chain(first, rows):
        if len(cells) > width and (any(cells[width:]) or len(cells) > COLUMNS):
            raise _long_error(cells, width, f"{where}:{line}", form)
        pairs = [(name, cell) for name, cell in zip(names, cells, strict=False) if cell]
        if not pairs or (len(pairs) == 1 and not pairs[0][1].strip()):
            continue
        record = Mapping(pairs) if is_unique else _gather(pairs, lists)
        for name in lists if is_unique else ():
            if name in record:
                record[name] = split_tags(record[name])
        record.line = line
        if unnamed and (called := unnamed & record.keys()):
            unnamed -= called
            log.warning("%s:%d: a column without a name is called '%s'", where, line, "', '".join(sorted(called)))
        yield record


def _skip_headings(rows: Iterator[Row], where: str) -> Iterator[Row]:
    """The rows without those above the names of the columns that have text in their first cell alone, as reports do."""
    above: list[Row] = []
    for line, cells in rows:
        filled = [number for number, cell in enumerate(cells) if cell.strip()]
        if filled not in ([], [0]) or len(above) == _HEADINGS:
            headings = [row for row in above if any(row[1])]
            if headings and len(filled) >= _FILLED:
                number, (heading, *_) = headings[0]
                log.warning("%s:%d: read as a heading, not as names of columns: '%s'", where, number, heading.strip())
                above = []
            return itertools.chain(above, [(line, cells)], rows)
        above.append((line, cells))
    return iter(above)


def _looks_like_item(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the cells of a header go on in the two rows below: as addresses or days, as the same text, as numbers."""
    for cell, *below in zip(cells, *rows, strict=False):
        value = cell.strip()
        if len(below) < 2 or not value:
            continue
        if all(map(_VALUE.fullmatch, (value, *below))) or set(below) == {cell}:
            return True
        if value.isdecimal() and below == [str(int(value) + 1), str(int(value) + 2)]:
            return True
    return False


def _read_header(cells: list[str], where: str) -> tuple[list[str], set[str]]:
    """The names of the columns, and those that we gave."""
    if len(cells) > COLUMNS:
        raise InputError(f"{len(cells):,} columns; at most {COLUMNS:,} are allowed", where=where)
    names = [name.strip() or f"column {number}" for number, name in enumerate(cells, 1)]
    return names, {name for name, cell in zip(names, cells, strict=True) if not cell.strip()}


def _gather(pairs: Iterable[tuple[str, str]], lists: dict[str, bool]) -> Mapping:
    """The fields of a record, of which those in `lists` are lists, of tags if it says so."""
    record = Mapping()
    for name, cell in pairs:
        if name in lists:
            record.setdefault(name, []).extend(split_tags(cell) if lists[name] else [cell])
        else:
            record[name] = cell
    return record


def split_tags(cell: str) -> list[str]:
    """The tags in a cell, parted by commas, semicolons or vertical bars."""
    return [tag for part in _split(cell) if (tag := part.strip())]


def _is_tags(name: str) -> bool:
    return name.casefold() == "tags"


def _long_error(cells: Sequence[str], width: int, where: str, form: str) -> InputError:
    """The error for a row with text beyond the last column."""
    extra = next(filter(None, cells[width:]), "")
    hint = f"'{extra[:_SHOWN]}' is beyond the last column; "
    if form == "TSV":
        hint += "a text in TSV has no tabs"
    else:
        hint += "put double quotes around a text that contains a delimiter or a line break"
    return InputError(f"{len(cells)} cells under {width} column{'s' * (width > 1)}", where=where, hint=hint)
