"""`attnsearch train` and `reset`: argv → exit code, stdout, stderr, and what is in the folder afterwards."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest

from attnsearch.indexing.update import update
from attnsearch.learning import training
from attnsearch.storage import files, learned, lock
from attnsearch.storage.home import catalog_folder
from attnsearch.teaching import feedback
from attnsearch.upkeep.removal import remove_catalog
from tests.storage.test_learned import SOME


@pytest.fixture
def school(world, write, home):
    """The file of what is judged, and where what is learned will be."""
    _, judged = world
    lines = [json.dumps({"query": one.query, "relevant": one.relevant}) for one in judged]
    return str(write("judged.jsonl", "\n".join(lines))), home / "world" / files.LEARNED


def test_what_is_learned_answers_from_then_on(school, run):
    judged, file = school
    before = run("query", "robot", "-c", "world", "--json", "-k", "1")
    ran = run("train", judged, "-c", "world")
    assert ran.code == 0
    assert "learned from" in ran.out
    assert "nDCG@10" in ran.out
    assert file.is_file()
    after = run("query", "robot", "-c", "world", "--json", "-k", "1")
    assert json.loads(before.out)["hits"][0]["title"] != json.loads(after.out)["hits"][0]["title"]
    assert "sea" in json.loads(after.out)["hits"][0]["title"]
    answer = json.loads(run("info", "world", "--json").out)["learned"]
    assert answer["in_use"]
    assert "judged requests" in answer["story"]["from"]
    assert (
        "were used" in run("eval", judged, "-c", "world").out
        or "learned from" in run("eval", judged, "-c", "world").out
    )


def test_no_item_is_embedded_again(school, run, small, home):
    judged, _ = school
    segments = {path.name: path.read_bytes() for path in (home / "world" / "segments").iterdir()}
    small.read.clear()
    run("train", judged, "-c", "world")
    assert len(small.read) == len(set(small.read))  # each request once, and nothing else
    assert {path.name: path.read_bytes() for path in (home / "world" / "segments").iterdir()} == segments


def test_a_dry_run_changes_nothing(school, run):
    judged, file = school
    answer = json.loads(run("train", judged, "-c", "world", "--dry-run", "--json").out)
    assert answer["accepted"]
    assert not answer["stored"]
    assert not file.exists()
    assert "would be learned from" in run("train", judged, "-c", "world", "--dry-run").out


def test_what_was_saved_works_elsewhere(school, run, tmp_path):
    judged, file = school
    saved = tmp_path / "saved.safetensors"
    assert run("train", judged, "-c", "world", "--dry-run", "--save", str(saved)).code == 0
    assert not file.exists()
    plain, taken = (run("query", "robot", "-c", "world", "-k", "1", "-f", "csv", *more)
                    for more in ((), ("--projections", str(saved))))  # fmt: skip
    assert plain.out != taken.out


def test_a_refusal_is_no_error_and_leaves_what_was_there(school, run, write):
    judged, file = school
    run("train", judged, "-c", "world")
    before = file.read_bytes()
    few = write("few.yaml", "- {query: moon, relevant: [3-0-0]}\n")
    ran = run("train", str(few), "-c", "world")
    assert ran.code == 0
    assert "nothing learned" in ran.out
    assert "4 more judged requests" in ran.out
    assert file.read_bytes() == before


def test_without_a_file_it_learns_from_feedback(school, run):
    empty = run("train", "-c", "world")
    assert empty.code == 2
    assert "feedback" in empty.err
    run("feedback", "robot", "--good", "0-3-0", "-c", "world")
    ran = run("train", "-c", "world", "--force", "--json")
    assert json.loads(ran.out)["requests"] == 1
    assert json.loads(ran.out)["stored"]


def test_interrupted_it_leaves_what_was_there(school, run, monkeypatch):
    judged, file = school
    run("train", judged, "-c", "world")
    before = file.read_bytes()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("attnsearch.learning.cross_validation.fit_strength", interrupt)
    assert run("train", judged, "-c", "world", "--seed", "1").code == 130
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.glob(".*")) == []


def test_self_learns_from_no_judgment_but_is_kept_only_if_some_gain(school, run):
    _, file = school
    ran = run("train", "--self", "-c", "world")
    assert ran.code == 0
    assert ran.out.startswith("nothing learned: no judged request with an answer to measure it by, but at least 20")
    assert not file.exists()
    ran = run("train", "--self", "-c", "world", "--force")
    assert (ran.code, "of its own" in ran.out) == (0, True)
    assert learned.read_learned(file).story["from"].endswith("of its own")
    assert "of its own" in run("reset", "world").out
    assert not file.exists()


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["nowhere.yaml"], 2, "nowhere.yaml"),
        (["--seed", "-1"], 2, "--seed"),
        (["a.yaml", "b.tsv", "--self"], 2, "--self"),
    ],
)
def test_what_cannot_be(school, run, argv, code, said):
    ran = run("train", *argv, "-c", "world")
    assert ran.code == code
    assert said in ran.err


def test_a_pipe_can_only_be_tried(run, write, small):
    judged = write("judged.yaml", "- {query: moon, relevant: [a]}\n")
    items = b'[{"id": "a", "title": "moon"}, {"id": "b", "title": "sea"}]'
    refused = run("train", judged, "--force", "-c", "-", stdin=items)
    assert (refused.code, "standard input can't be taught" in refused.err) == (2, True)
    assert run("train", judged, "--force", "--dry-run", "-c", "-", stdin=items).code == 0


class TestReset:
    @pytest.fixture
    def folder(self, shop):
        """That of a catalog."""
        return catalog_folder("shop")

    def test_what_it_says(self, run, folder):
        assert run("reset", "shop") == (0, "shop: nothing was learned\n", "")
        learned.write_learned(folder / files.LEARNED, SOME)
        assert run("reset", "shop") == (0, "shop: forgot what was learned from 2 judged requests\n", "")
        assert not (folder / files.LEARNED).exists()
        assert run("reset", "shop", "-q") == (0, "", "")

    def test_feedback_is_kept(self, run, folder):
        feedback.add_judgment(folder, "night", {"a": 1})
        learned.write_learned(folder / files.LEARNED, SOME)
        note = "shop: forgot what was learned from 2 judged requests; the feedback on 1 request is kept\n"
        assert run("reset", "shop") == (0, note, "")
        assert run("reset", "shop").out == "shop: nothing was learned; the feedback on 1 request is kept\n"
        assert [(entry.query, entry.grades) for entry in feedback.read_feedback(folder)] == [("night", {"a": 1})]

    @pytest.mark.parametrize("damaged", [files.LEARNED, "index.sqlite", files.FEEDBACK])
    def test_whatever_is_damaged(self, run, folder, damaged):
        learned.write_learned(folder / files.LEARNED, SOME)
        (folder / damaged).write_bytes(b"rubbish" * 1000)
        count = ", which was damaged" if damaged == files.LEARNED else " from 2 judged requests"
        assert run("reset", "shop") == (0, f"shop: forgot what was learned{count}\n", "")
        assert not (folder / files.LEARNED).exists()

    def test_refused(self, run, folder):
        learned.write_learned(folder / files.LEARNED, SOME)
        assert run("reset", "shp").err == "attnsearch: there is no catalog 'shp'; did you mean 'shop'?\n"
        assert run("reset", "shop", "shp").code == 3
        assert (folder / files.LEARNED).exists()
        assert run("reset").code == 2

    def test_what_is_not_indexed_yet_has_learned_nothing(self, run, home):
        assert run("reset", "library") == (0, "library: nothing was learned\n", "")
        assert not home.exists()


class TestSave:
    """--save writes a regular file, or refuses before anything is learned."""

    @pytest.mark.parametrize(
        ("kind", "problem"),
        [
            ("link", "is a link; name the file that it points to"),
            ("dangling", "is a link; name the file that it points to"),
            ("pipe", "is not a regular file; name another file"),
            ("folder", "is not a regular file; name another file"),
            ("device", "is not a regular file; name another file"),
        ],
    )
    def test_nothing_else_is_replaced(self, school, run, small, tmp_path, kind, problem):
        judged, _ = school
        path, real = tmp_path / "saved", tmp_path / "real"
        real.write_text("target")
        match kind:
            case "link":
                path.symlink_to(real)
            case "dangling":
                path.symlink_to(tmp_path / "nowhere")
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "device":
                path = Path("/dev/null")
        before = path.lstat()
        small.read.clear()
        ran = run("train", judged, "-c", "world", "--dry-run", "--save", str(path))
        assert ran.code == 2
        assert problem in ran.err
        assert small.read == []
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
        assert real.read_text() == "target"

    def test_a_link_made_while_it_learned(self, school, run, tmp_path, monkeypatch):
        judged, _ = school
        path, train = tmp_path / "saved", training.train

        def link(*args, **options):
            path.symlink_to(tmp_path / "nowhere")
            return train(*args, **options)

        monkeypatch.setattr(training, "train", link)
        assert run("train", judged, "-c", "world", "--dry-run", "--save", str(path)).code == 2
        assert path.is_symlink()

    def test_a_folder_that_is_not_there(self, school, run, tmp_path):
        judged, _ = school
        ran = run("train", judged, "-c", "world", "--dry-run", "--save", str(tmp_path / "none" / "saved"))
        assert (ran.code, "none: there is no such folder; create it first" in ran.err) == (2, True)

    def test_a_file_that_is_there_is_replaced(self, school, run, tmp_path):
        judged, _ = school
        (tmp_path / "saved").write_text("old")
        assert run("train", judged, "-c", "world", "--dry-run", "--save", str(tmp_path / "saved")).code == 0
        assert learned.read_learned(tmp_path / "saved").model == "small"

    @pytest.mark.parametrize("saved", [True, False])
    def test_a_full_disk(self, school, run, tmp_path, monkeypatch, saved):
        judged, file = school

        def fail(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(learned, "replace_file", fail)
        argv = ["--dry-run", "--save", str(tmp_path / "saved")] if saved else []
        ran = run("train", judged, "-c", "world", *argv)
        assert ran.code == 3
        assert f"{tmp_path / 'saved' if saved else file.parent}: can't be written: No space left on device" in ran.err


class TestMeanwhile:
    """The catalog changes while something is learned from it."""

    @pytest.fixture
    def meanwhile(self, monkeypatch):
        """Let something happen after the training, before its result is kept."""

        def arrange(action):
            train = training.train

            def act(*args, **options):
                outcome = train(*args, **options)
                action()
                return outcome

            monkeypatch.setattr(training, "train", act)

        return arrange

    def test_it_was_removed(self, school, run, home, meanwhile):
        judged, _ = school
        meanwhile(lambda: remove_catalog(home / "world"))
        ran = run("train", judged, "-c", "world")
        assert (ran.code, ran.out) == (3, "")
        assert "there is no catalog 'world'" in ran.err
        assert list(home.iterdir()) == []

    def test_it_was_made_anew_from_other_items(self, school, run, write, home, meanwhile):
        judged, file = school

        def replace():
            remove_catalog(home / "world")
            update([str(write("other.yaml", "- {id: a, title: moon}\n"))], name="world")

        meanwhile(replace)
        ran = run("train", judged, "-c", "world")
        assert (ran.code, ran.out) == (3, "")
        assert "world: the catalog has changed since the training began, so nothing was kept; train it again" in ran.err
        assert not file.exists()

    def test_an_item_was_added(self, school, run, write, meanwhile):
        judged, file = school
        meanwhile(lambda: update([str(write("more.yaml", "- {id: a, title: moon}\n"))], name="world", keep=True))
        assert run("train", judged, "-c", "world").code == 3
        assert not file.exists()

    def test_feedback_was_given(self, school, run, home, meanwhile):
        judged, file = school
        meanwhile(lambda: feedback.add_judgment(home / "world", "moon", {"3-0-0": 1}))
        assert run("train", judged, "-c", "world").code == 0
        assert file.exists()

    @pytest.mark.parametrize("command", ["train", "reset"])
    def test_a_writer_is_waited_for(self, school, run, home, command):
        judged, file = school
        learned.write_learned(file, SOME)
        before = file.read_bytes()
        argv = ["train", judged, "-c", "world"] if command == "train" else ["reset", "world"]
        with ThreadPoolExecutor() as pool:
            with closing(lock.acquire(home / "world")):
                running = pool.submit(run, *argv)
                wait([running], 3)
                assert not running.done()
                assert file.read_bytes() == before
            assert running.result(60).code == 0
        assert not file.exists() or file.read_bytes() != before

    def test_what_a_killed_training_left_is_deleted(self, school, run):
        judged, file = school
        orphan = file.with_name(f".{file.name}-0")
        orphan.write_bytes(b"half")
        run("train", judged, "-c", "world")
        assert not orphan.exists()
