"""The one cluster of a server: for all its indexes, for all its threads, and again after it was lost."""

from __future__ import annotations

import threading
from typing import ClassVar

import pytest

from attnsearch import update
from attnsearch.errors import CatalogError
from attnsearch.opening import remote
from attnsearch.opening.index import Index
from attnsearch.opening.remote import SharedCluster
from tests.asking import query
from tests.engines.test_conformance import ask_here


class Made:
    """A cluster that is this process, until it is lost; `down` says that no other can be had."""

    opened: ClassVar[list[Made]] = []
    down = False

    def __init__(self, address: str, *, deadline: float, late: str) -> None:
        assert "--timeout" not in late  # which a server does not have
        if Made.down:
            raise CatalogError("no Dask scheduler answers", where=address)
        self.is_lost = self.is_closed = False
        Made.opened.append(self)

    def ask(self, tasks):
        if self.is_lost:
            raise CatalogError("the connection to the scheduler is lost")
        return ask_here(tasks)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def _made(monkeypatch):
    monkeypatch.setattr(remote, "Cluster", Made)
    monkeypatch.setattr(Made, "opened", [])
    monkeypatch.setattr(Made, "down", False)


def test_indexes_come_and_go(small):
    update([{"id": "a", "title": "moon"}], name="shop")
    shared = SharedCluster("local:2", deadline=1)
    for _ in range(2):
        with Index.open_named("shop", vectors=False) as index:
            shared.use(index)
            assert query(index, "moon").parts == (1, 1)
    (cluster,) = Made.opened
    assert not cluster.is_closed
    shared.close()
    assert cluster.is_closed


def test_a_lost_one_is_replaced_once(monkeypatch):
    shared = SharedCluster("local:2", deadline=1)
    first = Made.opened[0]
    first.is_lost = Made.down = True
    with pytest.raises(CatalogError, match="no Dask scheduler answers"):
        shared.ask([])
    assert first.is_closed
    Made.down = False
    with pytest.raises(CatalogError, match="no Dask scheduler answers"):  # it is too early to try again
        shared.ask([])
    assert len(Made.opened) == 1
    monkeypatch.setattr(shared, "_next", 0.0)
    assert shared.ask([]) == []
    assert shared.ask([]) == []
    assert len(Made.opened) == 2
    assert not Made.opened[1].is_closed


def test_nobody_waits_while_another_connects(monkeypatch):
    shared = SharedCluster("local:2", deadline=1)
    Made.opened[0].is_lost = True
    tries, is_connecting, may_connect = [], threading.Event(), threading.Event()

    def connect(address, **options):
        tries.append(address)
        is_connecting.set()
        assert may_connect.wait(10)
        return Made(address, **options)

    monkeypatch.setattr(remote, "Cluster", connect)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(shared.ask([])))
    asking.start()
    assert is_connecting.wait(10)
    for _ in range(5):
        with pytest.raises(CatalogError, match="the connection to the scheduler is lost"):
            shared.ask([])
    may_connect.set()
    asking.join(10)
    assert answers == [[]]
    assert shared.ask([]) == []
    assert tries == ["local:2"]
