from __future__ import annotations

import pytest

from tests.torture import flips


@pytest.fixture
def folder(home, tmp_path, small):
    flips.make(tmp_path / "flipped.yaml")
    return home / "flipped"
