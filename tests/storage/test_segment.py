"""A segment's file: what was written is mapped; anything else is refused, and nothing in it is believed."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.errors import CatalogError
from attnsearch.storage.segment import load_rows, load_segment, write_segment
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


class TestSomeRows:
    """Of a thousand rows: four parts with a checksum each."""

    SHAPE = (1000, 24)

    @pytest.fixture
    def written(self, tmp_path):
        x = np.random.default_rng(1).standard_normal(self.SHAPE, np.float32)
        return x, *write_segment(tmp_path, x)

    @pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 1000), (255, 257), (256, 512), (999, 1000), (300, 700)])
    def test_they_are_those_of_the_whole(self, tmp_path, written, start, stop):
        x, file, sums = written
        rows = load_rows(tmp_path, file, self.SHAPE, sums, range(start, stop))
        assert np.array_equal(rows, x[start:stop])
        assert np.array_equal(rows, load_segment(tmp_path, file, self.SHAPE, sums)[start:stop])
        assert not rows.flags.writeable

    @pytest.mark.parametrize("damaged", [0, 255, 256, 511, 512, 999])
    def test_damage_is_found_where_it_is(self, tmp_path, written, damaged):
        _, file, sums = written
        raw = bytearray((tmp_path / file).read_bytes())
        raw[len(raw) - (1000 - damaged) * 24 * 4] ^= 1
        (tmp_path / file).write_bytes(raw)
        for start in range(0, 1000, 256):
            rows = range(start, min(start + 256, 1000))
            if damaged in rows:
                with pytest.raises(ValueError, match="are not what was written"):
                    load_rows(tmp_path, file, self.SHAPE, sums, rows)
            else:
                load_rows(tmp_path, file, self.SHAPE, sums, rows)

    def test_a_damaged_header(self, tmp_path, written):
        _, file, sums = written
        raw = bytearray((tmp_path / file).read_bytes())
        raw[20] ^= 1
        (tmp_path / file).write_bytes(raw)
        with pytest.raises(ValueError, match="its header is not what was written"):
            load_rows(tmp_path, file, self.SHAPE, sums, range(500, 600))

    @pytest.mark.parametrize("rows", [range(0), range(-1, 5), range(999, 1001), range(2000, 2001)])
    def test_rows_that_are_not_there(self, tmp_path, written, rows):
        _, file, sums = written
        with pytest.raises(ValueError, match="wrong number"):
            load_rows(tmp_path, file, self.SHAPE, sums, rows)

    def test_another_size(self, tmp_path, written):
        _, file, sums = written
        with pytest.raises(ValueError, match="does not fit its shape"):
            load_rows(tmp_path, file, (999, 24), sums, range(10))
        with pytest.raises(ValueError, match="wrong number of checksums"):
            load_rows(tmp_path, file, self.SHAPE, sums[:-8], range(10))
