"""Catalogs by name → an index of their latest state, which threads share; each state is opened once.

A look at the times of a catalog's files, 20 µs, tells whether it has another state by now: after a commit, a training,
feedback, a repair, or when anything else wrote to them. One thread opens that, while others are answered from the older
state, whose index is closed when the last of them has its answer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from attnsearch.errors import AttnsearchError, CatalogError
from attnsearch.models.record import identify
from attnsearch.opening.index import Index
from attnsearch.opening.union import Union
from attnsearch.storage import home
from attnsearch.storage.files import DATABASE, LEARNED, SEGMENTS, fit_file, home_folder
from attnsearch.storage.segment import Mapped

_LOG = "-wal"
_YOUNG = 100_000_000  # nanoseconds: within these, two changes of a file may have the same time
_FAILED = 1.0  # seconds until opening is tried again though no file has changed: the reason may lie elsewhere

Marks = tuple[tuple[int, int, int, int] | None, ...]
"""What the system says of files: inode, size, and the times of the last write and change; None for one that is gone."""

OpenPart = Callable[[str, Mapped], Index]
"""Opens the catalog of a name, some of whose segments are mapped already."""


def look_at(files: Sequence[str]) -> Marks:
    """The marks of these files."""
    marks: list[tuple[int, int, int, int] | None] = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 (for every request)
        except (OSError, ValueError):
            marks.append(None)
        else:
            # SQLite sets the owner of a log whenever root opens it, and with it the time of its last change.
            changed = 0 if file.endswith(_LOG) else status.st_ctime_ns
            marks.append((status.st_ino, status.st_size, status.st_mtime_ns, changed))
    return tuple(marks)


class _State:
    """An index of one state of its catalogs, the marks of their files, and how many threads ask it.

    `marks` are those of the databases and their logs, in pairs, and then of all other files.
    """

    def __init__(self, index: Index, files: Sequence[str], marks: Marks) -> None:
        self.index = index
        self.askers = 0
        self.is_replaced = False
        self._files = files
        self._databases = 2 * len(index.stores)
        self._seen = (marks, False)  # the second says that a later change leaves other marks

    def is_latest(self) -> bool:
        """Whether the catalogs have no other state by now."""
        marks = look_at(self._files)
        if self._seen == (marks, True):
            return True
        # A log comes and goes without a commit. And two commits at almost the same time may leave the same marks.
        last = max((max(mark[2:]) for mark in marks if mark), default=0)
        is_settled = time.time_ns() - last > _YOUNG
        if self._has_same_files(marks) and self._has_same_commits():
            self._seen = (marks, is_settled)
            return True
        return False

    def _has_same_files(self, marks: Marks) -> bool:
        before, count = self._seen[0], self._databases
        inodes, inodes_before = ([mark and mark[0] for mark in some[:count:2]] for some in (marks, before))
        return inodes == inodes_before and marks[count:] == before[count:]

    def _has_same_commits(self) -> bool:
        with suppress(CatalogError):
            return all(home.read_catalog_info(s.folder).commit == s.info.commit for s in self.index.stores)
        return False

    def mapped(self) -> Mapped:
        """The segments that it has mapped, but for those that something has touched since."""
        pairs = zip(self._files, self._seen[0], look_at(self._files), strict=True)
        untouched = {Path(file).name for file, mark, now in pairs if mark == now}
        segments = (segment for store in self.index.stores for segment in store.mapped.items())
        return {key: x for key, x in segments if key[0] in untouched}


class _Failure(NamedTuple):
    """Why no state can be opened, the marks that the files had, and the time until which that counts."""

    error: AttnsearchError
    marks: Marks
    until: float


class Latest:
    """The index of a catalog, or of several as one, at the latest state. `size` is how many catalogs they are.

    `prepare` is called with each index that is opened.
    """

    def __init__(
        self, names: Sequence[str], open_part: OpenPart, prepare: Callable[[Index], None] = lambda _: None
    ) -> None:
        self.size = len(names)
        self._names = names
        self._open_part = open_part
        self._prepare = prepare
        self._state: _State | None = None
        self._failure: _Failure | None = None
        self._lock = threading.Lock()  # of the state and its askers
        self._opening = threading.Lock()  # of the thread that opens a state
        databases = [str(home_folder() / name / DATABASE) for name in names]
        self._files = [file for database in databases for file in (database, database + _LOG)]
        self._files += [str(home_folder() / name / LEARNED) for name in names]

    @contextmanager
    def lease(self) -> Iterator[Index]:
        """The index, which stays open within the context. Raises as `Index.open_named` and `Union` do."""
        state = self._take()
        try:
            yield state.index
        finally:
            self._give_back(state)

    def refresh(self) -> None:
        """Open the latest state if an older one is open."""
        if self._state:
            with suppress(AttnsearchError), self.lease():
                pass

    def close(self) -> None:
        """Close the index, as soon as nobody asks it. Another lease opens it again."""
        self._replace(None)

    def _take(self) -> _State:
        """The latest state; the older one while another thread opens that."""
        state = self._hold()
        if state and state.is_latest():
            return state
        if not self._opening.acquire(blocking=state is None) and state:
            return state
        try:
            return self._take_latest()
        finally:
            self._opening.release()
            if state:
                self._give_back(state)

    def _take_latest(self) -> _State:
        """The latest state, which is opened unless another thread just did that."""
        before = self._hold()
        if before and before.is_latest():
            return before
        failure = self._failure
        if failure and time.monotonic() < failure.until and look_at(self._files) == failure.marks:
            raise failure.error.with_traceback(None)
        marks = look_at(self._files)  # before they are read: what is written meanwhile makes other ones
        try:
            state = self._open(marks, before)
        except BaseException as error:
            self._replace(None)
            if isinstance(error, AttnsearchError):
                self._failure = _Failure(error.with_traceback(None), marks, time.monotonic() + _FAILED)
            raise
        finally:
            if before:
                self._give_back(before)
        self._failure = None
        self._replace(state)
        return state

    def _open(self, marks: Marks, before: _State | None) -> _State:
        """A state that one thread asks, with the marks that its files had."""
        mapped = before.mapped() if before else {}
        with ExitStack() as opened:
            parts = [opened.enter_context(self._open_part(name, mapped)) for name in self._names]
            index = parts[0] if len(parts) == 1 else opened.enter_context(Union(parts))
            self._prepare(index)
            fits = [str(fit_file(identify(part.info.identity, part.info.use))) for part in parts]
            marks += look_at(fits)
            with suppress(AttnsearchError):  # which a query says, unless it does without
                _ = index.learned, index.fit
            if before:
                index.open_same(before.index)
            opened.pop_all()
        segments = [str(s.folder / SEGMENTS / row.file) for s in index.stores for row in s.segments]
        state = _State(index, [*self._files, *fits, *segments], marks + look_at(segments))
        state.askers = 1
        return state

    def _hold(self) -> _State | None:
        """The state that is open, with one more asker."""
        with self._lock:
            if self._state:
                self._state.askers += 1
            return self._state

    def _give_back(self, state: _State) -> None:
        with self._lock:
            state.askers -= 1
            is_over = state.is_replaced and not state.askers
        if is_over:
            state.index.close()

    def _replace(self, state: _State | None) -> None:
        with self._lock:
            before, self._state = self._state, state
            if before:
                before.is_replaced = True
            is_over = before is not None and not before.askers
        if before and is_over:
            before.index.close()
