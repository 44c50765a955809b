"""`--on`: the same JSON as without it, but for `elapsed_ms` and `parts`."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from attnsearch.cluster import address, part
from attnsearch.indexing.update import update
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

    def __init__(self, address: str, *, deadline: float = 0) -> None:
        Here.asked = 0

    def ask(self, tasks):
        Here.asked += len(tasks)
        self.before_asking()
        return ask_here(tasks)

    def before_asking(self) -> None:
        pass

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
    assert "parts" not in json.loads(run("query", "moon", "-c", "one", "--json", "--on", "").out)


def test_an_invalid_address(shop, run):
    ran = run("query", "moon", "-c", "one", "--on", "somewhere")
    assert ran.code == 2
    assert "invalid address of a cluster 'somewhere'; write tcp://HOST:PORT" in ran.err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_no_time_is_not_a_time_out(shop, run, seconds):
    ran = run("query", "moon", "-c", "one", "--on", "local:2", "--timeout", seconds)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"attnsearch: invalid --timeout {seconds}; give it seconds above 0, such as 60\n"


def test_the_time_out_is_the_deadline_of_the_cluster(shop, run, monkeypatch):
    deadlines = []
    monkeypatch.setattr(remote, "Cluster", lambda address, *, deadline: deadlines.append(deadline) or Here(address))
    monkeypatch.setattr(address, "check_address", lambda address: None)
    for options in ([], ["--timeout", "2.5"]):
        assert run("query", "moon", "-c", "one", "--on", "local:2", *options).code == 0
    assert deadlines == [60, 2.5]


def test_standard_input_is_no_catalog_of_other_machines(run):
    ran = run("query", "moon", "-c", "-", "--on", "local:2", stdin=b"moon")
    assert (ran.code, ran.out) == (2, "")
    assert "what is read from standard input is on this machine only; give its items a name first" in ran.err


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
    "duplicates": ["duplicates", "--min-score", "0.9", "-w", "year > 1910"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_other_commands(shop, write, run, monkeypatch, tmp_path, name):
    write("judged.yaml", JUDGED)
    monkeypatch.chdir(tmp_path)
    catalog = ["one"] if name == "duplicates" else ["-c", "one"]
    argv = [*COMMANDS[name], *catalog, "--json"]
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


class TestACommitBetween:
    """Segments are removed after the command has opened the catalog, and before the workers map them."""

    @pytest.fixture
    def commit(self, shop, write, run, monkeypatch):
        """Let commits remove segments before the workers are asked for the first time, or so many `times`."""
        monkeypatch.setattr(remote, "Cluster", Here)
        monkeypatch.setattr(address, "check_address", lambda address: None)

        def prepare(times: int = 1) -> None:
            left = iter(range(times))

            def index_others(here) -> None:
                if (number := next(left, None)) is not None:
                    part._mapped.clear()
                    for word in ("moon", "sea"):  # a commit removes what the one before it has replaced
                        items = [{**item, "title": f"{item['title']} {word} {number}"} for item in ITEMS]
                        update([write("one.json", json.dumps(items))], name="one")

            monkeypatch.setattr(Here, "before_asking", index_others)

        return prepare

    @pytest.mark.parametrize("name", ["query", "explain", "heatmap", "eval"])
    def test_the_command_starts_over(self, commit, write, run, monkeypatch, tmp_path, name):
        write("judged.yaml", JUDGED)
        monkeypatch.chdir(tmp_path)
        argv = [*COMMANDS.get(name, ["query", "moon"]), "-c", "one", "--json"]
        commit()
        ran = run(*argv, "--on", "local:2")
        assert (ran.code, ran.err) == (0, "")
        expected, answered = json.loads(run(*argv).out), json.loads(ran.out)
        for answer in (expected, answered):
            for field in ("elapsed_ms", "parts", "seconds"):
                answer.pop(field, None)
        assert answered == expected

    def test_it_does_so_once(self, commit, run):
        commit(times=2)
        ran = run("query", "moon", "-c", "one", "--on", "local:2")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == "attnsearch: one: the catalog changed while it was asked; ask again\n"

    @pytest.mark.parametrize(
        ("argv", "stdin"), [(["query"], b"moon"), (["eval", "-"], JUDGED.encode())], ids=["query", "eval"]
    )
    def test_not_after_it_has_read_standard_input(self, commit, run, argv, stdin):
        commit()
        ran = run(*argv, "-c", "one", "--on", "local:2", stdin=stdin)
        assert (ran.code, ran.out) == (3, "")

    def test_not_after_an_answer(self, commit, run, monkeypatch):
        commit()
        index_others, first = Here.before_asking, iter([True])
        monkeypatch.setattr(Here, "before_asking", lambda here: next(first, False) or index_others(here))
        ran = run("query", *[f"moon {n}" for n in range(20)], "-c", "one", "--jsonl", "--on", "local:2")
        assert ran.code == 3
        assert len(ran.out.splitlines()) == 16


def test_the_map(shop, run, monkeypatch):
    argv = ["explain", "moon", "-c", "one", "-f", "svg"]
    alone = run(*argv)
    assert alone.code == 0, alone.err
    monkeypatch.setattr(remote, "Cluster", Here)
    monkeypatch.setattr(address, "check_address", lambda address: None)
    assert run(*argv, "--on", "local:2").out == alone.out
