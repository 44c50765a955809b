"""An export as a table, a Parquet file: a row for each item, whose fields are JSON; the header is in its metadata."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from attnsearch.errors import InputError
from attnsearch.exports.form import (
    PARTS,
    Entry,
    Header,
    check_counts,
    damaged,
    encode_json,
    header_as_json,
    item_as_json,
    make_entry,
    parse_header,
    parse_vectors,
)
from attnsearch.exports.sink import Sink
from attnsearch.syntax import strict_json
from attnsearch.syntax.formats import EXPORT

if TYPE_CHECKING:
    import pyarrow as pa

_MARK = EXPORT.encode()  # of the metadata
_ROWS = 1_000  # of a group; a group is written at once
_BATCH = 32  # rows decoded at once
_BYTES = 16 << 20  # of decoded rows that become Python values at once
_LONGEST = 96 << 20  # bytes of a decoded row: the vectors of the longest text, and its texts


def write_parquet(header: Header, entries: Iterable[Entry]) -> Iterator[bytes]:
    """The bytes of the file, piece by piece. Raises InputError without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise InputError("Parquet needs pyarrow", hint="pip install pyarrow") from None
    sink = Sink()
    schema = _schema(header)
    with parquet.ParquetWriter(sink, schema) as writer:
        for group in _groups(entries):
            rows = [_row(entry) for entry in group]
            writer.write_table(pa.Table.from_pylist(rows, schema))
            yield from sink.drain()
    yield from sink.drain()


def _schema(header: Header) -> pa.Schema:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("id", "title", "description", "text", "fields")]
    numbers = [(name, pa.list_(pa.int64())) for name in ("starts", "stops")]
    vectors = ("embeddings", pa.list_(pa.list_(pa.float32(), header.d)))
    return pa.schema([*texts, *numbers, vectors], {_MARK: encode_json(header_as_json(header)).encode()})


def _row(entry: Entry) -> dict[str, Any]:
    record = item_as_json(entry)
    record["fields"] = encode_json(record["fields"])
    return {**record, "starts": entry.starts, "stops": entry.stops, "embeddings": list(entry.x)}


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    numbers = 0
    for entry in entries:
        group.append(entry)
        numbers += entry.x.size
        if len(group) == _ROWS or numbers > PARTS:
            yield group
            group, numbers = [], 0
    if group:
        yield group


def is_export(content: BinaryIO) -> bool:
    """Whether a Parquet file is an export; without pyarrow, no one can tell."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        return False
    try:
        return _MARK in (parquet.read_schema(content).metadata or {})
    except (pa.ArrowException, OSError, ValueError):
        return False  # reading it as a table says what is wrong


def read_parquet(content: BinaryIO, where: str) -> tuple[Header, Iterator[Entry]]:
    """The header of a file, and its items, read one by one. Raises InputError for what no export has."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(content)
        text = (file.schema_arrow.metadata or {}).get(_MARK, b"").decode()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(str(error).partition("\n")[0], where) from None
    header = parse_header(strict_json.parse_line(text, where=where), where)

    def entries() -> Iterator[Entry]:
        try:
            rows = itertools.chain.from_iterable(_to_rows(batch, where) for batch in file.iter_batches(_BATCH))
            for number, record in enumerate(rows, 1):
                yield _read_row(record, header, where, number)
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise damaged(str(error).partition("\n")[0], where) from None

    return header, check_counts(entries(), header, where)


def _to_rows(batch: pa.RecordBatch, where: str) -> Iterator[dict[str, Any]]:
    """The rows of a batch as Python values, which take eight times as much memory; those of a large one, one by one."""
    for part in [batch] if batch.nbytes <= _BYTES else (batch.slice(number, 1) for number in range(batch.num_rows)):
        if part.nbytes > _LONGEST:
            raise damaged(f"an item has more than {_LONGEST >> 20} MiB", where)
        yield from part.to_pylist()


def _read_row(record: dict[str, Any], header: Header, where: str, number: int) -> Entry:
    place = f"{where}:{number}"
    fields = record.get("fields")
    if not isinstance(fields, str):
        raise damaged("the fields of an item are not JSON", place)
    record["fields"] = strict_json.parse_line(fields, where=where, line=number)
    return make_entry(record, parse_vectors(record.get("embeddings"), header.d, place), header, place)
