"""`--on`: the same JSON as without it, but for `elapsed_ms` and `parts`."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from attnsearch.cluster import address
from attnsearch.opening import remote
from attnsearch.storage import store
from tests.engines.test_conformance import ask_here

ITEMS = [
    {"id": f"i{n}", "title": f"{['moon', 'sea', 'robot'][n % 3]} {n}", "year": 1900 + n, "genre": "ab"[n % 2],
     "description": "moon sea " * (60 * (n % 7 == 0)) + "robot"}
    for n in range(40)
]  # fmt: skip

OPTIONS = {
    "plain": ["moon"],
    "several": ["moon", "sea robot", "robot"],
    "many": [f"moon sea {n}" for n in range(12)],
    "sharp": ["moon", "--temperature", "0.005", "-k", "99"],
    "lexical": ["moon 7", "--lexical"],
    "where": ["moon", "-w", "year > 1920 and genre = a", "-k", "99"],
    "nothing": ["moon", "-w", "year > 3000"],
    "prior": ["sea", "--prior", "year=2", "--lexical", "1", "-w", "genre = b"],
    "share": ["sea", "--top-p", "0.5"],
    "values": ["sea", "--value", "year", "--value", "genre"],
    "vector": ["sea", "--vector", "--explain"],
    "like": ["--like", "i3", "--unlike", "i4"],
    "textbook": ["robot", "--textbook"],
    "two catalogs": ["robot", "-c", "two", "--lexical"],
    "remembered": ["robot sea"],
}


class Here:
    """A cluster that is this process: tasks and answers go through bytes all the same."""

    asked = 0

    def __init__(self, address: str) -> None:
        Here.asked = 0

    def ask(self, tasks):
        Here.asked += len(tasks)
        return ask_here(tasks)

    def close(self) -> None:
        pass


@pytest.fixture
def shop(write, small, run):
    for name, items in (("one", ITEMS), ("two", ITEMS[:9])):
        path = write(f"{name}.json", json.dumps(items[:-3]))
        assert run("index", path, "--name", name).code == 0
        write(f"{name}.json", json.dumps(items[2:]))
        assert run("index", path, "--name", name).code == 0
    assert run("feedback", "robot sea", "--good", "i5", "-c", "one").code == 0


def without_times(out: str) -> list:
    answers = json.loads(out)
    answers = answers if isinstance(answers, list) else [answers]
    for answer in answers:
        del answer["elapsed_ms"]
    return answers


@pytest.mark.parametrize("name", OPTIONS)
def test_the_json_is_the_same(shop, run, monkeypatch, name):
    argv = ["query", *OPTIONS[name], "-c", "one", "--json"]
    alone = without_times(run(*argv).out)
    assert not any("parts" in answer for answer in alone)
    monkeypatch.setattr(remote, "Cluster", Here)
    monkeypatch.setattr(address, "check_address", lambda address: None)
    monkeypatch.setattr(store.segment, "load_segment", None)  # the driver does not verify what the workers do
    ran = run(*argv, "--on", "local:2")
    assert ran.code == 0, ran.err
    answers = without_times(ran.out)
    segments = 2 + (name == "two catalogs")
    assert [answer.pop("parts") for answer in answers] == [{"segments": segments, "workers": 1}] * len(answers)
    assert answers == alone


def test_the_address_of_the_environment(shop, run, monkeypatch):
    monkeypatch.setattr(remote, "Cluster", Here)
    monkeypatch.setattr(address, "check_address", lambda address: None)
    monkeypatch.setenv("ATTNSEARCH_ON", "local:2")
    assert json.loads(run("query", "moon", "-c", "one", "--json").out)["parts"]["workers"] == 1


def test_an_invalid_address(shop, run):
    ran = run("query", "moon", "-c", "one", "--on", "somewhere")
    assert ran.code == 2
    assert "invalid address of a cluster 'somewhere'; write tcp://HOST:PORT" in ran.err


def test_without_dask(shop, run, monkeypatch):
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    ran = run("query", "moon", "-c", "one", "--on", "local:2")
    assert ran.code == 2
    assert ran.err == (
        "attnsearch: other machines are asked through Dask, which is not installed; pip install 'attnsearch[dask]'\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra [dask]")
def test_two_processes(shop, run):
    argv = ["query", "moon", "-c", "one", "-w", "year > 1920", "--lexical", "--json"]
    (alone,), (answer,) = without_times(run(*argv).out), without_times(run(*argv, "--on", "local:2").out)
    assert answer.pop("parts") == {"segments": 2, "workers": 1}
    assert answer == alone


JUDGED = (
    "- {query: moon sea, relevant: [i3]}\n- {query: robot, relevant: [i5]}\n- {query: sea 7, relevant: [i7, i10]}\n"
)

COMMANDS = {
    "explain": ["explain", "moon", "i6", "--over", "i9"],
    "matrix": ["explain", "moon sea", "i7", "--matrix"],
    "heatmap": ["heatmap", "moon", "sea 7", "robot"],
    "eval": ["eval", "judged.yaml", "--compare", "--lexical 1"],
    "train": ["train", "judged.yaml", "--dry-run"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_other_commands(shop, write, run, monkeypatch, tmp_path, name):
    write("judged.yaml", JUDGED)
    monkeypatch.chdir(tmp_path)
    argv = [*COMMANDS[name], "-c", "one", "--json"]
    alone = run(*argv)
    assert alone.code == 0, alone.err
    asked = []
    monkeypatch.setattr(remote, "Cluster", Here)
    monkeypatch.setattr(address, "check_address", asked.append)
    ran = run(*argv, "--on", "local:2")
    assert asked == ["local:2"]
    assert Here.asked or name == "train"  # which asks of large catalogs alone
    expected, answered = json.loads(alone.out), json.loads(ran.out)
    for answer in (expected, answered):
        for field in ("elapsed_ms", "parts", "seconds"):
            answer.pop(field, None)
    assert answered == expected
