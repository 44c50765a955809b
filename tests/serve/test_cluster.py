"""`serve --on`: a cluster compares the keys of all catalogs, and answers are what they are without it."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from attnsearch import update
from attnsearch.cluster.part import VersionsError
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.errors import CatalogError
from attnsearch.opening.index import Index
from attnsearch.storage.failures import changed
from tests.engines.test_conformance import ask_here
from tests.serve.client import Client, build_home

ITEMS = [{"id": f"i{n}", "title": f"{['moon', 'sea', 'robot'][n % 3]} {n}", "year": 1900 + n} for n in range(20)]

ASKED = {
    "query": {"query": "moon sea", "where": ["year > 1905"], "lexical": 0.3},
    "like": {"items": ["i3"], "k": 3},
    "explain": {"query": "moon", "item": "i6"},
    "heatmap": {"queries": ["moon", "sea 7"]},
}


class SharedCluster:
    """A cluster that is this process, which fails with these `problems` first."""

    def __init__(self, *problems: Exception) -> None:
        self.problems = [*problems]
        self.indexes: list[Index] = []

    def use(self, index: Index) -> None:
        self.indexes.append(index)
        index.engine = RemoteEngine(index.store, self.ask)

    def ask(self, tasks):
        if self.problems:
            raise self.problems.pop(0)
        return ask_here(tasks)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_home(tmp_path_factory.mktemp("built") / "home", {"shop": ITEMS, "other": ITEMS[:5]})


@pytest.fixture(autouse=True)
def _home(small, home, built):
    shutil.copytree(built, home)


def ask(client: Client, name: str, **more):
    answered = client.post(f"/v1/{name}", ASKED[name] | more)
    assert answered.status == 200, answered.text
    answer = dict(answered.json)
    answer.pop("elapsed_ms", None)
    return answer


@pytest.mark.parametrize(
    ("name", "catalogs"), [*((name, ["shop"]) for name in ASKED), ("query", ["shop", "other"])], ids=str
)
def test_answers_are_the_same(name, catalogs):
    with closing(Client()) as alone, closing(Client(cluster=SharedCluster())) as client:
        expected, answer = (ask(each, name, catalogs=catalogs) for each in (alone, client))
    if name != "heatmap":
        assert answer.pop("parts") == {"segments": len(catalogs), "workers": 1}
    assert answer == expected


def test_after_a_commit_the_new_state_is_asked():
    cluster = SharedCluster()
    with closing(Client("shop", cluster=cluster)) as client:
        ask(client, "query")
        update([{"id": "new", "title": "moon sea moon sea", "year": 2000}], name="shop", keep=True)
        assert "new" in [hit["id"] for hit in ask(client, "query", k=50)["hits"]]
        assert len(cluster.indexes) == 2
        assert [index.store.is_open for index in cluster.indexes] == [False, True]


def test_a_commit_that_removes_a_segment_meanwhile():
    with closing(Client("shop", cluster=SharedCluster(changed("shop")))) as client:
        assert ask(client, "query")["hits"]
    with closing(Client("shop", cluster=SharedCluster(changed("shop"), changed("shop")))) as client:
        answered = client.post("/v1/query", ASKED["query"])
        assert (answered.status, answered.error["hint"]) == (503, "ask again")


@pytest.mark.parametrize(
    "problem",
    [
        CatalogError("the connection to the scheduler is lost", where="tcp://scheduler.example:8786", hint="ask again"),
        CatalogError("the worker host.example:17 sent no valid answer", where="shop"),
        VersionsError(
            "1 of 2 workers have other versions: tcp://host.example:1 has numpy 1.2", where="tls://s.example:1"
        ),
    ],
    ids=str,
)
def test_a_cluster_that_is_lost(problem):
    """Clients hear that it is, but not where it was; the next one gets an answer."""
    with closing(Client("shop", cluster=SharedCluster(problem))) as client:
        answered = client.post("/v1/query", ASKED["query"])
        assert answered.status == 503
        assert "example" not in answered.text
        assert answered.error["message"].startswith(("the cluster: ", "shop: a worker sent no"))
        assert ask(client, "query")["hits"]
