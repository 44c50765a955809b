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


def select(folder, statement):
    """The rows of a query of the catalog's database."""
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        return db.execute(statement).fetchall()


def ruin_pages(folder, pages):
    """Fill pages of the catalog's database with zeros."""
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = db.execute("PRAGMA page_size").fetchone()
    raw = bytearray((folder / "index.sqlite").read_bytes())
    for page in pages:
        raw[(page - 1) * size : page * size] = bytes(size)
    (folder / "index.sqlite").write_bytes(raw)
