"""Damage is found, refused, and repaired."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from attnsearch.encoding.passages import Passage
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing import check
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import embed_missing, open_checkpoint, update
from attnsearch.indexing.writer import Writer
from attnsearch.opening.index import Index
from attnsearch.sources.items import Item
from attnsearch.storage import home, learned
from attnsearch.storage.database import read_info, write_info
from attnsearch.storage.failures import DamagedError
from attnsearch.storage.files import LEARNED
from attnsearch.storage.segment import read_segments
from attnsearch.upkeep.removal import remove_catalog
from tests.conftest import SmallEncoder
from tests.indexing.damage import change, segment, select, spoil
from tests.storage.test_learned import OWN
from tests.torture import flips


@pytest.mark.slow
def test_a_flipped_byte_never_changes_an_answer_and_is_found(folder):
    """A sample; the torture run flips them all."""
    everywhere = flips.places(folder)
    headers = [(file, byte) for file, byte in everywhere if byte < 120]
    sample = random.Random(1).sample(everywhere, 300)
    assert list(flips.flip(folder, headers + sample, 0xFF)) == []


def test_a_schema_that_is_not_utf_8(folder):
    """SQLite quotes it in its message, which Python can't read."""
    raw = (folder / "index.sqlite").read_bytes()
    byte = raw.index(b"CREATE INDEX keys_by_item") + 2
    assert list(flips.flip(folder, [(folder / "index.sqlite", byte)], 0xFF)) == []
    spoil(folder / "index.sqlite", byte, 0xFF)
    with pytest.raises(CatalogError, match="holds text that is not UTF-8; run 'attnsearch check flipped --repair'"):
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
    "UPDATE info SET value = '0.5' WHERE name = 'temperature'": "the table info is not what was written",
    "DELETE FROM info": "'sum'",
    "DROP TABLE keys": "no such table",
}


@pytest.mark.parametrize("statement", WRONG)
def test_a_change_by_another_program(folder, statement):
    """It is found, refused by a query that would show it, and repaired."""
    right = flips.answer()
    change(folder, statement)
    assert any(WRONG[statement] in problem for problem in check.find_problems(folder))
    with pytest.raises(CatalogError, match="run 'attnsearch check flipped --repair'"):
        flips.answer()
    repair(folder)
    assert check.find_problems(folder) == []
    assert flips.answer() == right


def test_many_problems_of_one_kind(home, write, small):
    """The first twenty in words, the others as a number; then the counts, which no longer agree."""
    update([str(write("many.jsonl", "".join(f'{{"title": "moon {n}"}}\n' for n in range(1_025))))])
    assert check.find_problems(home / "many") == []
    change(home / "many", "UPDATE items SET title = 'mars' WHERE item > 1")
    changed, *rows, others, counts = check.find_problems(home / "many")
    assert changed == "index.sqlite: some of its bytes are not what was written"
    assert rows == [f"index.sqlite: the item {number} is not what was written" for number in range(2, 22)]
    assert others == "and 1,004 more like that"
    assert counts == "index.sqlite: 1 items and 1,025 keys are intact, of 1,025 and 1,025"


def test_what_a_newer_attnsearch_learned_is_left_alone(home, write, small, monkeypatch):
    """It is not damage, and a repair of something else takes it along."""
    update([str(write("shop.yaml", "- {id: a, title: moon}\n"))])
    folder = home / "shop"
    with monkeypatch.context() as patch:
        patch.setattr(learned, "VERSION", learned.VERSION + 1)
        learned.write_learned(folder / LEARNED, OWN)
    newer = (folder / LEARNED).read_bytes()
    assert check.find_problems(folder) == []
    spoil(segment(folder), -1)
    assert repair(folder).embedded == 1
    assert (folder / LEARNED).read_bytes() == newer


def test_postings_that_are_not_what_was_written(folder, run):
    assert run("query", "moon", "-c", "flipped", "--lexical", "1").code == 0
    file = max((folder / "postings").iterdir(), key=lambda path: path.stat().st_size)
    spoil(file, -1)
    assert [problem for problem in check.find_problems(folder) if "it is not what was written" in problem]
    repair(folder)
    assert check.find_problems(folder) == []


