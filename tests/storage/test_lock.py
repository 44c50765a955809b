"""One writer at a time; the lock creates the catalog's folder, and holds only for the folder that is still there."""

from __future__ import annotations

import fcntl
import functools
import itertools
import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing import writer
from attnsearch.indexing.writer import Writer
from attnsearch.storage import files, lock
from attnsearch.storage.failures import BusyError, MissingError
from tests.storage.examples import contents, item, put, whole, write


@pytest.fixture
def folder(home):
    return home / "shop"


def test_a_second_writer_waits_or_says_so(folder, caplog):
    put(folder, [1])
    with Writer(folder), pytest.raises(CatalogError, match="another attnsearch is writing to it; try again"):
        Writer(folder, wait=0.05)
    assert "waiting for another attnsearch" in caplog.text

    first = Writer(folder)
    second = threading.Thread(target=put, args=(folder, [7]))
    second.start()
    write(first, [item(5)])
    first.close()
    second.join(timeout=20)
    assert contents(folder) == [("i7", 7.0)]


class TestPatience:
    """A writer is waited for as long as it makes progress."""

    @pytest.mark.parametrize("sign", [lock.show_life, lambda folder: _grow(folder / "unfinished-small")])
    def test_one_that_gets_on(self, folder, sign):
        put(folder, [1])
        first = Writer(folder)
        second = threading.Thread(target=Writer, args=(folder, 0.5))
        second.start()
        for _ in range(15):
            time.sleep(0.1)
            sign(folder)
        assert second.is_alive()
        first.close()
        second.join(timeout=20)

    def test_no_wait_is_none_and_says_nothing(self, folder, caplog):
        put(folder, [1])
        with Writer(folder), pytest.raises(BusyError):
            Writer(folder, wait=0)
        assert caplog.text == ""

    def test_a_writer_shows_life_while_it_reads(self, folder, monkeypatch):
        monkeypatch.setattr(writer, "_LIFE", 0)
        times = set()

        def items():
            for number in range(3):
                os.utime(folder / "segments", (number, number))
                yield item(number)
                times.add((folder / "segments").stat().st_mtime == number)

        with Writer(folder) as w:
            w.take_items(items(), whole)
        assert times == {False}


def _grow(path):
    with path.open("ab") as file:
        file.write(b"x")


def test_it_also_waits_where_sqlite_does_not(folder, monkeypatch):
    """While the log is recovered, SQLite reports at once that it is busy."""
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
    answers = [busy, busy, busy]

    class Recovering(sqlite3.Connection):
        def execute(self, statement, *parameters):
            if statement == "PRAGMA journal_mode=WAL" and answers:
                raise answers.pop()
            return super().execute(statement, *parameters)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Recovering))
    put(folder, [1])
    assert answers == []
    assert contents(folder) == [("i1", 1.0)]


@pytest.mark.parametrize("pause", [0, 0.001, 0.01, 0.2])
def test_a_writer_that_waited_while_the_catalog_was_removed_starts_anew(folder, pause):
    """However far the second writer has come by then."""
    put(folder, [1])
    first = Writer(folder)
    second = threading.Thread(target=put, args=(folder, [7]))
    second.start()
    time.sleep(pause)
    folder.rename(folder.with_name(".removed-x"))
    first.close()
    second.join(timeout=20)
    assert contents(folder) == [("i7", 7.0)]


@pytest.mark.parametrize("moment", range(3))
def test_a_database_removed_between_two_looks_at_it_is_created_again(folder, monkeypatch, moment):
    put(folder, [1])
    looks, stat = itertools.count(), Path.stat

    def look(path, *, follow_symlinks=True):
        if path.name == files.DATABASE and follow_symlinks and next(looks) == moment:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", look)
    lock.acquire(folder).close()
    assert next(looks) > moment  # that look was taken


def test_a_new_home_is_the_users_own(folder, home):
    put(folder, [1])
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_home_that_is_there_stays_as_it_is(folder, home):
    home.mkdir(mode=0o755)
    put(folder, [1])
    assert home.stat().st_mode & 0o777 == 0o755


def test_a_file_in_the_place_of_the_home(home, folder):
    home.write_text("")
    with pytest.raises(CatalogError, match="can't be written"):
        Writer(folder)


def test_a_file_system_that_takes_no_folders(folder, monkeypatch):
    """Such as /proc, which reports that there is no such folder. A writer does not try for ever."""
    tried = itertools.count(1)

    def refuse(path, *_, **options):
        if path == folder / "segments":
            assert next(tried) < 10_000
            raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(lock.Path, "mkdir", refuse)
    with pytest.raises(CatalogError, match="can't be written: No such file or directory"):
        Writer(folder)


