"""What the tests of pages share."""

from __future__ import annotations

import pytest


@pytest.fixture
def judged(write, shop, monkeypatch, tmp_path) -> str:
    """The name of a file here with three judged requests, of which one has no answer."""
    monkeypatch.chdir(tmp_path)
    requests = [("moon", "[a]"), ("sea", "[c]"), ("elsewhere", "[]")]
    return write("judged.yaml", "".join(f"- {{query: {query}, relevant: {ids}}}\n" for query, ids in requests))