class TestNewerForm:
    """A newer form is refused, whatever the catalog is called: older code can neither judge nor repair it."""

    @pytest.fixture
    def newer(self, home, small, write):
        update([str(write("damaged.yaml", "- {id: a, title: moon}\n"))])
        change(home / "damaged", "PRAGMA user_version=7")
        return home / "damaged"

    def test_it_is_not_taken_for_damage(self, newer):
        with pytest.raises(CatalogError, match=r"^damaged: was made by a newer attnsearch \(form 7, not 6\)") as caught:
            check.find_problems(newer)
        assert not isinstance(caught.value, DamagedError)
        with pytest.raises(CatalogError, match="was made by a newer attnsearch"):
            repair(newer)

    @pytest.mark.parametrize(
        "argv", [["check", "damaged"], ["check", "damaged", "--repair"], ["check", "damaged", "--json"]]
    )
    def test_check_refuses_it_and_repairs_nothing(self, newer, run, small, argv):
        before = {path: path.read_bytes() for path in newer.rglob("*") if path.is_file()}
        small.read.clear()
        code, out, err = run(*argv)
        assert (code, out) == (3, "")
        assert "damaged: was made by a newer attnsearch (form 7, not 6)" in err
        assert "upgrade attnsearch, or remove the catalog and index it again" in err
        assert err.count("damaged") == 1  # its name alone
        assert "--repair" not in err
        assert small.read == []
        assert {path: path.read_bytes() for path in before} == before


class TestSeal:
    def test_a_byte_that_no_query_reads(self, folder):
        """SQLite's own check does not see it either."""
        raw = (folder / "index.sqlite").read_bytes()
        spoil(folder / "index.sqlite", raw.index(bytes(64)))
        assert check.find_problems(folder) == ["index.sqlite: some of its bytes are not what was written"]
        right = flips.answer()
        repair(folder)
        assert check.find_problems(folder) == []
        assert flips.answer() == right

    def test_it_counts_even_where_the_database_does_not_name_its_state(self, folder):
        change(folder, "DELETE FROM info")
        assert "index.sqlite: some of its bytes are not what was written" in check.find_problems(folder)

    def test_a_reader_prevents_the_seal_of_a_commit(self, folder, tmp_path):
        """The catalog is whole even so, and the next commit is sealed."""
        file = tmp_path / "flipped.yaml"
        with Index.open("flipped"):
            update([str(file)], name="flipped")
        assert check.find_problems(folder) == []
        with Writer(folder):
            pass  # which empties the log, and so changes the file
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
    """Nothing in the home leads out of it."""

    def test_a_catalog(self, folder, tmp_path):
        shutil.move(folder, tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(CatalogError, match="is a link"):
            Index.open("flipped")
        with pytest.raises(CatalogError, match="is a link"):
            update([str(tmp_path / "flipped.yaml")], name="flipped")

    def test_a_checkpoint(self, folder, tmp_path, small):
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
        with pytest.raises(InputError, match="invalid catalog name"):
            update([str(write("x.yaml", "- {title: moon}\n"))], name=name)


def forge(folder, statement):
    """Change the list of segments, and correct its checksums."""
    with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
        info = read_info(db, folder)
        db.execute(statement)
        write_info(db, {**info._asdict(), "listing": read_segments(db)[1]})


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE segments SET dead = X'80' WHERE first = 0", "its keys are not the living rows of its segments"),
        ("UPDATE segments SET joined = NULL", "its passages differ from those of its segments"),
    ],
)
def test_a_list_that_contradicts_the_keys(folder, statement, problem):
    forge(folder, statement)
    assert f"index.sqlite: {problem}" in check.find_problems(folder)


def test_a_segment_that_lies_elsewhere(folder):
    """A path in the database is not followed, even with correct checksums."""
    forge(folder, "UPDATE segments SET file = '../../../secret.npy' WHERE first = 0")
    with pytest.raises(CatalogError, match="invalid segment name"):
        Index.open("flipped")


