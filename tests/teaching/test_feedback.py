"""Judgments of answers: they merge, they can be read again, and whoever is killed while writing loses nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from attnsearch.attention.memory import Recall
from attnsearch.errors import CatalogError, InputError
from attnsearch.indexing.update import update
from attnsearch.readers import records, text_file
from attnsearch.sources import judgments
from attnsearch.storage import files, learned, lock
from attnsearch.storage.home import catalog_folder
from attnsearch.storage.store import Store
from attnsearch.syntax import values
from attnsearch.teaching import feedback
from attnsearch.upkeep.removal import remove_catalog
from tests.conftest import SmallEncoder
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
from attnsearch.teaching import feedback
from attnsearch.storage.store import Store
from tests.conftest import SmallEncoder
logging.getLogger("attnsearch").addHandler(logging.NullHandler())  # one waits for the other
with Store(Path(sys.argv[1])) as store:
    embedding = feedback.Embedding(store.info, SmallEncoder().encode)
for number in range(20):
    feedback.add_judgment(Path(sys.argv[1]), f"{sys.argv[2]} {number}", {"a": 1}, embedding=embedding)
    feedback.add_judgment(Path(sys.argv[1]), "both", {f"{sys.argv[2]} {number}": 1}, embedding=embedding)
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
    assert remembered(folder) == said


DIE = """
import json, os, signal, sys
from pathlib import Path
from attnsearch.teaching import feedback
folder = Path(sys.argv[1])
def step(frame, event, arg):
    global left
    if frame.f_code.co_name in ("_pack_records", "write", "replace_file", "replacing", "sync") and event == "line":
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


@pytest.fixture
def embedding(folder):
    """The small encoder, which counts what it embeds."""
    with Store(folder) as store:
        info = store.info
    embedded = []

    def embed(texts):
        embedded.extend(texts)
        return SmallEncoder().encode(texts)

    return CountingEmbedding(feedback.Embedding(info, embed), embedded)


class CountingEmbedding(NamedTuple):
    own: feedback.Embedding
    texts: list[str]


def remembered(folder):
    """What is right for each request that the catalog remembers, the latest last."""
    what = learned.load_learned(folder)
    if what is None or what.memory is None:
        return {}
    memory = what.memory
    assert np.allclose(memory.x, SmallEncoder().encode(list(memory.queries)))
    return dict(zip(memory.queries, memory.right, strict=True))


