"""`index --on` with processes that are slow, die or are interrupted: what came in is kept, and the rest is embedded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed", reason="needs the extra [dask]")

from attnsearch.cluster import dask as clusters
from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.encoder import RemoteEncoder
from attnsearch.errors import CatalogError
from attnsearch.indexing import embedding
from attnsearch.indexing.check import find_problems
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from tests.cluster.machines import PATIENCE, Machines, die, hold_texts, wait_until
from tests.encoding import tiny

pytestmark = pytest.mark.slow

N = 40  # texts


@pytest.fixture
def model(tmp_path):
    return str(tiny.bert(tmp_path / "model"))


@pytest.fixture
def source(write):
    lines = (
        json.dumps({"id": n, "title": " ".join(["moon", "sea", "robot"][: n % 3 + 1]) + f" {n}"}) for n in range(N)
    )
    return write("many.jsonl", "\n".join(lines) + "\n")


@pytest.fixture
def machines(tmp_path, request):
    (tmp_path / "machines").mkdir()
    started = Machines(tmp_path / "machines", request.param)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(embedding, "CHUNK", 4)


def open_cluster(machines) -> Cluster:
    cluster = Cluster(machines.address)
    wait_until(lambda: len(cluster._threads()) == len(machines.workers), "the start of the workers")
    return cluster


def embedded(folder: Path) -> list[tuple[int, int]]:
    """The process of each batch, and how many texts it has."""
    log = folder / "embedded"
    return [tuple(map(int, line.split())) for line in log.read_text().splitlines()] if log.exists() else []


class Indexing(threading.Thread):
    """An index run in a thread of its own."""

    def __init__(self, source, cluster: Cluster, model: str, name: str) -> None:
        super().__init__(daemon=True)
        self._source, self._cluster, self._model, self._name = source, cluster, model, name
        self.report = self.error = None
        self.start()

    def run(self) -> None:
        remote = RemoteEncoder(self._cluster.stream)
        try:
            self.report = update([str(self._source)], name=self._name, model=self._model,
                                 encode_batches=remote.encode_batches)  # fmt: skip
        except CatalogError as error:
            self.error = error
        self.shares = remote.shares


def vectors(name: str) -> np.ndarray:
    with Index.open(name) as index:
        return index.store.embeddings(range(index.store.size))


@pytest.mark.parametrize("machines", [3], indirect=True)
def test_what_dies(machines, source, model, tmp_path, home, monkeypatch, caplog):
    """A worker: others do what it began. Then the scheduler: what came in is kept, and the next run embeds the rest."""
    update([str(source)], name="alone", model=model)
    alone = vectors("alone")
    cluster = open_cluster(machines)
    pids = [*cluster._client.run(os.getpid).values()]
    cluster._client.run(hold_texts, str(tmp_path), 1)
    indexing = Indexing(source, cluster, model, "one")
    wait_until(lambda: len(embedded(tmp_path)) >= 4 and len({pid for pid, _ in embedded(tmp_path)}) == 3, "a wait")
    waiting = [pid for pid, _ in embedded(tmp_path)]
    victim = next(pid for pid in pids if waiting.count(pid) > 1)
    os.kill(victim, signal.SIGKILL)
    (tmp_path / "go").touch()
    indexing.join(PATIENCE)
    assert indexing.error is None
    assert indexing.report.embedded == N
    assert indexing.shares.batches == N // 4
    assert sum(count for _, count in embedded(tmp_path)) > N  # the batch that it had begun
    assert np.allclose(vectors("one"), alone, atol=1e-6)
    assert find_problems(home / "one") == []

    (tmp_path / "go").unlink()
    (tmp_path / "embedded").unlink()
    cluster._client.run(hold_texts, str(tmp_path), 1)
    indexing = Indexing(source, cluster, model, "two")
    (checkpoint,) = wait_until(lambda: [*(home / "two").glob("unfinished-*")], "a checkpoint")
    wait_until(lambda: checkpoint.stat().st_size >= 4 + 8 * (32 + 16 + 4), "a batch of each of two workers")
    monkeypatch.setattr(clusters, "CONNECT", 2.0)
    machines.scheduler.kill()
    indexing.join(PATIENCE)
    assert str(indexing.error) == f"{machines.address}: the connection to the scheduler is lost; ask again"
    assert "8 of 40 texts are kept, and the next run goes on from there" in caplog.messages
    cluster.close()
    assert update([str(source)], name="two", model=model).embedded == N - 8
    assert np.allclose(vectors("two"), alone, atol=1e-6)


@pytest.mark.parametrize("machines", [2], indirect=True)
def test_what_waits(machines, source, model, tmp_path, home, monkeypatch):
    """No more than two batches a worker are under way; Ctrl-C lets go of them; and no wait is without end."""
    cluster = open_cluster(machines)
    cluster._client.run(hold_texts, str(tmp_path))
    command = [sys.executable, "-c", "import sys; from attnsearch.indexing import embedding; embedding.CHUNK = 4; "
               "from attnsearch.cli import main; sys.exit(main(sys.argv[1:]))"]  # fmt: skip
    argv = ["index", str(source), "--name", "one", "--model", model, "--on", machines.address]
    with subprocess.Popen([*command, *argv], stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: len(embedded(tmp_path)) == 2, "a batch on each worker")
            wait_until(lambda: len(cluster._client.run_on_scheduler(count_tasks)) == 4, "two more")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    wait_until(lambda: not cluster._client.run_on_scheduler(count_tasks), "the end of its tasks")

    monkeypatch.setattr(clusters, "STALLED", 1.0)
    indexing = Indexing(source, cluster, model, "two")
    indexing.join(PATIENCE)
    assert "no worker finished anything within 1 s; ask again" in str(indexing.error)
    (tmp_path / "go").touch()
    cluster.close()


def count_tasks(dask_scheduler):
    return [name for name in dask_scheduler.tasks if name.startswith("embed")]


def test_a_batch_that_kills(source, model, tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    machines = Machines(tmp_path, 2)
    try:
        cluster = open_cluster(machines)
        cluster._client.run(die)
        indexing = Indexing(source, cluster, model, "one")
        indexing.join(PATIENCE)
        assert "every worker that embedded 4 texts of " in str(indexing.error)
        assert "start workers with more memory, or with --memory-limit 0" in str(indexing.error)
        cluster.close()
    finally:
        machines.stop()


def test_the_command(source, model, run, home):
    """The JSON is that of `index` alone, but for times and `parts`; so are the answers of the catalog."""
    reports = []
    for name, options in (("alone", []), ("together", ["--on", "local:2"])):
        ran = run("index", source, "--name", name, "--model", model, "--json", *options)
        assert ran.code == 0, ran.err
        reports.append(json.loads(ran.out))
    alone, together = reports
    parts = together.pop("parts")
    assert parts["batches"] == N // 4
    assert parts["workers"] in (1, 2)
    for report in reports:
        del report["seconds"]
        for field in ("name", "created", "updated", "commit", "listing"):
            report["info"].pop(field)
    assert alone == together
    assert np.allclose(vectors("alone"), vectors("together"), atol=1e-6)
    ran = run("index", source, "--name", "third", "--model", model, "--on", "local:2")
    assert f"{N} embedded by " in ran.out
