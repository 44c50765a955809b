"""Answers of other processes: complete, or an error that says what is missing."""

from __future__ import annotations

import copy
import operator
from functools import partial, reduce

import numpy as np
import pytest

from attnsearch.cluster import part
from attnsearch.cluster.part import answer
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.engines.pieces import Cut
from attnsearch.errors import CatalogError, InputError
from attnsearch.storage.failures import ChangedError, DamagedError
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
    read_less: "39 of 40 rows were read",
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


def shift_rows(answers):
    """One reads a row less, another one more."""
    answers[0]["pieces"][0]["rows"] -= 1
    answers[1]["pieces"][0]["rows"] += 1


def test_each_piece_is_read_whole(store):
    with pytest.raises(CatalogError, match="39 of 40 rows were read"):
        RemoteEngine(store, lying(shift_rows), cut=Cut(piece=40)).attend(queries(1, 20), k=3)


def test_an_answer_to_another_query_is_refused(store):
    """Of the same shape, about the same rows."""
    first = []

    def repeat(tasks):
        answers = ask_here(tasks)
        first.append(answers)
        return first[0]

    engine = RemoteEngine(store, repeat, cut=Cut(piece=40))
    engine.attend(queries(1, 20), k=3)
    with pytest.raises(CatalogError, match="not in the order of the tasks"):
        engine.attend(queries(1, 20, seed=1), k=3)


def change_state(**changes):
    """A lie about some fields of each piece's state: functions of what they are."""

    def change(answers):
        for answered in answers:
            for piece in answered["pieces"]:
                state = piece["state"]
                piece["state"] = state | {name: made(state[name]) for name, made in changes.items()}

    return change


IMPOSSIBLE = {
    "fewer keys": change_state(visible=lambda v: v - 1),
    "more keys": change_state(visible=lambda v: v + 1),
    "a sum below its largest term": change_state(total=lambda v: v * 0 + 0.9),
    "a sum above all terms": change_state(total=lambda v: v * 0 + 41),
    "a negative sum": change_state(total=lambda v: -v),
    "an infinite sum": change_state(total=lambda v: v + np.inf),
    "a positive moment": change_state(moment=lambda v: -v),
    "a moment without bounds": change_state(moment=lambda v: v - 1e300),
    "no maximum": change_state(maximum=lambda v: v - np.inf),
    "a maximum beyond float32": change_state(maximum=lambda v: v - 1e300),
    "an output that is no number": change_state(output=lambda v: v * np.nan),
    "an output without bounds": change_state(output=lambda v: v + 1e300),
    "a top that is not in order": change_state(top_logits=lambda v: v[:, ::-1].copy()),
    "the same key twice": change_state(top_keys=lambda v: v * 0 + v[:, :1]),
    "infinite logits": change_state(top_logits=lambda v: v + np.inf),
    "no best keys": change_state(top_logits=lambda v: v[:, :0], top_keys=lambda v: v[:, :0]),
    "hidden best keys": change_state(top_logits=lambda v: v - np.inf),
    "a subclass": change_state(total=lambda v: np.ma.array(v, mask=True)),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_no_keys_sum_up_to_is_refused(store, name):
    engine = RemoteEngine(store, lying(IMPOSSIBLE[name]), cut=Cut(piece=40))
    with pytest.raises(CatalogError, match=r"worker .*sent no valid answer"):
        engine.attend(queries(1, 20), k=3, output=True)


def test_best_keys_are_among_those_that_take_part(store):
    """Neither a dead one, nor one that a filter hides."""
    dead = np.concatenate([np.zeros(40, bool) if s.dead is None else s.dead for s in store.segments])
    bias = make_bias(store, 1, 0.5)
    for given, hidden in ((None, dead[:40]), (bias, ~bias.visible[:40])):
        key = int(np.flatnonzero(hidden)[0])

        def name_hidden(answers, key=key):
            answers[0]["pieces"][0]["state"]["top_keys"][0, 0] = key

        with pytest.raises(CatalogError, match="its top has keys that it was not asked about"):
            RemoteEngine(store, lying(name_hidden), cut=Cut(piece=40)).attend(queries(1, 20), k=3, bias=given)


def raise_a_logit(z):
    z[0, 0] = 1e6


def lose_a_logit(z):
    z[0, np.flatnonzero(np.isfinite(z[0]))[-1]] = -np.inf


def show_a_hidden_key(z):
    """In the place of another one, so that their number is the same."""
    lose_a_logit(z)
    z[0, np.flatnonzero(np.isneginf(z[0]))[0]] = z[0].min(initial=0, where=np.isfinite(z[0]))


@pytest.mark.parametrize("change", [raise_a_logit, lose_a_logit, show_a_hidden_key], ids=lambda c: c.__name__)
def test_logits_of_other_keys_are_refused(store, change):
    lie = lying(lambda answers: change(answers[0]["logits"]))
    with pytest.raises(CatalogError, match="its logits are not those of its states"):
        RemoteEngine(store, lie, cut=Cut(piece=40)).logits(queries(1, 20), bias=make_bias(store, 1, 0.5))


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300])
def test_what_is_no_number_is_refused(store, number):
    def spoil(answers):
        if "points" in answers[0]:
            answers[0]["points"][0, 0] = number
        else:
            answers[0]["pieces"][0]["covariance"]["mean"][0] = number

    engine = RemoteEngine(store, lying(spoil), cut=Cut(piece=40))
    with pytest.raises(CatalogError, match="its mean has what is no number, or too large"):
        engine.measure_covariance()
    with pytest.raises(CatalogError, match="its points has what is no number, or too large"):
        engine.project(np.eye(2, 16))