class TestRemembered:
    """What was judged is remembered at once, beside whatever a training learned."""

    def test_what_is_right(self, folder, embedding):
        feedback.add_judgment(folder, "moon sea", {"a": 1, "b": 0, "c": 1}, embedding=embedding.own)
        feedback.add_judgment(folder, "sea", {"b": 1}, embedding=embedding.own)
        assert remembered(folder) == {"moon sea": {"a": 1, "c": 1}, "sea": {"b": 1}}
        assert embedding.texts == ["moon sea", "sea"]
        what = learned.load_learned(folder)
        assert (what.trained, what.suits(embedding.own.info)) == (False, True)

    def test_a_later_word_counts(self, folder, embedding):
        for judged in ({"a": 1}, {"a": 0, "b": 1}):
            feedback.add_judgment(folder, "moon", judged, embedding=embedding.own)
        assert remembered(folder) == {"moon": {"b": 1}}
        feedback.add_judgment(folder, "moon", {"b": 0}, embedding=embedding.own)
        assert remembered(folder) == {}
        assert not (folder / files.LEARNED).exists()

    def test_nothing_is_known_of_a_request_with_wrong_items_alone(self, folder, embedding):
        feedback.add_judgment(folder, "moon", {"a": 0}, embedding=embedding.own)
        assert remembered(folder) == {}

    def test_what_is_removed_is_forgotten(self, folder, embedding):
        for query in ("moon", "sea"):
            feedback.add_judgment(folder, query, {"a": 1, "b": 1}, embedding=embedding.own)
        feedback.remove_judgment(folder, "moon", ["a"])
        assert remembered(folder) == {"moon": {"b": 1}, "sea": {"a": 1, "b": 1}}
        feedback.remove_judgment(folder, "sea")
        assert remembered(folder) == {"moon": {"b": 1}}
        feedback.remove_judgment(folder, "moon", ["b"])
        assert remembered(folder) == {}
        assert embedding.texts == ["moon", "sea"]

    def test_what_was_judged_meanwhile_is_remembered_too(self, folder, embedding):
        """By an older attnsearch, by hand, by a process that was killed, or before a reset."""
        feedback.add_judgment(folder, "moon", {"a": 1})
        by_hand = (folder / files.FEEDBACK).read_text() + '{"query": "none", "relevant": []}\n'
        (folder / files.FEEDBACK).write_text(by_hand)
        feedback.add_judgment(folder, "sea", {"b": 1}, embedding=embedding.own)
        assert remembered(folder) == {"moon": {"a": 1}, "none": {}, "sea": {"b": 1}}
        learned.forget_learned(folder)
        feedback.add_judgment(folder, "sea", {"c": 1}, embedding=embedding.own)
        assert remembered(folder) == {"moon": {"a": 1}, "none": {}, "sea": {"b": 1, "c": 1}}

    def test_what_somebody_took_out_of_the_file_is_forgotten(self, folder, embedding):
        for query in ("moon", "sea"):
            feedback.add_judgment(folder, query, {"a": 1}, embedding=embedding.own)
        first, *others = (folder / files.FEEDBACK).read_text().splitlines(keepends=True)
        (folder / files.FEEDBACK).write_text("".join(others))
        feedback.add_judgment(folder, "robot", {"c": 1}, embedding=embedding.own)
        assert '"moon"' in first
        assert remembered(folder) == {"sea": {"a": 1}, "robot": {"c": 1}}

    def test_what_a_training_learned_stays(self, folder, embedding):
        own, recall = embedding.own, Recall(0.5, 0.05, 0.2)
        x = SmallEncoder().encode(["robot", "sea"])
        memory = learned.Remembered(["robot", "sea"], x, [{"c": 1.0}, {"a": 2.0}], recall)
        what = learned.Learned(
            "small", own.info.sha256, np.eye(4, dtype=np.float32), 0.1, identity=own.info.identity, memory=memory,
            requests=frozenset(map(learned.short_hash, ("robot", "sea"))),
        )  # fmt: skip
        learned.write_learned(folder / files.LEARNED, what)
        feedback.add_judgment(folder, "sea", {"b": 1}, embedding=own)
        assert remembered(folder) == {"robot": {"c": 1}, "sea": {"b": 1}}  # whoever judges has the last word
        after = learned.load_learned(folder)
        assert (after.temperature, after.memory.recall) == (0.1, recall)
        feedback.remove_judgment(folder, "sea")
        assert remembered(folder) == {"robot": {"c": 1}}

    def test_a_training_remembers_the_feedback(self, folder, embedding):
        own = embedding.own
        feedback.add_judgment(folder, "moon", {"a": 1})
        what = learned.Learned("small", own.info.sha256, np.eye(4, dtype=np.float32), 0.1, identity=own.info.identity)
        feedback.store_learned(folder, what, own.info.commit, own)
        assert remembered(folder) == {"moon": {"a": 1}}
        assert learned.load_learned(folder).temperature == 0.1
        feedback.store_learned(folder, what._replace(temperature=0.2), own.info.commit, own)
        assert embedding.texts == ["moon", "moon"]
        with pytest.raises(CatalogError, match="has changed since the training began"):
            feedback.store_learned(folder, what, "another", own)

    def test_for_another_encoder_it_begins_anew(self, folder, embedding):
        own = embedding.own
        feedback.add_judgment(folder, "moon", {"a": 1}, embedding=own)
        what = learned.load_learned(folder)
        learned.write_learned(folder / files.LEARNED, what._replace(sha256="6" * 64))
        feedback.add_judgment(folder, "sea", {"b": 1}, embedding=own)
        assert remembered(folder) == {"moon": {"a": 1}, "sea": {"b": 1}}
        assert embedding.texts == ["moon", "moon", "sea"]
        assert learned.load_learned(folder).suits(own.info)

    def test_a_catalog_that_another_encoder_made_meanwhile(self, folder, embedding, caplog):
        other = embedding.own._replace(info=embedding.own.info._replace(sha256="6" * 64))
        feedback.add_judgment(folder, "moon", {"a": 1}, embedding=other)
        assert (grades(folder), remembered(folder)) == ({"moon": {"a": 1}}, {})
        assert "it has another model by now, so this is noted, but not remembered" in caplog.text

    @pytest.mark.parametrize("raw", [b"x" * 99, b""], ids=["damaged", "empty"])
    def test_what_was_learned_is_damaged(self, folder, embedding, caplog, raw):
        (folder / files.LEARNED).write_bytes(raw)
        feedback.add_judgment(folder, "moon", {"a": 1}, embedding=embedding.own)
        assert grades(folder) == {"moon": {"a": 1}}
        assert (folder / files.LEARNED).read_bytes() == raw
        assert "so this is noted, but not remembered" in caplog.text

    def test_only_the_latest_are_remembered(self, folder, embedding, monkeypatch):
        monkeypatch.setattr(learned, "MOST_REMEMBERED", 2)
        for query in ("moon", "sea", "robot", "moon"):
            feedback.add_judgment(folder, query, {"a": 1}, embedding=embedding.own)
        assert list(remembered(folder)) == ["robot", "moon"]

    def test_a_failed_write_leaves_all_of_it(self, folder, embedding, monkeypatch):
        feedback.add_judgment(folder, "moon", {"a": 1}, embedding=embedding.own)

        def fail(_):
            raise OSError("disk full")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(CatalogError, match="disk full"):
            feedback.add_judgment(folder, "sea", {"a": 1}, embedding=embedding.own)
        assert (list(grades(folder)), list(remembered(folder))) == (["moon"], ["moon"])
        assert temporary_files(folder) == []


