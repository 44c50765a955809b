"""A catalog's files ↔ what they were when they were read.

A stamp is what the system says of a file: its size, the time of its last change, its inode. While it stays the same, a
query takes the file for unchanged, and reads nothing of it.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from attnsearch.errors import InputError
from attnsearch.sources.letters import normalize_text
from attnsearch.storage import home
from attnsearch.storage.database import Info, Source
from attnsearch.syntax.formats import Reading

_MOST_FILES = 2_000  # of a folder that a query looks at
_LARGEST = 64 << 20  # bytes of a file, or of a folder's files, that a query reads to see whether they have changed

log = logging.getLogger("attnsearch")


def source_path(file: str) -> str | None:
    """The resolved path of a regular file or a folder; None for a pipe, which can't be read again."""
    path = Path(file)
    return None if file == "-" or not (path.is_file() or path.is_dir()) else str(path.resolve())


def fingerprint_source(file: str, glob: str | None = None) -> Source:
    """The path of a file or folder, and the SHA-256 of what it holds now; None for a pipe. Raises InputError.

    `glob` is the pattern for the files of a folder that are read.
    """
    path = source_path(file)
    if path is None:
        return Source(file, None)
    if Path(path).is_dir():
        from attnsearch.readers.folder import folder_digest

        return Source(path, folder_digest(path, glob))
    from hashlib import file_digest

    try:
        with Path(path).open("rb") as stream:
            return Source(path, file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", where=file) from None


def gone_sources(info: Info) -> list[str]:
    """The files and folders that a catalog was made from and that are not there any more."""
    return [source.path for source in info.sources if source.sha256 and _is_gone(source.path)]


def stamp_source(path: str | None) -> str:
    """The stamp of a file or folder; empty for a pipe, a folder of many files, or what can't be read.

    That of a folder has how many files and folders there are, the bytes of all files, and the time of the last change.
    """
    if path is None:
        return ""
    try:
        status = Path(path).stat()
        if not stat.S_ISDIR(status.st_mode):
            return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
        count, size, latest = 0, 0, status.st_mtime_ns
        folders = [path]
        while folders:
            for entry in os.scandir(folders.pop()):
                if not entry.name.startswith("."):
                    status = entry.stat(follow_symlinks=False)
                    count, latest = count + 1, max(latest, status.st_mtime_ns)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        size += status.st_size
            if count > _MOST_FILES:
                return ""
    except OSError:
        return ""
    return f"{size} {latest} {count}"


def warn_if_changed(folder: Path, info: Info, ref: str) -> None:
    """Say that the catalog, asked by the name `ref`, is older than a source, and which command brings it up to date.

    If `ref` is not its name, it is its file, which is gone.
    """
    if folder.name.startswith("@") or normalize_text(ref) != folder.name:
        for path in gone_sources(info):
            log.warning("%s is gone; this is what was read of it on %s", path, info.updated[:10])
        return
    changed = next((source.path for source in info.sources if _has_changed(source, info.reading)), None)
    if changed is not None:
        command = home.command_to_index(folder, info, keep=not info.is_exact)
        log.warning("%s: %s has changed since it was read; read it again: %s", folder.name, changed, command)


def _has_changed(source: Source, reading: Reading) -> bool:
    """Whether a source is certainly another one now. It is only read if its stamp leaves that open."""
    stamp = stamp_source(source.path) if source.stamp else ""
    if stamp == source.stamp or not stamp:
        return False
    size = stamp.partition(" ")[0]
    if Path(source.path).is_file() and size != source.stamp.partition(" ")[0]:
        return True
    try:
        return int(size) <= _LARGEST and fingerprint_source(source.path, reading.glob).sha256 != source.sha256
    except InputError:
        return False


def _is_gone(path: str) -> bool:
    """Whether there is no such file or folder; one that we may not look at may be there."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        pass
    return False