def test_it_waits_for_thirty_seconds(folder, monkeypatch, caplog):
    """Both as SQLite waits and as we do where it does not."""
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    now, timeouts = [100.0], []

    def begin(db):
        timeouts.append(db.execute("PRAGMA busy_timeout").fetchone()[0])
        raise busy

    def sleep(seconds):
        now[0] += 1.0

    monkeypatch.setattr(lock, "_begin", begin)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(sqlite3.OperationalError):
        lock.acquire(folder)
    assert now == [130.0]
    assert timeouts[0] == 0
    assert set(timeouts[1:]) == {1_000}
    caplog.clear()
    with lock.guarding(folder), pytest.raises(CatalogError, match="another attnsearch"), lock.guarding(folder):
        pass
    assert now == [160.0]
    assert len(caplog.messages) == 1  # not one at each attempt


def test_a_folder_removed_before_the_database_is_opened_is_created_again(folder, monkeypatch):
    put(folder, [1])
    connect, calls = lock._connect_and_lock, itertools.count()

    def remove_first(*args):
        if not next(calls):
            folder.rename(folder.with_name(".removed-x"))
        return connect(*args)

    monkeypatch.setattr(lock, "_connect_and_lock", remove_first)
    with closing(lock.acquire(folder)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    assert next(calls) == 2


def open_handles():
    """How many files this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_a_guard_that_is_refused_leaves_nothing_open(folder):
    put(folder, [1])
    with lock.guarding(folder):
        before = open_handles()
        with pytest.raises(CatalogError, match="another attnsearch"), lock.guarding(folder, wait=0):
            pass
        assert open_handles() == before


def test_nor_does_a_lock(folder, monkeypatch):
    put(folder, [1])
    closed = []

    class Tracked(sqlite3.Connection):
        def close(self):
            closed.append(self)
            super().close()

    with closing(lock.acquire(folder)):
        monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Tracked))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            lock.acquire(folder, wait=0)
    assert len(closed) == 1


@pytest.mark.parametrize("create", [True, False])
def test_no_link_is_locked(folder, tmp_path, create):
    put(folder, [1])
    (folder / files.DATABASE).rename(tmp_path / "away")
    (folder / files.DATABASE).symlink_to(tmp_path / "away")
    with pytest.raises(CatalogError, match="is a link"):
        lock.acquire(folder, create=create)


def test_a_commit_is_on_the_disk_before_it_is_reported(folder):
    """In a log, SQLite syncs at each commit only if it is asked to."""
    with closing(lock.acquire(folder)) as db:
        settings = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


def test_a_writer_runs_nothing_that_a_schema_asks_for(folder):
    with closing(lock.acquire(folder)) as db:
        assert db.execute("PRAGMA trusted_schema").fetchone() == (0,)


def test_the_guard_is_of_the_folder_that_has_the_name(folder, monkeypatch):
    """Not of the one that had it when the guard began."""
    put(folder, [1])
    flock, calls = fcntl.flock, itertools.count()

    def swap_first(handle, operation):
        if not next(calls):
            folder.rename(folder.with_name(".removed-x"))
            put(folder, [2])
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", swap_first)
    with lock.guarding(folder), pytest.raises(CatalogError, match="another attnsearch"), lock.guarding(folder, wait=0):
        pass
    assert next(calls) > 2


def test_a_catalog_that_is_gone_is_not_created(folder):
    with pytest.raises(MissingError, match="there is no catalog 'shop'"):
        lock.acquire(folder, create=False)
    with pytest.raises(MissingError, match="there is no catalog 'shop'"), lock.guarding(folder):
        pass
    assert not folder.exists()


def test_the_folder_of_segments_is_made_anew(folder):
    """A killed process may have left a database without it."""
    lock.acquire(folder).close()
    with Writer(folder):
        pass
    (folder / files.SEGMENTS).rmdir()
    put(folder, [1])
    assert contents(folder) == [("i1", 1.0)]


def test_another_folder_may_come_in_before_the_database_is_made(folder, home, monkeypatch):
    """A removal that keeps feedback puts a folder without segments in the place of the one that was made."""
    touch, other = Path.touch, home / "other"
    other.mkdir(parents=True)

    def swap_and_touch(file):
        if other.exists():
            folder.rename(home / "removed")
            other.rename(folder)
        touch(file)

    monkeypatch.setattr(Path, "touch", swap_and_touch)
    put(folder, [1])
    assert contents(folder) == [("i1", 1.0)]
