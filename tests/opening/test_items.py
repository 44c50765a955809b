from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.opening.items import UnknownItemError, find_id, find_ids

ITEMS = "- {id: m, title: moon}\n- {id: ms, title: Moon and sea}\n- {id: r, title: robot}\n- {id: r2, title: robot}\n"


@pytest.fixture
def index(write, small):
    update([str(write("x.yaml", ITEMS))])
    with Index.open("x") as opened:
        yield opened


@pytest.mark.parametrize(("name", "ident"), [("ms", "ms"), ("moon", "m"), ("MOON", "m"), ("moon and SEA", "ms")])
def test_names(index, name, ident):
    assert find_id(index.store, name) == ident


def test_an_exact_title_comes_before_one_of_another_case(write, small):
    """Two differ in case alone, and a third item's id is the same word again."""
    update([str(write("y.yaml", "- {id: a, title: Moon}\n- {id: b, title: moon}\n- {id: MOON, title: sea}\n"))])
    with Index.open("y") as index:
        assert [find_id(index.store, name) for name in ("Moon", "moon", "MOON")] == ["a", "b", "MOON"]
        with pytest.raises(InputError, match="3 items are called 'mOON'"):
            find_id(index.store, "mOON")


def test_several_names_take_one_pass(index, monkeypatch):
    passes = []
    items = index.store.items
    monkeypatch.setattr(index.store, "items", lambda: passes.append(1) or items())
    assert find_ids(index.store, ["MOON", "ms", "moon", "moon and sea"]) == ["m", "ms", "m", "ms"]
    assert len(passes) == 1
    assert find_ids(index.store, ["ms", "r"]) == ["ms", "r"]
    assert find_ids(index.store, []) == []
    assert len(passes) == 1
    with pytest.raises(UnknownItemError, match="no item 'xyzzy'"):
        find_ids(index.store, ["moon", "xyzzy", "mooon"])


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("robot", "2 items are called 'robot'", "name one by its id: r, r2"),
        ("mooon", "no item 'mooon'", "did you mean 'moon'?"),
        ("xyzzy", "no item 'xyzzy'", "name an item by its id or its title"),
    ],
)
def test_names_that_will_not_do(index, name, message, hint):
    with pytest.raises(InputError) as caught:
        find_id(index.store, name)
    assert (caught.value.message, caught.value.hint) == (f"x: {message}", hint)
