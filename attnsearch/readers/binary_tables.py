"""The rows of a workbook (.xlsx) or of a Parquet file → records; the line of a record is the number of its row.

A workbook's cells are texts, as in CSV: whole numbers without a point, dates in ISO 8601. Parquet's values keep
their types, except that dates become text; bytes are left out.
"""

from __future__ import annotations

import datetime as dt
import decimal
import io
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from attnsearch.errors import InputError
from attnsearch.readers.delimited import make_records
from attnsearch.readers.raw_file import RawFile
from attnsearch.readers.text_file import WHOLE
from attnsearch.syntax.formats import EXPORT
from attnsearch.syntax.values import DEPTH, Mapping, Value

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

UNPACKED = 1 << 30  # bytes of a workbook, once it is unpacked

_BATCH = 32  # rows of Parquet decoded at once; a dictionary makes a long text in each of them cost nothing on disk
_ABSENT = (None, "")

log = logging.getLogger("attnsearch")


def read_workbook(raw: RawFile, sheet: str | None) -> Iterator[Mapping]:
    """The records of a sheet, by default of the only one with cells. Raises InputError."""
    try:
        import python_calamine as calamine
    except ModuleNotFoundError:
        hint = "pip install python-calamine, or save it as CSV UTF-8"
        raise InputError("is an Excel workbook", where=raw.where, hint=hint) from None
    content = _read_whole(raw)
    _check_unpacked(content, raw.where)
    try:
        book = calamine.CalamineWorkbook.from_filelike(content)
        name = choose_table(_measure_sheets(book), sheet, raw.where, "sheet")
        rows = book.get_sheet_by_name(name).iter_rows()
        numbered = ((number, [_show_cell(cell) for cell in cells]) for number, cells in enumerate(rows, 1))
        yield from make_records(numbered, raw.where, "the sheet")
    except calamine.PasswordError:
        raise InputError("is locked by a password", where=raw.where, hint="save it without one") from None
    except calamine.CalamineError as error:
        hint = "save it as CSV UTF-8"
        raise InputError(f"is an Excel workbook that can't be read: {error}", where=raw.where, hint=hint) from None


def read_parquet(raw: RawFile) -> Iterator[Mapping]:
    """The records of a Parquet file, decoded a few rows at a time. Raises InputError."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        hint = "pip install pyarrow, or save it as CSV"
        raise InputError("is a Parquet file", where=raw.where, hint=hint) from None
    number = 0
    left_out: set[str] = set()
    try:
        file = parquet.ParquetFile(whole_or_own(raw))
        if EXPORT.encode() in (file.schema_arrow.metadata or {}):
            raise InputError("is an export of attnsearch", where=raw.where, hint="index it by itself, as a file")
        for batch in file.iter_batches(_BATCH):
            columns = [_without_nanoseconds(column).to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield make_record(batch.schema.names, cells, number, raw.where, left_out)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        text = str(error).partition("\n")[0]
        raise InputError(f"is a Parquet file that can't be read: {text}", where=raw.where) from None


def make_record(names: Sequence[str], cells: Iterable[Any], line: int, where: str, left_out: set[str]) -> Mapping:
    """The record of a row of values; those that are missing, or bytes, are left out, with a warning for the latter.

    `left_out` collects the names of such fields. Raises InputError for a number that is not finite.
    """
    pairs = [(name, value) for name, value in zip(names, cells, strict=True) if value not in _ABSENT]
    record = Mapping()
    for name, value in pairs:
        if isinstance(value, bytes):
            if name not in left_out:
                log.warning("%s: '%s' has bytes that are not text, which are left out", where, name)
                left_out.add(name)
            continue
        try:
            plain = _plain(value)
        except ValueError as error:
            raise InputError(f"'{name}' is {error}", where=f"{where}:{line}") from None
        if plain is None:
            continue
        if name in record:  # two columns of one name are a list
            before = record[name]
            record[name] = [*(before if isinstance(before, list) else [before]), plain]
        else:
            record[name] = plain
    record.line = line
    return record


def choose_table(sizes: dict[str, str], wanted: str | None, where: str, kind: str) -> str:
    """The name of a table, of those with these sizes: the wanted one, or the only one. Raises InputError."""
    listed = ", ".join(f"{name} ({size})" for name, size in sizes.items())
    if wanted is not None:
        if wanted in sizes:
            return wanted
        near = [name for name in sizes if name.casefold() == wanted.casefold()]
        if len(near) == 1:
            return near[0]
        raise InputError(f"has no {kind} '{wanted[:80]}' with rows", where=where, hint=f"it has {listed or 'none'}")
    if not sizes:
        raise InputError(f"has no {kind} with rows", where=where, hint="a catalog needs at least one item")
    if len(sizes) > 1:
        raise InputError(f"has {len(sizes)} {kind}s: {listed}", where=where, hint="say which one: --table NAME")
    return next(iter(sizes))


def _measure_sheets(book: CalamineWorkbook) -> dict[str, str]:
    """The sheets that have cells, with their sizes."""
    sheets = [book.get_sheet_by_name(sheet.name) for sheet in book.sheets_metadata if "WorkSheet" in str(sheet.typ)]
    return {sheet.name: f"{sheet.height} × {sheet.width} cells" for sheet in sheets if sheet.height}


def _show_cell(value: Any) -> str:
    """The text of a cell of a workbook."""
    match value:
        case bool():
            return str(value).upper()
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case dt.datetime():
            return (value.date() if value.time() == dt.time() else value).isoformat()
        case dt.date() | dt.time():
            return value.isoformat()
    return str(value)


def _plain(value: Any, depth: int = 0) -> Value:
    """A value of text, numbers, lists and mappings. Raises ValueError for infinity and for what is nested too deep."""
    if depth > DEPTH:
        raise ValueError("nested too deep")
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if math.isinf(value):
                raise ValueError("not a finite number")
            return None if math.isnan(value) else value
        case bytes():
            return None
        case dict():
            return {name: _plain(part, depth + 1) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part, depth + 1) for part in value]
        case dt.date() | dt.time():
            return value.isoformat()
        case decimal.Decimal():
            return format(value, "f")
    return str(value)


def _without_nanoseconds(column: Any) -> Any:
    """The column, times in microseconds: Python has none that are finer."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_time64(kind):
        return column.cast(pa.time64("us"), safe=False)
    if pa.types.is_duration(kind):
        return column.cast(pa.duration("us"), safe=False)
    return column


def whole_or_own(raw: RawFile) -> BinaryIO:
    """A stream that can be read from any place: the file, after all of it was observed; else its content."""
    if raw.own is None:
        return _read_whole(raw)
    raw.drain()
    raw.own.seek(0)
    return raw.own


def _read_whole(raw: RawFile) -> BinaryIO:
    content = raw.stream.read(WHOLE + 1)
    if len(content) > WHOLE:
        raise InputError(f"over {WHOLE >> 20} MiB", where=raw.where, hint="save it as CSV, which is read as a stream")
    return io.BytesIO(content)


def _check_unpacked(content: BinaryIO, where: str) -> None:
    """Raise InputError for a workbook that is not a zip archive, or that unpacks to more than `UNPACKED` bytes."""
    import zipfile

    try:
        with zipfile.ZipFile(content) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, UnicodeDecodeError):
        raise InputError("is an Excel workbook that is damaged", where=where, hint="save it again") from None
    if size > UNPACKED:
        raise InputError(f"over {UNPACKED >> 20} MiB, once it is unpacked", where=where, hint="save it as CSV")
    content.seek(0)
