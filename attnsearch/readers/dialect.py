"""The lines of CSV or TSV → rows of cells, and which character parts the cells: found from the first rows.

A delimiter fits as far as the rows, read strictly, have as many cells as the header. csv.Sniffer takes letters for
delimiters where rows are short; clevercsv takes blanks, and a quarter of a second to load; neither tells that two fit.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.readers.text_file import LINE, LINE_OVERHEAD
from attnsearch.syntax.names import NAMES, fold_name

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
SAMPLE = 200  # lines

_SAMPLE_SIZE = 1 << 20  # characters
_NAME, _ENOUGH = 2, 3  # words of a column's name, at most; rows that show without names that a file is a table
_DECLARED = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*')  # Excel's first line
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')  # a cell quoted whole

Row = tuple[int, list[str]]
"""The line on which a row begins, and its cells."""


class Sample(NamedTuple):
    """The first lines of a file, and whether they are all of it."""

    lines: list[str]
    is_whole: bool


class _Fit(NamedTuple):
    """How the rows below the header look with a delimiter: how many have fewer cells than it, or more."""

    header: list[str]
    rows: int
    short: int
    long: int

    @property
    def columns(self) -> int:
        """How many cells the header has."""
        return len(self.header)

    @property
    def has_names(self) -> bool:
        """Whether the header has a name that is known, or nothing but short ones, unlike a sentence with commas."""
        is_known = any(fold_name(cell) in NAMES.all for cell in self.header)
        return is_known or all(len(cell.split()) <= _NAME for cell in self.header)

    @property
    def is_table(self) -> bool:
        """Whether these are the rows of a table, if nothing else says so."""
        is_likely = self.rows > 0 and not self.long and self.misfit <= 0.5
        return is_likely and (self.has_names or (self.rows >= _ENOUGH and not self.short))

    @property
    def misfit(self) -> float:
        """The share of rows of another length."""
        return (self.short + self.long) / self.rows if self.rows else 0.0


class _Feed:
    """The lines of CSV for csv.reader, up to a limit: an open quote would make one row of all that follow."""

    def __init__(self, lines: Iterable[str], where: str, delimiter: str) -> None:
        self.lines, self.where, self.delimiter = lines, where, delimiter
        self.size = 0  # of the row so far, 0 at its beginning
        self.begin = 1  # the line on which it begins
        self.text = ""

    def __iter__(self) -> Iterator[str]:
        for text in self.lines:
            if ' "' in text:
                text = close_gaps(text, self.delimiter, is_open=self.size > 0)
            self.text = text
            self.size += len(text) + LINE_OVERHEAD
            if self.size > LINE:
                where = f"{self.where}:{self.begin}"
                raise InputError(f"a row of more than {LINE >> 20} MiB", where=where, hint="is a quote left open?")
            yield text


def take_sample(lines: Iterable[str]) -> Sample:
    """The first lines."""
    sample: list[str] = []
    size = 0
    for line in lines:
        sample.append(line)
        size += len(line)
        if len(sample) == SAMPLE or size > _SAMPLE_SIZE:
            return Sample(sample, is_whole=False)
    return Sample(sample, is_whole=True)


def parse_delimiter(text: str) -> str:
    """The delimiter that a user names: one character, or `tab`. Raises InputError for others."""
    delimiter = "\t" if text in ("tab", "\\t") else text
    if len(delimiter) != 1 or delimiter in '"\r\n\0' or "\ud800" <= delimiter <= "\udfff":
        hint = "use one character, or tab; quotes and line ends part no cells"
        raise InputError(f"invalid --delimiter '{text[:40]}'", hint=hint)
    return delimiter


def declared_delimiter(line: str) -> str | None:
    """The delimiter that the line `sep=;` declares, as Excel writes and reads it; None for any other line."""
    match = _DECLARED.fullmatch(line)
    return match[1] if match else None


def find_delimiter(sample: Sample, where: str) -> str:
    """The delimiter of a file of CSV that begins so; a comma if it has one column.

    Raises InputError if two fit equally well.
    """
    return _choose(_measure(sample, where), where) or ","


def guess_delimiter(sample: Sample, where: str) -> str | None:
    """The delimiter of a file that need not be CSV: None unless it has rows that fit a header of names.

    Raises InputError if two fit equally well.
    """
    fits = _measure(sample, where, tsv=True).items()
    return _choose({delimiter: fit for delimiter, fit in fits if fit.is_table}, where)


def read_csv(lines: Iterable[str], where: str, delimiter: str) -> Iterator[Row]:
    """The rows of CSV that are not blank.

    Blanks before an opening quote are not text. Raises InputError, with `where` and the line, while they are read.
    """
    csv.field_size_limit(LINE)
    feed = _Feed(lines, where, delimiter)
    rows = csv.reader(feed, delimiter=delimiter, strict=True)
    try:
        for cells in rows:
            if cells:
                yield feed.begin, cells
            feed.begin, feed.size = rows.line_num + 1, 0
    except csv.Error as error:
        raise _csv_error(str(error), feed) from None


def read_tsv(lines: Iterable[str], where: str | None = None) -> Iterator[Row]:
    """The rows of TSV that are not blank.

    There is no quoting (IANA, text/tab-separated-values), except that Excel quotes whole cells. Such a cell has a tab
    only in rows that would have another length than the header without it.

    Excel quotes texts of several lines too. With `where`, raises InputError for rows that are one with such a text.
    """
    columns = 0
    part: Row | None = None  # the row whose last cell may be the first line of a quoted text
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text:
            continue
        cells = text.split("\t")
        if where and part and _is_odd(cells[0]):
            if cells[0].endswith('"') and len(part[1]) - 1 + len(cells) == columns:
                raise _lines_error(f"{where}:{part[0]}", number)
            part = None
        elif len(cells) > 1:
            part = None
        if cells[-1].startswith('"') and _is_odd(cells[-1]):
            part = number, cells
        if '"' in text:
            whole = _split_quoted(text) if len(cells) > columns else cells
            cells = whole if len(whole) == columns else cells
            cells = [_unquote(cell) for cell in cells]
        columns = columns or len(cells)
        yield number, cells


def close_gaps(line: str, delimiter: str, *, is_open: bool) -> str:
    """The line without the blanks before opening quotes, as in `a, "b, c"`; other blanks stay.

    `is_open` says that the line begins in a quoted cell.
    """
    gap, rest, cell = _gap_patterns(delimiter)
    if delimiter == " " or not gap.search(line):
        return line
    start = 0
    if is_open and (match := rest.match(line)):
        start = match.end()
    return line[:start] + cell.sub(r"\1", line[start:])


@functools.cache
def _gap_patterns(delimiter: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """What may be blanks before an opening quote; the rest of a quoted cell; and a cell, without such blanks."""
    mark = re.escape(delimiter)
    quoted, after = r'[^"]*(?:""[^"]*)*(?:"|\Z)', rf"[^{mark}]*(?:{mark}|\Z)"
    return (
        re.compile(rf'(?:^|{mark}) +"'),
        re.compile(quoted + after),
        re.compile(rf'(?: +(?="))?((?:"{quoted})?{after})'),
    )


def _split_quoted(text: str) -> list[str]:
    """The cells of a row of TSV, in which a cell that is quoted whole may have tabs."""
    cells = []
    start = 0
    while start <= len(text):
        match = _QUOTED.match(text, start)
        end = match.end() if match and text[match.end() : match.end() + 1] in ("", "\t") else text.find("\t", start)
        end = len(text) if end < 0 else end
        cells.append(text[start:end])
        start = end + 1
    return cells


def _unquote(cell: str) -> str:
    match = _QUOTED.fullmatch(cell)
    return match[1].replace('""', '"') if match else cell


def _is_odd(cell: str) -> bool:
    """Whether it has one quote without another one."""
    return cell.count('"') % 2 == 1


def _lines_error(where: str, last: int) -> InputError:
    hint = "read it as one with --from csv --delimiter tab, or each line as a row with --from tsv"
    return InputError(f"the lines up to {last} can be one row with a quoted text", where=where, hint=hint)


def _csv_error(problem: str, feed: _Feed) -> InputError:
    where = f"{feed.where}:{feed.begin}"
    if "unexpected end" in problem:
        return InputError("not CSV: a quote is left open", where=where, hint="close it, or double it inside a text")
    if "new-line" in problem:
        hint = "put double quotes around a text with line breaks"
        return InputError("not CSV: a carriage return in a text without quotes", where=where, hint=hint)
    if '\\"' in feed.text:
        hint = 'write a quote inside a text as "", not as \\"'
        return InputError("not CSV: a backslash before a quote", where=where, hint=hint)
    if "expected after" in problem:
        hint = 'write a quote inside a quoted text as ""'
        hint += "; or read it by the rules of TSV with --from tsv" * (feed.delimiter == "\t")
        return InputError("not CSV: text after a closing quote", where=where, hint=hint)
    return InputError(f"not CSV: {problem}", where=where)


def _choose(fits: dict[str, _Fit], where: str) -> str | None:
    """The delimiter that fits best; None if there is none."""
    ranked = sorted(fits, key=lambda delimiter: fits[delimiter].misfit)
    if len(ranked) > 1 and fits[ranked[0]].misfit == fits[ranked[1]].misfit:
        names = ["tab" if delimiter == "\t" else f"'{delimiter}'" for delimiter in ranked[:2]]
        readings = [
            f"{fits[d].columns} columns with --delimiter {name}" for d, name in zip(ranked, names, strict=False)
        ]
        raise InputError("its cells can be parted in two ways", where=where, hint=", or ".join(readings))
    return ranked[0] if ranked else None


def _measure(sample: Sample, where: str, *, tsv: bool = False) -> dict[str, _Fit]:
    """How the sample fits each delimiter that its header has; with `tsv`, tabs are read by the rules of TSV."""
    fits = {delimiter: _fit(sample, where, delimiter, tsv=tsv and delimiter == "\t") for delimiter in DELIMITERS}
    return {delimiter: fit for delimiter, fit in fits.items() if fit and fit.columns > 1}


def _fit(sample: Sample, where: str, delimiter: str, *, tsv: bool) -> _Fit | None:
    """How the rows look; None if not even the header can be read. All from the first that can't be are too long."""
    header: list[str] = []
    rows = short = long = last = 0
    lines = iter(sample.lines)
    try:
        for line, cells in read_tsv(lines) if tsv else read_csv(lines, where, delimiter):
            last = line
            if not any(cells):
                continue
            if not header:
                header = cells
                continue
            rows += 1
            short += len(cells) < len(header)
            long += any(cells[len(header) :])
    except InputError:
        if sample.is_whole or next(lines, None) is not None:  # else the sample ends in a quoted cell
            unread = len(sample.lines) - last
            rows, long = rows + unread, long + unread
    return _Fit(header, rows, short, long) if header else None
