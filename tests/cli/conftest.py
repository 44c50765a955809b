"""A catalog's file that nobody has indexed yet."""

from __future__ import annotations

from pathlib import Path

import pytest

SHOP = "- {id: a, title: moon, description: Up there}\n- {id: b, title: sea}\n- {id: c, title: robot moon}\n"


@pytest.fixture
def shop_file(write, small, monkeypatch, tmp_path) -> Path:
    """A file of three items, `shop.yaml` in the working folder."""
    path = write("shop.yaml", SHOP)
    monkeypatch.chdir(tmp_path)
    return path
