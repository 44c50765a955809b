"""A segment's file: what was written is mapped; anything else is refused, and nothing in it is believed."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.errors import CatalogError
from tests.storage.examples import contents, put


@pytest.fixture
def folder(home):
    return home / "shop"


@pytest.fixture
def segment(folder):
    put(folder, [1, 2, 3])
    (path,) = (folder / "segments").iterdir()
    return path


def refused(folder, match):
    with pytest.raises(CatalogError, match=match) as caught:
        contents(folder)
    assert caught.value.code == 3
    assert caught.value.hint


def test_a_short_segment(folder, segment):
    segment.write_bytes(segment.read_bytes()[:-4])
    refused(folder, r"the segment \w+.npy: it")


def test_an_empty_segment(folder, segment):
    segment.write_bytes(b"")
    refused(folder, r"the segment \w+.npy: it")


@pytest.mark.parametrize("x", [np.zeros((3, 3)), np.zeros((2, 3), "f4"), np.zeros((3, 3), "f4", order="F")])
def test_another_shape(folder, segment, x):
    np.save(segment, x)
    refused(folder, r"the segment \w+.npy: it")


def test_objects(folder, segment):
    np.save(segment, np.array([[{}]]), allow_pickle=True)
    refused(folder, r"the segment \w+.npy: it")
