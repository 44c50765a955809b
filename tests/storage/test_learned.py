"""What was learned, on disk: what comes back, what is damaged, what was killed."""

from __future__ import annotations

import json
import os
import tracemalloc

import numpy as np
import pytest

from attnsearch.attention.memory import Recall
from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import identity
from attnsearch.errors import CatalogError, InputError
from attnsearch.storage import checksum, files, learned, lock
from attnsearch.storage.learned import Learned, Remembered
from tests.storage.examples import INFO, put

W = np.array([[1.0, 0.5], [0.0, 2.0]], np.float32)
SOME = Learned(
    "a model", "ab" * 32, W, 0.1, 0.4, NullKey(1.5, 2.5), frozenset({"12", "34"}), {"from": "2 judged requests"}
)
X = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], np.float32)
RIGHT = [{"borscht": 1.0, "tom-yum": 2.0}, {}, {"tiramisu": 1.0}]
MEMORY = Remembered(["sour soup", "a bicycle", "süß \x1b[1m"], X, RIGHT, Recall(0.9, 0.02, 0.85))
OWN = SOME._replace(null=NullKey(1.5, 2.5, 0.02))
REMEMBERED = SOME._replace(w=None, temperature=None, lexical=None, null=None, memory=MEMORY)


@pytest.mark.parametrize(
    "some", [SOME, SOME._replace(is_lexical=True), OWN], ids=["asked for", "by itself", "null key's own temperature"]
)
def test_what_is_written_comes_back(tmp_path, some):
    path = tmp_path / files.LEARNED
    learned.write_learned(path, some)
    back = learned.read_learned(path)
    assert np.array_equal(back.w, W)
    assert back._replace(w=W) == some
    assert [file.name for file in tmp_path.iterdir()] == [files.LEARNED]


@pytest.mark.parametrize("some", [REMEMBERED, SOME._replace(memory=MEMORY)], ids=["alone", "beside W_Q"])
def test_judged_requests_come_back(tmp_path, some):
    path = tmp_path / files.LEARNED
    learned.write_learned(path, some)
    back = learned.read_learned(path)
    assert np.array_equal(back.memory.x, X)
    assert (back.w is None) == (some.w is None)
    assert back._replace(w=some.w, memory=back.memory._replace(x=X)) == some


def test_only_a_file_with_more_than_an_older_attnsearch_knows_needs_a_newer_one(tmp_path):
    more = (REMEMBERED, SOME._replace(memory=MEMORY), SOME._replace(is_lexical=True))
    for some, version in ((SOME, 1), *((known, 2) for known in more)):
        assert json.loads(_metadata(learned.pack_learned(some))["attnsearch"])["version"] == version


def _metadata(raw):
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length])["__metadata__"]


def test_a_file_of_version_1_is_read_as_it_was_written():
    """Its checksum was computed from these cells."""
    metadata = _metadata(learned.pack_learned(SOME))
    assert metadata["sum"] == str(checksum.row_checksum(metadata["attnsearch"], "[2, 2]", W.tobytes()))


def test_a_memory_alone_leaves_w_q_as_it_is():
    untrained = identity(2, 0.25)
    assert not REMEMBERED.trained
    assert SOME.trained
    assert np.array_equal(REMEMBERED.projections(0.25).w_q, untrained.w_q)


def test_other_programs_read_it(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    learned.write_learned(tmp_path / files.LEARNED, SOME)
    with safetensors.safe_open(tmp_path / files.LEARNED, "np") as file:
        assert np.array_equal(file.get_tensor("w"), W)


def test_w_q_has_the_temperature():
    x = np.array([[1.0, 0.0]], np.float32)
    projections = SOME.projections(0.1)
    logits = projections.fold(x) @ np.eye(2, dtype=np.float32).T * projections.scale
    assert np.allclose(logits, [[10.0, 5.0]])  # x w / 0.1


@pytest.mark.parametrize("at", [3, 20, 150, 400, -1])
def test_a_damaged_byte_is_found(tmp_path, at):
    path = tmp_path / files.LEARNED
    learned.write_learned(path, SOME)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CatalogError, match="reset"):
        learned.load_learned(tmp_path)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -4])
def test_a_shortened_file_is_found(tmp_path, length):
    path = tmp_path / files.LEARNED
    learned.write_learned(path, SOME)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="not what was written"):
        learned.read_learned(path)


def test_a_newer_version_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(learned, "VERSION", 4)
        learned.write_learned(tmp_path / files.LEARNED, OWN)
    with pytest.raises(InputError, match="newer"):
        learned.load_learned(tmp_path)


def test_a_newer_version_can_be_forgotten(home, monkeypatch):
    put(home / "shop", [1])
    with monkeypatch.context() as patch:
        patch.setattr(learned, "VERSION", 4)
        learned.write_learned(home / "shop" / files.LEARNED, OWN)
    assert learned.forget_learned(home / "shop") is None
    assert learned.load_learned(home / "shop") is None


def test_nothing_was_learned(tmp_path):
    assert learned.load_learned(tmp_path) is None


