"""What is wrong is found, refused, and mended."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import check
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from attnsearch.indexing.writer import Writer
from attnsearch.search.index import Index
from attnsearch.sources import items
from attnsearch.storage import home, lock
from attnsearch.storage.database import read_info, read_segments, write_info
from tests.torture import flips


@pytest.fixture
def folder(home, tmp_path, small):
    flips.make(tmp_path / "flipped.yaml")
    return home / "flipped"


def change(folder, statement):
    with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
        db.execute(statement)


def segment(folder):
    return sorted((folder / "segments").iterdir(), key=lambda path: path.stat().st_size)[-1]


def spoil(path, at, mask=1):
    raw = bytearray(path.read_bytes())
    raw[at] ^= mask
    path.write_bytes(raw)


@pytest.mark.slow
def test_a_flipped_byte_is_no_other_answer_and_is_found(folder):
    """Some of them; the whole run has all."""
    everywhere = flips.places(folder)
    header = [(file, at) for file, at in everywhere if at < 120]
    some = random.Random(1).sample(everywhere, 300)
    assert list(flips.flip(folder, header + some, 0xFF)) == []


def test_a_schema_that_is_not_utf_8(folder):
    """SQLite quotes it in its message, which Python can't read."""
    raw = (folder / "index.sqlite").read_bytes()
    at = raw.index(b"CREATE INDEX keys_by_item")
    assert list(flips.flip(folder, [(folder / "index.sqlite", at + 2)], 0xFF)) == []
    spoil(folder / "index.sqlite", at + 2, 0xFF)
    with pytest.raises(CatalogError, match="holds text that is not UTF-8; 'attnsearch check flipped --repair'"):
        update([], name="flipped")
    repair(folder)
    assert check.find_problems(folder) == []


def test_a_whole_catalog(folder):
    assert check.find_problems(folder) == []


WRONG = {
    "UPDATE items SET title = 'mars' WHERE id = 'a'": "the item 1 is not what was written",
    "UPDATE items SET fields = '{' WHERE id = 'a'": "the item 1 is not what was written",
    "DELETE FROM items WHERE id = 'a'": "the key 0 has no item",
    "DELETE FROM keys WHERE key = 0": "the item 'a' has no key",
    "UPDATE keys SET item = 2 WHERE key = 0": "the key 0 is not what was written",
    "UPDATE segments SET dead = NULL": "the list of segments is not what was written",
    "DELETE FROM segments WHERE first = 0": "the list of segments is not what was written",
    "UPDATE info SET value = '0.5' WHERE name = 'temperature'": "what it says about itself is not what was written",
    "DELETE FROM info": "'sum'",
    "DROP TABLE keys": "no such table",
}


@pytest.mark.parametrize("statement", WRONG)
def test_what_another_program_did_to_the_database(folder, statement):
    """It is found, it is refused where it would show, and it is mended."""
    right = flips.answer()
    change(folder, statement)
    assert any(WRONG[statement] in problem for problem in check.find_problems(folder))
    with pytest.raises(CatalogError, match="'attnsearch check flipped --repair' mends it"):
        flips.answer()
    repair(folder)
    assert check.find_problems(folder) == []
    assert flips.answer() == right


