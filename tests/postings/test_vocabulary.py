"""The words of a catalog: which they are, and how they are stored."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing import check, compaction
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.opening.union import open_catalogs
from attnsearch.postings import stored, vocabulary
from attnsearch.postings.vocabulary import LETTERS, LONGEST, Vocabulary, collect_words
from attnsearch.sources.items import Item
from attnsearch.storage.files import POSTINGS
from attnsearch.storage.store import Store
from tests.postings.parts import vocabulary_of

ITEMS = [
    {"id": "a", "title": "Moon moon", "author": {"name": "Łukasz Lem"}, "tags": ["far", "sea"]},
    {"id": "b", "title": "moonlit sea", "url": "https://example.org/x1"},
]


@pytest.fixture
def path(write, small):
    path = write("shop.jsonl", "".join(json.dumps(item) + "\n" for item in ITEMS))
    update([str(path)])
    return path


@pytest.fixture
def folder(path, home):
    return home / "shop"


def test_words_of_titles_texts_and_fields(folder):
    with Index.open("shop") as index:
        words = index.find_vocabulary()
        assert words.count(["moon", "sea", "lem", "łukasz", "far", "example", "moonlit", "the", "x"]) == {
            "moon": 1, "sea": 2, "lem": 1, "łukasz": 1, "far": 1, "example": 1, "moonlit": 1,
        }  # fmt: skip
        assert words.letters >= {*"mnłz"}
        assert words.beginning_with("m", 4, 6) == {"moon": 1}


def test_a_word_as_long_as_a_text_is_left_out():
    assert collect_words(Item("a", "moon " + "x" * (LONGEST + 1), "", {}, "")) == {"moon"}


def test_letters_are_the_commonest():
    counts = {chr(0x4E00 + number) * 3: number + 1 for number in range(LETTERS + 9)}
    assert vocabulary_of(counts).letters == {chr(0x4E00 + number) for number in range(9, LETTERS + 9)}


def test_many_words_are_asked_at_once():
    counts = {f"word{'x' * number}": 1 for number in range(1_500)}
    assert vocabulary_of(counts).count([*counts, "moon"]) == counts


def test_of_very_many_words_the_commonest_are_compared(monkeypatch):
    monkeypatch.setattr(vocabulary, "COMPARED", 2)
    words = vocabulary_of({"moon": 1, "mound": 3, "moist": 2, "meadow": 9})
    assert words.beginning_with("m", 4, 5) == {"mound": 3, "moist": 2}


def test_words_are_counted_on_after_an_interrupt(monkeypatch):
    """The lock is free again, which `close` needs too."""

    def interrupt(rows):
        next(iter(rows))
        raise KeyboardInterrupt

    words = vocabulary_of({"moon": 1, "sea": 1})
    with monkeypatch.context() as patch:
        patch.setattr(Vocabulary, "_sum", staticmethod(interrupt))
        with pytest.raises(KeyboardInterrupt) as interrupted:
            words.count(["moon", "sea"])
    assert interrupted.traceback  # whose frames still hold the rows
    assert not words._lock.locked()


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE words",
        "DROP TABLE words; CREATE TABLE words (word TEXT, items INTEGER)",
        "DROP TABLE words; CREATE VIEW words AS SELECT 'moon' AS word, 1 AS items",
        "DELETE FROM about",
        "UPDATE about SET covered = x'0000'",
        "UPDATE about SET covered = x'00'",
    ],
)
def test_a_file_that_is_not_ours_is_not_read(folder, script):
    """A right checksum may be made by anyone."""
    with Index.open("shop") as index:
        index.find_vocabulary()
    _forge(folder, script)
    with Index.open("shop") as index:
        assert index.find_vocabulary().count(["moon", "sea"]) == {"moon": 1, "sea": 2}


@pytest.mark.parametrize("rows", ["'x'", "x'00'", "x'ffff'", "7"])
def test_words_with_rows_that_are_not_there(folder, run, rows):
    with Index.open("shop") as index:
        index.find_vocabulary()
    _forge(folder, f"UPDATE words SET rows = {rows} WHERE word = 'moon'")
    with Index.open("shop") as index, pytest.raises(CatalogError, match="is damaged"):
        index.find_vocabulary().count(["moon", "sea"])


def _forge(folder, script):
    (file,) = (folder / POSTINGS).iterdir()
    db = sqlite3.connect(file)
    db.executescript(script)
    db.close()
    file.rename(file.with_suffix(f".{stored._file_checksum(file)}"))


def test_several_catalogs_add_up(write, small):
    for name in ("one", "two"):
        update([str(write(f"{name}.jsonl", json.dumps({"title": f"moon {name}"}) + "\n"))])
    with open_catalogs(["one", "two"]) as index:
        words = index.find_vocabulary()
        assert words.count(["moon", "one", "two"]) == {"moon": 2, "one": 1, "two": 1}
        assert words.beginning_with("t", 3, 3) == {"two": 1}


def test_stored_once_and_brought_up_to_date(path, folder, monkeypatch):
    with Index.open("shop") as index:
        index.find_vocabulary()
    (file,) = (folder / POSTINGS).iterdir()
    assert ".words-" in file.name
    path.write_text(json.dumps({"title": "robot"}) + "\n")
    update([str(path)])
    assert not file.exists()
    monkeypatch.setattr(Store, "items", None)
    with Index.open("shop") as index:
        assert index.find_vocabulary().count(["moon", "robot"]) == {"robot": 1}


def test_words_of_removed_items_do_not_count(path, folder, monkeypatch):
    with Index.open("shop") as index:
        index.find_vocabulary()
    path.write_text("".join(json.dumps(item) + "\n" for item in [ITEMS[0], {"title": "new"}]))
    monkeypatch.setattr(compaction, "DEAD", 1)
    monkeypatch.setattr(compaction, "choose_rewrites", lambda segments: iter(()))
    update([str(path)])
    assert len(list((folder / POSTINGS).iterdir())) == 2
    with Index.open("shop") as index:
        words = index.find_vocabulary()
        assert words.count(["moon", "sea", "moonlit", "new"]) == {"moon": 1, "sea": 1, "new": 1}
        assert words.beginning_with("m", 3, 9) == {"moon": 1}


def test_flipped_bytes_are_found_and_mended(folder):
    with Index.open("shop") as index:
        index.find_vocabulary()
    (file,) = (folder / POSTINGS).iterdir()
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert check.find_problems(folder) == [f"postings/{file.name}: it is not what was written"]
    with Index.open("shop") as index:
        assert index.find_vocabulary().count(["moon"]) == {"moon": 1}
    assert check.find_problems(folder) == []


def test_words_of_many_items_are_counted_by_index_alone(path, folder, monkeypatch):
    monkeypatch.setattr(vocabulary, "COUNTED", 1)
    with Index.open("shop") as index:
        assert index.find_vocabulary() is None
    assert not (folder / POSTINGS).exists()
    update([str(path)])
    with Index.open("shop") as index:
        assert index.find_vocabulary().count(["moon"]) == {"moon": 1}


def test_words_that_can_not_be_stored_are_not_counted(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with Index.open("shop") as index:
        assert index.find_vocabulary() is None


def test_several_catalogs_of_which_one_is_not_counted(path, write, monkeypatch):
    update([str(write("two.jsonl", json.dumps({"title": "moon"}) + "\n"))])
    monkeypatch.setattr(vocabulary, "COUNTED", 1)
    with open_catalogs(["two", "shop"]) as index:
        assert index.find_vocabulary() is None
