"""Catalogs → files, as `attnsearch export` writes them, and what a catalog holds, to compare."""

from __future__ import annotations

from pathlib import Path

from attnsearch.exports import arrays, json_lines, parquet
from attnsearch.exports.contents import read_entries, read_header
from attnsearch.output.safe_text import to_json
from attnsearch.storage import home
from attnsearch.storage.store import Store

FORMS = ("jsonl", "npz", "parquet")


def export(name: str, file: Path) -> Path:
    """Write a catalog to a file, whose ending says in which form."""
    with Store(home.catalog_folder(name)) as store:
        header = read_header(store, name)
        match file.suffix:
            case ".jsonl":
                lines = json_lines.write_lines(header, read_entries(store), to_json)
                file.write_bytes("".join(lines).encode())
            case ".npz":
                file.write_bytes(b"".join(arrays.write_arrays(header, lambda: read_entries(store))))
            case ".parquet":
                file.write_bytes(b"".join(parquet.write_parquet(header, read_entries(store))))
    return file


def contents(name: str) -> list[tuple]:
    """Every item of a catalog with its passages and the bytes of its vectors."""
    with Store(home.catalog_folder(name)) as store:
        return [
            (*entry.item._replace(place=""), list(entry.starts), list(entry.stops), entry.x.tobytes())
            for entry in read_entries(store)
        ]
