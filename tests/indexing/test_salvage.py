"""What is intact in a damaged catalog is had back: every row, every vector, in the order in which they came."""

from __future__ import annotations

import pytest

from attnsearch.indexing import check, salvage
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from tests.conftest import titles
from tests.indexing.damage import change, ruin_pages, segment, select, spoil
from tests.storage.examples import contents


def leaves(folder, table):
    """The pages that hold a table's or an index's rows, in order, with how many they hold."""
    pages = select(folder, f"SELECT pageno, ncell, pagetype FROM dbstat WHERE name = '{table}' ORDER BY path")
    return [(page, rows) for page, rows, kind in pages if kind == "leaf"]


def pages_of(folder, *names):
    """All pages of tables and indexes."""
    return [page for name in names for (page,) in select(folder, f"SELECT pageno FROM dbstat WHERE name = '{name}'")]


NUMBERS = "keys", "keys_by_item", "sqlite_autoindex_items_1"  # all that names an item's number besides its own row


@pytest.fixture
def younger(home, write, small):
    """A catalog of 90 items in several pages, whose numbers go from 91 to 180, and whose source is gone."""
    for first in (0, 90):
        lines = [f"- {{id: i{n:03}, title: moon {n}, note: {'n' * 200}}}\n" for n in range(first, first + 90)]
        path = write(f"from{first}.yaml", "".join(lines))
        update([str(path)], name="young", keep=True)
    update([str(path)], name="young")
    path.unlink()
    assert select(home / "young", "SELECT min(item), max(item) FROM items") == [(91, 180)]
    return home / "young"


def test_rows_behind_a_damaged_page_are_read_even_if_their_numbers_are_unknown(younger):
    (first, lost), *_ = leaves(younger, "items")
    ruin_pages(younger, [first, *pages_of(younger, *NUMBERS)])
    assert repair(younger).info.items == 90 - lost


def test_rows_between_damaged_pages_are_tried_up_to_the_last(younger, monkeypatch):
    (first, before), (_, between), *others = leaves(younger, "items")
    monkeypatch.setattr(salvage, "_PROBED", 90 + before + between)
    ruin_pages(younger, [first, *(page for page, _ in others)])
    assert repair(younger).info.items == between


def test_an_intact_item_is_not_listed_as_lost_by_a_damaged_index_of_ids(folder, tmp_path):
    """The index says "A" for the item a, whose row is whole; b is damaged."""
    (tmp_path / "flipped.yaml").unlink()
    change(folder, "UPDATE items SET title = 'mars' WHERE id = 'b'")
    ((page, _),) = leaves(folder, "sqlite_autoindex_items_1")
    ((size,),) = select(folder, "PRAGMA page_size")
    raw = (folder / "index.sqlite").read_bytes()
    spoil(folder / "index.sqlite", raw.index(b"a", page * size - 60, page * size), ord("a") ^ ord("A"))
    assert select(folder, "SELECT id FROM items INDEXED BY sqlite_autoindex_items_1 WHERE id < 'a'") == [("A",)]
    assert repair(folder).lost == (1, ("b",))


def test_the_order_of_items_stays_even_where_their_numbers_have_another(home, write, small):
    """An item whose text changed gets new keys, which come last, but keeps its number."""
    path = write("shop.yaml", "- {id: a, title: sea}\n- {id: b, title: moon}\n- {id: c, title: robot}\n")
    update([str(path)])
    path.write_text("- {id: a, title: moon}\n- {id: b, title: moon}\n- {id: c, title: robot}\n")
    update([str(path)])
    before = contents(home / "shop")
    assert [ident for ident, _ in before] == ["b", "c", "a"]
    change(home / "shop", "UPDATE items SET title = 'mars' WHERE id = 'c'")
    repair(home / "shop")
    assert contents(home / "shop") == before


def test_a_lost_segment_costs_its_own_vectors_alone(home, write, small):
    update([str(write("a.yaml", "".join(f"- {{id: a{n}, title: moon {n}}}\n" for n in range(8))))], name="two")
    update([str(write("b.yaml", "- {id: b, title: sea}\n"))], name="two", keep=True)
    folder = home / "two"
    assert [row for (row,) in select(folder, "SELECT rows FROM segments ORDER BY first")] == [8, 1]
    segment(folder).unlink()
    small.read.clear()
    assert repair(folder).embedded == len(small.read) == 8
    assert "sea" not in small.read
    assert titles("two") == {"sea", *(f"moon {n}" for n in range(8))}
    assert check.find_problems(folder) == []
