from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from attnsearch.attention.projections import identity
from attnsearch.errors import CatalogError, InputError
from attnsearch.explanation import saved
from attnsearch.explanation.saved import collect_arrays, save_arrays
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.setting import DEFAULT, Setting
from tests.search.conftest import index_items


def test_arrays_are_read_without_pickle(tmp_path):
    file = tmp_path / "x.npz"
    save_arrays(file, {"q": np.eye(2, dtype=np.float32), "titles": np.array(["moon", "月"])})
    with np.load(file) as arrays:
        assert arrays["q"].tolist() == [[1, 0], [0, 1]]
        assert arrays["titles"].tolist() == ["moon", "月"]
        assert set(arrays) == {"q", "titles"}


def test_a_file_is_whole_or_not_written_at_all(tmp_path):
    file = tmp_path / "x.npz"
    file.write_text("before")
    with pytest.raises(TypeError, match="pickled: titles"):
        save_arrays(file, {"q": np.eye(2), "titles": np.array([None])})
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_only_a_regular_npz_file_is_written(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "x.npz")
    for name, message in (
        ("x.csv", r"--save writes arrays of NumPy, not 'x.csv'"),
        ("link.npz", "is a link"),
        ("no/x.npz", "there is no such folder"),
    ):
        with pytest.raises(InputError, match=message):
            save_arrays(tmp_path / name, {})
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut").chmod(0o500)
    try:
        (tmp_path / "shut" / "probe").touch()
    except PermissionError:
        with pytest.raises(CatalogError, match="can't be written"):
            save_arrays(tmp_path / "shut" / "x.npz", {})


def test_a_long_title_is_refused_before_all_items_have_room_for_one(write, small, monkeypatch):
    """An array of texts has room for the longest in each place."""
    long, many = 100_000, 300
    name = index_items(write, "x", [{"title": f"{number} " + "x" * long * (not number)} for number in range(many)])
    monkeypatch.setattr(saved, "LARGEST", long * many)
    with Index.open(name) as index:
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match="all keys and values take"):
                saved.collect_arrays(index, ["moon"], DEFAULT)
            assert tracemalloc.get_traced_memory()[1] < long * many
        finally:
            tracemalloc.stop()


def test_a_long_request_counts(write, small, monkeypatch):
    name = index_items(write, "x", [{"title": "moon"}])
    monkeypatch.setattr(saved, "LARGEST", 100_000)
    with Index.open(name) as index:
        assert saved.collect_arrays(index, ["moon", "sea"], DEFAULT)["query"].tolist() == ["moon", "sea"]
        with pytest.raises(InputError, match="all keys and values take"):
            saved.collect_arrays(index, ["moon", "sea " * 10_000], DEFAULT)


def test_the_output_has_learned_values(shop):
    doubling = identity(4)._replace(w_v=np.eye(4, dtype=np.float32) * 2)
    with Index.open("shop") as index:
        arrays = collect_arrays(index, ["moon", "sea"], Setting(doubling))
    assert np.allclose(arrays["output"], arrays["weights"] @ arrays["V"], atol=1e-6)
    assert np.linalg.norm(arrays["V"], axis=1) == pytest.approx([2, 2, 2])


def test_without_a_visible_item_weights_are_zero(shop):
    with Index.open("shop") as index:
        arrays = collect_arrays(index, ["moon"], Setting(where=(parse_filter("price > 9"),)))
    assert (arrays["weights"].tolist(), arrays["bias"].tolist()) == ([[0, 0, 0]], [[-np.inf] * 3])
