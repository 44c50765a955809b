from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from attnsearch.storage import checksum

CELLS = st.lists(st.none() | st.integers() | st.text() | st.binary(), max_size=5).map(tuple)


@given(CELLS, CELLS)
def test_rows_that_differ_have_different_sums(a, b):
    """In a value, a type, or in where one cell ends and the next begins."""
    assert (checksum.row_checksum(*a) == checksum.row_checksum(*b)) == (repr(a) == repr(b))
    assert -(1 << 63) <= checksum.row_checksum(*a) < 1 << 63


def test_text_is_no_blob_and_no_number():
    assert len({checksum.row_checksum(cell) for cell in ("5", b"5", 5, None, "None")}) == 5
    assert checksum.row_checksum("ab", "c") != checksum.row_checksum("a", "bc")


@given(st.binary(max_size=100), st.integers(1, 30))
def test_parts(data, length):
    """Each part has its own; a changed byte changes one of them."""
    sums = checksum.part_checksums(data, length)
    assert len(sums) == checksum.SIZE * -(-len(data) // length)
    if data:
        changed = bytes([data[0] ^ 1]) + data[1:]
        other = checksum.part_checksums(changed, length)
        assert other[: checksum.SIZE] != sums[: checksum.SIZE]
        assert other[checksum.SIZE :] == sums[checksum.SIZE :]
