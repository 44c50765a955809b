"""The seal: made for the state that was committed, and not believed if it is not what was written."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing

import pytest

from attnsearch.storage import files, seal
from attnsearch.storage.store import Store
from tests.storage.examples import contents, put


@pytest.fixture
def folder(home):
    put(home / "shop", [1, 2])
    return home / "shop"


def test_it_is_of_the_last_commit(folder):
    sealed = seal.read_seal(folder)
    with Store(folder) as store:
        assert sealed.commit == store.info.commit
    assert sealed.sha256 == hashlib.sha256((folder / files.DATABASE).read_bytes()).hexdigest()
    assert sealed.sha256 == seal.database_sha256(folder)
    assert json.loads(sealed.info["name"]) == "shop"


def test_there_is_none(folder):
    (folder / files.SEAL).unlink()
    assert seal.read_seal(folder) is None


def test_a_reader_prevents_it_and_the_old_one_stays(folder):
    before = seal.read_seal(folder)
    with Store(folder):
        put(folder, [3])
    assert seal.read_seal(folder) == before
    put(folder, [4])
    assert seal.read_seal(folder) != before


def test_another_state_is_not_sealed(folder):
    """A writer that came in between seals its own."""
    before = (folder / files.SEAL).read_bytes()
    with closing(sqlite3.connect(folder / files.DATABASE, isolation_level=None)) as db:
        seal.write_seal(db, folder, "another commit")
    assert (folder / files.SEAL).read_bytes() == before


def test_it_is_of_the_sealed_state_even_if_another_is_committed_meanwhile(folder, monkeypatch):
    """As long as the seal is made, a commit stays in the log, and so the file is what it was."""
    before, database_sha256 = seal.database_sha256(folder), seal.database_sha256

    def commit_and_hash(folder):
        with closing(sqlite3.connect(folder / files.DATABASE, isolation_level=None)) as other:
            other.execute("CREATE TABLE IF NOT EXISTS new (x)")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return database_sha256(folder)

    commit = seal.read_seal(folder).commit
    monkeypatch.setattr(seal, "database_sha256", commit_and_hash)
    with closing(sqlite3.connect(folder / files.DATABASE, isolation_level=None)) as db:
        seal.write_seal(db, folder, commit)
    assert seal.read_seal(folder).sha256 == before


def test_what_prevents_it_does_not_undo_the_commit(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = seal.read_seal(folder)
    with monkeypatch.context() as patch:
        patch.setattr(seal, "replace_file", full)
        put(folder, [3])
    assert contents(folder) == [("i3", 3.0)]
    with closing(sqlite3.connect(folder / files.DATABASE, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # in which SQLite refuses to empty its log
        seal.write_seal(db, folder, before.commit)
    assert seal.read_seal(folder) == before


def test_any_other_byte_is_refused(folder):
    raw = (folder / files.SEAL).read_bytes()
    for position in range(0, len(raw), 7):
        (folder / files.SEAL).write_bytes(raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :])
        with pytest.raises((ValueError, LookupError, TypeError)):
            seal.read_seal(folder)


def test_a_pipe_is_not_waited_for(folder):
    (folder / files.SEAL).unlink()
    os.mkfifo(folder / files.SEAL)
    with pytest.raises(ValueError, match="Expecting value"):
        seal.read_seal(folder)
