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
from tests.storage.examples import put


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