def group(store, ask, min_score=0.2):
    order, ones = np.random.default_rng(0).permutation(120), np.ones(120, np.int64)
    return RemoteEngine(store, ask, cut=Cut(piece=40, pairs=20)).group_items(order, ones, min_score)


def lying_once(name, change):
    """A way to ask that changes the first answer which says anything under this name."""
    changed = []

    def ask(tasks):
        answers = ask_here(tasks)
        for answered in answers:
            if not changed and len(answered[name]["items"]):
                changed.append(True)
                change(answered)
        return answers

    return ask


def match_twice(matches):
    for name in matches:
        matches[name] = np.repeat(matches[name], 2)


def match_another(matches):
    matches["items"] = matches["items"] + 20


def match_a_later_one(matches):
    matches["leaders"] = matches["items"] + 1


def match_a_member(matches):
    matches["leaders"] = np.append(matches["items"][:1], matches["leaders"][1:])


def match_what_is_not_near(matches):
    matches["scores"] = matches["scores"] - 1


def match_beyond_bounds(matches):
    matches["scores"] = matches["scores"] + np.inf


def match_nan(matches):
    matches["scores"] = matches["scores"] * np.nan


def match_half(matches):
    matches["scores"] = matches["scores"][1:]


@pytest.mark.parametrize(
    "lie",
    [match_twice, match_another, match_a_later_one, match_a_member, match_what_is_not_near, match_beyond_bounds,
     match_nan, match_half],
    ids=lambda lie: lie.__name__,
)  # fmt: skip
def test_matches_of_other_items_are_refused(store, lie):
    with pytest.raises(CatalogError, match=r"sent no valid answer: its (matches|scores)"):
        group(store, lying_once("matches", lambda answered: lie(answered["matches"])))


def test_an_answer_to_another_pair_is_refused(store):
    """Which would go unseen where neither has a match."""

    def repeat(tasks):
        answers = ask_here(tasks)
        firsts = {task["rows"]: number for number, task in reversed([*enumerate(tasks)])}
        return [answers[firsts[task["rows"]]] for task in tasks]

    assert len(set(group(store, ask_here, 0.9).leader.tolist())) > 60
    with pytest.raises(CatalogError, match="not in the order of the tasks"):
        group(store, repeat, 0.9)


def test_keys_that_are_not_compared_are_missed(store):
    def skip(answered):
        answered["pieces"][0]["rows"] -= 1

    with pytest.raises(CatalogError, match=r"\d+ of \d+ rows were read"):
        group(store, lying_once("matches", skip))


def test_a_covariance_of_fewer_keys_is_refused(store):
    def forget(answers):
        answers[1]["pieces"][0]["covariance"]["size"] -= 1

    with pytest.raises(CatalogError, match=r"its covariance is that of \d+ keys, not of \d+; ask again"):
        RemoteEngine(store, lying(forget), cut=Cut(piece=40)).measure_covariance()


def test_points_of_another_plane_are_refused(store):
    def cut(answers):
        answers[1]["points"] = answers[1]["points"][:, 1:]

    with pytest.raises(CatalogError, match=r"its points is not an array of float64 of the shape \(40, 2\)"):
        RemoteEngine(store, lying(cut), cut=Cut(piece=40)).project(np.eye(2, 16))


