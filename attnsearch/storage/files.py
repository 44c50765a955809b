"""Where catalogs lie and what they are called; the files of each, how they are opened and replaced, and no links."""

from __future__ import annotations

import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from shutil import copyfile
from typing import BinaryIO

from attnsearch.errors import CatalogError, InputError
from attnsearch.sources import letters

DATABASE = "index.sqlite"
SEAL = "index.seal"
LEARNED = "learned.safetensors"
FEEDBACK = "feedback.jsonl"
PUBLISHED = "published.json"
SEGMENTS = "segments"
POSTINGS = "postings"

_FITS = ".fits"  # a folder in the home; no catalog's name begins with a dot

LONGEST_NAME = 255  # bytes of a file's or folder's name that file systems take

# A pipe must not block us, and a link would lead out of the folder.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
FLAGS_NO_LINK = FLAGS | getattr(os, "O_NOFOLLOW", 0)

_LONGEST = 64  # characters
_BEGINNING = 32  # characters of a file's name in that of its temporary file
_MOST_DECOMPOSED = 4 * _LONGEST  # characters that NFC may make so few of
_NAME = re.compile(r"\w([\w .-]{0,62}\w)?")


def check_name(name: str) -> str:
    """The name in NFC, if it is valid: letters with their marks, digits, spaces, `.`, `_` and `-`, at most 64.

    It begins with a letter or digit, and ends with one or its mark. Raises InputError.
    """
    name = letters.normalize_text(name) if len(name) <= _MOST_DECOMPOSED else name
    if not is_name(name):
        hint = "use letters, digits, spaces, '.', '_' and '-', at most 64 of them"
        raise InputError(f"invalid catalog name {name!r}", hint=hint)
    return name


def is_name(name: str) -> bool:
    """Whether a catalog may have this name; see `check_name`."""
    if _NAME.fullmatch(name):
        return True
    has_marks = len(name) <= _LONGEST and letters.has_marks(name)
    return has_marks and letters.word_patterns().name.fullmatch(name) is not None


def make_name(text: str) -> str:
    """A valid name that is like a text: what no name may have becomes a space.

    >>> make_name("books"), make_name("My Books (2021)"), make_name("?!")
    ('books', 'My Books 2021', 'catalog')
    """
    try:
        return check_name(text)
    except InputError:
        fit = "".join(c if c.isalnum() or c in "_.-" or letters.has_marks(c) else " " for c in text[:_MOST_DECOMPOSED])
        cut = " ".join(letters.normalize_text(fit).split()).lstrip("_.- ")[:_LONGEST]
        while cut and not is_name(cut):
            cut = cut[:-1]
        return cut or "catalog"


def shown_name(folder: Path) -> str:
    """What a message calls the catalog in a folder: its name, or the stem of the file that it belongs to."""
    return folder.name[1:].rpartition("-")[0] if folder.name.startswith("@") else folder.name


def quoted(name: str) -> str:
    """A name as a shell takes it."""
    from shlex import quote  # which a query does without

    return quote(name)


def is_address(ref: str) -> bool:
    """Whether this is meant as the address of a catalog in a database, see `postgres.address`."""
    return ref.startswith(("postgresql://", "postgres://"))


def refuse_address(ref: str) -> None:
    """Raise InputError, which does not repeat it, for the address of a catalog in a database."""
    if is_address(ref):
        raise InputError(
            "this takes a catalog in a folder, not one in a database",
            hint="'attnsearch docs postgresql' lists what takes one",
        )


def home_folder() -> Path:
    """Where catalogs are kept: $ATTNSEARCH_HOME, else $XDG_DATA_HOME/attnsearch, else ~/.local/share/attnsearch.

    A relative $XDG_DATA_HOME is ignored, as its specification says. Raises InputError for an ATTNSEARCH_HOME of a user
    who is not known, CatalogError if this user has no home folder.
    """
    if own := os.environ.get("ATTNSEARCH_HOME"):
        return _expand_user(own)
    if Path(data := os.environ.get("XDG_DATA_HOME", "")).is_absolute():
        return Path(data) / "attnsearch"
    return _expand_user("") / ".local" / "share" / "attnsearch"


def cache_folder() -> Path:
    """Where copies are kept: $ATTNSEARCH_CACHE, else $XDG_CACHE_HOME/attnsearch, else ~/.cache/attnsearch.

    Raises as `home_folder` does.
    """
    if own := os.environ.get("ATTNSEARCH_CACHE"):
        return _expand_user(own, "ATTNSEARCH_CACHE", "copies")
    if Path(cache := os.environ.get("XDG_CACHE_HOME", "")).is_absolute():
        return Path(cache) / "attnsearch"
    return _expand_user("", "ATTNSEARCH_CACHE", "copies") / ".cache" / "attnsearch"


