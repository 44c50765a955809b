"""A Dask cluster whose processes die, lie, wait or are not there. Nothing waits without end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed", reason="needs the extra [dask]")

from attnsearch.cluster import address, part
from attnsearch.cluster import dask as clusters
from attnsearch.cluster.address import check_address
from attnsearch.cluster.dask import Cluster
from attnsearch.cluster.remote import RemoteEngine
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import Cut
from attnsearch.errors import AttnsearchError, CatalogError, InputError
from attnsearch.storage.failures import DamagedError
from tests.cluster.machines import (
    LIES,
    Machines,
    answer_with_strangers,
    behave,
    die_reading,
    fail,
    hold,
    lie,
    speak,
    wait_until,
)
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
def all_machines(tmp_path_factory):
    """Plain workers, and workers with nannies; each of them started when it is first asked for."""
    started: dict[bool, Machines] = {}

    def start(*, nanny: bool) -> Machines:
        if nanny not in started:
            options = {"nanny": True, "memory": "512MiB"} if nanny else {}
            started[nanny] = Machines(tmp_path_factory.mktemp("machines"), 0, **options)
        return started[nanny]

    yield start
    for each in started.values():
        each.stop()


@pytest.fixture
def machines(all_machines):
    """A scheduler, and three plain workers."""
    healed = all_machines(nanny=False)
    healed.heal(3)
    return healed


@pytest.fixture
def nannies(all_machines):
    """A scheduler, and two workers with 512 MiB each, whose nannies watch them."""
    healed = all_machines(nanny=True)
    healed.heal(2)
    return healed


def open_cluster(machines, **options) -> Cluster:
    """A cluster whose workers are all there, and behave."""
    cluster = Cluster(machines.address, **options)
    wait_until(lambda: len(cluster._threads()) == len(machines.workers), "the start of the workers")
    run_on(cluster, behave)
    return cluster


def run_on(cluster: Cluster, function, *arguments, workers=None) -> dict:
    return cluster._client.run(function, *arguments, workers=workers)


@contextmanager
def misbehaving(cluster: Cluster, function, *arguments, workers=None):
    """Workers that do as a function has told them."""
    run_on(cluster, function, *arguments, workers=workers)
    try:
        yield
    finally:
        run_on(cluster, behave)


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


def ask_and_hold(cluster, store, folder: Path) -> Asking:
    """A query of which the workers hold what they have begun."""
    run_on(cluster, hold, str(folder))
    asking = Asking(RemoteEngine(store, cluster.ask, cut=CUT))
    wait_until(lambda: bool(read_lines(folder)), "a task")
    return asking


def test_the_answer_is_that_of_the_local_engine(machines, store):
    with_cluster = open_cluster(machines)
    engine = RemoteEngine(store, with_cluster.ask, with_cluster.close, CUT)
    for m in (1, 20):
        expected = LocalEngine(store, CUT).attend(queries(m, 20), k=5, output=True)
        states = engine.attend(queries(m, 20), k=5, output=True)
        assert same(states, expected)
        assert states.parts == (4, 3)
    engine.close()


def test_threads_ask_at_once(machines, store):
    """As those of a server do. Each gets the answer to its own queries."""
    cluster = open_cluster(machines)
    engine, alone = RemoteEngine(store, cluster.ask, cut=CUT), LocalEngine(store, CUT)
    asked = [queries(m, 20, seed) for seed in range(6) for m in (1, 3, 20)]
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda q: engine.attend(q, k=5, output=True), asked)]
    for q, states in zip(asked, answers, strict=True):
        assert same(states, alone.attend(q, k=5, output=True))
    cluster.close()


def test_the_scheduler_of_the_configuration(machines, store, monkeypatch):
    import dask

    with pytest.raises(InputError, match="dask:: Dask's configuration names no scheduler; set DASK_SCHEDULER_ADDRESS"):
        Cluster("dask:")
    with dask.config.set({"scheduler-file": str(machines.file)}):
        cluster = Cluster("dask:")
    assert RemoteEngine(store, cluster.ask).attend(queries(1, 20)).parts
    cluster.close()


def test_a_deadline(machines, store, tmp_path):
    cluster = open_cluster(machines, deadline=0.5)
    with misbehaving(cluster, hold, str(tmp_path)):
        with pytest.raises(CatalogError) as caught:
            RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
        (tmp_path / "go").touch()
    message = "0 of 8 parts were answered within 0.5 s; start more workers, or raise --timeout"
    assert str(caught.value) == f"{machines.address}: {message}"
    cluster.close()


def test_ctrl_c_cancels_the_tasks(machines, store, tmp_path):
    cluster = open_cluster(machines)
    with misbehaving(cluster, hold, str(tmp_path)):

        def interrupt() -> None:
            wait_until(lambda: bool(read_lines(tmp_path)), "a task")
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
        thread.join()
        wait_until(lambda: not cluster._client.run_on_scheduler(count_tasks), "the end of the tasks")
        assert caught.tb  # which still has them
        (tmp_path / "go").touch()
    cluster.close()


def count_tasks(dask_scheduler) -> int:
    return len(dask_scheduler.tasks)


def test_a_worker_of_another_protocol(machines, store):
    cluster = open_cluster(machines)
    first = min(cluster._threads())
    with misbehaving(cluster, speak, 0, workers=[first]):
        with pytest.raises(InputError) as caught:
            Cluster(machines.address)
        with pytest.raises(InputError, match="speaks protocol 0, not"):  # one that joined later
            RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    cluster.close()
    assert str(caught.value) == f"{machines.address}: 1 of 3 workers have other versions; install there what is here"
    head, here, other = (re.split("  +", line.strip()) for line in caught.value.details.splitlines())
    assert head == ["attnsearch", "protocol", "Python", "numpy"]
    assert here == ["here", *map(str, list(part.describe().values())[1::-1]), *list(part.describe().values())[2:4]]
    assert other == ["1 worker", here[1], "0", *here[3:], first]
    assert max(map(len, caught.value.details.splitlines())) <= 80


def test_a_worker_without_attnsearch(machines, tmp_path):
    (tmp_path / "attnsearch").mkdir()
    (tmp_path / "attnsearch" / "__init__.py").write_text("raise ModuleNotFoundError('no attnsearch')\n")
    cluster = open_cluster(machines)
    started = machines.start_worker(str(tmp_path))
    try:
        wait_until(lambda: len(cluster._threads()) == 4, "the start of the worker")
        with pytest.raises(InputError, match="1 of 4 workers have other versions") as caught:
            Cluster(machines.address)
        *_, row = caught.value.details.splitlines()
        assert re.fullmatch(rf"  1 worker  +\S+ +none +{part.describe()['Python']} +{part.describe()['numpy']} .*", row)
    finally:
        started.kill()
        started.wait()
        cluster.close()


def test_workers_that_lie(machines, store):
    """They drop, repeat, or answer for another commit."""
    messages = ["of 4 segments answered", "answered more than once", "for another state", "its total is not an array"]
    cluster = open_cluster(machines)
    for name, message in zip(LIES, messages, strict=True):
        with (
            misbehaving(cluster, lie, name, workers=[min(cluster._threads())]),
            pytest.raises(CatalogError, match=message),
        ):
            RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    cluster.close()


def test_an_answer_that_can_not_be_read_here(machines, store, caplog):
    """Nor the error that another version raises, say."""
    cluster = open_cluster(machines)
    caplog.clear()  # of what a terminal shows while it connects, if another test has set the level
    for function, message in ((answer_with_strangers, "what a worker sent can't be read: No module"), (fail, "failed")):
        with misbehaving(cluster, function), pytest.raises(CatalogError, match=message):
            RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    assert caplog.messages == []
    cluster.close()


def test_a_long_deadline(machines, store):
    cluster = open_cluster(machines, deadline=1e300)
    assert RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20)).parts
    cluster.close()


def test_a_scheduler_that_stops(machines, store):
    cluster = open_cluster(machines, deadline=1.0)
    os.kill(machines.scheduler.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(CatalogError, match="the scheduler did not answer within 1 s"):
            RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
        assert time.monotonic() - begun < clusters.CONNECT / 2
    finally:
        os.kill(machines.scheduler.pid, signal.SIGCONT)
    cluster.close()


def test_a_damaged_segment(machines, store):
    file = store.files[1]
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    cluster = open_cluster(machines)
    with pytest.raises(DamagedError, match=r"made: the catalog is damaged: .*; run 'attnsearch check made --repair'"):
        RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    cluster.close()


@pytest.mark.parametrize("kind", ["machines", "nannies"])
def test_a_worker_that_is_killed(request, kind, store, tmp_path, caplog):
    """Others read again what it had begun to read, and the answer is that of an undisturbed cluster."""
    cluster = open_cluster(request.getfixturevalue(kind))
    pids = run_on(cluster, os.getpid)
    run_on(cluster, hold, str(tmp_path))
    asking = Asking(RemoteEngine(store, cluster.ask, cut=CUT))
    wait_until(lambda: len({pid for pid, *_ in read_lines(tmp_path)}) == len(pids), "a task on each worker")
    victim = next(iter(pids.values()))
    os.kill(victim, signal.SIGKILL)
    begun = {(file, start) for pid, file, start in read_lines(tmp_path) if pid == victim}
    (tmp_path / "go").touch()
    asking.join(60)
    assert asking.error is None
    assert same(asking.states, LocalEngine(store, CUT).attend(queries(1, 20), k=5, output=True))
    assert begun
    if kind == "machines":  # else the new worker may read them, which notes nothing
        assert begun <= {(file, start) for pid, file, start in read_lines(tmp_path) if pid != victim}
    (lost,) = [record.getMessage() for record in caplog.records if "died" in record.getMessage()]
    assert re.search(rf"1 of {len(pids)} workers died; others read [1-7] of 8 parts again$", lost)
    cluster.close()


def test_more_keys_than_a_worker_has_memory(nannies, tmp_path):
    """Mapped pages count as memory of a worker, whose nanny ends it: so it keeps no more mapped than it may."""
    rows, d, count = 1 << 14, 1024, 32
    store = DiskStore(tmp_path, np.zeros((rows, d), np.float32), np.zeros(rows, bool), np.zeros(rows, bool), [])
    (row,), (file,) = store.segments, store.files
    names = [f"{number:032x}.npy" for number in range(count)]  # names of one file: only mapped does it take so much
    for name in names:
        file.with_name(name).hardlink_to(file)
    store.segments = [row._replace(first=rows * number, file=name) for number, name in enumerate(names)]
    cluster = open_cluster(nannies, deadline=20)
    states = RemoteEngine(store, cluster.ask).attend(np.ones((1, d), np.float32))
    assert states.attention.visible.tolist() == [rows * count]
    cluster.close()


def test_a_task_that_kills_workers(machines, store, tmp_path):
    """Dask gives it up: the segments are named, though others are still at work."""
    cluster = open_cluster(machines, deadline=30)
    cluster._client.run_on_scheduler(allow_deaths, 0)
    victim = min(cluster._threads())
    run_on(cluster, hold, str(tmp_path))
    run_on(cluster, die_reading, workers=[victim])
    with pytest.raises(CatalogError) as caught:
        RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20))
    (tmp_path / "go").touch()
    cluster._client.run_on_scheduler(allow_deaths, 3)
    cluster.close()
    (names,) = re.findall(r"every worker that read (.*) was killed", caught.value.message)
    assert {*names.split(", ")} <= {str(file.absolute()) for file in store.files}
    assert "start workers with more memory, or with --memory-limit 0" in caught.value.hint


def allow_deaths(count, dask_scheduler) -> None:
    dask_scheduler.allowed_failures = count


def test_all_workers_are_killed(machines, store, tmp_path, monkeypatch):
    cluster = open_cluster(machines)
    monkeypatch.setattr(clusters, "WORKERS", 0.3)
    asking = ask_and_hold(cluster, store, tmp_path)
    for process in machines.workers:
        process.kill()
    asking.join(30)
    assert isinstance(asking.error, CatalogError)
    assert "the scheduler has no workers any more; start them: 'dask worker ADDRESS' on each machine" in str(
        asking.error
    )
    monkeypatch.setattr(clusters, "WORKERS", 100.0)
    cluster._deadline, began = 0.3, time.monotonic()
    with pytest.raises(CatalogError, match="the scheduler has no workers; start them"):
        RemoteEngine(store, cluster.ask).attend(queries(1, 20))
    assert time.monotonic() - began < 60
    cluster.close()


def test_the_scheduler_is_killed(machines, store, tmp_path, monkeypatch):
    cluster = open_cluster(machines)
    monkeypatch.setattr(clusters, "CONNECT", 2.0)
    asking = ask_and_hold(cluster, store, tmp_path)
    machines.scheduler.kill()
    asking.join(30)
    assert isinstance(asking.error, CatalogError)
    lost = "the connection to the scheduler is lost; ask again"
    assert str(asking.error) == f"{machines.address}: {lost}"
    assert cluster.is_lost
    monkeypatch.setattr(cluster._client, "sync", too_late)  # nobody is asked
    with pytest.raises(CatalogError, match=lost):
        cluster.ask([{"size": 1}])
    monkeypatch.undo()
    cluster.close()


def too_late(*_, **__):
    raise TimeoutError


def test_no_scheduler(monkeypatch, caplog):
    monkeypatch.setattr(clusters, "CONNECT", 1.0)
    caplog.set_level("INFO", "attnsearch")  # what a terminal shows during the wait
    with pytest.raises(CatalogError, match=r"tcp://127.0.0.1:1: no Dask scheduler answers: .*; start one: 'dask sch"):
        Cluster("tcp://127.0.0.1:1")
    assert "connecting to the workers of tcp://127.0.0.1:1" in caplog.messages


@pytest.mark.parametrize("address", ["", "host:8786", "tcp://host", "http://host:1", "local:0", "local:x", "dask:x"])
def test_addresses_that_are_none(address):
    with pytest.raises(InputError, match="invalid address of a cluster"):
        Cluster(address)


@pytest.mark.parametrize(
    ("address", "is_safe"),
    [("tcp://10.0.0.1:8786", False), ("tcp://host:8786", False), ("tls://10.0.0.1:8786", True), ("dask:", True),
     ("tcp://127.0.0.1:8786", True), ("tcp://localhost:8786", True), ("tcp://[::1]:8786", True), ("local:2", True)],
)  # fmt: skip
def test_a_warning_of_what_is_not_encrypted(caplog, address, is_safe):
    check_address(address)
    warnings = (
        []
        if is_safe
        else [f"{address} is not encrypted, and whoever reaches it can run code on its workers; use tls://"]
    )
    assert [record.getMessage() for record in caplog.records] == warnings


def test_without_dask(monkeypatch):
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"which is not installed; pip install 'attnsearch\[dask\]'"):
        Cluster("local:2")


def test_processes_on_this_machine(store):
    before = {*os.environ}
    cluster = Cluster("local:1")
    states = RemoteEngine(store, cluster.ask, cut=CUT).attend(queries(1, 20), k=5, output=True)
    assert same(states, LocalEngine(store, CUT).attend(queries(1, 20), k=5, output=True))
    assert states.parts == (4, 1)
    cluster.close()
    added = {*os.environ} - before  # by Dask, for its processes
    assert not added & {"MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"}


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


def test_a_server_ends_with_its_processes(tmp_path):
    psutil = pytest.importorskip("psutil")
    argv = [sys.executable, "-m", "attnsearch", "serve", "--port", "0", "--on", "local:1"]
    env = {**os.environ, "ATTNSEARCH_HOME": str(tmp_path)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        others = psutil.Process(process.pid).children(recursive=True)
        assert others
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert psutil.wait_procs(others, timeout=10)[1] == []


OPEN = """
from attnsearch import cli
from attnsearch.cluster.dask import Cluster
def run(argv):
    with_cluster = Cluster("local:1")
    try:
        print("open", flush=True)
        input()
    finally:
        with_cluster.close()
cli._run_command = run
cli.run()
"""


@pytest.mark.parametrize("is_open", [False, True], ids=["while they start", "once they are there"])
def test_ctrl_c(is_open):
    """The processes of local:N end with the command, and none of them says a word."""
    psutil = pytest.importorskip("psutil")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", OPEN], stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        if is_open:
            assert process.stdout.readline() == "open\n"
        else:
            wait_until(lambda: len(psutil.Process(process.pid).children()) >= 2, "the start of the processes")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)  # which waits for all that have the pipe
    assert (process.returncode, out, err) == (130, "", "attnsearch: interrupted; all catalogs are intact\n")