def test_a_failed_write_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / files.LEARNED
    learned.write_learned(path, SOME)

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        learned.write_learned(path, SOME._replace(temperature=0.2))
    assert learned.read_learned(path).temperature == 0.1
    assert [file.name for file in tmp_path.iterdir()] == [files.LEARNED]


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"lexical": -0.1},
        {"lexical": float("inf")},
        {"null": NullKey(float("nan"), 1.0)},
        {"w": np.array([[1.0, np.nan], [0.0, 1.0]], np.float32)},
        {"w": np.ones((2, 3), np.float32)},
        {"w": np.ones(4, np.float32)},
        {"model": 1},
        {"model": "\ud800"},
        {"requests": [1]},
        {"temperature": 10**400},
        {"lexical": 10**400},
        {"is_lexical": True, "lexical": None},
        {"null": NullKey(10**400, 1)},
        {"story": ["x"]},
        {"story": {"x": float("nan")}},
    ],
    ids=str,
)
def test_what_no_training_produces_is_refused_even_with_its_checksum(tmp_path, change):
    learned.write_learned(tmp_path / files.LEARNED, SOME._replace(**change))
    with pytest.raises(CatalogError, match="it is not what was written"):
        learned.load_learned(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"x": X[:2]},
        {"x": X[:, :1]},
        {"x": 2 * X},
        {"x": X * np.float32("nan")},
        {"x": X[0]},
        {"queries": ["a", "b"]},
        {"queries": ["a", "b", 3]},
        {"queries": ["a", "b", "\ud800"]},
        {"right": [{}, {}]},
        {"right": [{"a": 0.0}, {}, {}]},
        {"right": [{"a": float("inf")}, {}, {}]},
        {"right": [{"a": "1"}, {}, {}]},
        {"right": [{"a": 10**400, "b": 0.5}, {}, {}]},
        {"right": [{"\ud800": 1.0}, {}, {}]},
        {"right": [[[1, 1.0]], {}, {}]},
        {"right": ["a", {}, {}]},
        {"recall": Recall(1.0, 0.02, 0.85)},
        {"recall": Recall(float("nan"), 0.02, 0.85)},
        {"recall": Recall(0.5, 0.0, 0.85)},
        {"recall": Recall(0.5, float("nan"), 0.85)},
        {"recall": Recall(0.5, 0.02, float("-inf"))},
        {"recall": (0.5, 0.02)},
        {"recall": (0.5, 0.02, 10**400, 0)},
    ],
    ids=str,
)
def test_judged_requests_that_nobody_judged_are_refused(tmp_path, change):
    some = SOME._replace(memory=MEMORY._replace(**change))
    learned.write_learned(tmp_path / files.LEARNED, some)
    with pytest.raises(CatalogError, match="it is not what was written"):
        learned.load_learned(tmp_path)


def test_more_judged_requests_than_are_remembered_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(learned, "MOST_REMEMBERED", 2)
    learned.write_learned(tmp_path / files.LEARNED, REMEMBERED)
    with pytest.raises(CatalogError, match="it is not what was written"):
        learned.load_learned(tmp_path)


def test_nothing_is_forgotten_while_the_folder_is_guarded(home, monkeypatch):
    """A repair would carry it over, or not, as it happens."""
    put(home / "shop", [1])
    learned.write_learned(home / "shop" / files.LEARNED, SOME)
    monkeypatch.setattr(lock.guarding.__wrapped__, "__defaults__", (0.05,))
    with lock.guarding(home / "shop"), pytest.raises(CatalogError, match="another attnsearch is writing to it"):
        learned.forget_learned(home / "shop")
    assert learned.load_learned(home / "shop").model == SOME.model


def test_requests_are_known_again_by_their_hash_or_their_words():
    one = SOME._replace(requests=frozenset({learned.short_hash("Sour soup")}))
    assert one.taught(["sour  soup", "sweet soup"]) == 1
    assert REMEMBERED.taught(["sour  soup", "sweet soup"]) == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as out:
        out.truncate(learned.LONGEST + 1)  # no disk is needed for it
    tracemalloc.start()
    with pytest.raises(ValueError, match="it has more than 320 MiB"):
        learned.read_learned(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_what_was_forgotten_stays_forgotten_after_a_power_cut(home, synced):
    put(home / "shop", [1])
    learned.write_learned(home / "shop" / files.LEARNED, SOME)
    synced.clear()
    assert learned.forget_learned(home / "shop").model == SOME.model
    assert synced[-1].path == home / "shop"
    assert files.LEARNED not in synced[-1].names


@pytest.mark.parametrize(
    ("changes", "suits"),
    [
        ({}, True),
        ({"identity": ""}, True),  # a catalog of an older attnsearch
        ({"identity": "other"}, False),
        ({"sha256": "5" * 64}, False),
        ({"identity": "", "sha256": "5" * 64}, False),
        ({"d": 3}, False),
    ],
)
def test_it_suits_one_encoder(changes, suits):
    info = INFO._replace(sha256="ab" * 32, identity="mine", d=2)._replace(**changes)
    assert SOME._replace(identity="mine").suits(info) is suits
    assert SOME.suits(info) is (suits or changes == {"identity": "other"})  # learned by an older attnsearch