def fit_file(identity: str) -> Path:
    """The file of what was fitted to an encoder of this identity. Raises as `home_folder` does."""
    return home_folder() / _FITS / f"{identity}.json"


def _expand_user(own: str, variable: str = "ATTNSEARCH_HOME", content: str = "your catalogs") -> Path:
    """What a variable says, `~` and `~user` being their home folders; the user's home folder if it is empty."""
    try:
        return Path(own or "~").expanduser()
    except RuntimeError:
        hint = f"set {variable} to the folder for {content}"
        if own:
            user = own.partition("/")[0]
            raise InputError(f"there is no home folder {user}", where=f"{variable}={own}", hint=hint) from None
        raise CatalogError("your home folder is not known: there is no HOME", hint=hint) from None


def open_to_read(path: Path, *, follow_links: bool = False) -> BufferedReader:
    """Open a file to read its bytes, without waiting: a pipe that nobody writes to is empty.

    Raises OSError if it cannot be opened, or if it is a link and `follow_links` is False.
    """
    return os.fdopen(os.open(path, FLAGS if follow_links else FLAGS_NO_LINK), "rb")


def replace_file(file: Path, raw: bytes) -> None:
    """Replace a file atomically: after a crash it holds the old bytes or the new ones. Raises OSError."""
    with replacing(file) as out:
        out.write(raw)


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Write a file anew: it takes the place of the old one when the body is done, and never if that fails."""
    temporary = file.with_name(f".{file.name[:_BEGINNING]}-{uuid.uuid4().hex}")  # another process may replace it too
    try:
        out = temporary.open("xb")
        try:
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(file.stat().st_mode))
            yield out
            out.flush()
            os.fsync(out.fileno())
        except BaseException:
            with suppress(OSError):  # what is left in the buffer can't be written either
                out.close()
            raise
        out.close()
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    sync(file.parent)


def copy_file(file: Path, copy: Path) -> None:
    """Copy a file's bytes, durably. Raises OSError."""
    copyfile(file, copy)
    sync(copy)


def folder_size(folder: Path) -> int:
    """Bytes of all files in a folder; one that is removed meanwhile does not count."""
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.lstat(Path(path) / name).st_size
    return size


def refuse_unless_regular(path: Path) -> None:
    """Raise InputError if a file is not to be written there: the path is a link, a pipe, a device or a folder."""
    if path.is_symlink():
        raise InputError("is a link", where=str(path), hint="name the file that it points to")
    if path.exists() and not path.is_file():
        raise InputError("is not a regular file", where=str(path), hint="name another file")
    if not path.parent.is_dir():
        raise InputError("there is no such folder", where=str(path.parent), hint="create it first")


def sync(path: Path) -> None:
    """Make a folder's list of names, or a file's bytes, durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def swap_folders(folder: Path, staging: Path) -> None:
    """Let two folders swap their names, in one step if the system can."""
    import ctypes  # which a query does without

    library = ctypes.CDLL(None, use_errno=True)
    working_folder, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    swap = getattr(library, "renameat2", None)
    if swap is None or swap(working_folder, os.fsencode(folder), working_folder, os.fsencode(staging), exchange):
        removed = folder.with_name(f".removed-{uuid.uuid4().hex}")
        folder.rename(removed)
        try:
            staging.rename(folder)
        except OSError:
            removed.rename(folder)
            raise
        removed.rename(staging)
    sync(folder.parent)


def refuse_links(folder: Path) -> None:
    """Raise CatalogError if a catalog's folder, or anything in it that has a fixed name, is a link.

    SQLite's own files must also be regular: it would wait for the other end of a pipe.
    """
    for name in ("", SEGMENTS, POSTINGS, DATABASE, SEAL, LEARNED, FEEDBACK, PUBLISHED):
        refuse_link(folder / name)
    for suffix in ("-wal", "-shm", "-journal"):
        path = folder / f"{DATABASE}{suffix}"
        refuse_link(path)
        if is_regular(path) is False:
            raise CatalogError("is not a regular file", where=str(path), hint="remove it")


def is_regular(path: Path) -> bool | None:
    """Whether the path is a regular file; None if nothing is there. It looks once, since others may remove the file."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def refuse_link(path: Path) -> None:
    """Raise CatalogError if the path is a link: a catalog must not lead out of its folder."""
    if path.is_symlink():
        hint = "replace it with what it points to"
        raise CatalogError("is a link, and links are not followed here", where=str(path), hint=hint)