def paths(value, path=()):
    """The way to each value in an answer."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[key], (*path, key))


NOT_EXPECTED = [None, "", "x", [], {}, -1, 10**9, 1.5, float("nan"), b"", np.zeros(0), np.full(1, np.nan),
                np.full((1, 3), 10**6), np.full((1, 3), np.nan)]  # fmt: skip


def test_an_answer_of_another_form_is_refused(store):
    """Whatever stands in the place of one of its values, there is the same answer or an error, never a traceback."""
    honest: list = []
    ask = partial(RemoteEngine, store, cut=Cut(piece=40))
    expected = ask(lambda tasks: honest.extend(ask_here(tasks)) or honest).attend(queries(1, 20), k=3, output=True)
    for *path, last in filter(None, paths(honest)):
        if path and path[-1] == "state" and last == "maximum":
            continue  # which need not be a number: no search takes such a state
        for value in NOT_EXPECTED:
            answers = copy.deepcopy(honest)
            reduce(operator.getitem, path, answers)[last] = value
            try:
                states = ask(lambda _, answers=answers: answers).attend(queries(1, 20), k=3, output=True)
            except (CatalogError, InputError):
                continue
            assert all(map(np.array_equal, states.attention, expected.attention)), (path, last, value)


def test_logits_of_another_shape_are_refused(store):
    def cut(answers):
        answers[0]["logits"] = answers[0]["logits"][:, 1:]

    with pytest.raises(CatalogError, match="its logits is not an array"):
        RemoteEngine(store, lying(cut), cut=Cut(piece=40)).logits(queries(1, 20))


def test_another_protocol_is_refused(store, monkeypatch):
    monkeypatch.setattr(part, "PROTOCOL", 0)
    with pytest.raises(InputError, match="speaks protocol 0, not 2"):
        RemoteEngine(store, ask_here).attend(queries(1, 20))


def test_a_damaged_segment_is_refused(store):
    path = store.files[1]
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    engine = RemoteEngine(store, ask_here, cut=Cut(piece=40))
    with pytest.raises(DamagedError, match=r"its rows 0 to 39 are not what was written; run 'attnsearch check .*-rep"):
        engine.attend(queries(1, 20))


def test_a_segment_that_is_damaged_elsewhere(store):
    file = str(store.files[1].absolute())

    def report(answers):
        answers[1] = {**answers[1], "fault": "damaged", "file": file, "message": "its header is not what was written"}

    with pytest.raises(CatalogError) as caught:
        RemoteEngine(store, lying(report), cut=Cut(piece=40)).attend(queries(1, 20))
    assert f"can't read {file}: its header is not what was written, though here it is; see" in str(caught.value)


def test_a_folder_that_the_workers_do_not_see(store, monkeypatch):
    def ask(tasks):
        for task in tasks:
            for piece in task["pieces"]:
                piece["file"] = piece["file"].replace(str(store.folder), "/nowhere")
        return ask_here(tasks)

    with pytest.raises(
        CatalogError, match=r"can't read /nowhere/.*: there is no such file; publish the catalog, or give"
    ):
        RemoteEngine(store, ask).attend(queries(1, 20))


def test_a_segment_that_a_commit_removed(store):
    store.files[1].unlink()
    with pytest.raises(ChangedError, match="made: the catalog changed while it was asked; ask again"):
        RemoteEngine(store, ask_here).attend(queries(1, 20))


def test_tasks_have_no_words_and_no_classes(store):
    """Plain values, bytes and arrays of numbers: no text of a query, no name of a field, nothing that runs."""
    tasks = []

    def ask(asked):
        tasks.extend(asked)
        return ask_here(asked)

    bias = make_bias(store, 3, 0.5, "terms and priors")
    engine = RemoteEngine(store, ask, cut=Cut(piece=40, pairs=60))
    engine.attend(queries(3, 20), queries(3, 20), k=3, bias=bias)
    assert len(tasks) == 3
    engine.measure_covariance()
    engine.project(np.eye(2, 16))
    engine.group_items(np.arange(120), np.ones(120, np.int64), 0.9)
    assert {task["kind"] for task in tasks} == {"attend", "spread", "project", "match"}

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
        load = part.copies.load_rows
        monkeypatch.setattr(part.copies, "load_rows", lambda *given: read.append(given[1]) or load(*given))
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
