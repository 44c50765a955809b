"""Catalogs for the road: the small encoder as a model that has a null key, and four books."""

from __future__ import annotations

import json

import pytest

from attnsearch.attention import null_key
from attnsearch.encoding import loading
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.sources.fields import Fields
from tests.conftest import SmallEncoder

BOOKS = [
    {"id": "a", "title": "moon sea", "year": 1900},
    {"id": "b", "title": "sea", "year": [1950, 1999], "kind": "x"},
    {"id": "c", "title": "robot moon moon", "kind": "y"},
    {"id": "d", "title": "sea moon", "year": 1950},
]


def index_items(write, name: str, items: list[dict]) -> str:
    """Index the items as the catalog of that name, and return the name."""
    text = tuple(field for field in ("title", "description") if any(field in item for item in items))
    lines = "".join(json.dumps(item) + "\n" for item in items)
    update([str(write(f"{name}.jsonl", lines))], name=name, fields=Fields(text=text))
    return name


@pytest.fixture
def fitted(monkeypatch) -> SmallEncoder:
    """The small encoder, with the weights' hash of a model that has a null key."""

    encoder = SmallEncoder(sha256=next(iter(null_key.FITTED)))
    monkeypatch.setattr(loading, "load", lambda name=None, **options: encoder)
    return encoder


@pytest.fixture
def books(write, small):
    with Index.open(index_items(write, "books", BOOKS)) as index:
        yield index
