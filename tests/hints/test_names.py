from __future__ import annotations

import pytest

from attnsearch.hints.names import find_hint
from attnsearch.opening.index import Index
from attnsearch.output.notes import notes
from attnsearch.search.result import Hint
from attnsearch.search.search import search
from attnsearch.search.setting import Setting
from attnsearch.storage.store import Store
from tests.search.conftest import index_items

VERNE = Hint("author", "Verne", 4)
AUTHORS = ["Jules Verne"] * 4 + ["Gabriel García Márquez", "Karel Čapek", "Wu Cheng'en", "Anonymous"]


@pytest.fixture
def library(write, small):
    """40 books about the moon by nobody, then eight about the sea."""
    items = [{"id": f"m{n}", "title": "moon", "genre": "horror", "language": "English"} for n in range(40)]
    for n, author in enumerate(AUTHORS):
        item = {"id": f"Nobody-{n}", "title": "sea", "author": author, "genre": "travel", "tags": ["Verne"]}
        item |= {"made": {"in": "Oslo"}, "blurb": f"A long text about Verne and what he has seen in {n} days"}
        items.append(item)
    with Index.open(index_items(write, "library", items)) as index:
        yield index


def hint_for(index: Index, text: str, **options) -> Hint | None:
    (result,) = search(index, [text], options.pop("setting", Setting()), **options)
    return find_hint(index, result)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("moon by Jules Verne", VERNE),
        ("moon by jules verne", VERNE),
        ("the moon of VERNE", VERNE),
        ("Verne", VERNE),
        ("moon by Gabriel Marquez", Hint("author", "Márquez", 1)),
        ("moon by Ma\u0301rquez", Hint("author", "Márquez", 1)),
        ("moon by capek", Hint("author", "Čapek", 1)),
        ("moon by Cheng", Hint("author", "Cheng", 1)),
        ("moon made in Oslo", Hint("made.in", "Oslo", 8)),
        # No name, or none that few items have.
        ("moon of verne", None),
        ("Verne moon", None),
        ("moon by Vern", None),
        ("moon by Vernes", None),
        ("moon by a man whom nobody knows, verne", None),
        ("sea in English", None),  # which most items are
        ("moon and Horror", None),
        ("moon and Travel", None),
        ("moon by Nobody", None),
        ("moon", None),
        ("moon by", None),
        ("By BY by", None),
        ("%", None),
    ],
)
def test_names(library, text, hint):
    assert hint_for(library, text) == hint


def test_hits_that_have_the_name_need_no_hint(library):
    assert hint_for(library, "sea by Verne") is None
    assert hint_for(library, "sea by Verne", k=3) is None
    assert hint_for(library, "moon by Verne", k=48) is None
    assert hint_for(library, "moon by Verne", k=1) == VERNE


def test_a_filter_is_a_hint_of_its_own(library):
    from attnsearch.postings.filters import parse_filter

    setting = Setting(where=(parse_filter("genre = horror"),))
    assert hint_for(library, "moon by Verne", setting=setting) is None


def test_the_filter_finds_the_items(library):
    from attnsearch.postings.filters import parse_filter

    for text in ("moon by Verne", "moon by Marquez", "moon made in Oslo"):
        hint = hint_for(library, text)
        setting = Setting(where=(parse_filter(f"{hint.field} ~ {hint.word}"),))
        assert len(search(library, ["moon"], setting)[0].hits) == hint.items


def test_nothing_is_read_for_a_request_without_names(library, monkeypatch):
    monkeypatch.setattr(Store, "value_counts", None)
    assert hint_for(library, "moon and sea") is None
    with pytest.raises(TypeError):
        hint_for(library, "moon by Verne")


def test_the_line(library):
    (result,) = search(library, ["moon"])
    assert notes(result._replace(hint=VERNE))[0] == "4 items have 'Verne' in author: -w 'author ~ Verne'"
    odd = Hint('Who "wrote" it\x1b', "Verne", 1)
    assert notes(result._replace(hint=odd))[0] == (
        """1 item has 'Verne' in Who "wrote" it\\x1b: -w '"Who ""wrote"" it\\x1b" ~ Verne'"""
    )
