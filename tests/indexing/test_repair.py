"""A damaged catalog is made whole, and only what is broken is embedded again."""

from __future__ import annotations

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing import check
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from attnsearch.sources import items
from attnsearch.storage import lock
from tests.indexing.damage import change, segment, spoil
from tests.torture import flips


def test_only_what_is_broken_is_embedded(home, tmp_path, small):
    file = tmp_path / "many.yaml"
    file.write_text("".join(f"- {{id: i{n}, title: moon {n}}}\n" for n in range(600)))
    update([str(file)])
    folder = home / "many"
    spoil(segment(folder), -1 - 4 * 4 * 300)
    (problem,) = check.find_problems(folder)
    assert problem.endswith("its rows 256 to 511 are not what was written")
    with pytest.raises(CatalogError, match="rows 256 to 511") as caught:
        Index.open("many")
    assert caught.value.code == 3
    small.read.clear()
    assert repair(folder).embedded == len(small.read) == 256
    assert check.find_problems(folder) == []


def test_a_lost_segment(folder, small):
    right = flips.answer()
    segment(folder).unlink()
    assert any("it is gone" in problem for problem in check.find_problems(folder))
    repair(folder)
    assert flips.answer() == right
    assert check.find_problems(folder) == []


def test_a_file_that_is_not_a_database(folder, small):
    """The seal still describes the catalog, and the sources have the items."""
    right = flips.answer()
    (folder / "index.sqlite").write_bytes(b"not a database" * 1000)
    assert check.find_problems(folder)
    repair(folder)
    assert flips.answer() == right


def test_an_empty_database(folder, small, tmp_path):
    """It is not mistaken for a new catalog, which would delete the segments."""
    right = flips.answer()
    (folder / "index.sqlite").write_bytes(b"")
    with pytest.raises(CatalogError, match=r"index\.sqlite is empty"):
        Index.open("flipped")
    with pytest.raises(CatalogError, match=r"index\.sqlite is empty"):
        update([str(tmp_path / "flipped.yaml")], name="flipped")
    assert segment(folder).exists()
    repair(folder)
    assert flips.answer() == right


def test_without_its_sources_intact_items_stay(folder, small, tmp_path, caplog):
    change(folder, "UPDATE items SET title = 'mars' WHERE id = 'a'")
    (tmp_path / "flipped.yaml").unlink()
    assert repair(folder).info.items == 4
    assert "flipped: 1 of its items are lost, since the source is gone; index it again" in caplog.text
    assert {row[3] for row in flips.answer()} == {"b", "c", "d", "f"}


def test_without_any_item_nothing_is_thrown_away(folder, small, tmp_path):
    raw = b"not a database" * 1000
    (folder / "index.sqlite").write_bytes(raw)
    (tmp_path / "flipped.yaml").unlink()
    with pytest.raises(CatalogError, match="no item can be read, and the source is gone; 'attnsearch remove flipped'"):
        repair(folder)
    assert (folder / "index.sqlite").read_bytes() == raw
    assert segment(folder).exists()


def test_embeddings_of_texts_by_older_rules_are_not_reused(home, write, small, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(items, "key_text", lambda title, *_: f"{title} robot")
        update([str(write("old.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n"))])
    assert repair(home / "old").embedded == 2
    assert small.read[-2:] == ["moon", "sea"]
    assert repair(home / "old").embedded == 0


def test_without_a_record_of_its_sources(folder, small):
    change(folder, "DELETE FROM info")
    (folder / "index.seal").unlink()
    with pytest.raises(
        CatalogError, match="the catalog no longer records its sources and model; 'attnsearch remove flipped'"
    ):
        repair(folder)


def test_other_weights_cannot_repair(folder, small):
    segment(folder).unlink()
    small.sha256 = "6" * 64
    with pytest.raises(CatalogError, match="the weights of small have changed; index it again"):
        repair(folder)
    lock.acquire(folder, wait=0).close()  # it was released


def test_a_failure_changes_nothing(folder, small, monkeypatch):
    segment(folder).unlink()
    before = check.find_problems(folder)
    monkeypatch.setattr("attnsearch.indexing.writer.Writer.commit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        repair(folder)
    assert check.find_problems(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["flipped"]


def test_where_folders_cannot_swap(folder, small, monkeypatch):
    right = flips.answer()
    segment(folder).unlink()
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: None)
    repair(folder)
    assert flips.answer() == right
    assert [path.name for path in folder.parent.iterdir()] == ["flipped"]


def test_a_name_of_four_byte_letters(home, write, small):
    """62 of them are a name, but `.repaired-` before them would be more than a file system takes."""
    name = "𝕒" * 62
    update([str(write("x.yaml", "- {title: moon}\n"))], name=name)
    spoil(segment(home / name), -1)
    repair(home / name)
    assert check.find_problems(home / name) == []
    assert [folder.name for folder in home.iterdir()] == [name]
