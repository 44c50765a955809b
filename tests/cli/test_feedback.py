"""What was said of answers: it merges, it is read as judgments, and whoever is killed while writing loses nothing."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from attnsearch.cli.argv import normalized
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.update import update
from attnsearch.sources import judgments
from attnsearch.storage import feedback, files, learned, lock
from attnsearch.storage.home import catalog_folder, file_catalog_folder
from tests.storage.test_learned import SOME

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(shop, monkeypatch):
    """That of a catalog with the items a moon, b sea and c robot."""
    monkeypatch.chdir(shop.parent)
    return catalog_folder("shop")


def grades(folder: Path) -> dict[str, dict[str, float]]:
    return {one.query: dict(one.grades) for one in feedback.read_feedback(folder)}


def others(folder: Path) -> list[str]:
    """Files that only a writer has use for."""
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]


def test_nothing_was_said(folder):
    assert feedback.read_feedback(folder) == []
    assert feedback.read_feedback(folder / "nowhere") == []


def test_a_later_word_takes_the_place_of_the_earlier(folder):
    assert feedback.add_judgment(folder, "night", {"a": 1, "b": 0}).grades == {"a": 1, "b": 0}
    feedback.add_judgment(folder, "day", {"c": 1})
    assert feedback.add_judgment(folder, " night ", {"b": 1, "c": 0}).grades == {"a": 1, "b": 1, "c": 0}
    assert grades(folder) == {"day": {"c": 1}, "night": {"a": 1, "b": 1, "c": 0}}
    assert [one.query for one in feedback.read_feedback(folder)] == ["day", "night"]  # the latest last
    assert others(folder) == []


def test_spaces_do_not_make_another_request_and_letters_do(folder):
    for query in ("sour  soup", "\tsour\nsoup", "Sour soup"):
        feedback.add_judgment(folder, query, {"a": 1})
    assert list(grades(folder)) == ["sour soup", "Sour soup"]


def test_it_is_a_file_of_judgments(folder):
    feedback.add_judgment(folder, "солнце \u2028 \x1b[1m", {"a": 1, "b": 0})
    (one,) = judgments.read_judgments(str(folder / files.FEEDBACK))
    assert (one.query, one.grades, one.relevant) == ("солнце \x1b[1m", {"a": 1, "b": 0}, ["a"])
    (line,) = (folder / files.FEEDBACK).read_text().split("\n")[:-1]
    assert list(json.loads(line)) == ["query", "grades", "when"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", feedback.read_history(folder)[0].when)


def test_what_somebody_wrote_into_it_stays(folder):
    by_hand = '{"query": "x  y", "relevant": ["a"], "who": "me"}\n\n{"query": "x y", "grades": {"b": 2}}\n' \
              '{"query": "none", "relevant": []}\n{"query": "z", "relevant": ["c"], "who": "you"}\n'  # fmt: skip
    (folder / files.FEEDBACK).write_text(by_hand)
    feedback.add_judgment(folder, "other", {"a": 1})
    assert grades(folder) == {"x y": {"a": 1, "b": 2}, "none": {}, "z": {"c": 1}, "other": {"a": 1}}
    assert '"who": "you"' in (folder / files.FEEDBACK).read_text()


def test_take_back(folder):
    feedback.add_judgment(folder, "night", {"a": 1, "b": 0})
    feedback.add_judgment(folder, "day", {"c": 1})
    assert feedback.remove_judgment(folder, "night", ["b"]).grades == {"b": 0}
    assert grades(folder) == {"night": {"a": 1}, "day": {"c": 1}}
    assert feedback.remove_judgment(folder, "night", ["a"]).grades == {"a": 1}
    assert grades(folder) == {"day": {"c": 1}}  # an empty list would say that nothing is right
    assert feedback.remove_judgment(folder, "day").grades == {"c": 1}
    assert feedback.read_feedback(folder) == []
    feedback.add_judgment(folder, "night", {"b": 1})
    assert grades(folder) == {"night": {"b": 1}}


@pytest.mark.parametrize(
    ("query", "ids", "message"),
    [
        ("nigth", [], "no feedback for 'nigth'; did you mean 'night'"),
        ("xyz", ["a"], "no feedback for 'xyz'; 'attnsearch feedback --list'"),
        ("night", ["a", "b"], "no feedback on 'b' for 'night'"),
        (" ", [], "the query is empty"),
    ],
)
def test_what_can_t_be_taken_back(folder, query, ids, message):
    with pytest.raises(InputError, match="no feedback for 'night'"):
        feedback.remove_judgment(folder, "night")
    feedback.add_judgment(folder, "night", {"a": 1})
    with pytest.raises(InputError, match=re.escape(message)):
        feedback.remove_judgment(folder, query, ids)
    assert grades(folder) == {"night": {"a": 1}}


@pytest.mark.parametrize(
    ("query", "given", "message"),
    [
        (" \n", {"a": 1}, "the query is empty"),
        ("x" * (values.LONGEST_QUERY + 1), {"a": 1}, "the query has 131,073 characters"),
        ("a\udcffb", {"a": 1}, "not valid UTF-8"),
        ("x", {"a": -1}, "feedback.jsonl:2: the grade of 'a' is -1"),
        ("x", {"a": float("nan")}, "feedback.jsonl:2: the grade of 'a' is nan"),
        ("x", {"y" * (values.LONGEST_QUERY + 1): 1}, "feedback.jsonl:2: an id has 131,073 characters"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(folder, query, given, message):
    feedback.add_judgment(folder, "night", {"a": 1})
    with pytest.raises(InputError, match=re.escape(message)):
        feedback.add_judgment(folder, query, given)
    assert grades(folder) == {"night": {"a": 1}}


@pytest.mark.parametrize("content", ["{", '{"query": "x"}\n', '{"query": "x", "relevant": []}\nrubbish\n', "\xff"])
def test_a_file_that_can_t_be_read_is_left_alone(folder, content):
    file = folder / files.FEEDBACK
    file.write_bytes(content.encode("latin-1"))
    for act in (
        feedback.read_feedback,
        lambda at: feedback.add_judgment(at, "y", {"a": 1}),
        lambda at: feedback.remove_judgment(at, "x"),
    ):
        with pytest.raises(InputError, match=rf"feedback.jsonl:{content.count(chr(10)) or 1}: "):
            act(folder)
    assert file.read_bytes() == content.encode("latin-1")


def test_no_link_is_followed(folder, tmp_path):
    feedback.add_judgment(folder, "night", {"a": 1})
    (folder / files.FEEDBACK).rename(tmp_path / "away")
    (folder / files.FEEDBACK).symlink_to(tmp_path / "away")
    for act in (feedback.read_feedback, lambda at: feedback.add_judgment(at, "y", {"a": 1})):
        with pytest.raises(CatalogError, match="link"):
            act(folder)
    assert "night" in (tmp_path / "away").read_text()


def test_there_is_no_catalog(folder, home):
    with pytest.raises(CatalogError, match="there is no catalog 'nowhere'"):
        feedback.add_judgment(home / "nowhere", "x", {"a": 1})
    assert not (home / "nowhere").exists()


def test_a_failed_write_leaves_the_old_one(folder, monkeypatch):
    feedback.add_judgment(folder, "night", {"a": 1})

    def fail(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(CatalogError, match="can't be written: No space left"):
            feedback.add_judgment(folder, "day", {"a": 1})
    assert grades(folder) == {"night": {"a": 1}}
    assert others(folder) == []


def test_one_writer_at_a_time(folder, monkeypatch):
    monkeypatch.setattr(lock.acquire, "__defaults__", (0.05,))
    held = lock.acquire(folder)
    with pytest.raises(CatalogError, match="another attnsearch is writing"):
        feedback.add_judgment(folder, "night", {"a": 1})
    held.close()
    feedback.add_judgment(folder, "night", {"a": 1})


def test_indexing_again_keeps_it(folder, shop):
    feedback.add_judgment(folder, "night", {"a": 1})
    shop.write_text("- {id: b, title: sea}\n")
    update([str(shop)])
    assert grades(folder) == {"night": {"a": 1}}


def python(script: str, *argv: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script, *map(str, argv)], cwd=ROOT)


SAY = """
import logging, sys
from pathlib import Path
from attnsearch.storage import feedback
logging.getLogger("attnsearch").addHandler(logging.NullHandler())  # one waits for the other
for number in range(20):
    feedback.add_judgment(Path(sys.argv[1]), f"{sys.argv[2]} {number}", {"a": 1})
    feedback.add_judgment(Path(sys.argv[1]), "both", {f"{sys.argv[2]} {number}": 1})
