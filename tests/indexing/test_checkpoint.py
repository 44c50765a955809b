from __future__ import annotations

import hashlib

import numpy as np
import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing import checkpoint
from attnsearch.indexing.checkpoint import Checkpoint

RECORD = 32 + 3 * 4 + 4


def texts(*numbers):
    return [hashlib.sha256(bytes([n])).digest() for n in numbers]


def vectors(*numbers):
    return np.array([[n, n + 0.25, n + 0.5] for n in numbers], np.float32)


@pytest.fixture
def written(tmp_path):
    """The file of a draft of five texts, whose embedding begins with their number."""
    with Checkpoint(tmp_path, "m") as made:
        assert made.append(texts(0, 1, 2), vectors(0, 1, 2)) == 0
        assert made.append(texts(3, 4), vectors(3, 4)) == 3
    return tmp_path / "unfinished-m"


def recalled(folder, maker="m"):
    with Checkpoint(folder, maker) as found:
        known = list(found.recall())
        return known, found.embeddings(range(len(known)))[:, 0].tolist() if known else []


def test_what_was_kept_is_found(written, monkeypatch):
    assert recalled(written.parent) == (texts(0, 1, 2, 3, 4), [0, 1, 2, 3, 4])
    monkeypatch.setattr(checkpoint, "_CHUNK", 2)
    assert recalled(written.parent) == (texts(0, 1, 2, 3, 4), [0, 1, 2, 3, 4])


def test_rows_in_any_order(written):
    with Checkpoint(written.parent, "m") as found:
        list(found.recall())
        assert found.embeddings([4, 0, 4])[:, 0].tolist() == [4, 0, 4]


def test_it_grows_after_it_was_found(written):
    with Checkpoint(written.parent, "m") as found:
        list(found.recall())
        assert found.append(texts(9), vectors(9)) == 5
        assert found.embeddings([5, 0])[:, 0].tolist() == [9, 0]
    assert recalled(written.parent)[1] == [0, 1, 2, 3, 4, 9]


@pytest.mark.parametrize("left", range(4 + 5 * RECORD))
def test_a_torn_end_is_cut_off(written, left):
    """Whatever was lost of the end, the whole records before it are good, and more can follow."""
    written.write_bytes(written.read_bytes()[:left])
    whole = max(left - 4, 0) // RECORD
    assert recalled(written.parent) == (texts(*range(whole)), list(range(whole)))
    with Checkpoint(written.parent, "m") as found:
        list(found.recall())
        found.append(texts(8), vectors(8))
    assert recalled(written.parent) == (texts(*range(whole), 8), [*range(whole), 8])


@pytest.mark.parametrize("at", range(4, 4 + 5 * RECORD, 7))
def test_from_a_spoiled_record_on_nothing_counts(written, at):
    raw = bytearray(written.read_bytes())
    raw[at] ^= 1
    written.write_bytes(raw)
    whole = (at - 4) // RECORD
    assert recalled(written.parent)[0] == texts(*range(whole))


def test_zeros_where_the_power_failed(written):
    raw = written.read_bytes()
    written.write_bytes(raw[: 4 + RECORD] + bytes(4 * RECORD))
    assert recalled(written.parent)[0] == texts(0)


@pytest.mark.parametrize("head", [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\1"])
def test_a_width_that_none_has(written, head):
    written.write_bytes(head)
    assert recalled(written.parent) == ([], [])


def test_of_another_maker_nothing_is_left(written):
    assert recalled(written.parent, "other") == ([], [])
    assert not written.exists()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CatalogError, match="can't be written"):
        Checkpoint(tmp_path / "none", "m")
