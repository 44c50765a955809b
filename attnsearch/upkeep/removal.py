"""A catalog → gone."""

from __future__ import annotations

import shutil
import uuid
from contextlib import closing, nullcontext
from pathlib import Path

from attnsearch.storage import lock
from attnsearch.storage.failures import writing
from attnsearch.storage.files import sync


def remove_catalog(folder: Path) -> None:
    """Delete a catalog: at once for every later reader, while those that have it open finish undisturbed.

    Raises CatalogError if there is none, or if it can't be removed.
    """
    with writing(folder, "removed"), lock.guarding(folder):
        held = lock.acquire_if_whole(folder)
        with closing(held) if held else nullcontext():
            folder.rename(folder.with_name(f".removed-{uuid.uuid4().hex}"))
            sync(folder.parent)  # or a power cut could bring the name back, and not all of the files
    for removed in folder.parent.glob(".removed-*"):
        shutil.rmtree(removed, ignore_errors=True)
