"""Ways to damage a catalog."""

from __future__ import annotations

import sqlite3
from contextlib import closing


def change(folder, statement):
    """Run an SQL statement on the catalog's database, as another program would."""
    with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
        db.execute(statement)


def segment(folder):
    """The catalog's largest segment."""
    return sorted((folder / "segments").iterdir(), key=lambda path: path.stat().st_size)[-1]


def spoil(path, byte, mask=1):
    """Flip the bits `mask` of one byte of a file."""
    raw = bytearray(path.read_bytes())
    raw[byte] ^= mask
    path.write_bytes(raw)