def test_objects_and_a_huge_shape(folder, monkeypatch):
    """A header is never trusted: nothing is unpickled, nothing is allocated."""
    path = segment(folder)
    monkeypatch.setattr(np, "load", lambda *_, **__: 1 / 0)
    raw = path.read_bytes()
    for lie in (raw.replace(b"<f4", b"|O8"), raw.replace(b"(", b"(9999999"), b"\x93NUMPY\x01\x00" + bytes(9000)):
        path.write_bytes(lie)
        with pytest.raises(CatalogError, match="the segment"):
            Index.open("flipped")
    assert home.catalog_exists(folder)


class TestMeanwhile:
    """Files of a state that is over are gone, which is no damage."""

    @pytest.fixture
    def changing(self, folder, monkeypatch):
        """Lets a change happen in the next checks: between their look at the database and that at the files."""
        original, changes = check._check_learned, []

        def change_first(where):
            if changes:
                changes.pop()(where)
            return original(where)

        monkeypatch.setattr(check, "_check_learned", change_first)
        return changes

    @staticmethod
    def rewrite(folder):
        """Two commits: the first no longer lists the segments, the second deletes their files."""
        for _ in range(2):
            with Writer(folder) as writer, open_checkpoint(SmallEncoder(), folder) as interrupted:
                rows = [Item(f"i{n}", "moon", "", {}, f"moon {n}") for n in range(3)]
                writer.clear()
                writer.take_items(rows, lambda _, text: [Passage(0, len(text), text)])
                writer.recall(interrupted)
                embed_missing(SmallEncoder(), writer, interrupted, None, 3)
                writer.commit(writer.info, interrupted)

    @pytest.mark.parametrize("kind", ["commits", "a repair"])
    def test_it_is_checked_again(self, folder, changing, kind):
        change = self.rewrite if kind == "commits" else repair
        changing += [change, change]
        assert check.find_problems(folder) == []
        assert changing == []

    def test_a_catalog_that_changes_all_the_time_is_busy(self, folder, changing):
        changing += [self.rewrite] * 10
        with pytest.raises(CatalogError, match="flipped: another attnsearch is writing to it; try again"):
            check.find_problems(folder)

    def test_damage_is_found_in_the_new_state(self, folder, changing):
        def damage(where):
            self.rewrite(where)
            ((file,),) = select(where, "SELECT file FROM segments")
            (where / "segments" / file).unlink()

        changing += [damage]
        (problem,) = check.find_problems(folder)
        assert problem.endswith("it is gone")

    def test_a_catalog_that_is_removed(self, folder, changing):
        changing += [remove_catalog]
        with pytest.raises(CatalogError, match="there is no catalog 'flipped'"):
            check.find_problems(folder)

    def test_one_that_is_removed_between_two_looks(self, folder, monkeypatch):
        original = check.info_or_problem

        def remove_after(db, where):
            info = original(db, where)
            remove_catalog(where)
            return info

        monkeypatch.setattr(check, "info_or_problem", remove_after)
        with pytest.raises(CatalogError, match="there is no catalog 'flipped'"):
            check.find_problems(folder)


class TestFields:
    """What the catalog knows of its fields is checked against its items, and counted anew by a repair."""

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE fields SET items = items + 1 WHERE name = 'price'",
            "UPDATE fields SET counts = NULL WHERE name = 'tags'",
            "UPDATE fields SET kind = 'date' WHERE name = 'price'",
            "DELETE FROM fields WHERE name = 'price'",
            "INSERT INTO fields SELECT 'more', kind, unread, items, lists, forms, low, high, counts, 7 FROM fields"
            " WHERE name = 'price'",
        ],
    )
    def test_damage(self, folder, run, damage):
        change(folder, damage)
        (folder / "index.seal").unlink()
        assert any("the field" in problem for problem in check.find_problems(folder))
        assert run("check", "flipped", "--repair").out.endswith("repaired; 0 texts embedded again\n")
        assert check.find_problems(folder) == []
