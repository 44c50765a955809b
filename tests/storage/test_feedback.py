"""Judgments of answers: they merge, they can be read again, and whoever is killed while writing loses nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.update import update
from attnsearch.readers import records, text_file
from attnsearch.sources import judgments
from attnsearch.storage import feedback, files, lock
from attnsearch.storage.home import catalog_folder
from attnsearch.syntax import values
from attnsearch.upkeep.removal import remove_catalog
from tests.storage.examples import grades, temporary_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(shop, monkeypatch):
    """That of a catalog with the items a moon, b sea and c robot."""
    monkeypatch.chdir(shop.parent)
    return catalog_folder("shop")


def test_nothing_was_said(folder):
    assert feedback.read_feedback(folder) == []
    assert feedback.read_feedback(folder / "nowhere") == []


def test_a_later_word_takes_the_place_of_the_earlier(folder):
    assert feedback.add_judgment(folder, "night", {"a": 1, "b": 0}).grades == {"a": 1, "b": 0}
    feedback.add_judgment(folder, "day", {"c": 1})
    assert feedback.add_judgment(folder, " night ", {"b": 1, "c": 0}).grades == {"a": 1, "b": 1, "c": 0}
    assert grades(folder) == {"day": {"c": 1}, "night": {"a": 1, "b": 1, "c": 0}}
    assert [one.query for one in feedback.read_feedback(folder)] == ["day", "night"]  # the latest last
    assert temporary_files(folder) == []


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


def test_of_two_lines_on_one_item_the_later_counts(folder):
    lines = '{"query": "x  y", "grades": {"a": 1, "b": 1}}\n{"query": "x y", "grades": {"a": 0}}\n'
    (folder / files.FEEDBACK).write_text(lines)
    feedback.add_judgment(folder, "other", {"a": 1})
    assert grades(folder)["x y"] == {"a": 0, "b": 1}


def test_the_time_is_that_of_the_last_judgment(folder):
    then = "2020-01-01T00:00:00+00:00"
    lines = [json.dumps({"query": query, "grades": {"a": 1}, "when": then}) + "\n" for query in ("night", "day")]
    (folder / files.FEEDBACK).write_text("".join(lines))
    feedback.add_judgment(folder, "night", {"b": 1})
    day, night = feedback.read_history(folder)
    assert day.when == then < night.when


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


def test_a_line_is_no_longer_than_can_be_read_again(folder, monkeypatch):
    feedback.add_judgment(folder, "night", {"a": 1})
    feedback.add_judgment(folder, "night", {"bb": 1})
    longest = (folder / files.FEEDBACK).stat().st_size
    feedback.remove_judgment(folder, "night", ["bb"])
    monkeypatch.setattr(text_file, "LINE", longest - 1)
    with pytest.raises(InputError, match="of feedback for one query"):
        feedback.add_judgment(folder, "night", {"bb": 1})
    assert grades(folder) == {"night": {"a": 1}}
    monkeypatch.setattr(text_file, "LINE", longest)
    feedback.add_judgment(folder, "night", {"bb": 1})
    assert grades(folder) == {"night": {"a": 1, "bb": 1}}


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


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / files.FEEDBACK)
    for act in (feedback.read_feedback, lambda at: feedback.add_judgment(at, "y", {"a": 1})):
        with pytest.raises(CatalogError, match="is not a regular file"):
            act(folder)


def test_there_is_no_catalog(folder, home):
    with pytest.raises(CatalogError, match="there is no catalog 'nowhere'"):
        feedback.add_judgment(home / "nowhere", "x", {"a": 1})
    assert not (home / "nowhere").exists()


def test_a_database_that_was_never_written_is_no_catalog(home):
    """A writer that is killed early leaves one."""
    lock.acquire(home / "early").close()
    with pytest.raises(CatalogError, match="there is no catalog 'early'"):
        feedback.add_judgment(home / "early", "x", {"a": 1})
    assert not (home / "early" / files.FEEDBACK).exists()


def test_what_is_refused_leaves_the_file_as_it_was_written(folder):
    by_hand = '{"query":  "night",   "grades": {"a": 1}}\n'
    (folder / files.FEEDBACK).write_text(by_hand)
    with pytest.raises(InputError, match="no feedback on 'b'"):
        feedback.remove_judgment(folder, "night", ["b"])
    assert (folder / files.FEEDBACK).read_text() == by_hand


def test_a_failed_write_leaves_the_old_one(folder, monkeypatch):
    feedback.add_judgment(folder, "night", {"a": 1})

    def fail(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(CatalogError, match="can't be written: No space left"):
            feedback.add_judgment(folder, "day", {"a": 1})
    assert grades(folder) == {"night": {"a": 1}}
    assert temporary_files(folder) == []


def test_one_writer_at_a_time(folder):
    held = lock.acquire(folder)
    with pytest.raises(CatalogError, match="another attnsearch is writing"):
        feedback.add_judgment(folder, "night", {"a": 1}, wait=0.05)
    held.close()
    feedback.add_judgment(folder, "night", {"a": 1})


def test_it_waits_as_long_as_it_is_asked_to(folder, monkeypatch):
    waits, acquire = [], lock.acquire

    def note(folder, wait, **options):
        waits.append(wait)
        return acquire(folder, wait, **options)

    monkeypatch.setattr(lock, "acquire", note)
    feedback.add_judgment(folder, "night", {"a": 1}, wait=0.05)
    feedback.add_judgment(folder, "night", {"a": 1})
    assert waits == [0.05, lock.WAIT]


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
    if frame.f_code.co_name in ("_write_records", "replace_file", "replacing", "sync") and event == "line":
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
    assert temporary_files(folder) == []  # what the killed left behind


def test_a_catalog_that_is_removed_while_its_feedback_is_read(folder, monkeypatch):
    feedback.add_judgment(folder, "night", {"a": 1})
    read = records.read_records

    def remove_first(source):
        remove_catalog(folder, everything=True)
        return read(source)

    monkeypatch.setattr(records, "read_records", remove_first)
    assert feedback.read_feedback(folder) == []