"""


def test_two_at_once_lose_nothing(folder):
    both = [python(SAY, folder, name) for name in ("one", "two")]
    while any(one.poll() is None for one in both):
        feedback.read_feedback(folder)  # never half a file
    assert [one.returncode for one in both] == [0, 0]
    said = grades(folder)
    names = {f"{name} {number}" for name in ("one", "two") for number in range(20)}
    assert set(said) == names | {"both"}
    assert set(said["both"]) == names


DIE = """
import json, os, signal, sys
from pathlib import Path
from attnsearch.storage import feedback
folder = Path(sys.argv[1])
def step(frame, event, arg):
    global left
    if frame.f_code.co_name in ("_write_records", "replace_file", "sync") and event == "line":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return step
for steps in range(1, 100):
    child = os.fork()
    if not child:
        left = steps
        sys.settrace(step)
        feedback.add_judgment(folder, "day", {"b": 1})
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = {one.query: one.grades for one in feedback.read_feedback(folder)}
    print(json.dumps([status, said]), flush=True)
    if status != -signal.SIGKILL:
        break
    if "day" in said:
        feedback.remove_judgment(folder, "day")
"""


def test_killed_between_any_two_steps(folder):
    feedback.add_judgment(folder, "night", {"a": 1})
    old = {"night": {"a": 1}}
    new = old | {"day": {"b": 1}}
    ran = subprocess.run([sys.executable, "-c", DIE, folder], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    *killed, (status, at_last) = map(json.loads, ran.stdout.splitlines())
    assert {status for status, _ in killed} == {-signal.SIGKILL}
    states = [said for _, said in killed]
    assert states[0] == old
    assert states == sorted(states, key=len)  # the old one until it has the name, the new one ever after
    assert states[-1] == new
    assert all(said in (old, new) for said in states)
    assert (status, at_last) == (0, new)
    assert len(killed) > 10
    assert others(folder) == []  # what the killed left behind


class TestCommand:
    def test_what_it_says(self, run, folder):
        code, out, err = run("feedback", "night  sky", "--good", "a", "Sea", "--bad", "robot", "-c", "shop")
        assert (code, err) == (0, "")
        learns = "'attnsearch train -c shop' learns from"
        assert out == f"noted: 2 good, 1 bad for 'night sky'; 1 request so far; {learns} it\n"
        assert grades(folder) == {"night sky": {"a": 1, "b": 1, "c": 0}}
        out = run("feedback", "day", "--bad", "a", "-c", "shop").out
        assert out == f"noted: 1 bad for 'day'; 2 requests so far; {learns} them\n"
        assert run("feedback", "day", "--bad", "a", "-c", "shop", "-q") == (0, "", "")

    def test_json(self, run, folder):
        run("feedback", "night", "--good", "a", "-c", "shop")
        told = json.loads(run("feedback", "night", "--bad", "b", "-c", "shop", "--json").out)
        assert told == {"schema": 1, "catalog": "shop", "query": "night", "noted": {"b": 0},
                        "grades": {"a": 1, "b": 0}, "requests": 1}  # fmt: skip
        told = json.loads(run("feedback", "night", "--remove", "--good", "moon", "-c", "shop", "--json").out)
        assert (told["taken_back"], told["requests"]) == ({"a": 1}, 1)

    def test_a_file_is_indexed_first(self, run, shop, monkeypatch):
        monkeypatch.chdir(shop.parent)
        ref = "./shop.yaml"
        shop.write_text(shop.read_text() + "- {id: new, title: new}\n")
        assert run("feedback", "x", "--good", "new", "-c", ref).code == 0
        assert grades(file_catalog_folder(shop)) == {"x": {"new": 1}}
        assert feedback.read_feedback(catalog_folder("shop")) == []

    def test_the_list(self, run, folder, shop):
        header = ["query", "said", "item", "when"]
        assert run("feedback", "--list", "-c", "shop").out.split() == header
        assert json.loads(run("feedback", "--list", "-c", "shop", "--json").out) == []
        run("feedback", "night sky", "--good", "a", "--bad", "b", "-c", "shop")
        shop.write_text("- {id: b, title: sea}\n")
        run("index", "shop.yaml")
        code, out, err = run("feedback", "--list", "-c", "shop")
        lines = [re.split(r"  +", line) for line in out.splitlines()]
        assert (code, err, lines[0]) == (0, "", header)
        assert [line[:-1] for line in lines[1:]] == [
            ["night sky", "good", "a (gone)"],
            ["night sky", "bad", "sea"],
        ]
        (told,) = json.loads(run("feedback", "--list", "-c", "shop", "--json").out)
        assert told["when"] == feedback.read_history(folder)[0].when
        assert told["items"] == [
            {"id": "a", "title": None, "grade": 1, "gone": True},
            {"id": "b", "title": "sea", "grade": 0, "gone": False},
        ]

    @pytest.mark.parametrize("columns", [20, 34, 60, 80])
    def test_a_narrow_window(self, run, folder, monkeypatch, columns):
        class Terminal(io.StringIO):
            encoding = "utf-8"

            def isatty(self):
                return True

        feedback.add_judgment(
            folder, "a request of many words 暖かい " * 5, {"a": 1, "who is no item of this catalog " * 3: 0}
        )
        feedback.add_judgment(folder, "short", {"b": 1})
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setenv("COLUMNS", str(columns))
        run("feedback", "--list", "-c", "shop", "--no-color")
        header, *lines = sys.stdout.getvalue().splitlines()
        assert all(cell_len(line) <= columns for line in lines)
        assert [word for line in lines for word in line.split() if word in ("good", "bad")] == ["good", "bad", "good"]
        assert "moon" in lines[0]
        assert ("when" in header, len(lines)) == (columns >= 60, 3)

    def test_nothing_in_it_acts_on_a_terminal(self, run, folder):
        out = run("feedback", "\x1b[2Jnight", "--good", "a", "-c", "shop").out
        for one in (out, run("feedback", "--list", "-c", "shop").out):
            assert "\x1b" not in one
            assert "\\x1b[2Jnight" in one

    def test_the_list_of_what_is_not_indexed_yet(self, run, home):
        assert run("feedback", "--list", "-c", "library", "--json") == (0, "[]\n", "")
        assert run("feedback", "x", "--remove", "-c", "library").code == 2
        assert not home.exists()

    def test_remove(self, run, folder):
        run("feedback", "night", "--good", "a", "--bad", "b", "c", "-c", "shop")
        run("feedback", "day", "--good", "a", "-c", "shop")
        out = run("feedback", "night", "--remove", "--bad", "SEA", "-c", "shop").out
        assert out == "took back: 1 bad for 'night'; 2 requests left\n"
        assert grades(folder)["night"] == {"a": 1, "c": 0}
        out = run("feedback", "night", "--remove", "-c", "shop").out
        assert out == "took back: 1 good, 1 bad for 'night'; 1 request left\n"

    def test_what_is_gone_from_the_catalog_can_be_taken_back(self, run, folder, shop):
        run("feedback", "night", "--good", "a", "c", "-c", "shop")
        shop.write_text("- {id: c, title: robot}\n")
        run("index", "shop.yaml")
        assert run("feedback", "night", "--remove", "--good", "a", "-c", "shop").code == 0
        assert grades(folder) == {"night": {"c": 1}}

    def test_eval_reads_it(self, run, folder):
        run("feedback", "moon", "--good", "a", "--bad", "b", "-c", "shop")
        told = json.loads(run("eval", folder / files.FEEDBACK, "-c", "shop", "--json").out)
        assert (told["queries"], told["metrics"]["mrr"]) == (1, 1)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            ([], 'no query; say which: attnsearch feedback "sour soup" --good ITEM'),
            (["x"], 'nothing is said of any item; say what is right or wrong: attnsearch feedback "x" --good ITEM'),
            ([" ", "--good", "a"], "the query is empty"),
            (["a\udcff", "--good", "a"], "the query is not valid UTF-8"),
            (["x", "--good", "moo"], "shop: no item 'moo'; did you mean 'moon'?"),
            (["x", "--good", "a", "--bad", "moon"], "'a' is said to be both good and bad; leave one out"),
            (["--good", "a", "b", "x"], "got unexpected extra argument"),
            (["--list", "x"], "--list takes no query and no items"),
            (["--list", "--good", "x"], "--list takes no query and no items"),
            (["x", "--remove"], "no feedback for 'x'; 'attnsearch feedback --list' shows what there is"),
        ],
    )
    def test_refused(self, run, folder, argv, message):
        code, out, err = run("feedback", *argv, "-c", "shop")
        assert (code, out) == (2, "")
        assert err.startswith(f"attnsearch: {message}")
        assert err.count("\n") == 1
        assert not (folder / files.FEEDBACK).exists()

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            ("q --good a b --bad c d", "q --good a --good b --bad c --bad d"),
            ("q -c x --good a b -q", "q -c x --good a --good b -q"),
            ("--good a q", "--good a q"),
            ("--good a q b", "--good a q b"),
            ("-c x --good a q", "-c x --good a q"),
            ("--good a q --bad b c", "--good a q --bad b --bad c"),
            ("q --good -1 b", "q --good -1 --good b"),
            ("q --good a -c x b", "q --good a -c x b"),
            ("q --good a -- b", "q --good a -- b"),
            ("q --good", "q --good"),
        ],
    )
    def test_several_words_after_an_option(self, argv, words):
        assert normalized(["feedback", *argv.split()]) == ["feedback", *words.split()]
        assert normalized(["query", *argv.split()]) == ["query", *argv.split()]


class TestReset:
    def test_what_it_says(self, run, folder):
        assert run("reset", "shop") == (0, "shop: nothing was learned\n", "")
        learned.write_learned(folder / files.LEARNED, SOME)
        assert run("reset", "shop") == (0, "shop: forgot what was learned from 2 judged requests\n", "")
        assert not (folder / files.LEARNED).exists()
        assert run("reset", "shop", "-q") == (0, "", "")

    def test_feedback_is_kept(self, run, folder):
        feedback.add_judgment(folder, "night", {"a": 1})
        learned.write_learned(folder / files.LEARNED, SOME)
        said = "shop: forgot what was learned from 2 judged requests; the feedback on 1 request is kept\n"
        assert run("reset", "shop") == (0, said, "")
        assert run("reset", "shop").out == "shop: nothing was learned; the feedback on 1 request is kept\n"
        assert grades(folder) == {"night": {"a": 1}}

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
