from __future__ import annotations

import hashlib

import numpy as np
import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing.checkpoint import Checkpoint

RECORD = 32 + 3 * 4 + 4


def hashes(*numbers):
    return [hashlib.sha256(bytes([n])).digest() for n in numbers]


def vectors(*numbers):
    return np.array([[n, n + 0.25, n + 0.5] for n in numbers], np.float32)


@pytest.fixture
def file(tmp_path):
    """A checkpoint of five texts; each embedding begins with the number of its text."""
    with Checkpoint(tmp_path, "m") as checkpoint:
        assert checkpoint.append(hashes(0, 1, 2), vectors(0, 1, 2)) == 0
        assert checkpoint.append(hashes(3, 4), vectors(3, 4)) == 3
    return tmp_path / "unfinished-m"


def recall(folder, maker="m", **size):
    """The texts of the checkpoint, and the first component of their embeddings."""
    with Checkpoint(folder, maker) as checkpoint:
        texts = list(checkpoint.recall(**size))
        return texts, checkpoint.embeddings(range(len(texts)))[:, 0].tolist() if texts else []


@pytest.mark.parametrize("records", [1, 2, 5, 4_096])
def test_the_next_run_recalls_everything(file, records):
    assert recall(file.parent, records=records) == (hashes(0, 1, 2, 3, 4), [0, 1, 2, 3, 4])


def test_rows_in_any_order(file):
    with Checkpoint(file.parent, "m") as checkpoint:
        list(checkpoint.recall())
        assert checkpoint.embeddings([4, 0, 4])[:, 0].tolist() == [4, 0, 4]


def test_the_next_run_can_append(file):
    with Checkpoint(file.parent, "m") as checkpoint:
        list(checkpoint.recall())
        assert checkpoint.append(hashes(9), vectors(9)) == 5
        assert checkpoint.embeddings([5, 0])[:, 0].tolist() == [9, 0]
    assert recall(file.parent)[1] == [0, 1, 2, 3, 4, 9]


@pytest.mark.parametrize("length", range(4 + 5 * RECORD))
def test_a_torn_end_is_cut_off(file, length):
    """However much of the end was lost, the whole records before it count, and others can follow."""
    file.write_bytes(file.read_bytes()[:length])
    whole = max(length - 4, 0) // RECORD
    assert recall(file.parent) == (hashes(*range(whole)), list(range(whole)))
    with Checkpoint(file.parent, "m") as checkpoint:
        list(checkpoint.recall())
        checkpoint.append(hashes(8), vectors(8))
    assert recall(file.parent) == (hashes(*range(whole), 8), [*range(whole), 8])


@pytest.mark.parametrize("byte", range(4, 4 + 5 * RECORD, 7))
def test_nothing_counts_from_a_damaged_record_on(file, byte):
    raw = bytearray(file.read_bytes())
    raw[byte] ^= 1
    file.write_bytes(raw)
    whole = (byte - 4) // RECORD
    assert recall(file.parent)[0] == hashes(*range(whole))


def test_zeros_where_the_power_failed(file):
    raw = file.read_bytes()
    file.write_bytes(raw[: 4 + RECORD] + bytes(4 * RECORD))
    assert recall(file.parent)[0] == hashes(0)


@pytest.mark.parametrize("head", [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\1"])
def test_an_impossible_width(file, head):
    file.write_bytes(head)
    assert recall(file.parent) == ([], [])


def test_the_checkpoint_of_another_maker_is_deleted(file):
    assert recall(file.parent, "other") == ([], [])
    assert not file.exists()


def test_a_missing_folder(tmp_path):
    with pytest.raises(CatalogError, match="can't be written"):
        Checkpoint(tmp_path / "none", "m")


def test_each_chunk_is_in_the_file_as_soon_as_it_is_appended(tmp_path):
    """A killed run does not close its files."""
    with Checkpoint(tmp_path, "m") as checkpoint:
        checkpoint.append(hashes(0), vectors(0))
        assert (tmp_path / "unfinished-m").stat().st_size == 4 + RECORD
        checkpoint.append(hashes(1), vectors(1))
        assert (tmp_path / "unfinished-m").stat().st_size == 4 + 2 * RECORD
