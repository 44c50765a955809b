"""A damaged catalog is made whole, and only what is broken is embedded again."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError
from attnsearch.indexing import check
from attnsearch.indexing.repair import repair
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.sources import items
from attnsearch.storage import files, home, learned, lock
from attnsearch.syntax.formats import Reading
from attnsearch.teaching import feedback
from attnsearch.upkeep.removal import remove_catalog
from tests.conftest import titles
from tests.indexing.damage import change, ruin_pages, segment, select, spoil
from tests.storage.test_learned import SOME
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
    repaired = repair(folder)
    assert repaired.info.items == 4
    assert repaired.lost == (1, ("a",))
    assert "flipped.yaml" not in caplog.text  # nobody tries to read it
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


def test_a_catalog_that_was_only_begun(folder, small):
    """It was removed, and `index` creates it anew: there is nothing to repair yet, and nothing is lost."""
    remove_catalog(folder)
    lock.acquire(folder).close()
    with pytest.raises(CatalogError, match="there is no catalog 'flipped'"):
        repair(folder)


def test_other_weights_cannot_repair(folder, small):
    segment(folder).unlink()
    small.sha256 = "6" * 64
    with pytest.raises(
        CatalogError, match=r"was indexed with other weights of small .*; index it again: attnsearch index"
    ):
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


def test_where_folders_cannot_swap_and_the_second_name_fails(folder, small, monkeypatch):
    segment(folder).unlink()
    before, rename = check.find_problems(folder), Path.rename

    def fail(path, target):
        if path.name.startswith(".repaired-"):
            raise OSError(30, "Read-only file system")
        return rename(path, target)

    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: None)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(CatalogError, match="can't be written: Read-only file system"):
        repair(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["flipped"]
    assert check.find_problems(folder) == before


def test_what_an_interrupted_repair_left_is_no_hindrance(folder, small):
    right = flips.answer()
    staging = folder.with_name(".repaired-flipped")
    (staging / "segments").mkdir(parents=True)
    (staging / "index.sqlite").write_bytes(b"half")
    segment(folder).unlink()
    repair(folder)
    assert flips.answer() == right
    assert [path.name for path in folder.parent.iterdir()] == ["flipped"]


def test_damaged_knowledge_is_not_carried_over(folder, small, caplog):
    learned.write_learned(folder / files.LEARNED, SOME)
    spoil(folder / files.LEARNED, -1)
    assert check.find_problems(folder)
    repair(folder)
    assert "flipped: what was learned is lost, since learned.safetensors is damaged" in caplog.text
    assert check.find_problems(folder) == []
    assert not (folder / files.LEARNED).exists()


def test_a_name_of_four_byte_letters(home, write, small):
    """62 of them are a name, but `.repaired-` before them would be more than a file system takes."""
    name = "𝕒" * 62
    update([str(write("x.yaml", "- {title: moon}\n"))], name=name)
    spoil(segment(home / name), -1)
    repair(home / name)
    assert check.find_problems(home / name) == []
    assert [folder.name for folder in home.iterdir()] == [name]


class TestItems:
    """What is intact stays, whatever the sources have today."""

    def test_items_of_other_sources_stay(self, home, write, small):
        update([str(write("a.yaml", "- {id: a1, title: moon}\n- {id: a2, title: sea}\n"))], name="both")
        update([str(write("b.yaml", "- {id: b1, title: robot}\n"))], name="both", keep=True)
        change(home / "both", "UPDATE items SET title = 'robo' WHERE id = 'b1'")
        repaired = repair(home / "both")
        assert repaired.lost == (0, ())
        assert repaired.embedded == 1
        assert titles("both") == {"moon", "sea", "robot"}
        assert check.find_problems(home / "both") == []

    def test_a_source_that_is_shorter_today_takes_nothing_away(self, home, write, small):
        path = write("things.yaml", "".join(f"- {{id: x{n}, title: moon {n}}}\n" for n in range(1, 6)))
        update([str(path)])
        path.write_text("- {id: x1, title: moon one}\n")
        change(home / "things", "UPDATE items SET title = 'z' WHERE id IN ('x1', 'x2')")
        assert repair(home / "things").lost == (1, ("x2",))
        assert titles("things") == {"moon one", "moon 3", "moon 4", "moon 5"}

    def test_of_a_changed_source_only_damaged_items_are_taken(self, home, write, small):
        path = write("things.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n")
        update([str(path)])
        path.write_text("- {id: a, title: moon moon}\n- {id: b, title: sea sea}\n- {id: c, title: robot}\n")
        change(home / "things", "UPDATE items SET title = 'z' WHERE id = 'b'")
        assert repair(home / "things").lost == (0, ())
        assert titles("things") == {"moon", "sea sea"}

    def test_an_id_that_is_damaged_comes_from_an_unchanged_source(self, folder, small):
        right = flips.answer()
        change(folder, "UPDATE items SET id = 'zzz' WHERE id = 'a'")
        assert repair(folder).lost == (0, ())
        assert flips.answer() == right

    def test_a_row_that_is_gone_comes_from_an_unchanged_source(self, folder, small):
        right = flips.answer()
        change(folder, "DELETE FROM items WHERE id = 'a'")
        assert repair(folder).lost == (0, ())
        assert sorted(row[3] for row in flips.answer()) == sorted(row[3] for row in right)

    def test_a_source_that_cannot_be_read_loses_no_intact_item(self, folder, small, tmp_path, caplog):
        change(folder, "UPDATE items SET title = 'mars' WHERE id = 'a'")
        (tmp_path / "flipped.yaml").write_text("- {id: a\n")
        assert repair(folder).lost == (1, ("a",))
        assert "flipped.yaml:" in caplog.text
        assert {row[3] for row in flips.answer()} == {"b", "c", "d", "f"}

    def test_of_a_source_that_ends_in_rubbish_the_lines_before_it_are_taken(self, home, write, small):
        lines = '{"id": "a", "title": "moon"}\n{"id": "b", "title": "sea"}\n'
        path = write("x.jsonl", lines)
        update([str(path)])
        path.write_text(lines + "{\n")
        change(home / "x", "UPDATE items SET title = 'z' WHERE id = 'a'")
        assert repair(home / "x").lost == (0, ())
        assert titles("x") == {"moon", "sea"}

    def test_a_seal_of_an_earlier_commit_hides_no_loss(self, home, write, small, run):
        """It has fewer items than are intact today, and yet one is damaged."""
        path = write("things.yaml", "- {id: a, title: moon}\n")
        update([str(path)])
        content = "- {id: a, title: moon}\n- {id: b, title: sea}\n- {id: c, title: robot}\n"
        path.write_text(content)
        with Index.open("things"):  # a reader prevents the seal of the second commit
            update([str(path)])
        change(home / "things", "UPDATE items SET title = 'z' WHERE id = 'c'")
        change(home / "things", "DELETE FROM info")
        path.write_text("")
        assert check.sealed_info(home / "things").items == 1
        assert run("check", "things", "--repair").out.endswith("things: lost: c\n")
        assert titles("things") == {"moon", "sea"}

    @pytest.mark.parametrize(
        ("name", "form", "content"),
        [
            ("x.csv", "tsv", "id\ttitle\na\tmoon, round\nb\tsea, wet\n"),
            ("x.tsv", "csv", "id,title\na,moon\nb,sea\n"),
            ("x.yaml", "jsonl", '{"id": "a", "title": "moon"}\n{"id": "b", "title": "sea"}\n'),
            ("x.json", "yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n"),
            ("x.csv", "json", '[{"id": "a", "title": "moon"},\n{"id": "b", "title": "sea"}]\n'),
        ],
    )
    @pytest.mark.parametrize("lost", ["row", "database"])
    def test_a_source_that_was_read_in_another_format(self, home, write, small, name, form, content, lost):
        update([str(write(name, content))], reading=Reading(form))
        before = titles("x")
        if lost == "row":
            change(home / "x", "UPDATE items SET title = 'z' WHERE id = 'a'")
        else:
            (home / "x" / "index.sqlite").write_bytes(b"not a database" * 1000)
        assert repair(home / "x").lost == (0, ())
        assert titles("x") == before

    def test_of_several_sources_one_may_be_gone(self, home, write, small):
        paths = [write(f"{name}.yaml", f"- {{id: {name}, title: moon {name}}}\n") for name in "ab"]
        update([str(path) for path in paths], name="both")
        change(home / "both", "UPDATE items SET title = 'z'")
        paths[0].unlink()
        assert repair(home / "both").lost == (1, ("a",))
        assert titles("both") == {"moon b"}

    @pytest.fixture
    def many(self, home, write, small):
        """A catalog of 90 items in several pages, whose source is gone."""
        lines = [f"- {{id: i{n:03}, title: moon {n}, note: {'n' * 200}}}\n" for n in range(90)]
        path = write("many.yaml", "".join(lines))
        update([str(path)])
        path.unlink()
        return home / "many"

    @pytest.mark.parametrize("leaves", [(0, 1), (0, 2), (1, -1)])
    @pytest.mark.parametrize("has_keys", [True, False])
    def test_rows_behind_a_damaged_page_are_intact(self, many, leaves, has_keys):
        """The scan ends at the page; the rows behind it are read all the same."""
        leaf = [
            (page, rows)
            for page, rows in select(many, "SELECT pageno, ncell FROM dbstat WHERE name = 'items' ORDER BY path")
            if rows and page not in dict(select(many, "SELECT rootpage, 0 FROM sqlite_schema"))
        ]
        ruined = dict(leaf[number] for number in leaves)
        roots = [page for page, name in select(many, "SELECT rootpage, name FROM sqlite_schema") if "keys" in name]
        ruin_pages(many, [*ruined, *([] if has_keys else roots)])
        lost = sum(ruined.values())
        repaired = repair(many)
        assert repaired.info.items == 90 - lost
        assert repaired.lost.items == len(repaired.lost.ids) == lost
        assert repaired.embedded == (0 if has_keys else 90 - lost)

    def test_a_damaged_table_of_keys_takes_no_item(self, many):
        roots = [page for page, name in select(many, "SELECT rootpage, name FROM sqlite_schema") if "keys" in name]
        ruin_pages(many, roots)
        repaired = repair(many)
        assert (repaired.info.items, repaired.lost.items) == (90, 0)

    def test_text_that_is_not_utf_8_spoils_its_own_row_alone(self, folder, small, tmp_path):
        (tmp_path / "flipped.yaml").unlink()
        change(folder, "UPDATE items SET title = CAST(x'ff' AS TEXT) WHERE id = 'a'")
        assert repair(folder).lost == (1, ("a",))
        assert {row[3] for row in flips.answer()} == {"b", "c", "d", "f"}

    def test_the_command_lists_what_is_lost_and_exits_with_3(self, folder, small, tmp_path, run):
        change(folder, "UPDATE items SET title = 'mars' WHERE id = 'a'")
        (tmp_path / "flipped.yaml").unlink()
        ran = run("check", "flipped", "--repair")
        assert ran.code == 3
        assert ran.out.endswith("flipped: repaired; 0 texts embedded again\nflipped: lost: a\n")
        assert "lost, since no source has them any more: 1 item of flipped; the rest is whole" in ran.err
        assert run("check", "flipped").out == "flipped: ok\n"

    def test_so_does_json(self, folder, small, tmp_path, run):
        change(folder, "UPDATE items SET title = 'mars' WHERE id = 'a'")
        (tmp_path / "flipped.yaml").unlink()
        ran = run("check", "flipped", "--repair", "--json")
        assert ran.code == 3
        assert json.loads(ran.out)["lost"] == {"items": 1, "ids": ["a"]}


class TestAlone:
    """Nobody else is at work on the catalog, not even if its database can't be locked."""

    @pytest.fixture(params=["whole", "unlockable"])
    def damaged(self, request, folder):
        """A damaged catalog, whose database can be locked or not."""
        if request.param == "whole":
            segment(folder).unlink()
        else:
            (folder / "index.sqlite").write_bytes(b"not a database" * 1000)
        return folder

    @pytest.fixture
    def first(self, damaged, small, monkeypatch):
        """A repair that waits, while it embeds, for the event that it comes with."""
        reached, may_go_on, encode = threading.Event(), threading.Event(), small.encode

        def pause(*args, **options):
            reached.set()
            assert may_go_on.wait(20)
            return encode(*args, **options)

        monkeypatch.setattr(small, "encode", pause)
        thread = threading.Thread(target=repair, args=(damaged,))
        thread.start()
        assert reached.wait(20)
        monkeypatch.setattr(small, "encode", encode)
        yield may_go_on
        may_go_on.set()
        thread.join(20)
        assert not list(damaged.parent.glob(".*"))

    @pytest.mark.parametrize("second", [repair, remove_catalog], ids=["repair", "remove"])
    def test_the_second_waits_for_the_first(self, damaged, first, small, caplog, second):
        thread = threading.Thread(target=second, args=(damaged,))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert "waiting for another attnsearch to finish writing to flipped" in caplog.text
        assert list(damaged.parent.glob(".*")) == [damaged.with_name(".repaired-flipped")]
        first.set()
        thread.join(20)
        if second is repair:
            assert check.find_problems(damaged) == []
            assert home.read_catalog_info(damaged).items == 5
        else:
            assert not damaged.exists()

    @pytest.mark.parametrize("second", [repair, remove_catalog], ids=["repair", "remove"])
    def test_or_refuses(self, damaged, first, small, monkeypatch, second):
        for waiting in (lock.acquire, lock.guarding.__wrapped__):
            monkeypatch.setattr(waiting, "__defaults__", (0.1,))
        with pytest.raises(CatalogError, match="another attnsearch is writing to it; try again when it is done"):
            second(damaged)

    def test_a_catalog_removed_meanwhile_is_not_repaired(self, folder, small):
        with ThreadPoolExecutor() as pool:
            with lock.guarding(folder):
                repairing = pool.submit(repair, folder)
                wait([repairing], 0.1)
                folder.rename(folder.with_name(".removed-x"))
            with pytest.raises(CatalogError, match="there is no catalog 'flipped'"):
                repairing.result(20)
        assert not folder.exists()

    def test_the_second_also_waits_until_the_old_folder_is_gone(self, folder, small, monkeypatch):
        """It would build in a folder of that name, which the first is about to delete."""
        rmtree, second = shutil.rmtree, []

        def delete(path, **options):
            if not second and path.exists():
                second.append(pool.submit(repair, folder))
                wait(second, 1)
                assert not second[0].done()
            rmtree(path, **options)

        with ThreadPoolExecutor() as pool:
            monkeypatch.setattr(shutil, "rmtree", delete)
            repair(folder)
            second[0].result(20)
        assert check.find_problems(folder) == []

    def test_a_writer_is_waited_for(self, folder, small):
        segment(folder).unlink()
        with closing(lock.acquire(folder)):
            thread = threading.Thread(target=repair, args=(folder,))
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
            assert not list(folder.parent.glob(".*"))
        thread.join(20)
        assert check.find_problems(folder) == []


