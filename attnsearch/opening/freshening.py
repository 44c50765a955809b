"""A file → its catalog, which is as new as the file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from attnsearch.sources.items import DEFAULT_TEXT
from attnsearch.storage import home, lock
from attnsearch.storage.database import Info
from attnsearch.storage.failures import BusyError, MissingError
from attnsearch.syntax.formats import Reading
from attnsearch.upkeep.freshness import fingerprint_source

if TYPE_CHECKING:
    from attnsearch.indexing.embedding import Progress

_USUAL = {"title", "description"}  # fields that a person expects to be read

log = logging.getLogger("attnsearch")


def bring_up_to_date(folder: Path, file: Path, reading: Reading, *, offline: bool, progress: Progress | None) -> None:
    """Index a file that is new, changed, or to be read anew.

    While another process does that, the state of before will do; we only wait for it if there is none.
    """
    while not _is_current(folder, file, reading):
        try:
            index_file(folder, file, reading, wait=0, offline=offline, progress=progress)
        except BusyError:
            if home.catalog_exists(folder) and _is_read_so(home.read_catalog_info(folder), reading):
                log.warning("%s is being indexed by another attnsearch; this answer is from before that", file.name)
                return
            lock.wait_for_writer(folder)
        else:
            return


def index_file(
    folder: Path,
    file: Path,
    reading: Reading,
    *,
    wait: float = lock.WAIT,
    offline: bool,
    progress: Progress | None,
) -> None:
    """Index a file that a query names, or a built-in catalog; say what was read of a file that is new to us."""
    from attnsearch.indexing.update import update  # and with it all that only writing needs
    from attnsearch.readers.raw_file import source_name

    is_named = not folder.name.startswith(("@", "."))
    report = update(
        [str(file)],
        name=folder.name if is_named else None,
        folder=None if is_named else folder,
        reading=reading,
        wait=wait,
        offline=offline,
        progress=progress,
    )
    text = {*report.read.text}
    is_plain = reading.form == "lines" or _USUAL <= text <= {*DEFAULT_TEXT}
    if not is_named and report.added == report.info.items and not is_plain:
        log.warning("%s: %s", source_name(file.name), report.read.sentence())


def _is_current(folder: Path, file: Path, reading: Reading) -> bool:
    """Whether the folder's catalog was made from the file as it is now, read so, and knows all of its encoder."""
    try:
        info = home.read_catalog_info(folder)
    except MissingError:
        return False
    if not (info.identity and _is_read_so(info, reading) and len(info.sources) == 1):
        return False
    return info.sources[0][:2] == fingerprint_source(str(file))[:2]


def _is_read_so(info: Info, reading: Reading) -> bool:
    """Whether a catalog was read as a query wants it."""
    return reading.over(info.reading) == info.reading
