from __future__ import annotations

import numpy as np
import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.explanation.saved import save_arrays


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