class TestSwap:
    """The old catalog or the new one has the name at any moment, and after a power cut too."""

    def test_it_is_one_step_where_the_system_can(self, folder, small, monkeypatch, tmp_path):
        (tmp_path / "x").mkdir()
        (tmp_path / "y").mkdir()
        library = ctypes.CDLL(None)
        if not hasattr(library, "renameat2") or library.renameat2(
            -100, os.fsencode(tmp_path / "x"), -100, os.fsencode(tmp_path / "y"), 2
        ):
            pytest.skip("this system can't swap two folders in one step")
        renamed, rename = [], Path.rename

        def note(path, target):
            renamed.append(path)
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", note)
        segment(folder).unlink()
        repair(folder)
        assert folder not in renamed
        assert folder.with_name(".repaired-flipped") not in renamed
        assert check.find_problems(folder) == []

    def test_what_is_carried_over_is_durable_before_and_the_names_after(self, folder, small, synced):
        learned.write_learned(folder / files.LEARNED, SOME)
        feedback.add_judgment(folder, "moon", {"a": 1})
        segment(folder).unlink()
        old, staging = folder.stat().st_ino, folder.with_name(".repaired-flipped")
        synced.clear()
        repair(folder)
        before = [(path, names) for path, names, inode in synced if inode == old]
        paths = [path for path, _ in before]
        assert {staging / files.LEARNED, staging / files.FEEDBACK} <= set(paths)
        carried = max(paths.index(staging / name) for name in (files.LEARNED, files.FEEDBACK))
        last = [names for path, names in before[carried:] if path == staging]
        assert {files.LEARNED, files.FEEDBACK} <= last[-1]
        after = [path for path, _, inode in synced if inode != old]
        assert folder.parent in after
