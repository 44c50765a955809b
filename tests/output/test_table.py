from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.output.safe_text import Screen
from attnsearch.output.table import bar
from tests.output.examples import HITS, RAW, RESULT, drawn


def test_color_is_the_only_escape():
    out = drawn("table", screen=Screen(width=120, color=True))
    assert "\x1b[" in out
    assert not RAW.search(re.sub(r"\x1b\[[0-9;]*m", "", out))


@pytest.mark.parametrize("width", range(24, 161, 4))
def test_the_table_fits_the_window(width):
    lines = drawn("table", [RESULT], Screen(width=width, quiet=True)).splitlines()
    assert len(lines) == 1 + len(HITS)
    assert all(len(line) <= width for line in lines)
    assert "61.0%" in lines[1]
    assert ("0.580" in lines[1]) == (width >= 36)
    assert ("█" in lines[1]) == (width >= 48)
    assert ("A desc" in lines[1]) == (width >= 72)
    assert "Firs" in lines[1]


def test_a_pipe_gets_whole_lines():
    lines = drawn("table").splitlines()
    assert lines[1].endswith("A description of some length, told in one line.")
    assert lines[2].split()[:3] == ["2", "b", "<0.1%"]
    assert lines[-1] == "64 items · 3.1 effective · small · 41 ms"


def test_quiet_leaves_out_the_line_below():
    assert "effective" not in drawn("table", screen=Screen(quiet=True))


@given(st.floats(0, 1), st.booleans())
def test_bars(share, unicode):
    assert len(bar(share, unicode=unicode)) <= 10
