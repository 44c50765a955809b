"""An index that threads share answers each of them as it answers one, whatever they ask first and at the same time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from attnsearch import Index, update
from attnsearch.indexing import compaction
from attnsearch.storage import home
from attnsearch.upkeep.removal import remove_catalog

ITEMS = [
    {"id": "a", "title": "moon", "year": 1969, "rank": "high"},
    {"id": "b", "title": "sea", "year": 1950, "tags": ["deep", "blue"]},
    {"id": "c", "title": "robot moon", "year": 2001},
    {"id": "long", "title": "sea robot", "description": "lamp " * 150 + "moon", "year": 1900},
    {"id": "d", "title": "robot robot sea", "description": "sea & robot"},
]

CALLS: dict[str, Callable[[Index], Any]] = {
    "query": lambda index: index.query("moon"),
    "misspelled": lambda index: index.query("rbot and lampp"),
    "filter": lambda index: index.query("moon", where="year > 1950"),
    "another filter": lambda index: index.query("moon", where=["tags = deep or rank = high", "title != x"]),
    "lexical": lambda index: index.query("the lamp of the moon", lexical=0.3),
    "prior": lambda index: index.query("robot", priors={"year": 1.0}),
    "values": lambda index: index.query("robot", values=["year", "rank"], top_p=0.9),
    "vector": lambda index: index.query("sea", vector=True, explain=True),
    "many": lambda index: index.query_many(["moon", "sea", "rbot"], lexical=0.3),
    "like": lambda index: index.like("a", unlike="sea"),
    "attend": lambda index: index.attend(["moon"], where="year > 1950").tolist(),
    "embed": lambda index: index.embed(["moon"]).tolist(),
    "explain": lambda index: index.explain("moon lampp", "robot moon", over="long"),
    "item": lambda index: index["a"],
    "in": lambda index: "b" in index,
    "items": list,
    "fields": lambda index: index.fields,
    "ids": lambda index: index.ids,
    "keys": lambda index: index.keys.tolist(),
    "owners": lambda index: index.owners.tolist(),
}


def plain(answer: Any) -> Any:
    """An answer as values that can be compared: all of it but the time that it took."""
    if isinstance(answer, list):
        return [plain(part) for part in answer]
    if hasattr(answer, "to_dicts"):
        members = {name: getattr(answer, name) for name in answer.__slots__ if name not in ("elapsed_ms", "_source")}
        return {name: repr(value) if isinstance(value, np.ndarray) else value for name, value in members.items()}
    return answer


@pytest.fixture
def catalog(small, monkeypatch):
    """A catalog of several segments, some of whose items are gone, and an encoder that knows few words."""
    small.vocabulary = ["and", "moon", "of", "the"]
    monkeypatch.setattr(compaction, "SEGMENT", 2)
    update([*ITEMS, {"id": "gone", "title": "sea moon", "year": 3}], name="shop")
    update(ITEMS, name="shop")
    update([{"id": "z", "title": "moon robot", "year": 1977}], name="other")


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns a thousand times as often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("refs", ["shop", ["shop", "other"]], ids=["one", "union"])
@pytest.mark.usefixtures("catalog", "hurried")
def test_all_at_once(refs):
    names = [name for name in CALLS if refs == "shop" or name != "fields"]
    with Index.open(refs) as index:
        expected = {name: plain(CALLS[name](index)) for name in names}
    for turn in range(4):
        order = (names[turn * 5 :] + names[: turn * 5]) * 2
        start = threading.Barrier(8)
        with Index.open(refs) as index, ThreadPoolExecutor(8, initializer=start.wait) as pool:
            answers = [(name, pool.submit(CALLS[name], index)) for name in order]
            for name, answer in answers:
                assert plain(answer.result(60)) == expected[name], name


def commit() -> None:
    update([{"id": "a", "title": "sea sea robot", "year": 1}], name="shop")


def compact() -> None:
    """Commit until no segment is left of those that there were."""
    before = set((home.catalog_folder("shop") / "segments").iterdir())
    number = 0
    while before & set((home.catalog_folder("shop") / "segments").iterdir()):
        update([{"id": "a", "title": "moon " * (number % 3) + "sea"}, {"id": f"n{number}", "title": "x"}], name="shop")
        number += 1


def remove() -> None:
    remove_catalog(home.catalog_folder("shop"))


def replace() -> None:
    remove()
    update([{"id": "a", "title": "robot", "rank": 3, "year": "none"}], name="shop")


def teach() -> None:
    with Index.open("shop") as other:
        other.feedback("moon", good="d", bad="a")


@pytest.mark.parametrize("change", [commit, compact, remove, replace, teach])
@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.usefixtures("catalog")
def test_an_index_outlives_what_happens_to_its_catalog(change, is_warm):
    with ExitStack() as stack:
        index, sibling = (stack.enter_context(Index.open("shop")) for _ in range(2))
        expected = {name: plain(call(sibling)) for name, call in CALLS.items()}
        if is_warm:
            for call in CALLS.values():
                call(index)
        change()
        with ThreadPoolExecutor(4) as pool:
            answers = {name: pool.submit(call, index) for name, call in CALLS.items()}
        assert {name: plain(answer.result()) for name, answer in answers.items()} == expected
