"""Which error of the system becomes which of ours, and which passes."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError, Exit, InputError
from attnsearch.storage import files, lock
from attnsearch.storage.failures import (
    DAMAGE,
    BusyError,
    DamagedError,
    MissingError,
    OlderError,
    damaged,
    is_busy,
    missing,
    opening,
    reading,
    refuse_forbidden,
    writing,
)

SHOP = Path("/home/ada/shop")


def sqlite_error(code: int, message: str = "as SQLite puts it") -> sqlite3.Error:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


NOT_UTF_8 = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (sqlite3.DatabaseError("file is not a database"), "file is not a database"),
        (sqlite_error(sqlite3.SQLITE_ERROR, "no such table: keys"), "no such table: keys"),
        (ValueError("the key 1 is not what was written"), "the key 1 is not what was written"),
        (json.JSONDecodeError("Expecting value", "", 0), "Expecting value: line 1 column 1 (char 0)"),
        (KeyError("sum"), "'sum'"),
        (IndexError("list index out of range"), "list index out of range"),
        (TypeError("not a number"), "not a number"),
        (OverflowError("too large"), "too large"),
        (NOT_UTF_8, "index.sqlite holds text that is not UTF-8"),
    ],
)
def test_what_reading_raises_is_damage(error, problem):
    assert isinstance(error, DAMAGE)
    with pytest.raises(DamagedError) as caught, reading(SHOP):
        raise error
    assert str(caught.value) == f"shop: the catalog is damaged: {problem}; run 'attnsearch check shop --repair'"


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory"),  # a segment may be gone, and the reader starts over
        PermissionError(13, "Permission denied"),
        sqlite3.ProgrammingError("Cannot operate on a closed database."),  # the caller's mistake
        OlderError("was made by an older attnsearch (form 1)"),
        CatalogError("was made by a newer attnsearch (form 3, not 2)"),
        InputError("the query is empty"),
        ZeroDivisionError(),
    ],
)
def test_what_is_not_damage_passes(error):
    with pytest.raises(type(error)) as caught, reading(SHOP):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (sqlite_error(sqlite3.SQLITE_BUSY), BusyError,
         "shop: another attnsearch is writing to it; try again when it is done"),
        (sqlite_error(sqlite3.SQLITE_BUSY_RECOVERY), BusyError,
         "shop: another attnsearch is writing to it; try again when it is done"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), DamagedError,
         "shop: the catalog is damaged: as SQLite puts it; run 'attnsearch check shop --repair'"),
        (sqlite_error(sqlite3.SQLITE_NOTADB), DamagedError,
         "shop: the catalog is damaged: as SQLite puts it; run 'attnsearch check shop --repair'"),
        (NOT_UTF_8, DamagedError,
         "shop: the catalog is damaged: index.sqlite holds text that is not UTF-8;"
         " run 'attnsearch check shop --repair'"),
        (sqlite_error(sqlite3.SQLITE_FULL), CatalogError, "/home/ada/shop: can't be removed: as SQLite puts it"),
        (OSError(28, "No space left on device"), CatalogError,
         "/home/ada/shop: can't be removed: No space left on device"),
        (OSError("without a number"), CatalogError, "/home/ada/shop: can't be removed: without a number"),
    ],
)  # fmt: skip
def test_what_writing_raises(error, kind, message):
    with pytest.raises(CatalogError) as caught, writing(SHOP, "removed"):
        raise error
    assert type(caught.value) is kind
    assert str(caught.value) == message


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), InputError("x"), OlderError("x")])
def test_what_passes_writing(error):
    with pytest.raises(type(error)) as caught, writing(SHOP):
        raise error
    assert caught.value is error


def test_busy_is_busy_for_whatever_reason():
    assert is_busy(sqlite_error(sqlite3.SQLITE_BUSY))
    assert is_busy(sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT))
    assert not is_busy(sqlite_error(sqlite3.SQLITE_LOCKED))
    assert not is_busy(sqlite3.Error("without a code"))


def test_each_has_the_exit_code_of_a_catalog():
    errors = [missing(SHOP), damaged(SHOP, "x"), OlderError("x")]
    assert [type(error) for error in errors] == [MissingError, DamagedError, OlderError]
    assert {error.code for error in errors} == {Exit.CATALOG}
    assert str(errors[0]).startswith("there is no catalog 'shop'; 'attnsearch list'")


class TestUnreadable:
    """What the system refuses is not damage: it has words of its own, and nothing is to be repaired."""

    @pytest.mark.parametrize(
        "code",
        [
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_PERM,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR_READ,
            sqlite3.SQLITE_NOMEM,
            sqlite3.SQLITE_BUSY,
        ],
    )
    def test_what_sqlite_reports_of_the_system(self, code):
        with pytest.raises(CatalogError, match="/home/ada/shop: can't be read: ") as caught, reading(SHOP):
            raise sqlite_error(code)
        assert not isinstance(caught.value, DamagedError)

    def test_sqlite_does_not_say_why_it_can_t_open_a_file_but_we_do(self, tmp_path):
        folder = tmp_path / ("x" * 250) / ("y" * 250)
        problem = "its path is longer than the 500 bytes that SQLite takes"
        with pytest.raises(CatalogError, match=problem), reading(folder):
            raise sqlite_error(sqlite3.SQLITE_CANTOPEN)

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (PermissionError(13, "Permission denied"), "Permission denied; it belongs to {owner}; set {home}"),
            (OSError(24, "Too many open files"), "Too many open files"),
            (sqlite_error(sqlite3.SQLITE_READONLY_CANTINIT), "as SQLite puts it"),
        ],
    )
    def test_opening(self, tmp_path, error, reason):
        (tmp_path / "index.sqlite").touch()
        with pytest.raises(CatalogError) as caught, opening(tmp_path):
            raise error
        known = {"owner": tmp_path.owner(), "home": "ATTNSEARCH_HOME to a folder of your own"}
        assert str(caught.value) == f"{tmp_path}: can't be opened: {reason.format(**known)}"

    def test_what_is_gone_is_missing(self, tmp_path):
        with pytest.raises(MissingError), opening(tmp_path / "shop"):
            raise sqlite_error(sqlite3.SQLITE_CANTOPEN)


@pytest.mark.parametrize(
    "name",
    ["index.sqlite", "index.sqlite-wal", "index.seal", files.LEARNED, files.FEEDBACK, "segments/1.npy", "postings/1"],
)
def test_no_file_of_a_catalog_may_be_forbidden(tmp_path, monkeypatch, name):
    file, opened = tmp_path / name, os.open
    file.parent.mkdir(exist_ok=True)
    file.touch()
    refuse_forbidden(tmp_path)

    def refuse(path, *args, **options):
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CatalogError, match=re.escape(f"{file}: can't be read: Permission denied")):
        refuse_forbidden(tmp_path)


@pytest.mark.parametrize(
    ("code", "is_raised"),
    [
        (sqlite3.SQLITE_CANTOPEN, True),
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_WRITE, False),
        (sqlite3.SQLITE_CORRUPT, False),
    ],
)
def test_only_a_damaged_database_or_a_full_disk_goes_unlocked(monkeypatch, code, is_raised):
    def refuse(_folder, **_options):
        raise sqlite_error(code)

    monkeypatch.setattr(lock, "acquire", refuse)
    if is_raised:
        with pytest.raises(sqlite3.OperationalError):
            lock.acquire_if_whole(SHOP)
    else:
        assert lock.acquire_if_whole(SHOP) is None
