"""What is wrong is found, refused, and mended."""

from __future__ import annotations

import random

import pytest

from attnsearch import damage
from tests import flips


@pytest.fixture
def folder(home, tmp_path, small):
    flips.make(tmp_path / "flipped.yaml")
    return home / "flipped"


def test_a_flipped_byte_is_no_other_answer_and_is_found(folder):
    """Some of them; the whole run has all."""
    everywhere = flips.places(folder)
    header = [(file, at) for file, at in everywhere if at < 120]
    some = random.Random(1).sample(everywhere, 300)
    assert list(flips.flip(folder, header + some, 0xFF)) == []


def test_a_whole_catalog(folder):
    assert damage.find(folder) == []
