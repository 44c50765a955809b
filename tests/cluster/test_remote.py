"""Answers of other processes: complete, or an error that says what is missing."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from attnsearch.cluster import part
from attnsearch.cluster.part import answer
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.engines.pieces import Cut
from attnsearch.errors import CatalogError, InputError
from attnsearch.storage.files import SEGMENTS
from tests.engines.made import DiskStore
from tests.engines.test_conformance import ask_here, keys_of, make_bias, queries


@pytest.fixture
def store(tmp_path):
    return DiskStore(tmp_path, *keys_of(120, "short"), [40, 80])


@pytest.fixture(autouse=True)
def _nothing_mapped():
    part._mapped.clear()


def lying(change):
    """A way to ask that changes the answers."""

    def ask(tasks):
        answers = copy.deepcopy(ask_here(tasks))
        return change(answers) or answers

    return ask


def drop_last_piece(answers):
    answers[1]["pieces"] = []


def repeat_piece(answers):
    answers[0]["pieces"] *= 2


def answer_twice(answers):
    answers[1] = answers[0]


def answer_less(answers):
    return answers[:-1]


def read_less(answers):
    answers[2]["pieces"][0]["rows"] -= 1


def answer_for_another_state(answers):
    answers[1]["commit"] = "another"


def swap(answers):
    answers[0], answers[1] = answers[1], answers[0]


def lose_a_sum(answers):
    answers[0]["pieces"][0]["state"]["total"] = np.zeros(3)


def lose_a_field(answers):
    del answers[0]["pieces"][0]["state"]["visible"]


def lose_the_state(answers):
    answers[0]["pieces"][0]["state"] = None


LIES = {
    drop_last_piece: "2 of 3 segments answered",
    repeat_piece: "answered more than once",
    answer_twice: "2 of 3 segments answered",
    answer_less: "2 of 3 segments answered",
    read_less: "119 of 120 rows were read",
    answer_for_another_state: "answered for another state of the catalog",
    swap: "not in the order of the tasks",
    lose_a_sum: "its total is not an array of float64 of the shape (1,)",
    lose_a_field: "other fields than a state",
    lose_the_state: "other fields than a state",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_what_is_not_complete_is_no_answer(store, lie):
    engine = RemoteEngine(store, lying(lie), cut=Cut(piece=40))
    with pytest.raises(CatalogError) as caught:
        engine.attend(queries(1, 20), k=3)
    assert LIES[lie] in str(caught.value)
    assert str(caught.value).startswith("made: ")


def test_logits_of_another_shape_are_refused(store):
    def cut(answers):
        answers[0]["logits"] = answers[0]["logits"][:, 1:]

    with pytest.raises(CatalogError, match="its logits are not an array"):
        RemoteEngine(store, lying(cut), cut=Cut(piece=40)).logits(queries(1, 20))


def test_another_protocol_is_refused(store, monkeypatch):
    monkeypatch.setattr(part, "PROTOCOL", 0)
    with pytest.raises(InputError, match="speaks protocol 0, not 1"):
        RemoteEngine(store, ask_here).attend(queries(1, 20))


def test_a_damaged_segment_is_refused(store):
    path = store.files[1]
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    engine = RemoteEngine(store, ask_here, cut=Cut(piece=40))
    with pytest.raises(
        CatalogError, match=r"can't read .*its rows 0 to 39 are not what was written; 'attnsearch check"
    ):
        engine.attend(queries(1, 20))


def test_a_folder_that_the_workers_do_not_see(store, monkeypatch):
    def ask(tasks):
        for task in tasks:
            for piece in task["pieces"]:
                piece["file"] = piece["file"].replace(str(store.folder), "/nowhere")
        return ask_here(tasks)

    with pytest.raises(
        CatalogError, match=r"can't read /nowhere/.*: there is no such file; give the workers the folder"
    ):
        RemoteEngine(store, ask).attend(queries(1, 20))


def test_a_segment_that_a_commit_removed(store):
    store.files[1].unlink()
    with pytest.raises(CatalogError, match="made: the catalog changed while it was asked; ask again"):
        RemoteEngine(store, ask_here).attend(queries(1, 20))


def test_tasks_have_no_words_and_no_classes(store):
    """Plain values, bytes and arrays of numbers: no text of a query, no name of a field, nothing that runs."""
    tasks = []

    def ask(asked):
        tasks.extend(asked)
        return ask_here(asked)

    bias = make_bias(store, 3, 0.5, "terms and priors")
    RemoteEngine(store, ask, cut=Cut(piece=40)).attend(queries(3, 20), queries(3, 20), k=3, bias=bias)
    assert len(tasks) == 3

    def walk(value):
        if isinstance(value, dict):
            assert {type(name) for name in value} == {str}
            for inner in value.values():
                walk(inner)
        elif isinstance(value, (list, tuple)):
            assert type(value) in (list, tuple)
            for inner in value:
                walk(inner)
        elif isinstance(value, np.ndarray):
            assert value.dtype.kind in "fiu"
        else:
            assert type(value) in (int, float, bool, str, bytes, type(None))
            assert value not in ("year", "a", "b")

    for task in tasks:
        walk(task)
        walk(answer(task))


def test_parts_say_who_answered(store):
    states = RemoteEngine(store, ask_here, cut=Cut(piece=10)).attend(queries(1, 20))
    assert states.parts == (3, 1)


def test_small_segments_share_a_task(tmp_path):
    store = DiskStore(tmp_path, *keys_of(120, "short"), list(range(5, 120, 5)))
    counts = []

    def ask(tasks):
        counts.append([len(task["pieces"]) for task in tasks])
        return ask_here(tasks)

    RemoteEngine(store, ask, cut=Cut(piece=40)).attend(queries(1, 20))
    assert counts == [[8, 8, 8]]


class TestMapped:
    def test_what_was_verified_is_mapped_once(self, store, monkeypatch):
        read = []
        load = part.load_rows
        monkeypatch.setattr(part, "load_rows", lambda *given: read.append(given[1]) or load(*given))
        for _ in range(2):
            RemoteEngine(store, ask_here).attend(queries(1, 20))
        assert len(read) == 3

    def test_the_oldest_go_first(self, store, monkeypatch):
        monkeypatch.setattr(part, "MAPPED", 40 * 16 * 4 * 2)
        RemoteEngine(store, ask_here).attend(queries(1, 20))
        assert [name[0] for name in part._mapped] == [str(path) for path in store.files[1:]]

    def test_what_a_commit_removed_is_let_go(self, store, tmp_path):
        RemoteEngine(store, ask_here).attend(queries(1, 20))
        for path in store.files[:2]:
            path.unlink()
        other = DiskStore(tmp_path / "other", *keys_of(50, "short"), [])
        RemoteEngine(other, ask_here).attend(queries(1, 20))
        assert [name[0] for name in part._mapped] == [str(store.files[2]), str(other.files[0])]
        assert str(SEGMENTS) in str(store.files[0])
