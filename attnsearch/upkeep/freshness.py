"""A catalog's files ↔ what they were when they were read."""

from __future__ import annotations

from pathlib import Path

from attnsearch.errors import InputError
from attnsearch.storage.database import Info, Source


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


def _is_gone(path: str) -> bool:
    """Whether there is no such file or folder; one that we may not look at may be there."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        pass
    return False
