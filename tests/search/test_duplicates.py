from __future__ import annotations

import json

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.duplicates import Member, find_duplicates
from tests.asking import query
from tests.search.conftest import index_items


def groups(name: str, min_score: float = 0.95, where: str = "", **most: int) -> list[list[Member]]:
    with Index.open(name) as index:
        filters = [parse_filter(where)] if where else []
        return [group.members for group in find_duplicates(index, min_score=min_score, where=filters).read(**most)]


def ids(name: str, *arguments) -> list[list[str]]:
    return [[member.id for member in members] for members in groups(name, *arguments)]


class TestWhichToKeep:
    def test_longest_text(self, write, small):
        items = [{"id": "a", "title": "moon"}, {"id": "b", "title": "moon moon"}, {"id": "c", "title": "sea"}]
        assert ids(index_items(write, "x", items)) == [["b", "a"]]

    def test_most_fields_of_equal_texts(self, write, small):
        items = [{"id": "a", "title": "moon"}, {"id": "b", "title": "moon", "year": 1969}]
        assert ids(index_items(write, "x", items)) == [["b", "a"]]

    def test_first_of_equals(self, write, small):
        items = [{"id": ident, "title": "moon"} for ident in "bca"]
        assert ids(index_items(write, "x", items)) == [["b", "c", "a"]]


class TestMembers:
    def test_copies_apart_from_near_ones(self, write, small):
        """ "moon moon sea" and "moon sea moon" are one vector, but not one text."""
        titles = {"a": "moon sea moon", "b": "moon", "c": "moon moon sea", "d": "moon sea moon", "e": "moon moon sea"}
        items = [{"id": ident, "title": title} for ident, title in titles.items()]
        name = index_items(write, "x", items)
        (members,) = groups(name, 0.8)
        assert members == [
            Member("a", "moon sea moon", 1, None),
            Member("d", "moon sea moon", 1, "a"),
            Member("c", "moon moon sea", 1, None),
            Member("e", "moon moon sea", 1, "c"),
            Member("b", "moon", pytest.approx(2 / 5**0.5, abs=1e-6), None),
        ]
        with Index.open(name) as index:
            duplicates = find_duplicates(index, min_score=0.8)
        assert (len(duplicates), duplicates.items, duplicates.copies, duplicates.near) == (1, 5, 2, 2)

    def test_scores_are_those_of_a_query(self, write, small):
        items = [{"id": "a", "title": "moon moon sea"}, {"id": "b", "title": "moon robot"}]
        name = index_items(write, "x", items)
        (members,) = groups(name, 0.5)
        with Index.open(name) as index:
            hits = {hit.id: hit.score for hit in query(index, "moon moon sea").hits}
        assert members[1].score == pytest.approx(hits["b"], abs=1e-6)

    def test_largest_group_first(self, write, small):
        titles = ["sea", "sea", "moon", "robot", "moon", "moon"]
        items = [{"id": str(number), "title": title} for number, title in enumerate(titles)]
        name = index_items(write, "x", items)
        assert ids(name) == [["2", "4", "5"], ["0", "1"]]
        assert [[member.id for member in group] for group in groups(name, groups=1, members=2)] == [["2", "4"]]

    def test_more_than_are_read_at_once(self, write, small):
        items = [{"id": str(number), "title": "moon"} for number in range(1_001)]
        (members,) = groups(index_items(write, "x", items))
        assert [member.id for member in members] == [str(number) for number in range(1_001)]
        assert {member.same_as for member in members} == {None, "0"}


class TestPassages:
    LONG = " ".join(["moon"] * 90 + ["sea"] * 90 + ["robot"] * 90)

    def test_equal_long_texts(self, write, small):
        items = [{"id": "a", "title": "x", "description": self.LONG}, {"id": "b", "title": "sea"}]
        items.append({**items[0], "id": "c"})
        name = index_items(write, "x", items)
        with Index.open(name) as index:
            assert index.info.keys > index.info.items
        assert ids(name) == [["a", "c"]]

    def test_a_text_and_a_passage_of_it(self, write, small):
        items = [{"id": "a", "title": "x", "description": self.LONG}]
        items.append({"id": "b", "title": "x", "description": " ".join(["moon"] * 80)})
        assert ids(index_items(write, "x", items)) == []

    def test_after_removal(self, write, small):
        """Rows of removed items stay in the segments for a while."""
        items = [{"id": str(n), "title": "x", "description": f"{self.LONG} {'moon ' * n}"} for n in range(8)]
        index_items(write, "x", items)
        name = index_items(write, "x", items[1:])
        with Index.open(name) as index:
            assert index.store.dead
        assert sorted(ids(name)[0]) == [str(n) for n in range(1, 8)]


class TestFilters:
    def test_only_items_that_pass(self, write, small):
        items = [{"id": str(year), "title": "moon", "year": year} for year in (1900, 1950, 1960)]
        name = index_items(write, "x", items)
        assert ids(name, 0.95, "year > 1940") == [["1950", "1960"]]
        assert ids(name, 0.95, "year > 1950") == []

    def test_no_such_field(self, write, small):
        name = index_items(write, "x", [{"id": "a", "title": "moon"}])
        with pytest.raises(InputError, match="no item of x has a field 'yaer'"):
            ids(name, 0.95, "yaer = 3")


def test_damaged_row(write, small, home):
    import sqlite3

    index_items(write, "x", [{"id": "a", "title": "moon"}, {"id": "b", "title": "moon"}])
    with sqlite3.connect(home / "x" / "index.sqlite") as db:
        db.execute("UPDATE items SET title = 'sea' WHERE id = 'b'")
    with pytest.raises(CatalogError, match="damaged"):
        ids("x")


def test_many_items(write, small):
    lines = [json.dumps({"id": str(n), "title": "moon " * (1 + n % 7) + "sea " * (n % 5)}) + "\n" for n in range(3_000)]
    update([str(write("many.jsonl", "".join(lines)))])
    members = groups("many", 0.9)
    listed = [member.id for group in members for member in group]
    assert len(listed) == len(set(listed)) == 3_000
    assert all(member.score >= 0.9 for group in members for member in group)
