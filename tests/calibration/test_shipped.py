"""The catalogs that we ship, and what an encoder makes of judged ones."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.calibration import shipped
from attnsearch.calibration.shipped import JudgedCatalog, compare, read_shipped
from attnsearch.errors import CatalogError
from attnsearch.sources.items import Item
from attnsearch.sources.judgments import Judged
from attnsearch.storage.home import BUILT_IN
from tests.conftest import SmallEncoder


def item(ident: str, text: str) -> Item:
    return Item(ident, text, "", {}, text)


SKY = JudgedCatalog(
    "sky",
    [item("a", "moon"), item("b", "moon robot")],
    [Judged("moon", {"a": 1, "b": 0}), Judged("sea", {}), Judged("robot", {"b": 2})],
)
SHORE = JudgedCatalog("shore", [item("c", "sea")], [Judged("sea", {"c": 1}), Judged("sand", {})])


def test_each_catalog_is_asked_the_requests_of_all():
    sky, shore = compare([SKY, SHORE], SmallEncoder())
    assert sky.cosines == pytest.approx(
        np.array([[1, 0.5**0.5], [0, 0], [0, 0.5**0.5], [0, 0]])  # moon, sea, robot, sand
    )
    assert [numbers.tolist() for numbers in sky.right] == [[0], [], [1], []]
    assert sky.has_answer.tolist() == [True, False, True, False]
    assert sky.is_own.tolist() == [True, True, True, False]
    assert shore.cosines.ravel().tolist() == pytest.approx([0, 1, 0, 0])
    assert [numbers.tolist() for numbers in shore.right] == [[], [0], [], []]
    assert shore.is_own.tolist() == [False, True, False, True]


def test_the_best_passage_of_an_item_counts():
    encoder = SmallEncoder()
    encoder.window = 4
    (long,) = compare([SHORE._replace(items=[item("c", "robot robot sea sea moon moon")])], encoder)
    assert len(encoder.read) > 3
    assert long.cosines[0, 0] == pytest.approx(1)


def test_progress_counts_every_text():
    seen = []
    compare([SKY, SHORE], SmallEncoder(), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7, 7)


def test_what_is_shipped():
    catalogs = read_shipped()
    assert [catalog.name for catalog in catalogs] == [*BUILT_IN]
    for catalog in catalogs:
        ids = {item.id for item in catalog.items}
        answered = [request for request in catalog.requests if request.has_answer]
        assert len(answered) >= 60
        assert len(catalog.requests) - len(answered) >= 10
        assert all(ident in ids for request in catalog.requests for ident in request.grades)


def test_a_file_that_is_missing(monkeypatch):
    monkeypatch.setattr(shipped, "JUDGMENTS", ".nowhere.yaml")
    with pytest.raises(CatalogError, match="missing"):
        read_shipped()
