"""A URL → the files that lie there: a folder, or whatever fsspec opens, such as s3://BUCKET/FOLDER.

A file appears under its name at once and whole, or not at all. https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from attnsearch.errors import InputError, first_line
from attnsearch.storage.files import open_to_read, replacing, sync

if TYPE_CHECKING:
    from typing import BinaryIO

_URL = re.compile(r"[a-z][a-z0-9+.-]*://")
_CHUNK = 1 << 24  # bytes that are in memory at once
_LONGEST = 2_000  # characters of a URL


class UnreachableError(Exception):
    """A destination can't be read or written: it is not there, refuses us, or is full."""


class Destination(Protocol):
    """A folder to publish to, here or elsewhere.

    Its methods raise UnreachableError; FileNotFoundError for a file that is not there.
    """

    url: str

    def create(self) -> None:
        """Make the folder, if there is none; what it lies in must be there."""

    def list_files(self) -> dict[str, int]:
        """The names of all that lies there, and the bytes of each; none if there is no such folder."""

    def read(self, name: str, most: int) -> bytes:
        """The bytes of a file, of which there are `most` at most."""

    def write(self, name: str, source: BinaryIO) -> None:
        """Write a file, or replace it."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


def is_url(name: str) -> bool:
    """Whether the name of a file or a folder is a URL, not a path on this machine."""
    return _URL.match(name) is not None


def check_url(text: str) -> str:
    """A destination as every folder calls it: a URL, or a folder's absolute path. Raises InputError for others.

    >>> check_url("s3://bucket/books/")
    's3://bucket/books'
    """
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise InputError("invalid URL", hint="name a folder, or write s3://BUCKET/FOLDER")
    scheme, colon, rest = text.partition("://")
    if re.match(r"[a-z][a-z0-9+.-]+:.*:.*@", text, re.IGNORECASE):
        hint = "let fsspec's configuration have it: https://filesystem-spec.readthedocs.io"
        raise InputError(
            "a URL with a password would be shown to others", where=f"{text.partition(':')[0]}://…@", hint=hint
        )
    if not is_url(text):
        if re.match(r"[a-z][a-z0-9+.-]+:", text, re.IGNORECASE):
            hint = f"write {text.split(':')[0]}://… for a URL, ./{text} for a folder"
            raise InputError(f"'{text}' can be a URL or a folder", hint=hint)
        try:
            return os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (`..` counts, links stay)
        except RuntimeError:
            raise InputError("there is no such home folder", where=text) from None
    if scheme in ("file", "local"):
        raise InputError("a folder is named by its path", where=text, hint=f"write {rest or '/FOLDER'}")
    if not rest.strip("/") or "::" in text or {*"?#\\"} & {*text} or {".", ".."} & {*rest.split("/")}:
        hint = "write it as s3://BUCKET/FOLDER"
        raise InputError("invalid URL: no place, or '::', '?', '#', '\\', '.' or '..' in it", where=text, hint=hint)
    return f"{scheme}{colon}{rest.rstrip('/')}"


def open_destination(url: str) -> Destination:
    """The destination at a URL that `check_url` returned. Raises InputError if what opens it is not installed."""
    return _Remote(url) if is_url(url) else _Folder(url)


def fetch(url: str, target: Path, most: int) -> None:
    """Copy the file of a URL to this machine.

    Raises UnreachableError, FileNotFoundError if there is no such file, ValueError if it has more than `most` bytes.
    """
    folder, _, name = url.rpartition("/")
    try:
        remote = _Remote(folder)
    except InputError as error:
        raise UnreachableError(str(error)) from None
    remote.fetch(name, target, most)


class _Folder:
    def __init__(self, path: str) -> None:
        self.url = path
        self._folder = Path(path)

    def create(self) -> None:
        with _reporting(is_writing=True), suppress(FileExistsError):
            self._folder.mkdir()
            sync(self._folder.parent)

    def list_files(self) -> dict[str, int]:
        with _reporting(), suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}
        return {}

    def read(self, name: str, most: int) -> bytes:
        with _reporting(), open_to_read(self._folder / name) as stream:
            return stream.read(most + 1)

    def write(self, name: str, source: BinaryIO) -> None:
        with _reporting(is_writing=True), replacing(self._folder / name) as out:
            shutil.copyfileobj(source, out, _CHUNK)

    def remove(self, name: str) -> None:
        with _reporting():
            (self._folder / name).unlink(missing_ok=True)


class _Remote:
    def __init__(self, url: str) -> None:
        self.url = url
        scheme = url.partition("://")[0]
        if find_spec("fsspec") is None:
            raise InputError(f"{scheme}:// needs fsspec", hint="pip install 'attnsearch[dask]'")
        import fsspec  # type: ignore[import-untyped]

        try:
            self._system, self._path = fsspec.url_to_fs(url)
        except ImportError as error:  # its message says what to install
            raise InputError(f"{scheme}:// can't be opened: {first_line(error)}") from None
        except ValueError:
            hint = "name a folder, or write s3://BUCKET/FOLDER"
            raise InputError(f"fsspec knows no {scheme}://", where=url, hint=hint) from None
        except Exception as error:  # noqa: BLE001 (each has errors of its own)
            raise InputError(f"can't be opened: {first_line(error)}", where=url) from None

    def create(self) -> None:
        with _reporting(is_writing=True), suppress(FileExistsError):
            self._system.mkdir(self._path, create_parents=False)

    def list_files(self) -> dict[str, int]:
        with _reporting(), suppress(FileNotFoundError):
            self._system.invalidate_cache()
            entries: list[Any] = self._system.ls(self._path, detail=True)
            names = {PurePosixPath(entry["name"].rstrip("/")).name: int(entry["size"] or 0) for entry in entries}
            return {name: size for name, size in names.items() if name != PurePosixPath(self._path).name}
        return {}

    def read(self, name: str, most: int) -> bytes:
        with _reporting():
            return bytes(self._system.cat_file(f"{self._path}/{name}", end=min(most + 1, self._size(name))))

    def fetch(self, name: str, target: Path, most: int) -> None:
        with _reporting():
            size = self._size(name)
            if size <= most:
                self._system.get_file(f"{self._path}/{name}", str(target))
        if size > most:
            raise ValueError(f"it has {size:,} bytes, more than the {most:,} that were expected")

    def write(self, name: str, source: BinaryIO) -> None:
        opened = self._system.open
        with _reporting(is_writing=True), self._system.transaction, opened(f"{self._path}/{name}", "wb") as out:
            shutil.copyfileobj(source, out, _CHUNK)

    def remove(self, name: str) -> None:
        with _reporting(), suppress(FileNotFoundError):
            self._system.rm_file(f"{self._path}/{name}")

    def _size(self, name: str) -> int:
        self._system.invalidate_cache()
        return int(self._system.size(f"{self._path}/{name}"))


@contextmanager
def _reporting(*, is_writing: bool = False) -> Iterator[None]:
    """Turn the errors of whatever file system it is into UnreachableError."""
    try:
        yield
    except FileNotFoundError:
        if not is_writing:
            raise
        raise UnreachableError("there is no such folder or bucket") from None
    except OSError as error:
        raise UnreachableError(first_line(error.strerror or error)) from None
    except Exception as error:  # noqa: BLE001 (each has errors of its own)
        raise UnreachableError(first_line(error)) from None