class TestRepair:
    def test_only_what_is_broken_is_embedded(self, home, tmp_path, small):
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

    def test_a_lost_segment(self, folder, small):
        right = flips.answer()
        segment(folder).unlink()
        assert any("it is gone" in problem for problem in check.find_problems(folder))
        repair(folder)
        assert flips.answer() == right
        assert check.find_problems(folder) == []

    def test_a_database_that_is_none(self, folder, small):
        """The seal still says what the catalog is; the sources have the items."""
        right = flips.answer()
        (folder / "index.sqlite").write_bytes(b"not a database" * 1000)
        assert check.find_problems(folder)
        repair(folder)
        assert flips.answer() == right

    def test_an_empty_database(self, folder, small, tmp_path):
        """It is not taken for a catalog that never was, whose segments would be nobody's."""
        right = flips.answer()
        (folder / "index.sqlite").write_bytes(b"")
        with pytest.raises(CatalogError, match=r"index\.sqlite is empty"):
            Index.open("flipped")
        with pytest.raises(CatalogError, match=r"index\.sqlite is empty"):
            update([str(tmp_path / "flipped.yaml")], name="flipped")
        assert segment(folder).exists()
        repair(folder)
        assert flips.answer() == right

    def test_without_its_sources_what_is_there_is_kept(self, folder, small, tmp_path, caplog):
        change(folder, "UPDATE items SET title = 'mars' WHERE id = 'a'")
        (tmp_path / "flipped.yaml").unlink()
        assert repair(folder).info.items == 4
        assert "1 of its items are lost" in caplog.text
        assert {row[3] for row in flips.answer()} == {"b", "c", "d", "f"}

    def test_where_nothing_is_left_nothing_is_thrown_away(self, folder, small, tmp_path):
        raw = b"not a database" * 1000
        (folder / "index.sqlite").write_bytes(raw)
        (tmp_path / "flipped.yaml").unlink()
        with pytest.raises(CatalogError, match="no item can be read, and their source is not there"):
            repair(folder)
        assert (folder / "index.sqlite").read_bytes() == raw
        assert segment(folder).exists()

    def test_keys_of_texts_by_older_rules_are_not_kept(self, home, write, small, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(items, "key_text", lambda title, *_: f"{title} robot")
            update([str(write("old.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n"))])
        assert repair(home / "old").embedded == 2
        assert small.read[-2:] == ["moon", "sea"]
        assert repair(home / "old").embedded == 0

    def test_without_anything_it_says_so(self, folder, small):
        change(folder, "DELETE FROM info")
        (folder / "index.seal").unlink()
        with pytest.raises(CatalogError, match="says no more what it was made of; 'attnsearch remove flipped'"):
            repair(folder)

    def test_other_weights_can_not_repair(self, folder, small):
        segment(folder).unlink()
        small.sha256 = "6" * 64
        with pytest.raises(CatalogError, match="has other weights now; embed it anew"):
            repair(folder)
        lock.acquire(folder, wait=0).close()  # nobody holds it any more

    def test_a_failure_changes_nothing(self, folder, small, monkeypatch):
        segment(folder).unlink()
        before = check.find_problems(folder)
        monkeypatch.setattr("attnsearch.indexing.writer.Writer.commit", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            repair(folder)
        assert check.find_problems(folder) == before
        assert [path.name for path in folder.parent.iterdir()] == ["flipped"]

    def test_where_folders_can_not_swap(self, folder, small, monkeypatch):
        right = flips.answer()
        segment(folder).unlink()
        monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: None)
        repair(folder)
        assert flips.answer() == right
        assert [path.name for path in folder.parent.iterdir()] == ["flipped"]


class TestSeal:
    def test_a_byte_where_nothing_looks(self, folder):
        """SQLite itself does not miss it."""
        raw = (folder / "index.sqlite").read_bytes()
        at = raw.index(bytes(64))
        spoil(folder / "index.sqlite", at)
        assert check.find_problems(folder) == ["index.sqlite: some of its bytes are not what was written"]
        right = flips.answer()
        repair(folder)
        assert check.find_problems(folder) == []
        assert flips.answer() == right

    def test_a_reader_keeps_a_commit_from_its_seal(self, folder, tmp_path):
        """The catalog is whole, and the next commit is sealed."""
        file = tmp_path / "flipped.yaml"
        with Index.open("flipped"):
            update([str(file)], name="flipped")
        assert check.find_problems(folder) == []
        with Writer(folder):
            pass  # which leaves the log empty, and the file another one than before
        assert check.find_problems(folder) == []
        update([str(file)], name="flipped")
        raw = (folder / "index.sqlite").read_bytes()
        spoil(folder / "index.sqlite", raw.index(bytes(64)))
        assert len(check.find_problems(folder)) == 1

    def test_a_byte_of_the_seal_that_means_nothing(self, folder):
        file = folder / "index.seal"
        file.write_bytes(file.read_bytes().replace(b": ", b":\t", 1))
        assert check.find_problems(folder) == ["index.seal: it is not what was written"]


class TestLinks:
    """Nothing under the home leads out of it."""

    def test_a_catalog(self, folder, tmp_path):
        shutil.move(folder, tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(CatalogError, match="is a link"):
            Index.open("flipped")
        with pytest.raises(CatalogError, match="is a link"):
            update([str(tmp_path / "flipped.yaml")], name="flipped")

    def test_a_draft(self, folder, tmp_path, small):
        (folder / f"unfinished-{'5' * 16}-float32").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(CatalogError, match="can't be written"):
            update([str(tmp_path / "flipped.yaml")], name="flipped")
        assert not (tmp_path / "elsewhere").exists()

    @pytest.mark.parametrize("name", ["index.sqlite", "segments", "index.seal"])
    def test_a_part_of_one(self, folder, tmp_path, name):
        shutil.move(folder / name, tmp_path / "elsewhere")
        (folder / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(CatalogError, match="is a link"):
            Index.open("flipped")

    def test_a_segment(self, folder, tmp_path):
        path = segment(folder)
        shutil.move(path, tmp_path / "elsewhere.npy")
        path.symlink_to(tmp_path / "elsewhere.npy")
        with pytest.raises(CatalogError, match="the segment"):
            Index.open("flipped")

    @pytest.mark.parametrize("name", ["../elsewhere", "/etc/passwd", "a/../../x", "..", "."])
    def test_a_name(self, small, tmp_path, name, write):
        with pytest.raises(InputError, match="can't be a catalog's name"):
            update([str(write("x.yaml", "- {title: moon}\n"))], name=name)


def forge(folder, statement):
    """Change the list of segments, and make its checksums right."""
    with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
        info = read_info(db, folder)
        db.execute(statement)
        write_info(db, {**info._asdict(), "listing": read_segments(db)[1]})


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE segments SET dead = X'80' WHERE first = 0", "its keys are not the living rows of its segments"),
        ("UPDATE segments SET joined = NULL", "its passages are not where its segments have them"),
    ],
)
def test_a_list_that_contradicts_the_keys(folder, statement, problem):
    forge(folder, statement)
    assert f"index.sqlite: {problem}" in check.find_problems(folder)


def test_a_segment_that_lies_elsewhere(folder):
    """A database with a path in it is not followed, whoever made its checksums right."""
    forge(folder, "UPDATE segments SET file = '../../../secret.npy' WHERE first = 0")
    with pytest.raises(CatalogError, match="that is no segment's name"):
        Index.open("flipped")


def test_objects_and_a_huge_shape(folder, monkeypatch):
    """A header is never believed: nothing is unpickled, nothing is allocated."""
    path = segment(folder)
    monkeypatch.setattr(np, "load", lambda *_, **__: 1 / 0)
    raw = path.read_bytes()
    for lie in (raw.replace(b"<f4", b"|O8"), raw.replace(b"(", b"(9999999"), b"\x93NUMPY\x01\x00" + bytes(9000)):
        path.write_bytes(lie)
        with pytest.raises(CatalogError, match="the segment"):
            Index.open("flipped")
    assert home.catalog_exists(folder)
