"""However a catalog changes, its list of segments stays short, its dead rows few, its order and answers the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsearch.errors import CatalogError
from attnsearch.indexing import check, compaction
from attnsearch.indexing.writer import Writer
from attnsearch.storage.store import Store
from tests.storage.examples import contents, item, put, write


@pytest.fixture
def folder(home):
    return home / "shop"


def shape(folder):
    """Of each segment, how many rows it has, and how many of them are dead."""
    with Store(folder) as store:
        return [(row.rows, 0 if row.dead is None else int(row.dead.sum())) for row in store.segments]


def test_small_segments_are_merged(folder):
    """Sixty-four commits of one item each: a file for each power of two."""
    most = 0
    for n in range(64):
        put(folder, [n], keep=True)
        most = max(most, len(shape(folder)))
    assert shape(folder) == [(64, 0)]
    assert most <= 7
    assert contents(folder) == [(f"i{n}", float(n)) for n in range(64)]


def test_a_third_of_dead_rows_is_the_most(folder):
    put(folder, range(9))
    put(folder, range(3, 9))
    assert shape(folder) == [(9, 3)]
    put(folder, range(4, 9))
    assert shape(folder) == [(5, 0)]
    assert contents(folder) == [(f"i{n}", float(n)) for n in range(4, 9)]


def test_no_file_grows_past_its_size(folder, monkeypatch):
    monkeypatch.setattr(compaction, "SEGMENT", 10)
    for n in range(40):
        put(folder, [n], keep=True)
    assert all(rows <= 10 for rows, _ in shape(folder))
    assert len(shape(folder)) <= 8
    assert contents(folder) == [(f"i{n}", float(n)) for n in range(40)]


def test_a_file_may_be_full(folder, monkeypatch):
    """Whether it is written so or becomes so."""
    monkeypatch.setattr(compaction, "SEGMENT", 4)
    put(folder, range(8))
    assert shape(folder) == [(4, 0), (4, 0)]
    for n in range(8, 12):
        put(folder, [n], keep=True)
    assert shape(folder) == [(4, 0), (4, 0), (4, 0)]


def test_equal_texts_stay_in_the_order_they_came_in(folder):
    """Ties go by key, so a rewrite must preserve the order."""
    for n in range(12):
        with Writer(folder) as w:
            write(w, [item(n, "text 7")], keep=True)
    assert [ident for ident, _ in contents(folder)] == [f"i{n}" for n in range(12)]


def test_a_damaged_segment_is_not_copied(folder):
    put(folder, range(9))
    (path,) = (folder / "segments").iterdir()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CatalogError, match="is damaged: its rows 0 to 8 are not what was written"):
        put(folder, range(5))
    assert path.exists()


@settings(max_examples=30, deadline=None)
@given(states=st.lists(st.sets(st.integers(0, 30), min_size=1), min_size=1, max_size=8), size=st.integers(3, 12))
def test_any_history(tmp_path_factory, states, size):
    folder = tmp_path_factory.mktemp("home") / "shop"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "SEGMENT", size)
        for state in states:
            put(folder, sorted(state))
        assert sorted(contents(folder)) == sorted((f"i{n}", float(n)) for n in states[-1])
        assert check.find_problems(folder) == []
        assert all(3 * dead <= rows <= max(size, 3 * dead) or rows <= size for rows, dead in shape(folder))
        listed = {path.name for path in (folder / "segments").iterdir()}
        with Store(folder) as store:
            assert {row.file for row in store.segments} <= listed
            assert np.isfinite(store.embeddings([row.first for row in store.segments])).all()
