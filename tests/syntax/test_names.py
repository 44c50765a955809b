from __future__ import annotations

import pytest

from attnsearch.syntax.names import NAMES, describes_item, fold_name


@pytest.mark.parametrize(
    ("name", "folded"),
    [("title", "title"), ("Primary_Title", "primarytitle"), ("primaryTitle", "primarytitle"), ("_id", "id"),
     ("@id", "id"), ("Product Name", "productname"), ("STRASSE", "strasse"), ("straße", "strasse"), ("$", "$"),
     ("", "")],
)  # fmt: skip
def test_a_folded_name(name, folded):
    assert fold_name(name) == folded


@pytest.mark.parametrize(
    ("record", "describes"),
    [({"Title": "x"}, True), ({"title": {"rendered": "x"}}, True), ({"title": ["x"]}, True), ({"Notes": "x"}, True),
     ({"title": " "}, False), ({"title": None}, False), ({"title": {"a": 1, "b": 2}}, False), ({"id": "x"}, False),
     ({"name": 7}, False), ({}, False)],
)  # fmt: skip
def test_what_describes_an_item(record, describes):
    assert describes_item(record, NAMES) == describes
