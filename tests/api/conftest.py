"""A catalog as a program sees it: six items, one of them with several passages, and some that were removed."""

from __future__ import annotations

import pytest

from attnsearch import Index, update

ITEMS = [
    {"id": "a", "title": "moon", "year": 1969, "rank": "high"},
    {"id": "b", "title": "sea", "year": 1950, "tags": ["deep", "blue"]},
    {"id": "gone", "title": "sea moon"},
    {"id": "c", "title": "robot moon", "year": 2001},
    {"id": "long", "title": "sea robot", "description": "lamp " * 150 + "moon", "year": 1900},
    {"id": "d", "title": "robot robot sea", "description": "<b>sea & robot</b>"},
]


@pytest.fixture
def index(small):
    update(ITEMS, name="shop")
    update([item for item in ITEMS if item["id"] != "gone"], name="shop")
    with Index.open("shop") as opened:
        yield opened
