"""The harnesses of tests/torture, shortened; `make torture` runs them in full."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from attnsearch.indexing.update import update
from attnsearch.storage.files import FEEDBACK, LEARNED
from attnsearch.teaching.feedback import add_judgment
from tests.torture import faults, flips, generations, kill, load, power, shared, storm, writers
from tests.torture.driver import Nursery
from tests.torture.verifier import NAME, Violation, using_home, verify

pytestmark = pytest.mark.slow  # hundreds of processes that are killed

SEED = 1


@pytest.fixture
def work():
    """A folder in memory, since only processes are killed here, not machines."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


def skip_if_skipped(summary: str) -> None:
    if summary.startswith("skipped"):
        pytest.skip(summary)


def test_generations_have_every_kind_of_change():
    kinds = set()
    for g in range(1, 9):
        before, after = generations.items(g - 1), generations.items(g)
        kinds |= {"added"} if set(after) - set(before) else set()
        kinds |= {"removed"} if set(before) - set(after) else set()
        for ident in set(before) & set(after) - {"now"}:
            text = [(item["title"], item["description"]) for item in (before[ident], after[ident])]
            kinds |= {"text"} if text[0] != text[1] else {"fields"} if before[ident] != after[ident] else {"same"}
    assert kinds == {"added", "removed", "text", "fields", "same"}
    assert sum(generations.weights(5, "moon").values()) == pytest.approx(1)


def test_kill(work):
    kill.kill(work, SEED, kills=12)


def test_killed_commands(work):
    kill.kill_commands(work, SEED, kills=1)


def test_faults(work):
    skip_if_skipped(faults.faults(work, SEED, share=200))


def test_power(work):
    skip_if_skipped(power.power(work, SEED, share=150, random_draws=1))


CALLS = """
import ctypes, os, pathlib, shutil, sys
box, trace = sys.argv[1:]
shim = ctypes.CDLL(None, use_errno=True)
os.chdir(box)
shim.torture_watch(box.encode())
shim.torture_trace(trace.encode())
a = pathlib.Path("a")
a.write_bytes(bytes(range(256)) * 600)
shutil.copyfile("a", "sent")
with open("a", "rb") as source, open("copied", "wb") as target:
    assert os.copy_file_range(source.fileno(), target.fileno(), 50, 7) == 50
    assert source.tell() == 0
    assert os.copy_file_range(source.fileno(), target.fileno(), 1 << 20) == 1 << 16
    assert source.tell() == 1 << 16
    assert target.tell() == (1 << 16) + 50
for name in ("left", "right"):
    os.mkdir(name)
    pathlib.Path(name, name).write_text(name)
assert shim.renameat2(-100, b"left", -100, b"right", 2) == 0
os.mkdir("deep")
os.rename("sent", "deep/sent")
assert shim.renameat2(-100, b"deep/sent", -100, b"copied", 2) == 0
"""


def test_the_disk_of_the_power_cuts_does_what_a_real_one_does(work):
    """Copies within the system and swaps of names, in one folder and between two, are seen, with their data."""
    library = faults.compile_faults(work)
    if not library:
        pytest.skip(faults.SKIPPED)
    box, trace = work / "box", work / "trace"
    box.mkdir()
    disk = power.Disk(box)
    subprocess.run([sys.executable, "-c", CALLS, box, trace], env={"LD_PRELOAD": str(library)}, check=True)
    calls = faults.read_trace(trace)
    for call in calls:
        disk.repeat(call)
    assert [call.op for call in calls].count("swap") == 2
    power.build(disk, {}, work / "disk")
    assert read_tree(work / "disk") == read_tree(box)
    assert sorted(read_tree(box)) == ["a", "copied", "deep/sent", "left/right", "right/left"]


