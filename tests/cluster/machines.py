"""A Dask scheduler and its workers, each a process on the loopback interface; and what tests do to the workers."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attnsearch.cluster import part, texts

PATIENCE = 60  # seconds until something has happened that must


def wait_until(done: Callable[[], object], what: str) -> object:
    """What `done` returns when that is something."""
    end = time.monotonic() + PATIENCE
    while not (result := done()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.02)
    return result


class Machines:
    """A scheduler and plain workers, or workers with a nanny that starts another one in the place of a dead one.

    Tests may kill them: `heal` starts others.
    """

    def __init__(self, folder: Path, workers: int = 3, *, nanny: bool = False, memory: str = "0") -> None:
        self.file = folder / "scheduler.json"
        self._folder = folder
        self._options = ["--nanny" if nanny else "--no-nanny", "--memory-limit", memory]
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.heal(workers)

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    def heal(self, workers: int) -> None:
        """Have a scheduler, and at least so many workers."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.stop()
            self.file.unlink(missing_ok=True)
            place = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
            self.scheduler = self._start("scheduler", *place, "--scheduler-file", self.file)
            wait_until(lambda: self.file.exists() and self.file.stat().st_size > 0, "the start of the scheduler")
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < workers:
            self.start_worker()

    def start_worker(self, path: str = "") -> subprocess.Popen[bytes]:
        """Start a worker, which looks for packages in `path` first."""
        place = ["--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--scheduler-file", self.file]
        self.workers.append(self._start("worker", *place, *self._options, path=path))
        return self.workers[-1]

    def _start(self, kind: str, *options: object, path: str = "") -> subprocess.Popen[bytes]:
        paths = [path, str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, options)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=self._folder, env=env, stdout=log, stderr=log)

    def stop(self) -> None:
        for process in (*self.workers, *([self.scheduler] if self.scheduler else [])):
            process.kill()  # the worker of a nanny ends with it
            process.wait()


# What workers run, by name.

_HONEST = {name: getattr(part, name) for name in ("PROTOCOL", "_load", "answer")}


def behave() -> None:
    """Let this process do again what it does for users."""
    for name, value in _HONEST.items():
        setattr(part, name, value)


def hold(folder: str) -> None:
    """Let each task of this process wait before it reads, until there is a file `go`; it notes what it reads."""

    def wait_and_load(piece, task):
        with (Path(folder) / "read").open("a") as log:
            log.write(f"{os.getpid()} {piece['file']} {piece['start']}\n")
        end = time.monotonic() + PATIENCE
        while not (Path(folder) / "go").exists() and time.monotonic() < end:
            time.sleep(0.01)
        return _HONEST["_load"](piece, task)

    part._load = wait_and_load


def die_reading() -> None:
    """Let this process die as soon as it reads, as the system kills one that wants too much memory."""
    part._load = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def _make_stranger(base: type) -> type:
    """A class of a module that only this process has."""
    module = sys.modules.setdefault("stranger", types.ModuleType("stranger"))
    module.Stranger = type("Stranger", (base,), {"__module__": "stranger"})
    return module.Stranger


def answer_with_strangers() -> None:
    """Let this process send objects that no other process can make."""
    stranger = _make_stranger(object)
    part.answer = lambda task: stranger()


def fail() -> None:
    """Let this process raise an error that no other process knows."""
    error = _make_stranger(Exception)

    def answer(task):
        raise error("no")

    part.answer = answer


def speak(protocol: int) -> None:
    part.PROTOCOL = protocol


def lie(name: str) -> None:
    """Let this process answer with one of the `LIES`."""

    def answer(task):
        answered = _HONEST["answer"](task)
        LIES[name](answered)
        return answered

    part.answer = answer


LIES = {
    "it drops a piece": lambda answered: answered["pieces"].clear(),
    "it repeats a piece": lambda answered: answered["pieces"].append(answered["pieces"][0]),
    "it is asked about another commit": lambda answered: answered.update(commit="another"),
    "it loses a sum": lambda answered: answered["pieces"][0]["state"].update(total=np.zeros(3)),
}


def hold_texts(folder: str, batches: int = 0) -> None:
    """Let each batch of this process but the first `batches` wait for a file `go`; it notes how many texts each has."""
    load, count = getattr(texts._load, "load", texts._load), itertools.count()  # not held twice

    def wait_and_load(task):
        number = next(count)
        with (Path(folder) / "embedded").open("a") as log:
            log.write(f"{os.getpid()} {len(task['texts'])}\n")
        end = time.monotonic() + PATIENCE
        while number >= batches and not (Path(folder) / "go").exists() and time.monotonic() < end:
            time.sleep(0.01)
        return load(task)

    wait_and_load.load = load
    texts._load = wait_and_load


def die() -> None:
    """Let this process end at its next batch."""
    texts._load = lambda task: os._exit(1)
