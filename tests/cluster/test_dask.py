"""A Dask cluster whose processes die, lie, wait or are not there. Nothing waits without end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed", reason="needs the extra [dask]")

from attnsearch.cluster import address
from attnsearch.cluster import dask as clusters
from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.errors import AttnsearchError, CatalogError, InputError
from tests.cluster.machines import Machines, hold, lie, speak, wait_until
from tests.engines.made import DiskStore
from tests.engines.test_conformance import keys_of, queries

pytestmark = pytest.mark.slow

CUT = Cut(piece=30, block=16)


@pytest.fixture
def store(tmp_path):
    return DiskStore(tmp_path / "made", *keys_of(240, "short"), [60, 120, 180])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(clusters, "WORKERS", 15.0)


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    started = Machines(tmp_path_factory.mktemp("machines"))
    yield started
    started.stop()


@pytest.fixture
def fresh(tmp_path, request):
    """Machines of one test, which it may kill."""
    (tmp_path / "fresh").mkdir()
    started = Machines(tmp_path / "fresh", nanny=getattr(request, "param", False))
    yield started
    started.stop()


def open_cluster(machines, workers: int = 3, **options) -> Cluster:
    cluster = Cluster(machines.address, **options)
    wait_until(lambda: len(cluster._threads()) == workers, "the start of the workers")
    return cluster


def run_on(cluster: Cluster, function, *arguments, workers=None) -> dict:
    return cluster._client.run(function, *arguments, workers=workers)


def same(states, others) -> bool:
    pairs = zip(states.attention, others.attention, strict=True)
    return all(np.array_equal(array, other) for array, other in pairs)


class Asking(threading.Thread):
    """A query in a thread of its own."""

    def __init__(self, engine: RemoteEngine) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self.states = self.error = None
        self.start()

    def run(self) -> None:
        try:
            self.states = self._engine.attend(queries(1, 20), k=5, output=True)
        except AttnsearchError as error:
            self.error = error


def read_lines(folder: Path) -> list[tuple[int, str, int]]:
    log = folder / "read"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(pid), file, int(start)) for pid, file, start in map(str.split, lines)]


def test_the_answer_is_that_of_the_local_engine(machines, store):
    with_cluster = open_cluster(machines)
    engine = RemoteEngine(store, with_cluster.ask, with_cluster.close, CUT)
    for m in (1, 20):
        expected = LocalEngine(store, CUT).attend(queries(m, 20), k=5, output=True)
        states = engine.attend(queries(m, 20), k=5, output=True)
        assert same(states, expected)
        assert states.parts == (4, 3)
    engine.close()


@pytest.mark.parametrize("fresh", [False, True], ids=["plain worker", "with a nanny"], indirect=True)
def test_a_worker_that_is_killed(fresh, store, tmp_path):
    """Others read again what it had begun to read, and the answer is that of an undisturbed cluster."""
    cluster = open_cluster(fresh)
    pids = run_on(cluster, os.getpid)
    run_on(cluster, hold, str(tmp_path))
    asking = Asking(RemoteEngine(store, cluster.ask, cut=CUT))
    wait_until(lambda: len({pid for pid, *_ in read_lines(tmp_path)}) == 3, "a task on each worker")
    victim = next(iter(pids.values()))
    os.kill(victim, signal.SIGKILL)
    begun = {(file, start) for pid, file, start in read_lines(tmp_path) if pid == victim}
    (tmp_path / "go").touch()
    asking.join(60)
    assert asking.error is None
    assert same(asking.states, LocalEngine(store, CUT).attend(queries(1, 20), k=5, output=True))
    assert begun
    if not fresh.nanny:  # else the new worker may read them, which notes nothing
        assert begun <= {(file, start) for pid, file, start in read_lines(tmp_path) if pid != victim}
    cluster.close()


def test_all_workers_are_killed(fresh, store, tmp_path, monkeypatch):
    cluster = open_cluster(fresh)
    monkeypatch.setattr(clusters, "WORKERS", 2.0)
    run_on(cluster, hold, str(tmp_path))
    began = time.monotonic()
    asking = Asking(RemoteEngine(store, cluster.ask, cut=CUT))
    wait_until(lambda: bool(read_lines(tmp_path)), "a task")
    for process in fresh.workers:
        process.kill()
    asking.join(clusters.DEADLINE)
    assert time.monotonic() - began < clusters.DEADLINE
    assert isinstance(asking.error, CatalogError)
    assert "the scheduler has no workers any more; start them: 'dask scheduler'" in str(asking.error)
    with pytest.raises(CatalogError, match="the scheduler has no workers; start them"):
        RemoteEngine(store, cluster.ask).attend(queries(1, 20))
    cluster.close()


def test_the_scheduler_is_killed(fresh, store, tmp_path, monkeypatch):
    cluster = open_cluster(fresh)
    monkeypatch.setattr(clusters, "CONNECT", 2.0)
    run_on(cluster, hold, str(tmp_path))
    asking = Asking(RemoteEngine(store, cluster.ask, cut=CUT))
    wait_until(lambda: bool(read_lines(tmp_path)), "a task")
    fresh.scheduler.kill()
    asking.join(60)
    assert isinstance(asking.error, CatalogError)
    assert str(asking.error) == f"{fresh.address}: the connection to the scheduler is lost; ask again"
    cluster.close()


def test_a_deadline(machines, store, tmp_path):
    cluster = open_cluster(machines, deadline=1.5)
    run_on(cluster, hold, str(tmp_path))
    with pytest.raises(CatalogError, match="0 of 8 parts were answered within 2 s; ask again, or start more workers"):
        RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    (tmp_path / "go").touch()
    cluster.close()


def test_a_worker_of_another_protocol(fresh, store):
    cluster = open_cluster(fresh)
    first = min(cluster._threads())
    run_on(cluster, speak, 0, workers=[first])
    with pytest.raises(InputError) as caught:
        Cluster(fresh.address)
    assert f"1 of 3 workers have other versions: {first} has attnsearch" in str(caught.value)
    assert "protocol 0" in str(caught.value)
    assert "install there what is here: attnsearch" in str(caught.value)
    with pytest.raises(InputError, match="speaks protocol 0, not 2"):  # one that joined later
        RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    cluster.close()


def test_a_worker_that_lies(fresh, store):
    cluster = open_cluster(fresh)
    run_on(cluster, lie, "lose_a_sum", workers=[min(cluster._threads())])
    with pytest.raises(CatalogError, match="sent no valid answer: its total is not an array"):
        RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    cluster.close()


def test_workers_without_attnsearch(tmp_path):
    stub = tmp_path / "stub" / "attnsearch"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'attnsearch'\")\n")
    started = Machines(tmp_path, 1, path=str(stub.parent))
    try:
        with pytest.raises(InputError, match=r"has no such attnsearch .*No module named 'attnsearch'"):
            Cluster(started.address)
    finally:
        started.stop()


def test_no_scheduler(monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT", 1.0)
    with pytest.raises(CatalogError, match=r"tcp://127.0.0.1:1: no Dask scheduler answers: .*; start them: 'dask sch"):
        Cluster("tcp://127.0.0.1:1")


@pytest.mark.parametrize("address", ["", "host:8786", "tcp://host", "http://host:1", "local:0", "local:x", "dask:x"])
def test_addresses_that_are_none(address):
    with pytest.raises(InputError, match="invalid address of a cluster"):
        Cluster(address)


def test_without_dask(monkeypatch):
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"which is not installed; pip install 'attnsearch\[dask\]'"):
        Cluster("local:2")


def test_the_scheduler_of_the_configuration(machines, store, monkeypatch):
    import dask

    with pytest.raises(InputError, match="dask:: Dask's configuration names no scheduler; set DASK_SCHEDULER_ADDRESS"):
        Cluster("dask:")
    with dask.config.set({"scheduler-file": str(machines._file)}):
        cluster = Cluster("dask:")
    assert RemoteEngine(store, cluster.ask).attend(queries(1, 20)).parts
    cluster.close()


def test_processes_on_this_machine(store):
    cluster = Cluster("local:2")
    states = RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20), k=5, output=True)
    assert same(states, LocalEngine(store, CUT).attend(queries(1, 20), k=5, output=True))
    assert states.parts == (4, 2)
    cluster.close()
    assert "OPENBLAS_NUM_THREADS" not in os.environ or os.environ["OPENBLAS_NUM_THREADS"] == "1"


def test_tls(store):
    import dask
    import distributed

    security = distributed.Security.temporary()
    with distributed.LocalCluster(
        n_workers=1, processes=False, security=security, dashboard_address="127.0.0.1:0", host="tls://127.0.0.1"
    ) as started:
        address = started.scheduler_address
        assert address.startswith("tls://")
        with pytest.raises(CatalogError, match="no Dask scheduler answers"):
            Cluster(address.replace("tls", "tcp"))
        with pytest.raises(InputError, match=r"Dask's configuration names no certificates; set distributed.comm.tls"):
            Cluster(address)
        settings = {
            "distributed.comm.tls.ca-file": security.tls_ca_file,
            "distributed.comm.tls.client.key": security.tls_client_key,
            "distributed.comm.tls.client.cert": security.tls_client_cert,
        }
        with dask.config.set(settings):
            cluster = Cluster(address)
        states = RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20), k=5, output=True)
        assert same(states, LocalEngine(store, CUT).attend(queries(1, 20), k=5, output=True))
        cluster.close()


def test_ctrl_c(tmp_path):
    """The processes of local:N end with the command, and none of them says a word."""
    psutil = pytest.importorskip("psutil")
    argv = [sys.executable, "-m", "attnsearch", "query", "moon", "--on", "local:1"]
    env = {**os.environ, "ATTNSEARCH_HOME": str(tmp_path)}
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=env
    ) as process:
        wait_until(lambda: len(psutil.Process(process.pid).children()) >= 2, "the start of the processes")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)  # which waits for all that have the pipe
    assert (process.returncode, out, err) == (130, "", "attnsearch: interrupted; all catalogs are intact\n")