DIE_TWICE = """
import json, os, signal, sys
from pathlib import Path
from attnsearch.storage import learned
from attnsearch.teaching import feedback
from attnsearch.storage.store import Store
from tests.conftest import SmallEncoder
folder = Path(sys.argv[1])
with Store(folder) as store:
    embedding = feedback.Embedding(store.info, SmallEncoder().encode)
def act(name):
    if name == "add":
        feedback.add_judgment(folder, "sea", {"b": 1}, embedding=embedding)
    elif name == "change":
        feedback.add_judgment(folder, "moon", {"a": 0, "c": 1}, embedding=embedding)
    else:
        feedback.remove_judgment(folder, "moon")
def state():
    what = learned.load_learned(folder)
    memory = what.memory if what else None
    right = {one.query: {ident: grade for ident, grade in one.grades.items() if grade} for one in
             feedback.read_feedback(folder)}
    return [right, dict(zip(memory.queries, memory.right)) if memory else {}]
def step(frame, event, arg):
    global left
    names = ("replace_file", "replacing", "sync", "write", "_remember", "_editing")
    if frame.f_code.co_name in names and event == "line":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return step
for name in ("add", "change", "remove"):
    for steps in range(1, 200):
        feedback.add_judgment(folder, "moon", {"a": 1, "c": 0}, embedding=embedding)
        if any(one.query == "sea" for one in feedback.read_feedback(folder)):
            feedback.remove_judgment(folder, "sea")
        child = os.fork()
        if not child:
            left = steps
            sys.settrace(step)
            act(name)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        left_behind = state()
        if name != "remove" or "moon" in left_behind[0]:
            act(name)
        print(json.dumps([name, status, left_behind, state()]), flush=True)
        if status != -signal.SIGKILL:
            break
"""


def test_killed_between_two_files(folder):
    """What is remembered is what the feedback says, or not remembered; and the same command again makes it whole."""
    ran = subprocess.run([sys.executable, "-c", DIE_TWICE, folder], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    lines = [*map(json.loads, ran.stdout.splitlines())]
    assert [name for name, status, *_ in lines if status == 0] == ["add", "change", "remove"]
    missing = set()
    for name, _, (judged, memory), (judged_again, memory_again) in lines:
        assert memory.items() <= judged.items()
        assert memory_again == judged_again
        if memory != judged:
            missing.add(name)
    assert missing == {"add", "change", "remove"}  # else this never saw the moment between
    assert len(lines) > 60
    assert temporary_files(folder) == []
