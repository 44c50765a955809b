"""A catalog → gone, but for what a person taught it: feedback, and what was learned.

These stay in its folder, without a database; the next `index` of the same name finds them there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path

from attnsearch.storage import home, lock
from attnsearch.storage.failures import writing
from attnsearch.storage.files import copy_file, swap_folders, sync


def remove_catalog(folder: Path, *, everything: bool = False) -> list[str]:
    """Delete a catalog: at once for every later reader, while those that have it open finish undisturbed.

    What it was taught stays, unless `everything` goes; returns the names of the files that stay.

    Raises CatalogError if there is none, or if it can't be removed.
    """
    with writing(folder, "removed"), lock.guarding(folder):
        held = lock.acquire_if_whole(folder, create=everything)
        with closing(held) if held else nullcontext():
            removed = folder.with_name(f".removed-{uuid.uuid4().hex}")
            files = [] if everything else home.taught_files(folder)
            if files:
                staging = _make_copy(folder, files)
                swap_folders(folder, staging)
                with suppress(OSError):  # it is done; the next removal of this name deletes the rest
                    staging.rename(removed)
            else:
                folder.rename(removed)
            sync(folder.parent)  # or a power cut could bring the name back, and not all of the files
    for leftover in folder.parent.glob(".removed-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return files


def _make_copy(folder: Path, files: list[str]) -> Path:
    """A folder with copies of these files of a catalog, durable. We hold the catalog's lock and guard its folder."""
    staging = folder.with_name(f".kept-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:32]}")
    shutil.rmtree(staging, ignore_errors=True)  # left by a process that was killed
    staging.mkdir()
    for name in files:
        copy_file(folder / name, staging / name)
    sync(staging)
    return staging


def kept_folders() -> Iterator[Path]:
    """The folders of removed catalogs that have what these were taught. Raises CatalogError as `catalog_folders`."""
    for folder in home.named_folders():
        with suppress(OSError):  # one of another user
            if home.taught_files(folder) and not home.catalog_exists(folder):
                yield folder


def find_kept(ref: str) -> Path | None:
    """The folder of the removed catalog `ref`, a name or a file, if what it was taught is there."""
    folders = {folder.name: folder for folder in kept_folders()}
    with suppress(OSError, ValueError, RuntimeError):  # no file's name
        return folders.get(ref) or folders.get(home.file_catalog_folder(Path(ref).expanduser()).name)
    return None
