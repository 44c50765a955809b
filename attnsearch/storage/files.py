"""The files of a catalog's folder: their names, how small ones are replaced, and that no link is followed."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from attnsearch.errors import CatalogError

DATABASE = "index.sqlite"
SEAL = "index.seal"
LEARNED = "learned.safetensors"
FEEDBACK = "feedback.jsonl"
SEGMENTS = "segments"
POSTINGS = "postings"

# A pipe would keep us waiting, and a link leads out of the folder.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
FLAGS_NO_LINK = FLAGS | getattr(os, "O_NOFOLLOW", 0)


def replace_file(file: Path, raw: bytes) -> None:
    """Replace a file atomically: after a crash it holds the old bytes or the new ones."""
    temporary = file.with_name(f".{file.name}-{uuid.uuid4().hex}")  # another process may be replacing it too
    try:
        with temporary.open("xb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    sync(file.parent)


def sync(folder: Path) -> None:
    """Make a folder's list of names durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_links(folder: Path) -> None:
    """CatalogError where a link would lead out of the catalog's folder."""
    files = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", SEAL, LEARNED, FEEDBACK)
    for name in ("", SEGMENTS, POSTINGS, *files):
        if (path := folder / name).is_symlink():
            hint = "put the catalog itself there"
            raise CatalogError("is a link, and none is followed here", where=str(path), hint=hint)