def read_tree(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def attempt(work, scene_name, fault_name, op, file):
    """Play a scene with a fault at one call, the first of this kind on a file of this name."""
    library = faults.compile_faults(work)
    if not library:
        pytest.skip(faults.SKIPPED)
    (fault,) = (fault for fault in faults.FAULTS if fault.name == fault_name)
    with Nursery(library) as nursery:
        (scene,) = (scene for scene in faults.make_scenes(work, nursery, scene_name) if scene.name == scene_name)
        calls = faults.record_calls(nursery, work, scene)
        number = next(n for n, call in enumerate(calls, 1) if call.op == op and re.fullmatch(file, call.base))
        return faults.attempt(nursery, work, scene, fault, number)


class TestRegressions:
    """Bugs that the harnesses have revealed, each by itself."""

    @pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EDQUOT"])
    def test_a_checkpoint_that_cannot_be_written(self, work, error):
        assert attempt(work, "commit", f"{error} from then on", "write", "unfinished-.*") == "failed"

    def test_a_repair_that_cannot_be_written(self, work):
        assert attempt(work, "repair of a vector", "EIO once", "size", "unfinished-.*") == "failed"

    def test_death_before_there_is_a_wal(self, work):
        assert attempt(work, "first commit", "die after", "write", "index.sqlite") == "died"

    def test_a_power_cut_after_the_first_commit_in_a_new_home(self, work):
        scene = "first commits in a new home"
        skip_if_skipped(power.power(work, SEED, share=1, random_draws=0, only=scene, after="note"))

    def test_a_power_cut_in_a_removal(self, work):
        skip_if_skipped(power.power(work, SEED, share=3, random_draws=0, only="removal", after="unlink"))


class TestHarness:
    """A harness that cannot fail shows nothing: each kind of violation, seen."""

    @pytest.fixture
    def source(self, work):
        source = work / "source.jsonl"
        with Nursery() as nursery:
            nursery.run(work / "home", source, first=0, count=1)
        return source

    @pytest.mark.parametrize(("least", "most"), [(1, 1), (-1, -1)])
    def test_another_generation(self, work, source, least, most):
        with pytest.raises(Violation, match=f"generation 0, but {least} was acknowledged and {most} begun"):
            verify(work / "home", source, least, most)

    @pytest.mark.parametrize(
        ("change", "violation"),
        [
            (lambda item: item | {"shelf": 99}, "the item i0-0 differs from its source"),
            (lambda item: item | {"description": "sea " * 50}, "weighs"),
            (lambda item: item | {"id": "i9-9"}, r"lost \['i0-0'\], of another generation \['i9-9'\]"),
        ],
    )
    def test_another_item(self, work, source, change, violation):
        items = generations.items(0)
        changed = [change(item) if item["id"] == "i0-0" else item for item in items.values()]
        source.write_text("".join(json.dumps(item) + "\n" for item in changed))
        with using_home(work / "home"):
            update([str(source)], name=NAME)
        with pytest.raises(Violation, match=violation):
            verify(work / "home", source, 0, 0)

    def test_a_child_that_hangs(self, work, source):
        with Nursery() as nursery, pytest.raises(Violation, match="a child hung"):
            nursery.run(work / "home", source, first=1, count=1, hold=60, announce=str(work / "holds"), limit=0.5)


def test_two_writers(work):
    writers.writers(work, SEED, commits=10, hold=4.0)


def test_load(work):
    load.load(work, SEED, seconds=3)


def test_shared(work):
    shared.shared(work, SEED, seconds=2)


def test_flips_of_the_indexes_of_items_and_keys(work):
    """A judged request whose items are not found has no effect, which nobody would notice."""
    with using_home(work / "home"):
        flips.make(work / "flipped.yaml")
        folder = work / "home" / "flipped"
        flips.teach(folder)
        file = folder / "index.sqlite"
        with closing(sqlite3.connect(file)) as db:
            (size,) = db.execute("PRAGMA page_size").fetchone()
            statement = "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('items', 'keys')"
            starts = [(page - 1) * size for (page,) in db.execute(statement)]
        assert len(starts) == 2
        places = [(file, start + offset) for start in starts for offset in (3, 4, 8, 9, size - 15, size - 7, size - 1)]
        assert list(flips.flip(folder, places, 0xFF)) == []


@pytest.mark.parametrize("mask", flips.MASKS)
def test_flips_of_what_was_learned_and_judged_and_of_postings(work, mask):
    """A sample; tests/indexing/test_check.py has one of the index itself."""
    with using_home(work / "home"):
        flips.make(work / "flipped.yaml")
        folder = work / "home" / "flipped"
        flips.teach(folder)
        assert list(flips.flip(folder, flips.file_places(folder / LEARNED)[::7], mask)) == []
        assert list(flips.flip_feedback(folder, flips.file_places(folder / FEEDBACK)[::7], mask)) == []
        assert list(flips.flip_postings(flips.make_postings(folder)[:: 61 * flips.STEP], mask)) == []


def test_storm(work):
    storm.storm(work, SEED, seconds=3)


class TestStorm:
    """What the storm looks for, seen."""

    @pytest.mark.parametrize(
        ("role", "name", "code", "problem", "finding"),
        [
            ("check", "left", 0, "", ""),
            (
                "index",
                "left",
                3,
                "attnsearch: left: another attnsearch is writing to it; try again when it is done",
                "",
            ),
            ("index", "left", 0, "attnsearch: waiting for another attnsearch to finish writing to left\n", ""),
            ("ask", "middle", 3, '{"error": {"message": "there is no catalog \'middle\'", "hint": "list"}}', ""),
            (
                "ask",
                "left",
                3,
                "attnsearch: there is no catalog 'left'; x",
                "exit 3: there is no catalog 'left'; x",
            ),
            ("check", "middle", 3, "attnsearch: the catalog is damaged; x", "exit 3: the catalog is damaged; x"),
            (
                "info",
                "middle",
                2,
                "attnsearch: there is no catalog 'middle'; x",
                "exit 2: there is no catalog 'middle'; x",
            ),
            ("info", "middle", 3, "attnsearch: middle: was removed; what it was taught is kept; x", ""),
            ("train", "left", 70, "Traceback", "exit 70: Traceback"),
            ("read", "left", 0, "a wrong weight", "a wrong weight"),
            ("train", "left", None, "", ""),
        ],
    )
    def test_problem(self, role, name, code, problem, finding):
        assert storm.find_problem(storm.Run(role, name, None, 1, 2, code, problem)) == finding

    @pytest.mark.parametrize(
        ("runs", "finding"),
        [
            ([], ""),
            ([("feedback", "moon", 5, 6, 0)], ""),
            ([("feedback", "sea", 5, 6, 0)], "left: 1 of 1 acknowledged judgments are lost, such as sea"),
            ([("feedback", "sea", 5, 6, None)], ""),
            ([("feedback", "sea", 1, 2, 0), ("remove", None, 5, 7, 0)], "left: 1 of 1 acknowledged"),
            ([("read", 0, 1, 2, 0)], ""),
            ([("read", 1, 1, 2, 0)], "left: an answer of generation 1, which nobody had indexed"),
            ([("index", 1, 1, 2, None), ("read", 1, 3, 4, 0)], ""),
            ([("index", 1, 1, 2, 0)], "left: generation 0, but another was acknowledged later"),
            ([("index", 1, 1, 3, 0), ("index", 0, 2, 4, None)], ""),
        ],
    )
    def test_end(self, work, runs, finding):
        """The catalog is at generation 0, and has feedback on the query `moon`."""
        generations.write(work / "left.jsonl", 0)
        with using_home(work / "home"):
            update([str(work / "left.jsonl")], name="left")
            add_judgment(work / "home" / "left", "moon", {"now": 1})
            history = [("index", 0, 0, 0, 0), *runs]
            runs = [storm.Run(role, "left", argument, *rest) for role, argument, *rest in history]
            assert "".join(storm.check_end("left", runs)).startswith(finding)
            assert bool(list(storm.check_end("left", runs))) == bool(finding)


def test_many_queries(work):
    load.many(work, SEED, small=1000, real=0)
