"""The segments of a published catalog → this machine's copies of them, which all workers here share.

A copy is fetched under another name, verified, and renamed. Several processes may want the same one: the first fetches
it, and the others wait. Room is made before that: copies that no task has used for a month are removed, and if that is
not enough, others, the least recently used first, but none that was used within the hour.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.cluster.urls import UnreachableError, fetch, is_url
from attnsearch.errors import AttnsearchError
from attnsearch.storage.files import cache_folder
from attnsearch.storage.segment import LONGEST_HEADER, load_rows, load_segment

FREE = 0.1  # of the disk, which copies leave free
UNUSED = 30 * 86_400  # seconds after which a copy goes that no task has used
IN_USE = 3_600  # seconds for which one that a task has used stays

_INCOMING = "incoming"  # a folder for what is being fetched

Floats = NDArray[np.float32]


class Wanted(NamedTuple):
    """A segment's file as a task names it, an absolute path or a URL; its shape (rows, d), and its checksums."""

    file: str
    shape: tuple[int, int]
    sums: bytes


def find_local(wanted: Wanted) -> Path:
    """The file on this machine: that of a path itself; of a URL the copy, which may not be there yet.

    Raises UnreachableError if there is no folder for copies.
    """
    if not is_url(wanted.file):
        return Path(wanted.file)
    name = wanted.file.rpartition("/")[2].encode()
    digest = hashlib.sha256(b"%d:%s%s" % (len(name), name, wanted.sums)).hexdigest()
    try:
        return cache_folder() / f"{digest[:32]}.npy"  # a name as segments have
    except AttnsearchError as error:
        raise UnreachableError(str(error)) from None


def mark_used(wanted: Wanted, local: Path) -> None:
    """Note that a task uses a copy, so that it stays."""
    if is_url(wanted.file):
        with suppress(OSError):
            os.utime(local)


def load(wanted: Wanted, rows: range) -> Floats:
    """Map some of its vectors (n, d), verified. A copy that is missing is fetched, and once more if it is damaged.

    Raises UnreachableError if it can't be fetched or kept, else as `load_rows` does.
    """
    local = find_local(wanted)
    if not is_url(wanted.file):
        return load_rows(local.parent, local.name, wanted.shape, wanted.sums, rows)
    try:
        try:
            return _load_copy(wanted, local, rows)
        except FileNotFoundError:  # another process removed the copy; if it is not at the URL, this says so again
            return _load_copy(wanted, local, rows)
        except ValueError:
            local.unlink(missing_ok=True)
        try:
            return _load_copy(wanted, local, rows)
        except ValueError as error:
            local.unlink(missing_ok=True)
            raise ValueError(f"{error}, nor when it is fetched again") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreachableError(f"no copy can be kept in {local.parent}: {error.strerror or error}") from None


def _load_copy(wanted: Wanted, local: Path, rows: range) -> Floats:
    """Map some of the vectors (n, d) of a copy, which is fetched if it is not there. Raises as `load` does."""
    _fetch(wanted, local)
    x = load_rows(local.parent, local.name, wanted.shape, wanted.sums, rows)
    mark_used(wanted, local)
    return x


def _fetch(wanted: Wanted, local: Path) -> None:
    """Fetch a copy unless it is there. Raises as `load` does, and ValueError if what comes is damaged."""
    if local.exists():
        return
    incoming = local.parent / _INCOMING
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(incoming / local.name) as file:
        if local.exists():  # another process has fetched it
            return
        most = LONGEST_HEADER + math.prod(wanted.shape) * 4
        make_room(local.parent, most)
        try:
            fetch(wanted.file, file, most)
            load_segment(incoming, file.name, wanted.shape, wanted.sums)
            file.rename(local)
        except BaseException:
            file.unlink(missing_ok=True)
            raise


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """A file to write anew, to which no other process writes meanwhile."""
    import fcntl

    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _has_name(handle, file):  # else whoever had it renamed it, or gave up
                yield file
                return
        finally:
            os.close(handle)


def _has_name(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def make_room(folder: Path, needed: int) -> None:
    """Remove copies from a folder: those that nobody uses, and as many more as `needed` bytes take."""
    now = time.time()
    copies = []
    for path in (*folder.glob("*.npy"), *folder.glob(f"{_INCOMING}/*.npy")):
        with suppress(OSError):  # another process has removed it
            copies.append((now - path.stat().st_mtime, path))
    for age, path in sorted(copies, reverse=True):
        disk = shutil.disk_usage(folder)
        if age < IN_USE or (age < UNUSED and disk.free - needed >= FREE * disk.total):
            break
        path.unlink(missing_ok=True)
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
